"""Softmax along an axis, which the kernels do along the last."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import use_reference
from fastnn._validate import Array
from fastnn.functional import _map

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def _forward(function: str, x: Array, axis: int) -> Array:
    if axis == x.ndim - 1:
        return _map.forward(function, x, row=x.shape[axis])
    y = _map.forward(function, x.swapaxes(axis, -1), row=x.shape[axis])
    return np.ascontiguousarray(y.swapaxes(axis, -1))


def _backward(function: str, dy: Array, y: Array, axis: int) -> Array:
    if axis == y.ndim - 1:
        return _map.backward(function, dy, y, row=y.shape[axis])
    dx = _map.backward(function, dy.swapaxes(axis, -1), y.swapaxes(axis, -1), row=y.shape[axis])
    return np.ascontiguousarray(dx.swapaxes(axis, -1))


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
