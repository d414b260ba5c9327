"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Iterable

import fastnn._kernels._conv_backward as _conv_backward
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, IntPair, IntSingle, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none, pick, row, row_or_none

__all__ = ["conv_transpose1d", "conv_transpose1d_backward", "conv_transpose2d", "conv_transpose2d_backward"]


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
    *,
    activation: str | None = None,
) -> Array:
    settings = stride, padding, output_padding, groups, dilation
    geometry, OH, OW = check.conv_transpose2d(x, weight, bias, *settings, activation)
    if use_reference():
        return reference.conv_transpose2d(x, weight, bias, *settings, activation=activation)
    y = empty((x.shape[0], weight.shape[1] * groups, OH, OW), x.dtype)
    forward = pick(_conv_backward.conv_transpose2d_forward, x.dtype)
    forward(contiguous(x), contiguous(weight), contiguous_or_none(bias), y, geometry, activation is not None)
    return y


def conv_transpose2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    settings = stride, padding, output_padding, groups, dilation
    geometry = check.conv_transpose2d_backward(dy, x, weight, *settings)
    if use_reference():
        return reference.conv_transpose2d_backward(dy, x, weight, *settings, needs=needs)
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(weight.shape, x.dtype) if "dw" in needs else None
    db = empty((dy.shape[1],), x.dtype) if "db" in needs else None
    backward = pick(_conv_backward.conv_transpose2d_backward, x.dtype)
    backward(contiguous(dy), contiguous(x), contiguous(weight), dx, dw, db, geometry)
    return dx, dw, db


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntSingle = 1,
    padding: IntSingle = 0,
    output_padding: IntSingle = 0,
    groups: int = 1,
    dilation: IntSingle = 1,
    *,
    activation: str | None = None,
) -> Array:
    settings = stride, padding, output_padding, groups, dilation
    geometry, OL = check.conv_transpose1d(x, weight, bias, *settings, activation)
    if use_reference():
        return reference.conv_transpose1d(x, weight, bias, *settings, activation=activation)
    y = empty((x.shape[0], weight.shape[1] * groups, OL), x.dtype)
    forward = pick(_conv_backward.conv_transpose2d_forward, x.dtype)
    forward(row(x), row(weight), contiguous_or_none(bias), row(y), geometry, activation is not None)
    return y


def conv_transpose1d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntSingle = 1,
    padding: IntSingle = 0,
    output_padding: IntSingle = 0,
    groups: int = 1,
    dilation: IntSingle = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    settings = stride, padding, output_padding, groups, dilation
    geometry = check.conv_transpose1d_backward(dy, x, weight, *settings)
    if use_reference():
        return reference.conv_transpose1d_backward(dy, x, weight, *settings, needs=needs)
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(weight.shape, x.dtype) if "dw" in needs else None
    db = empty((dy.shape[1],), x.dtype) if "db" in needs else None
    backward = pick(_conv_backward.conv_transpose2d_backward, x.dtype)
    backward(row(dy), row(x), row(weight), row_or_none(dx), row_or_none(dw), db, geometry)
    return dx, dw, db
