"""Weights of examples, and the losses that they weigh."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._validate._base import Array, MaybeArray, float_array, has_shape, same_dtype
from fastnn._validate.convert import as_array
from fastnn._validate.loss import gradient_of_loss, reduction

__all__ = ["sample_weight", "weigh_losses", "weigh_losses_backward"]


def weigh_losses(losses: Array, sample_weight: Array, mass: MaybeArray, reduction_name: str) -> None:
    float_array("losses", losses)
    if losses.ndim == 0:
        raise ValueError("losses: got shape (); expected at least one axis, of examples")
    same_dtype("losses", losses, "sample_weight", sample_weight)
    has_shape("sample_weight", sample_weight, losses.shape[:1], "one number for each example")
    if mass is not None:
        same_dtype("losses", losses, "mass", mass)
        has_shape("mass", mass, losses.shape, "the shape of the losses")
    reduction(reduction_name)


def weigh_losses_backward(
    losses: Array, sample_weight: Array, mass: MaybeArray, reduction_name: str, dloss: float | Array
) -> None:
    weigh_losses(losses, sample_weight, mass, reduction_name)
    gradient_of_loss(dloss, losses.shape, reduction_name)


def sample_weight(weights: Any, x: Array, name: str = "sample_weight") -> Array:
    """`weights`, finite numbers, one for each example of `x`, outputs or losses, as an array of the dtype of `x`."""
    array = as_array(name, weights) if np.ndim(x) else np.asarray(weights)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got an array of {array.dtype}; expected numbers")
    has_shape(name, array, np.shape(x)[:1], "one number for each example")
    found: Array = np.asarray(array, x.dtype, order="C")
    if not np.isfinite(found).all():
        raise ValueError(f"{name}: got NaN or infinity; expected finite numbers")
    return found
