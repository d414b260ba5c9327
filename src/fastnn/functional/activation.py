"""Functions element by element, softmax along an axis, and flatten."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn._kernels._activation as _activation
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import flat, pick, rows


def relu(x: Array) -> Array:
    check.float_array("x", x)
    if use_reference():
        return reference.relu(x)
    y = empty(x.shape, x.dtype)
    pick(_activation.relu_forward, x.dtype)(flat(x), y.reshape(-1))
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.relu_backward(dy, y)
    dx = empty(y.shape, y.dtype)
    pick(_activation.relu_backward, y.dtype)(flat(dy), flat(y), dx.reshape(-1))
    return dx


def sigmoid(x: Array) -> Array:
    check.float_array("x", x)
    if use_reference():
        return reference.sigmoid(x)
    y = empty(x.shape, x.dtype)
    pick(_activation.sigmoid_forward, x.dtype)(flat(x), y.reshape(-1))
    return y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.sigmoid_backward(dy, y)
    dx = empty(y.shape, y.dtype)
    pick(_activation.sigmoid_backward, y.dtype)(flat(dy), flat(y), dx.reshape(-1))
    return dx


def tanh(x: Array) -> Array:
    check.float_array("x", x)
    if use_reference():
        return reference.tanh(x)
    y = empty(x.shape, x.dtype)
    pick(_activation.tanh_forward, x.dtype)(flat(x), y.reshape(-1))
    return y


def tanh_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.tanh_backward(dy, y)
    dx = empty(y.shape, y.dtype)
    pick(_activation.tanh_backward, y.dtype)(flat(dy), flat(y), dx.reshape(-1))
    return dx


def _along(axis: int, kernel: Any, *inputs: Array) -> Array:
    """Call a kernel that works on rows with lines along `axis` as its rows."""
    last = inputs[0].ndim - 1
    if axis != last:
        inputs = tuple(a.swapaxes(axis, last) for a in inputs)
    y = empty(inputs[0].shape, inputs[0].dtype)
    if y.size:  # no rows could be counted along an empty axis
        pick(kernel, y.dtype)(*map(rows, inputs), rows(y))
    return y if axis == last else np.ascontiguousarray(y.swapaxes(axis, last))


def softmax(x: Array, *, dim: int = -1) -> Array:
    axis = check.softmax(x, dim)
    if use_reference():
        return reference.softmax(x, dim=dim)
    return _along(axis, _activation.softmax_forward, x)


def softmax_backward(dy: Array, y: Array, *, dim: int = -1) -> Array:
    axis = check.softmax_backward(dy, y, dim)
    if use_reference():
        return reference.softmax_backward(dy, y, dim=dim)
    return _along(axis, _activation.softmax_backward, dy, y)


def log_softmax(x: Array, *, dim: int = -1) -> Array:
    axis = check.softmax(x, dim)
    if use_reference():
        return reference.log_softmax(x, dim=dim)
    return _along(axis, _activation.log_softmax_forward, x)


def log_softmax_backward(dy: Array, y: Array, *, dim: int = -1) -> Array:
    axis = check.softmax_backward(dy, y, dim)
    if use_reference():
        return reference.log_softmax_backward(dy, y, dim=dim)
    return _along(axis, _activation.log_softmax_backward, dy, y)


def flatten(x: Array, start_dim: int = 1) -> Array:
    return reference.flatten(x, start_dim)  # nothing is computed
