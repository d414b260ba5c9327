"""Softmax along an axis: rows if it is the last, columns otherwise."""

from __future__ import annotations

import math

import fastnn._kernels._activation as _activation
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional import _map
from fastnn.functional._door import contiguous

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def _forward(function: str, x: Array, axis: int) -> Array:
    shape = _images(x, axis)
    if shape[2] == 1:
        return _map.forward(function, x, row=shape[1])
    y = empty(x.shape, x.dtype)
    _activation.softmax_forward(contiguous(x), y, shape, function == "log_softmax")
    return y


def _backward(function: str, dy: Array, y: Array, axis: int) -> Array:
    shape = _images(y, axis)
    if shape[2] == 1:
        return _map.backward(function, dy, y, row=shape[1])
    dx = empty(y.shape, y.dtype)
    _activation.softmax_backward(contiguous(dy), contiguous(y), dx, shape, function == "log_softmax")
    return dx


def _images(x: Array, axis: int) -> tuple[int, int, int]:
    """The shape (N, K, P) that has this axis in the middle."""
    if axis == x.ndim - 1:
        return 0, x.shape[axis], 1
    return math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])


def softmax(x: Array, dim: int = -1) -> Array:
    axis = check.softmax(x, dim)
    if use_reference():
        return reference.softmax(x, dim=dim)
    return _forward("softmax", x, axis)


def softmax_backward(dy: Array, y: Array, dim: int = -1) -> Array:
    axis = check.softmax_backward(dy, y, dim)
    if use_reference():
        return reference.softmax_backward(dy, y, dim=dim)
    return _backward("softmax", dy, y, axis)


def log_softmax(x: Array, dim: int = -1) -> Array:
    axis = check.softmax(x, dim)
    if use_reference():
        return reference.log_softmax(x, dim=dim)
    return _forward("log_softmax", x, axis)


def log_softmax_backward(dy: Array, y: Array, dim: int = -1) -> Array:
    axis = check.softmax_backward(dy, y, dim)
    if use_reference():
        return reference.log_softmax_backward(dy, y, dim=dim)
    return _backward("log_softmax", dy, y, axis)
