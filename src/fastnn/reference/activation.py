"""Activations, softmax, and flatten.

A backward takes the gradient `dy` of the output and the output `y` itself: all of these derivatives can be written in
terms of `y`, so that the input need not be kept.
"""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet


def relu(x: Array) -> Array:
    """``max(x, 0)`` of every element; NaN stays NaN.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`
    """
    check.float_array("x", x)
    return np.maximum(x, 0, out=np.empty(x.shape, x.dtype))


def relu_backward(dy: Array, y: Array) -> Array:
    """Gradient of `relu`: `dy` where ``y > 0``, else 0.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.

    Returns
    -------
    array of the shape of `y`
    """
    check.elementwise_backward(dy, y)
    dx = np.zeros(y.shape, y.dtype)
    np.copyto(dx, dy, where=y > 0)
    return dx


@quiet
def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))`` of every element, from the exponential that cannot overflow, ``exp(-|x|)``.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`
    """
    check.float_array("x", x)
    e = np.exp(-np.abs(x))
    return np.divide(np.where(x >= 0, 1, e), 1 + e, out=np.empty(x.shape, x.dtype))


@quiet
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Gradient of `sigmoid`, ``dy * y * (1 - y)``.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.

    Returns
    -------
    array of the shape of `y`
    """
    check.elementwise_backward(dy, y)
    return np.multiply(dy, y * (1 - y), out=np.empty(y.shape, y.dtype))


def tanh(x: Array) -> Array:
    """Hyperbolic tangent of every element.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`
    """
    check.float_array("x", x)
    return np.tanh(x, out=np.empty(x.shape, x.dtype))


@quiet
def tanh_backward(dy: Array, y: Array) -> Array:
    """Gradient of `tanh`, ``dy * (1 - y**2)``.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.

    Returns
    -------
    array of the shape of `y`
    """
    check.elementwise_backward(dy, y)
    return np.multiply(dy, 1 - y * y, out=np.empty(y.shape, y.dtype))


@quiet
def softmax(x: Array, *, dim: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along an axis, shifted by the maximum so that nothing overflows.

    Parameters
    ----------
    x : array of float32 or float64, at least one axis
    dim : int
        The axis whose elements sum to 1.

    Returns
    -------
    array of the shape of `x`
        A line with NaN or inf in it becomes NaN.
    """
    axis = check.softmax(x, dim)
    e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf), order="C")
    e /= e.sum(axis=axis, keepdims=True)
    return e


@quiet
def softmax_backward(dy: Array, y: Array, *, dim: int = -1) -> Array:
    """Gradient of `softmax`, ``y * (dy - sum(dy * y))``, the sum along `dim`.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.
    dim : int
        As given to `softmax`.

    Returns
    -------
    array of the shape of `y`
    """
    axis = check.softmax_backward(dy, y, dim)
    return np.multiply(y, dy - (dy * y).sum(axis=axis, keepdims=True), order="C")


@quiet
def log_softmax(x: Array, *, dim: int = -1) -> Array:
    """``log(softmax(x))`` along an axis, as ``x - max - log(sum(exp(x - max)))``, which never takes the log of 0.

    Parameters
    ----------
    x : array of float32 or float64, at least one axis
    dim : int
        The axis along which the exponentials of the result sum to 1.

    Returns
    -------
    array of the shape of `x`
    """
    axis = check.softmax(x, dim)
    shifted = np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), order="C")
    shifted -= np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return shifted


@quiet
def log_softmax_backward(dy: Array, y: Array, *, dim: int = -1) -> Array:
    """Gradient of `log_softmax`, ``dy - exp(y) * sum(dy)``, the sum along `dim`.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.
    dim : int
        As given to `log_softmax`.

    Returns
    -------
    array of the shape of `y`
    """
    axis = check.softmax_backward(dy, y, dim)
    return np.subtract(dy, np.exp(y) * dy.sum(axis=axis, keepdims=True), order="C")


def flatten(x: Array, start_dim: int = 1) -> Array:
    """Join all axes from `start_dim` on into one; a view where `x` allows it.

    Parameters
    ----------
    x : array of float32 or float64, at least one axis
    start_dim : int

    Returns
    -------
    array of ``start_dim + 1`` axes
    """
    axis = check.flatten(x, start_dim)
    size = 1
    for length in x.shape[axis:]:
        size *= length
    return x.reshape(*x.shape[:axis], size)
