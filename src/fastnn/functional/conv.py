"""Convolution and the patches it works on."""

from __future__ import annotations

from collections.abc import Iterable

import fastnn._kernels._conv_backward as _conv_backward
import fastnn._kernels._conv_forward as _conv_forward
import fastnn._kernels._im2col as _im2col
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, IntPair, IntSingle, MaybeArray, Padding
from fastnn.functional._door import contiguous, contiguous_or_none, pick


def im2col(
    x: Array, kernel_size: IntPair, *, stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1
) -> Array:
    geometry, OH, OW = check.im2col(x, kernel_size, stride, padding, dilation)
    if use_reference():
        return reference.im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    N, C = x.shape[:2]
    cols = empty((N, C * geometry.KH * geometry.KW, OH * OW), x.dtype)
    pick(_im2col.im2col, x.dtype)(contiguous(x), cols, geometry)
    return cols


def col2im(
    cols: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
) -> Array:
    C, H, W, geometry = check.col2im(cols, output_size, kernel_size, stride, padding, dilation)
    if use_reference():
        return reference.col2im(cols, output_size, kernel_size, stride=stride, padding=padding, dilation=dilation)
    x = empty((cols.shape[0], C, H, W), cols.dtype)
    pick(_im2col.col2im, x.dtype)(contiguous(cols), x, geometry)
    return x


unfold, fold = im2col, col2im


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntPair = 1,
    padding: Padding = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    geometry, OH, OW = check.conv2d(x, w, b, stride, padding, dilation, groups, activation)
    if use_reference():
        return reference.conv2d(
            x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups, activation=activation
        )
    y = empty((x.shape[0], w.shape[0], OH, OW), x.dtype)
    forward = pick(_conv_forward.conv2d_forward, x.dtype)
    forward(contiguous(x), contiguous(w), contiguous_or_none(b), y, geometry, activation is not None)
    return y


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    *,
    stride: IntPair = 1,
    padding: Padding = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    geometry = check.conv2d_backward(dy, x, w, stride, padding, dilation, groups)
    if use_reference():
        return reference.conv2d_backward(
            dy, x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, needs=needs
        )
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(w.shape, x.dtype) if "dw" in needs else None
    db = empty(w.shape[:1], x.dtype) if "db" in needs else None
    backward = pick(_conv_backward.conv2d_backward, x.dtype)
    backward(contiguous(dy), contiguous(x), contiguous(w), dx, dw, db, geometry)
    return dx, dw, db


def conv1d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntSingle = 1,
    padding: IntSingle | str = 0,
    dilation: IntSingle = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    geometry, OL = check.conv1d(x, w, b, stride, padding, dilation, groups, activation)
    if use_reference():
        return reference.conv1d(
            x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups, activation=activation
        )
    y = empty((x.shape[0], w.shape[0], OL), x.dtype)
    forward = pick(_conv_forward.conv2d_forward, x.dtype)
    forward(_row(x), _row(w), contiguous_or_none(b), _row(y), geometry, activation is not None)
    return y


def conv1d_backward(
    dy: Array,
    x: Array,
    w: Array,
    *,
    stride: IntSingle = 1,
    padding: IntSingle | str = 0,
    dilation: IntSingle = 1,
    groups: int = 1,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    geometry = check.conv1d_backward(dy, x, w, stride, padding, dilation, groups)
    if use_reference():
        return reference.conv1d_backward(
            dy, x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, needs=needs
        )
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(w.shape, x.dtype) if "dw" in needs else None
    db = empty(w.shape[:1], x.dtype) if "db" in needs else None
    backward = pick(_conv_backward.conv2d_backward, x.dtype)
    backward(_row(dy), _row(x), _row(w), _row_or_none(dx), _row_or_none(dw), db, geometry)
    return dx, dw, db


def _row(a: Array) -> Array:
    """(N, C, L) as maps of one row."""
    return contiguous(a).reshape(a.shape[0], a.shape[1], 1, a.shape[2])


def _row_or_none(a: Array | None) -> Array | None:
    return None if a is None else _row(a)
