"""Padding of images."""

from __future__ import annotations

import math

import numpy as np

import fastnn._kernels._im2col as _im2col
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, Frame
from fastnn.functional._door import contiguous

__all__ = ["pad", "pad_backward"]


def pad(x: Array, pad: Frame, mode: str = "constant", value: float | None = None) -> Array:
    pads, fill = check.pad(x, pad, mode, value)
    if use_reference():
        return reference.pad(x, pad, mode=mode, value=value)
    x = _inside(x, pads.cut)
    y = empty(pads.outer, x.dtype)
    if mode == "constant" and (fill or x.size == 0 or any(map(any, pads.added[:-2]))):
        y.fill(fill)
        _inside(y, pads.added)[...] = x
    elif y.size:
        (top, _), (left, _) = _planes(pads.added)
        _im2col.pad2d(_as_planes(contiguous(x)), _as_planes(y), top, left, mode)
    return contiguous(_inside(y, pads.cut_after))


def pad_backward(dy: Array, pad: Frame, mode: str = "constant") -> Array:
    pads, shape = check.pad_backward(dy, pad, mode)
    if use_reference():
        return reference.pad_backward(dy, pad, mode=mode)
    dy = _outside(dy, pads.cut_after)
    dx = empty(pads.inner, dy.dtype)
    if any(map(any, pads.added[:-2])):
        dx[...] = _inside(dy, pads.added)
    elif dx.size:
        (top, _), (left, _) = _planes(pads.added)
        _im2col.pad2d_backward(_as_planes(contiguous(dy)), _as_planes(dx), top, left, mode)
    return _outside(dx, pads.cut).reshape(shape)


def _planes(added: check.Widths) -> check.Widths:
    """Of the two last axes."""
    return ((0, 0), *added)[-2:]


def _as_planes(x: Array) -> Array:
    """(..., H, W) or (L,) as images of one channel; `x` is contiguous."""
    H, W = (1, *x.shape)[-2:]
    return x.reshape(math.prod(x.shape[:-2]), 1, H, W)


def _inside(x: Array, widths: check.Widths) -> Array:
    """A view without what is cut off."""
    if not any(map(any, widths)):
        return x
    return x[tuple(slice(before, size - after) for (before, after), size in zip(widths, x.shape, strict=True))]


def _outside(x: Array, widths: check.Widths) -> Array:
    """The gradient of `_inside`: zeros where something was cut off."""
    if not any(map(any, widths)):
        return x
    whole = np.zeros(tuple(size + sum(width) for size, width in zip(x.shape, widths, strict=True)), x.dtype)
    _inside(whole, widths)[...] = x
    return whole
