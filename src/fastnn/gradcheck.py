"""Gradients from differences, to hold against those that a backward computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array


def numeric_gradient(f: Callable[[Array], float], x: Array, eps: float = 1e-6) -> Array:
    """Gradient of `f` at `x` by central differences in float64, ``(f(x + eps) - f(x - eps)) / (2 * eps)``.

    Parameters
    ----------
    f : callable
        Takes a float64 array of the shape of `x`, which it must not change, and returns a number.
    x : array of float32 or float64
        Left alone.
    eps : float
        Half of the distance between the two points.

    Returns
    -------
    float64 array of the shape of `x`
        Its error is of the order ``eps**2`` from the curvature and ``1e-16 / eps`` from rounding.
    """
    check.float_array("x", x)
    eps = check.positive("eps", eps)
    point = np.array(x, np.float64, order="C")
    gradient = np.empty(x.shape, np.float64)
    for place in np.ndindex(x.shape):
        value = point[place]
        point[place] = value + eps
        above = float(f(point))
        point[place] = value - eps
        below = float(f(point))
        point[place] = value
        gradient[place] = (above - below) / (2 * eps)
    return gradient
