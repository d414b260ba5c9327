"""Functions element by element."""

from __future__ import annotations

import math

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import Array, choice, float_array, has_shape, number, same_dtype

__all__ = [
    "approximation",
    "elementwise",
    "elementwise_backward",
    "hardtanh_bounds",
    "prelu",
    "prelu_backward",
    "softplus_settings",
]

APPROXIMATIONS = ("none", "tanh")


def elementwise(x: Array) -> None:
    float_array("x", x)


def elementwise_backward(dy: Array, seen: Array, name: str = "y") -> None:
    """`dy` is like what the backward sees beside it: the output, or the input `x`."""
    float_array(name, seen)
    if type(dy) is not np.ndarray or dy.dtype is not seen.dtype or dy.shape != seen.shape:
        same_dtype(name, seen, "dy", dy)
        has_shape("dy", dy, seen.shape, f"the shape of {name}")


def approximation(approximate: str) -> str:
    """The name of the function that `gelu` is with this `approximate`."""
    choice("approximate", approximate, APPROXIMATIONS)
    return "gelu" if approximate == "none" else "gelu_tanh"


def softplus_settings(beta: float, threshold: float) -> tuple[float, float]:
    """Return both as floats."""
    factor = number("beta", beta)
    if factor == 0:
        raise ValueError(f"beta: got {beta!r}; expected a number other than 0")
    return factor, number("threshold", threshold)


def hardtanh_bounds(min_val: float, max_val: float) -> tuple[float, float]:
    """Return both as floats; infinite ones are bounds too."""
    least, most = _bound("min_val", min_val), _bound("max_val", max_val)
    if least > most:
        raise ValueError(f"min_val: got {min_val!r}; expected at most max_val, {max_val!r}")
    return least, most


def _bound(name: str, value: float) -> float:
    return value if type(value) is float and math.isinf(value) else number(name, value)


def prelu(x: Array, weight: Array) -> tuple[int, int, int]:
    """Return what `x` is as (A, C, P), with C slopes in `weight`: one for each channel on axis 1, or one for all."""
    float_array("x", x)
    same_dtype("x", x, "weight", weight, of_layer=True)
    if weight.ndim != 1 or weight.size == 0:
        raise ValueError(f"weight: got shape {weight.shape}; expected (C,), one slope for each channel of x, or (1,)")
    if weight.size == 1:
        return 1, 1, x.size
    if x.ndim < 2 or x.shape[1] != weight.size:
        hints.channels_last(x, weight.size)
        raise ValueError(
            f"weight: got shape {weight.shape}; expected (C,), one slope for each channel of x {x.shape}, or (1,)"
        )
    return x.shape[0], weight.size, math.prod(x.shape[2:])


def prelu_backward(dy: Array, x: Array, weight: Array) -> tuple[int, int, int]:
    """Return what `x` is, as `prelu`."""
    planes = prelu(x, weight)
    elementwise_backward(dy, x, "x")
    return planes
