"""Losses that are a sum over pairs of an output and a target, and their gradients with respect to the outputs."""

from __future__ import annotations

import math
from typing import Literal, overload

import numpy as np

import fastnn._kernels._loss as _loss
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import flat, pick

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "huber_loss",
    "huber_loss_backward",
    "kl_div",
    "kl_div_backward",
    "l1_loss",
    "l1_loss_backward",
    "mse_loss",
    "mse_loss_backward",
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
]

Settings = tuple[float, float, float, float]

NONE: Settings = (0.0, 0.0, 0.0, 0.0)
SQUARED: Settings = (math.inf, 1.0, math.inf, 0.0)
ABSOLUTE: Settings = (0.0, 0.0, 1.0, 0.0)


@overload
def mse_loss(x: Array, target: Array, *, reduction: Literal["mean", "sum"] = "mean") -> float: ...
@overload
def mse_loss(x: Array, target: Array, *, reduction: str) -> float | Array: ...
def mse_loss(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    check.pair_loss(x, target, reduction)
    if use_reference():
        return reference.mse_loss(x, target, reduction=reduction)
    return _value(_loss.DISTANCE, SQUARED, x, target, reduction)


def mse_loss_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    check.pair_loss(x, target, reduction)
    if use_reference():
        return reference.mse_loss_backward(x, target, reduction=reduction, dloss=dloss)
    return _slope(_loss.DISTANCE, SQUARED, x, target, reduction, dloss)


@overload
def l1_loss(x: Array, target: Array, *, reduction: Literal["mean", "sum"] = "mean") -> float: ...
@overload
def l1_loss(x: Array, target: Array, *, reduction: str) -> float | Array: ...
def l1_loss(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    check.pair_loss(x, target, reduction)
    if use_reference():
        return reference.l1_loss(x, target, reduction=reduction)
    return _value(_loss.DISTANCE, ABSOLUTE, x, target, reduction)


def l1_loss_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    check.pair_loss(x, target, reduction)
    if use_reference():
        return reference.l1_loss_backward(x, target, reduction=reduction, dloss=dloss)
    return _slope(_loss.DISTANCE, ABSOLUTE, x, target, reduction, dloss)


def _smooth_l1(beta: float) -> Settings:
    return beta, 0.5 / beta if beta else 0.0, 1.0, 0.5 * beta


@overload
def smooth_l1_loss(
    x: Array, target: Array, *, reduction: Literal["mean", "sum"] = "mean", beta: float = 1.0
) -> float: ...
@overload
def smooth_l1_loss(x: Array, target: Array, *, reduction: str, beta: float = 1.0) -> float | Array: ...
def smooth_l1_loss(x: Array, target: Array, *, reduction: str = "mean", beta: float = 1.0) -> float | Array:
    beta = check.smooth_l1(x, target, reduction, beta)
    if use_reference():
        return reference.smooth_l1_loss(x, target, reduction=reduction, beta=beta)
    return _value(_loss.DISTANCE, _smooth_l1(beta), x, target, reduction)


def smooth_l1_loss_backward(
    x: Array, target: Array, *, reduction: str = "mean", beta: float = 1.0, dloss: float | Array = 1.0
) -> Array:
    beta = check.smooth_l1(x, target, reduction, beta)
    if use_reference():
        return reference.smooth_l1_loss_backward(x, target, reduction=reduction, beta=beta, dloss=dloss)
    return _slope(_loss.DISTANCE, _smooth_l1(beta), x, target, reduction, dloss)


def _huber(delta: float) -> Settings:
    return delta, 0.5, delta, 0.5 * delta


@overload
def huber_loss(x: Array, target: Array, reduction: Literal["mean", "sum"] = "mean", delta: float = 1.0) -> float: ...
@overload
def huber_loss(x: Array, target: Array, reduction: str, delta: float = 1.0) -> float | Array: ...
def huber_loss(x: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> float | Array:
    delta = check.huber(x, target, reduction, delta)
    if use_reference():
        return reference.huber_loss(x, target, reduction=reduction, delta=delta)
    return _value(_loss.DISTANCE, _huber(delta), x, target, reduction)


def huber_loss_backward(
    x: Array, target: Array, reduction: str = "mean", delta: float = 1.0, *, dloss: float | Array = 1.0
) -> Array:
    delta = check.huber(x, target, reduction, delta)
    if use_reference():
        return reference.huber_loss_backward(x, target, reduction=reduction, delta=delta, dloss=dloss)
    return _slope(_loss.DISTANCE, _huber(delta), x, target, reduction, dloss)


@overload
def binary_cross_entropy(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: Literal["mean", "sum"] = "mean"
) -> float: ...
@overload
def binary_cross_entropy(x: Array, target: Array, weight: MaybeArray = None, *, reduction: str) -> float | Array: ...
def binary_cross_entropy(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str = "mean"
) -> float | Array:
    check.weighted(x, target, reduction, weight=weight)
    if use_reference():
        return reference.binary_cross_entropy(x, target, weight=weight, reduction=reduction)
    loss = _value(_loss.BCE, NONE, x, target, reduction, weight)
    if reduction == "none" or loss != loss:  # NaN is what an element outside 0 to 1 gives: looking at all takes longer
        check.unit_interval("x", x)
        check.unit_interval("target", target)
    return loss


def binary_cross_entropy_backward(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str = "mean", dloss: float | Array = 1.0
) -> Array:
    check.weighted(x, target, reduction, weight=weight)
    if use_reference():
        return reference.binary_cross_entropy_backward(x, target, weight=weight, reduction=reduction, dloss=dloss)
    return _slope(_loss.BCE, NONE, x, target, reduction, dloss, weight)


@overload
def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    reduction: Literal["mean", "sum"] = "mean",
    pos_weight: MaybeArray = None,
) -> float: ...
@overload
def binary_cross_entropy_with_logits(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str, pos_weight: MaybeArray = None
) -> float | Array: ...
def binary_cross_entropy_with_logits(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str = "mean", pos_weight: MaybeArray = None
) -> float | Array:
    check.weighted(x, target, reduction, weight=weight, pos_weight=pos_weight)
    if use_reference():
        return reference.binary_cross_entropy_with_logits(
            x, target, weight=weight, reduction=reduction, pos_weight=pos_weight
        )
    return _value(_loss.BCE_LOGITS, NONE, x, target, reduction, weight, pos_weight)


def binary_cross_entropy_with_logits_backward(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    reduction: str = "mean",
    pos_weight: MaybeArray = None,
    dloss: float | Array = 1.0,
) -> Array:
    check.weighted(x, target, reduction, weight=weight, pos_weight=pos_weight)
    if use_reference():
        return reference.binary_cross_entropy_with_logits_backward(
            x, target, weight=weight, reduction=reduction, pos_weight=pos_weight, dloss=dloss
        )
    return _slope(_loss.BCE_LOGITS, NONE, x, target, reduction, dloss, weight, pos_weight)


@overload
def kl_div(
    x: Array, target: Array, *, reduction: Literal["mean", "batchmean", "sum"] = "mean", log_target: bool = False
) -> float: ...
@overload
def kl_div(x: Array, target: Array, *, reduction: str, log_target: bool = False) -> float | Array: ...
def kl_div(x: Array, target: Array, *, reduction: str = "mean", log_target: bool = False) -> float | Array:
    check.kl_div(x, target, reduction, log_target)
    if use_reference():
        return reference.kl_div(x, target, reduction=reduction, log_target=log_target)
    return _value(_loss.KL_LOG if log_target else _loss.KL, NONE, x, target, reduction)


def kl_div_backward(
    x: Array, target: Array, *, reduction: str = "mean", log_target: bool = False, dloss: float | Array = 1.0
) -> Array:
    check.kl_div(x, target, reduction, log_target)
    if use_reference():
        return reference.kl_div_backward(x, target, reduction=reduction, log_target=log_target, dloss=dloss)
    return _slope(_loss.KL_LOG if log_target else _loss.KL, NONE, x, target, reduction, dloss)


def _value(
    kind: int,
    settings: Settings,
    x: Array,
    target: Array,
    reduction: str,
    weight: MaybeArray = None,
    pos_weight: MaybeArray = None,
) -> float | Array:
    factors, q = _spread(weight, x), _spread(pos_weight, x)
    losses = empty(x.shape, x.dtype) if reduction == "none" else None
    out = None if losses is None else losses.reshape(-1)
    total: float = pick(_loss.pairs, x.dtype)(kind, False, flat(x), flat(target), q, factors, settings, 1.0, out)
    if losses is not None:
        return losses
    count = _count(x, reduction)
    return total / count if count else math.nan


def _slope(
    kind: int,
    settings: Settings,
    x: Array,
    target: Array,
    reduction: str,
    dloss: float | Array,
    weight: MaybeArray = None,
    pos_weight: MaybeArray = None,
) -> Array:
    factors, q = _spread(weight, x), _spread(pos_weight, x)
    if type(dloss) is not float:
        check.gradient_of_loss(dloss, x.shape, reduction)
        if np.ndim(dloss):
            each = flat(np.asarray(dloss, x.dtype))
            factors, dloss = each if factors is None else factors * each, 1.0
        else:
            dloss = float(dloss)
    dx = empty(x.shape, x.dtype)
    scale = dloss / max(_count(x, reduction), 1)
    pick(_loss.pairs, x.dtype)(kind, True, flat(x), flat(target), q, factors, settings, scale, dx.reshape(-1))
    return dx


def _spread(weight: MaybeArray, x: Array) -> Array | None:
    """A number for each element of `x`."""
    return None if weight is None else flat(np.broadcast_to(weight, x.shape))


def _count(x: Array, reduction: str) -> int:
    """What a reduction divides by."""
    if reduction == "mean":
        return x.size
    return x.shape[0] if reduction == "batchmean" else 1
