"""Outputs and targets of one shape, what weighs them, and the settings of losses on them."""

from __future__ import annotations

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    MaybeArray,
    choice,
    float_array,
    has_shape,
    number,
    positive,
    same_dtype,
    true_or_false,
)
from fastnn._validate.loss import outputs, reduction

__all__ = ["element_losses", "huber", "kl_div", "kl_reduction", "pair_loss", "smooth_l1", "unit_interval", "weighted"]

KL_REDUCTIONS = ("mean", "batchmean", "sum", "none")


def pair_loss(x: Array, target: Array, reduction_name: str) -> None:
    _pair(x, target)
    reduction(reduction_name)


def _pair(x: Array, target: Array) -> None:
    outputs(x, target)
    same_dtype("x", x, "target", target)
    if x.shape != target.shape:
        has_shape("target", target, x.shape, "the shape of x" + hints.like_scores(target, x.shape))


def smooth_l1(x: Array, target: Array, reduction_name: str, beta: float) -> float:
    """Return `beta` as a float."""
    pair_loss(x, target, reduction_name)
    return number("beta", beta, 0.0)


def huber(x: Array, target: Array, reduction_name: str, delta: float) -> float:
    """Return `delta` as a float."""
    pair_loss(x, target, reduction_name)
    return positive("delta", delta)


def kl_reduction(value: str) -> None:
    choice("reduction", value, KL_REDUCTIONS)


def kl_div(x: Array, target: Array, reduction_name: str, logarithms: bool) -> None:
    _pair(x, target)
    kl_reduction(reduction_name)
    true_or_false("log_target", logarithms)
    if reduction_name == "batchmean" and x.ndim == 0:
        raise ValueError("x: got shape (); expected at least one axis, of examples, for the reduction 'batchmean'")


def element_losses(reduction_name: str, **weights: MaybeArray) -> None:
    """The settings of losses of probabilities of yes or no."""
    for name, weight in weights.items():
        if weight is not None:
            float_array(name, weight)
    reduction(reduction_name)


def weighted(x: Array, target: Array, reduction_name: str, **weights: MaybeArray) -> None:
    """x and target as in `pair_loss`; each of `weights` is None or can be broadcast to their shape."""
    pair_loss(x, target, reduction_name)
    for name, weight in weights.items():
        if weight is None:
            continue
        same_dtype("x", x, name, weight)
        trailing = x.shape[x.ndim - weight.ndim :]
        if weight.ndim > x.ndim or any(n not in (1, m) for n, m in zip(weight.shape, trailing, strict=True)):
            raise ValueError(f"{name}: got shape {weight.shape}; expected one that broadcasts to {x.shape}, that of x")


def unit_interval(name: str, values: Array) -> None:
    """All of `values` are from 0 to 1."""
    if not values.size or (values.min() >= 0 and values.max() <= 1):
        return
    place = tuple(int(i) for i in np.argwhere(~((values >= 0) & (values <= 1)))[0])
    raise ValueError(f"{name}: got {values[place]} at place {place}; expected probabilities, 0 to 1")
