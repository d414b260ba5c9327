"""Putting what several branches of a network give together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet

__all__ = ["add", "cat"]


@quiet
def add(a: Array, b: Array, *, activation: str | None = None) -> Array:
    """Sum of two arrays, ``a + b``; its gradient is that of both.

    Parameters
    ----------
    a, b : arrays of float32 or float64, of one shape
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    array of that shape

    Examples
    --------
    >>> F.add(np.array([1, 2], np.float32), np.array([10, 20], np.float32)).tolist()
    [11.0, 22.0]
    """
    check.add(a, b, activation)
    y = np.add(a, b, out=np.empty(a.shape, a.dtype))
    return np.maximum(y, 0, out=y) if activation == "relu" else y


def cat(arrays: Sequence[Array], dim: int = 0) -> Array:
    """Join arrays along the axis `dim`.

    Parameters
    ----------
    arrays : sequence of arrays of float32 or float64
        At least one; of one shape, except along `dim`.
    dim : int

    Returns
    -------
    array

    Examples
    --------
    >>> F.cat([np.ones((2, 3), np.float32), np.ones((2, 5), np.float32)], dim=1).shape
    (2, 8)
    """
    axis, _ = check.cat(arrays, dim)
    return np.concatenate(arrays, axis)
