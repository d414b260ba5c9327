"""Arrays of another shape with the same elements: nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence

from fastnn import reference
from fastnn._validate import Array

__all__ = ["flatten", "unflatten"]


def flatten(x: Array, start_dim: int = 1, end_dim: int = -1) -> Array:
    return reference.flatten(x, start_dim, end_dim)


def unflatten(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    return reference.unflatten(x, dim, sizes)
