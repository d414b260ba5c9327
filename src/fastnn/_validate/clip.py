"""Clipping of gradients."""

from __future__ import annotations

import math
from typing import Any

from fastnn._validate._base import Array, number, positive
from fastnn._validate.optim import Arrays, updated


def clip_norm(max_norm: float, norm_type: float) -> tuple[float, float]:
    """Return max_norm and norm_type, which may be infinite, as floats."""
    max_norm = number("max_norm", max_norm, 0.0)
    infinite = norm_type in (math.inf, "inf")
    return max_norm, math.inf if infinite else positive("norm_type", norm_type)


def finite_norm(norm: float, norm_type: float) -> None:
    """The norm is one to scale by."""
    if not math.isfinite(norm):
        raise RuntimeError(f"grads: got a norm of order {norm_type:g} of {norm}; expected a finite one")


def clip_value(value: float) -> float:
    """The largest magnitude as a float."""
    return number("clip_value", value, 0.0)


def gradient_arrays(grads: Arrays) -> list[Array]:
    """Gradients to be changed in place, an array or a list, as a list."""
    rows: list[tuple[Any, ...]] = updated(grads=grads)
    return [g for (g,) in rows]
