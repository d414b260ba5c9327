"""Softmax along an axis. Its backwards take its output, which is all that they need."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def _sum(a: Array, axis: int) -> Array:
    return a.sum(axis=axis, keepdims=True, dtype=np.float64).astype(a.dtype)


@quiet
def softmax(x: Array, dim: int = -1) -> Array:
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

    Examples
    --------
    >>> print(F.softmax(np.array([[1, 1, 3]], np.float32)).round(3))
    [[0.107 0.107 0.787]]
    """
    axis = check.softmax(x, dim)
    e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf), order="C")
    e /= _sum(e, axis)
    return e


@quiet
def softmax_backward(dy: Array, y: Array, dim: int = -1) -> Array:
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

    Examples
    --------
    >>> y = F.softmax(np.array([[1, 1, 3]], np.float32))
    >>> dy = np.array([[1, 0, 0]], np.float32)
    >>> print(F.softmax_backward(dy, y).round(3))
    [[ 0.095 -0.011 -0.084]]
    """
    axis = check.softmax_backward(dy, y, dim)
    return np.multiply(y, dy - _sum(dy * y, axis), order="C")


@quiet
def log_softmax(x: Array, dim: int = -1) -> Array:
    """``log(softmax(x))`` along an axis, as ``x - max - log(sum(exp(x - max)))``, which never takes the log of 0.

    Parameters
    ----------
    x : array of float32 or float64, at least one axis
    dim : int
        The axis along which the exponentials of the result sum to 1.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.log_softmax(np.array([[1, 1, 3]], np.float32)).round(3))
    [[-2.24 -2.24 -0.24]]
    """
    axis = check.softmax(x, dim)
    shifted = np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), order="C")
    shifted -= np.log(_sum(np.exp(shifted), axis))
    return shifted


@quiet
def log_softmax_backward(dy: Array, y: Array, dim: int = -1) -> Array:
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

    Examples
    --------
    >>> y = F.log_softmax(np.array([[1, 1, 3]], np.float32))
    >>> dy = np.array([[1, 0, 0]], np.float32)
    >>> print(F.log_softmax_backward(dy, y).round(3))
    [[ 0.893 -0.107 -0.787]]
    """
    axis = check.softmax_backward(dy, y, dim)
    return np.subtract(dy, np.exp(y) * _sum(dy, axis), order="C")
