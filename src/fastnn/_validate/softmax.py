"""Softmax along an axis."""

from __future__ import annotations

import numpy as np

from fastnn._validate._base import Array, axis_index, float_array, has_shape, same_dtype

__all__ = ["softmax", "softmax_backward"]


def softmax(x: Array, dim: int, name: str = "x") -> int:
    """Return `dim` counted from the front."""
    float_array(name, x)
    if x.ndim == 0:
        raise ValueError(f"{name}: got shape (); expected at least one axis")
    return axis_index("dim", dim, x.ndim)


def softmax_backward(dy: Array, y: Array, dim: int) -> int:
    """Return `dim` counted from the front."""
    axis = softmax(y, dim, "y")
    if type(dy) is not np.ndarray or dy.dtype is not y.dtype or dy.shape != y.shape:
        same_dtype("y", y, "dy", dy)
        has_shape("dy", dy, y.shape, "the shape of y")
    return axis
