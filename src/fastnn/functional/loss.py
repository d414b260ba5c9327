"""Losses and their gradients."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

import fastnn._kernels._loss as _loss
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous, flat, pick


@overload
def cross_entropy(x: Array, target: Array, *, reduction: Literal["mean", "sum"] = "mean") -> float: ...
@overload
def cross_entropy(x: Array, target: Array, *, reduction: str) -> float | Array: ...
def cross_entropy(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    labels = check.cross_entropy(x, target, reduction)
    if use_reference():
        return reference.cross_entropy(x, target, reduction=reduction)
    N = x.shape[0]
    losses = empty((N,), x.dtype)
    if labels:
        pick(_loss.cross_entropy_labels_forward, x.dtype)(contiguous(x), _int64(target), losses)
    else:
        pick(_loss.cross_entropy_probs_forward, x.dtype)(contiguous(x), contiguous(target), losses)
    if reduction == "none":
        return losses
    total = float(losses.sum(dtype=np.float64))
    if reduction == "sum":
        return total
    return total / N if N else float("nan")


def cross_entropy_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    labels = check.cross_entropy_backward(x, target, reduction, dloss)
    if use_reference():
        return reference.cross_entropy_backward(x, target, reduction=reduction, dloss=dloss)
    N = x.shape[0]
    row_scale = empty((N,), x.dtype)
    row_scale[...] = dloss / max(N, 1) if reduction == "mean" else dloss
    dx = empty(x.shape, x.dtype)
    if labels:
        pick(_loss.cross_entropy_labels_backward, x.dtype)(contiguous(x), _int64(target), row_scale, dx)
    else:
        pick(_loss.cross_entropy_probs_backward, x.dtype)(contiguous(x), contiguous(target), row_scale, dx)
    return dx


@overload
def mse_loss(x: Array, target: Array, *, reduction: Literal["mean", "sum"] = "mean") -> float: ...
@overload
def mse_loss(x: Array, target: Array, *, reduction: str) -> float | Array: ...
def mse_loss(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    check.mse_loss(x, target, reduction)
    if use_reference():
        return reference.mse_loss(x, target, reduction=reduction)
    if reduction == "none":
        losses = empty(x.shape, x.dtype)
        pick(_loss.squared_differences, x.dtype)(flat(x), flat(target), losses.reshape(-1))
        return losses
    total = float(pick(_loss.sum_of_squared_differences, x.dtype)(flat(x), flat(target)))
    if reduction == "sum":
        return total
    return total / x.size if x.size else float("nan")


def mse_loss_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    check.mse_loss_backward(x, target, reduction, dloss)
    if use_reference():
        return reference.mse_loss_backward(x, target, reduction=reduction, dloss=dloss)
    scale, scales = 2.0 / (max(x.size, 1) if reduction == "mean" else 1), None
    if isinstance(dloss, float | int):
        scale *= dloss
    else:
        scales = flat((scale * np.broadcast_to(dloss, x.shape)).astype(x.dtype))
    dx = empty(x.shape, x.dtype)
    pick(_loss.scaled_differences, x.dtype)(flat(x), flat(target), scale, scales, dx.reshape(-1))
    return dx


def _int64(labels: Array) -> Array:
    return contiguous(labels.astype(np.int64, copy=False))
