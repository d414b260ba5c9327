"""Losses of examples that have weights: a pass or two over one number an example, which NumPy does well."""

from __future__ import annotations

from fastnn import reference
from fastnn._validate import Array, MaybeArray

__all__ = ["weigh_losses", "weigh_losses_backward"]


def weigh_losses(
    losses: Array, sample_weight: Array, mass: MaybeArray = None, *, reduction: str = "mean"
) -> float | Array:
    return reference.weigh_losses(losses, sample_weight, mass, reduction=reduction)


def weigh_losses_backward(
    losses: Array,
    sample_weight: Array,
    mass: MaybeArray = None,
    *,
    reduction: str = "mean",
    dloss: float | Array = 1.0,
) -> Array:
    return reference.weigh_losses_backward(losses, sample_weight, mass, reduction=reduction, dloss=dloss)
