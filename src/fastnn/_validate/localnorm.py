"""Local response normalisation."""

from __future__ import annotations

from fastnn._validate._base import Array, bounded, number
from fastnn._validate.norm import channels_of, like_input

__all__ = ["local_response_norm", "local_response_norm_backward", "local_response_norm_settings"]


def local_response_norm_settings(size: int, alpha: float, beta: float, k: float) -> tuple[int, float, float, float]:
    """Return the settings as numbers."""
    return bounded("size", size, 1), number("alpha", alpha), number("beta", beta), number("k", k)


def local_response_norm(
    x: Array, size: int, alpha: float, beta: float, k: float
) -> tuple[tuple[int, int, int], int, float, float, float]:
    """Return N, C and the number of pixels, and the settings as numbers."""
    shape = channels_of(x)
    if x.ndim < 3:
        raise ValueError(f"x: got shape {x.shape}; expected (N, C, ...), at least 3 axes")
    return shape, *local_response_norm_settings(size, alpha, beta, k)


def local_response_norm_backward(
    dy: Array, x: Array, size: int, alpha: float, beta: float, k: float
) -> tuple[tuple[int, int, int], int, float, float, float]:
    """Return N, C and the number of pixels, and the settings as numbers."""
    checked = local_response_norm(x, size, alpha, beta, k)
    like_input("dy", dy, x)
    return checked
