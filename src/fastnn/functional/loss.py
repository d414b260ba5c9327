"""Losses of scores of classes, and their gradients."""

from __future__ import annotations

import math
from typing import Literal, overload

import numpy as np

import fastnn._kernels._loss as _loss
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none, flat, pick

__all__ = ["cross_entropy", "cross_entropy_backward", "nll_loss", "nll_loss_backward"]

LARGEST = np.uint64(np.iinfo(np.int64).max)


@overload
def cross_entropy(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum"] = "mean",
    label_smoothing: float = 0.0,
) -> float: ...
@overload
def cross_entropy(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str,
    label_smoothing: float = 0.0,
) -> float | Array: ...
def cross_entropy(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> float | Array:
    labels = check.cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)
    if use_reference():
        return reference.cross_entropy(
            x,
            target,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
    return _forward(x, target, labels, weight, ignore_index, reduction, label_smoothing, False)


def cross_entropy_backward(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    dloss: float | Array = 1.0,
) -> Array:
    labels = check.cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)
    if use_reference():
        return reference.cross_entropy_backward(
            x,
            target,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
            dloss=dloss,
        )
    return _backward(x, target, labels, weight, ignore_index, reduction, label_smoothing, False, dloss)


@overload
def nll_loss(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum"] = "mean",
) -> float: ...
@overload
def nll_loss(
    x: Array, target: Array, weight: MaybeArray = None, *, ignore_index: int = -100, reduction: str
) -> float | Array: ...
def nll_loss(
    x: Array, target: Array, weight: MaybeArray = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> float | Array:
    check.nll_loss(x, target, weight, ignore_index, reduction)
    if use_reference():
        return reference.nll_loss(x, target, weight=weight, ignore_index=ignore_index, reduction=reduction)
    return _forward(x, target, True, weight, ignore_index, reduction, 0.0, True)


def nll_loss_backward(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    dloss: float | Array = 1.0,
) -> Array:
    check.nll_loss(x, target, weight, ignore_index, reduction)
    if use_reference():
        return reference.nll_loss_backward(
            x, target, weight=weight, ignore_index=ignore_index, reduction=reduction, dloss=dloss
        )
    return _backward(x, target, True, weight, ignore_index, reduction, 0.0, True, dloss)


def mass_of_labels(x: Array, target: Array, weight: MaybeArray, ignore_index: int) -> MaybeArray:
    """How much each place of scores `x` counts in a mean: the weight of its label, 0 where the label is left out.

    None where all count alike: also where targets are probabilities, whose mean is over the places.
    """
    target = np.asarray(target)
    if target.dtype.kind == "f":
        return None
    kept = target != ignore_index
    if weight is None:
        return None if kept.all() else kept.astype(x.dtype)
    return weight[np.where(kept, target, 0)] * kept


def _forward(
    x: Array,
    target: Array,
    labels: bool,
    weight: MaybeArray,
    ignored: int,
    reduction: str,
    smoothing: float,
    logged: bool,
) -> float | Array:
    losses = empty(x.shape[:1] + x.shape[2:], x.dtype) if reduction == "none" else None
    total: float = pick(_loss.cross_entropy_forward, x.dtype)(
        _places(x),
        *_targets(target, labels),
        contiguous_or_none(weight),
        ignored,
        smoothing,
        logged,
        reduction == "mean",
        None if losses is None else losses.reshape(-1),
    )
    if total != total and labels:  # perhaps for want of a label: looking for it before would take as long as the rest
        check.label_values(target, x.shape[1], ignored)
    return total if losses is None else losses


def _backward(
    x: Array,
    target: Array,
    labels: bool,
    weight: MaybeArray,
    ignored: int,
    reduction: str,
    smoothing: float,
    logged: bool,
    dloss: float | Array,
) -> Array:
    each = None
    if type(dloss) is not float:
        places = x.shape[:1] + x.shape[2:]
        check.gradient_of_loss(dloss, places, reduction)
        if np.ndim(dloss):
            each, dloss = flat(np.asarray(dloss, x.dtype)), 1.0
        else:
            dloss = float(dloss)
    dx = empty(x.shape, x.dtype)
    known = pick(_loss.cross_entropy_backward, x.dtype)(
        _places(x),
        *_targets(target, labels),
        contiguous_or_none(weight),
        ignored,
        smoothing,
        logged,
        reduction == "mean",
        dloss,
        each,
        _places(dx),
    )
    if not known:
        check.label_values(target, x.shape[1], ignored)
    return dx


def _places(a: Array) -> Array:
    """`a` (N, K, d1, ...) as (N, K, P)."""
    shape = a.shape
    return contiguous(a).reshape(shape[0], shape[1], 1 if len(shape) == 2 else math.prod(shape[2:]))


def _targets(target: Array, labels: bool) -> tuple[Array | None, Array | None]:
    """Labels and probabilities, one of which is None, as the kernel reads them."""
    if not labels:
        return None, _places(target)
    if target.dtype is not check.INT64:
        if target.dtype.kind == "u" and target.dtype.itemsize == 8:
            target = np.minimum(target, LARGEST)  # stays outside of the classes, where a cast would wrap around
        target = target.astype(np.int64)
    return contiguous(target if target.ndim == 1 else target.reshape(-1)), None
