"""Losses of examples that have weights: a pass or two over one number an example, which NumPy does well."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn import reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none

__all__ = ["weigh_losses", "weigh_losses_backward"]


def weigh_losses(
    losses: Array, sample_weight: Array, mass: MaybeArray = None, *, reduction: str = "mean"
) -> float | Array:
    check.weigh_losses(losses, sample_weight, mass, reduction)
    losses, sample_weight, mass = contiguous(losses), contiguous(sample_weight), contiguous_or_none(mass)
    return reference.weigh_losses(losses, sample_weight, mass, reduction=reduction)


def weigh_losses_backward(
    losses: Array,
    sample_weight: Array,
    mass: MaybeArray = None,
    *,
    reduction: str = "mean",
    dloss: float | Array = 1.0,
) -> Array:
    check.weigh_losses_backward(losses, sample_weight, mass, reduction, dloss)
    losses, sample_weight, mass = contiguous(losses), contiguous(sample_weight), contiguous_or_none(mass)
    dloss = contiguous(dloss) if isinstance(dloss, np.ndarray) else dloss
    return reference.weigh_losses_backward(losses, sample_weight, mass, reduction=reduction, dloss=dloss)
