"""Padding of images."""

from __future__ import annotations

import fastnn._kernels._im2col as _im2col
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, Frame
from fastnn.functional._door import contiguous

__all__ = ["pad", "pad_backward"]


def pad(x: Array, pad: Frame, mode: str = "constant") -> Array:
    left, right, top, bottom = check.pad(x, pad, mode)
    if use_reference():
        return reference.pad(x, pad, mode=mode)
    N, C, H, W = x.shape
    y = empty((N, C, top + H + bottom, left + W + right), x.dtype)
    _im2col.pad2d(contiguous(x), y, top, left, mode)
    return y


def pad_backward(dy: Array, pad: Frame, mode: str = "constant") -> Array:
    left, right, top, bottom = check.pad_backward(dy, pad, mode)
    if use_reference():
        return reference.pad_backward(dy, pad, mode=mode)
    N, C, OH, OW = dy.shape
    dx = empty((N, C, OH - top - bottom, OW - left - right), dy.dtype)
    _im2col.pad2d_backward(contiguous(dy), dx, top, left, mode)
    return dx
