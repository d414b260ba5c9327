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
from fastnn.functional._door import contiguous, contiguous_or_none, pick, row, row_or_none

__all__ = ["conv1d", "conv1d_backward", "conv2d", "conv2d_backward", "fold", "unfold"]


def unfold(x: Array, kernel_size: IntPair, dilation: IntPair = 1, padding: IntPair = 0, stride: IntPair = 1) -> Array:
    geometry, OH, OW = check.unfold(x, kernel_size, stride, padding, dilation)
    if use_reference():
        return reference.unfold(x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    N, C = x.shape[:2]
    y = empty((N, C * geometry.KH * geometry.KW, OH * OW), x.dtype)
    pick(_im2col.im2col, x.dtype)(contiguous(x), y, geometry)
    return y


def fold(
    x: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Array:
    C, H, W, geometry = check.fold(x, output_size, kernel_size, stride, padding, dilation)
    if use_reference():
        return reference.fold(x, output_size, kernel_size, stride=stride, padding=padding, dilation=dilation)
    y = empty((x.shape[0], C, H, W), x.dtype)
    pick(_im2col.col2im, x.dtype)(contiguous(x), y, geometry)
    return y


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntPair = 1,
    padding: Padding = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Array:
    geometry, OH, OW = check.conv2d(x, weight, bias, stride, padding, dilation, groups, activation)
    if use_reference():
        return reference.conv2d(
            x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, activation=activation
        )
    y = empty((x.shape[0], weight.shape[0], OH, OW), x.dtype)
    forward = pick(_conv_forward.conv2d_forward, x.dtype)
    forward(contiguous(x), contiguous(weight), contiguous_or_none(bias), y, geometry, activation is not None)
    return y


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntPair = 1,
    padding: Padding = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    geometry = check.conv2d_backward(dy, x, weight, stride, padding, dilation, groups)
    if use_reference():
        return reference.conv2d_backward(
            dy, x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups, needs=needs
        )
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(weight.shape, x.dtype) if "dw" in needs else None
    db = empty(weight.shape[:1], x.dtype) if "db" in needs else None
    backward = pick(_conv_backward.conv2d_backward, x.dtype)
    backward(contiguous(dy), contiguous(x), contiguous(weight), dx, dw, db, geometry)
    return dx, dw, db


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntSingle = 1,
    padding: IntSingle | str = 0,
    dilation: IntSingle = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Array:
    geometry, OL = check.conv1d(x, weight, bias, stride, padding, dilation, groups, activation)
    if use_reference():
        return reference.conv1d(
            x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, activation=activation
        )
    y = empty((x.shape[0], weight.shape[0], OL), x.dtype)
    forward = pick(_conv_forward.conv2d_forward, x.dtype)
    forward(row(x), row(weight), contiguous_or_none(bias), row(y), geometry, activation is not None)
    return y


def conv1d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntSingle = 1,
    padding: IntSingle | str = 0,
    dilation: IntSingle = 1,
    groups: int = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    geometry = check.conv1d_backward(dy, x, weight, stride, padding, dilation, groups)
    if use_reference():
        return reference.conv1d_backward(
            dy, x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups, needs=needs
        )
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(weight.shape, x.dtype) if "dw" in needs else None
    db = empty(weight.shape[:1], x.dtype) if "db" in needs else None
    backward = pick(_conv_backward.conv2d_backward, x.dtype)
    backward(row(dy), row(x), row(weight), row_or_none(dx), row_or_none(dw), db, geometry)
    return dx, dw, db
