"""Losses and their gradients."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet
from fastnn.reference.activation import log_softmax, softmax


@quiet
def cross_entropy(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    """Cross-entropy between targets and the softmax of scores.

    The loss of a row is ``-log softmax(x)[label]``, or ``-sum(target * log softmax(x))`` for probabilities.

    Parameters
    ----------
    x : (N, K) array of float32 or float64
        Scores (logits) of N samples for K classes.
    target : (N,) array of integers, or (N, K) array of the dtype of `x`
        Labels 0 to K-1, or probabilities of the classes (used as they are, not scaled to sum to 1).
    reduction : "mean", "sum" or "none"

    Returns
    -------
    float, or (N,) array for "none"
        Rows are added in float64. The mean over no rows is NaN.

    Raises
    ------
    TypeError
        Labels that are not integers, probabilities not of the dtype of `x`.
    ValueError
        A label outside 0 to K-1, as many targets as rows not given, NaN among the probabilities.
    """
    labels = check.cross_entropy(x, target, reduction)
    log_p = log_softmax(x)
    losses = -log_p[np.arange(len(x)), target] if labels else -(target * log_p).sum(axis=1)
    if reduction == "none":
        return losses
    total = float(losses.sum(dtype=np.float64))
    if reduction == "sum":
        return total
    return total / len(x) if len(x) else float("nan")


@quiet
def cross_entropy_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    """Gradient of `cross_entropy`, ``softmax(x) - onehot(label)``, or ``softmax(x) * sum(target) - target``, scaled.

    Parameters
    ----------
    x, target, reduction
        As given to `cross_entropy`.
    dloss : float, or (N,) array with reduction "none"
        Gradient of the loss.

    Returns
    -------
    (N, K) array
    """
    labels = check.cross_entropy_backward(x, target, reduction, dloss)
    dx = softmax(x)
    if labels:
        dx[np.arange(len(x)), target] -= 1
    else:
        dx *= target.sum(axis=1, keepdims=True)
        dx -= target
    scale = np.asarray(dloss, np.float64) / (max(len(x), 1) if reduction == "mean" else 1)
    dx *= scale.astype(x.dtype).reshape(-1, 1)
    return dx


@quiet
def mse_loss(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    """Squared difference, ``(x - target)**2``.

    Parameters
    ----------
    x, target : arrays of float32 or float64, of one shape
    reduction : "mean", "sum" or "none"

    Returns
    -------
    float, or array of the shape of `x` for "none"
        Elements are added in float64. The mean over no elements is NaN.
    """
    check.mse_loss(x, target, reduction)
    apart = x - target
    losses = np.multiply(apart, apart, out=np.empty(x.shape, x.dtype))
    if reduction == "none":
        return losses
    total = float(losses.sum(dtype=np.float64))
    if reduction == "sum":
        return total
    return total / x.size if x.size else float("nan")


@quiet
def mse_loss_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    """Gradient of `mse_loss` with respect to `x`, ``2 * (x - target)``, scaled; its negative is that of the target.

    Parameters
    ----------
    x, target, reduction
        As given to `mse_loss`.
    dloss : float, or array of the shape of `x` with reduction "none"
        Gradient of the loss.

    Returns
    -------
    array of the shape of `x`
    """
    check.mse_loss_backward(x, target, reduction, dloss)
    scale = 2 * np.asarray(dloss, np.float64) / (max(x.size, 1) if reduction == "mean" else 1)
    return np.multiply(x - target, scale.astype(x.dtype), out=np.empty(x.shape, x.dtype))
