"""Sums of arrays, and arrays joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import fastnn._kernels._activation as _activation
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous

__all__ = ["add", "cat"]


def add(a: Array, b: Array, *, activation: str | None = None) -> Array:
    check.add(a, b, activation)
    if use_reference():
        return reference.add(a, b, activation=activation)
    y = empty(a.shape, a.dtype)
    _activation.add(contiguous(a), contiguous(b), y, activation is not None)
    return y


def cat(arrays: Sequence[Array], dim: int = 0) -> Array:
    axis, shape = check.cat(arrays, dim)
    if use_reference():
        return reference.cat(arrays, dim)
    return np.concatenate(arrays, axis, out=empty(shape, arrays[0].dtype))  # nothing is computed
