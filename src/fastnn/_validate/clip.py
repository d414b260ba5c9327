"""Clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from fastnn._validate._base import Array, number, positive
from fastnn._validate.network import parameters
from fastnn._validate.optim import Arrays, updated
from fastnn._validate.optimizer import listed

__all__ = ["clip_norm", "clip_value", "clipped_parameters", "finite_norm", "gradient_arrays"]


def clip_norm(max_norm: float, norm_type: float) -> tuple[float, float]:
    """Return max_norm and norm_type, which may be infinite, as floats."""
    most = math.inf if max_norm == math.inf else number("max_norm", max_norm, 0.0)
    infinite = norm_type in (math.inf, "inf")
    return most, math.inf if infinite else positive("norm_type", norm_type)


def finite_norm(norm: float, norm_type: float) -> None:
    """The norm is one to scale by."""
    if not math.isfinite(norm):
        raise RuntimeError(f"grads: got a norm of order {norm_type:g} of {norm}; expected a finite one")


def clip_value(value: float) -> float:
    """The largest magnitude as a float."""
    return number("clip_value", value, 0.0)


def clipped_parameters(values: Any, kind: type) -> list[Any]:
    """The parameters whose gradients are clipped: one of the class `kind`, or all of an iterable, as a list."""
    if isinstance(values, kind):
        return [values]
    found = parameters(listed("parameters", values, kind), kind, "parameters")
    if not found and isinstance(values, Iterator):
        raise ValueError(
            "parameters: got an iterator with nothing left in it; expected parameters, as from net.parameters()"
        )
    return found


def gradient_arrays(grads: Arrays) -> list[Array]:
    """Gradients to be changed in place, an array or a list, as a list."""
    rows: list[tuple[Any, ...]] = updated(grads=grads)
    return [g for (g,) in rows]
