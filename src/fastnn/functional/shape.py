"""Arrays of another shape with the same elements: nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence

from fastnn import reference
from fastnn._validate import Array

__all__ = ["flatten", "pixel_shuffle", "pixel_unshuffle", "unflatten"]


def flatten(x: Array, start_dim: int = 1, end_dim: int = -1) -> Array:
    return reference.flatten(x, start_dim, end_dim)


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    return reference.pixel_shuffle(x, upscale_factor)


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    return reference.pixel_unshuffle(x, downscale_factor)


def unflatten(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    return reference.unflatten(x, dim, sizes)
