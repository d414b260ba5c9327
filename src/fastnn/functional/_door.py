"""What the doors of all families share: picking a kernel, and arrays as a kernel can read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array


def pick(kernel: Any, dtype: np.dtype[Any]) -> Any:
    """The float or double version of a kernel; left to choose for itself, it takes microseconds."""
    return kernel["float" if dtype == check.FLOAT32 else "double"]


def contiguous(a: Array) -> Array:
    """`a`, or a copy of it, as a kernel can read it: contiguous and aligned."""
    flags = a.flags
    return a if flags.c_contiguous and flags.aligned else np.array(a, order="C")


def contiguous_or_none(a: Array | None) -> Array | None:
    return None if a is None else contiguous(a)


def row(a: Array) -> Array:
    """(N, C, L) as maps of one row."""
    return contiguous(a).reshape(a.shape[0], a.shape[1], 1, a.shape[2])


def row_or_none(a: Array | None) -> Array | None:
    return None if a is None else row(a)


def flat(a: Array) -> Array:
    return contiguous(a).reshape(-1)


def rows(x: Array) -> Array:
    """`x` as a matrix whose rows are its last axis, which is not empty."""
    return contiguous(x) if x.ndim == 2 else contiguous(x).reshape(-1, x.shape[-1])


def write_back(target: Array, updated: Array | None) -> None:
    """Copy `updated` into `target`, if it was a copy of it that a kernel updated."""
    if updated is not target and updated is not None and not np.may_share_memory(target, updated):
        target[...] = updated.reshape(target.shape)
