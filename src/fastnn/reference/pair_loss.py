"""Losses that are a sum over pairs of an output and a target, and their gradients with respect to the outputs."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet

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

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(F.mse_loss(x, target))
    4.625
    """
    check.pair_loss(x, target, reduction)
    return _reduced(np.square(x - target), reduction)


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

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> F.mse_loss_backward(x, target).tolist()
    [-0.5, 3.0]
    """
    check.pair_loss(x, target, reduction)
    return _scaled(2 * (x - target), reduction, dloss)


@quiet
def l1_loss(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    """Absolute difference, ``|x - target|``.

    Parameters
    ----------
    x, target, reduction
        As of `mse_loss`.

    Returns
    -------
    float, or array of the shape of `x` for "none"

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(F.l1_loss(x, target))
    1.75
    """
    check.pair_loss(x, target, reduction)
    return _reduced(np.abs(x - target), reduction)


@quiet
def l1_loss_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    """Gradient of `l1_loss` with respect to `x`, ``sign(x - target)``, scaled: 0 where they are equal.

    Parameters
    ----------
    x, target, reduction, dloss
        As of `mse_loss_backward`.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> F.l1_loss_backward(x, target).tolist()
    [-0.5, 0.5]
    """
    check.pair_loss(x, target, reduction)
    return _scaled(np.sign(x - target), reduction, dloss)


@quiet
def smooth_l1_loss(x: Array, target: Array, *, reduction: str = "mean", beta: float = 1.0) -> float | Array:
    """``d**2 / (2 beta)`` where ``d = |x - target|`` is below `beta`, and ``d - beta / 2`` elsewhere.

    Girshick, "Fast R-CNN", 2015. With `beta` 0 it is `l1_loss`.

    Parameters
    ----------
    x, target, reduction
        As of `mse_loss`.
    beta : float, at least 0

    Returns
    -------
    float, or array of the shape of `x` for "none"

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(F.smooth_l1_loss(x, target))
    1.3125
    """
    beta = check.smooth_l1(x, target, reduction, beta)
    apart = np.abs(x - target)
    return _reduced(np.where(apart < beta, 0.5 * apart * apart / beta, apart - 0.5 * beta), reduction)


@quiet
def smooth_l1_loss_backward(
    x: Array, target: Array, *, reduction: str = "mean", beta: float = 1.0, dloss: float | Array = 1.0
) -> Array:
    """Gradient of `smooth_l1_loss` with respect to `x`, ``(x - target) / beta``, from -1 to 1, scaled.

    Parameters
    ----------
    x, target, reduction, beta
        As given to `smooth_l1_loss`.
    dloss
        As of `mse_loss_backward`.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> F.smooth_l1_loss_backward(x, target).tolist()
    [-0.25, 0.5]
    """
    beta = check.smooth_l1(x, target, reduction, beta)
    apart = x - target
    return _scaled(np.where(np.abs(apart) < beta, apart / beta, np.sign(apart)), reduction, dloss)


@quiet
def huber_loss(x: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> float | Array:
    """``d**2 / 2`` where ``d = |x - target|`` is below `delta`, and ``delta * (d - delta / 2)`` elsewhere.

    Huber, "Robust Estimation of a Location Parameter", 1964. It is `delta` times `smooth_l1_loss`.

    Parameters
    ----------
    x, target, reduction
        As of `mse_loss`.
    delta : float, above 0

    Returns
    -------
    float, or array of the shape of `x` for "none"

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(F.huber_loss(x, target))
    1.3125
    """
    delta = check.huber(x, target, reduction, delta)
    apart = np.abs(x - target)
    return _reduced(np.where(apart < delta, 0.5 * apart * apart, delta * (apart - 0.5 * delta)), reduction)


@quiet
def huber_loss_backward(
    x: Array, target: Array, reduction: str = "mean", delta: float = 1.0, *, dloss: float | Array = 1.0
) -> Array:
    """Gradient of `huber_loss` with respect to `x`, ``x - target``, from ``-delta`` to ``delta``, scaled.

    Parameters
    ----------
    x, target, reduction, delta
        As given to `huber_loss`.
    dloss
        As of `mse_loss_backward`.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> F.huber_loss_backward(x, target).tolist()
    [-0.25, 0.5]
    """
    delta = check.huber(x, target, reduction, delta)
    apart = x - target
    return _scaled(np.where(np.abs(apart) < delta, apart, delta * np.sign(apart)), reduction, dloss)


@quiet
def binary_cross_entropy(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str = "mean"
) -> float | Array:
    """Cross-entropy of probabilities of yes or no, ``-weight * (target * log(x) + (1 - target) * log(1 - x))``.

    Logarithms are at least -100, as in PyTorch, so that the loss is finite.

    Parameters
    ----------
    x, target : arrays of float32 or float64, of one shape
        Probabilities, 0 to 1.
    weight : array that broadcasts to the shape of `x`, optional
        Of the elements. It does not change what the mean divides by.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    float, or array of the shape of `x` for "none"

    Raises
    ------
    ValueError
        An element outside 0 to 1, NaN among them.

    Examples
    --------
    >>> x, target = np.array([0.9, 0.2], np.float32), np.array([1, 0], np.float32)
    >>> print(round(float(F.binary_cross_entropy(x, target)), 4))
    0.1643
    """
    check.weighted(x, target, reduction, weight=weight)
    check.unit_interval("x", x)
    check.unit_interval("target", target)
    yes, no = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    return _reduced(_times((target - 1) * no - target * yes, weight), reduction)


@quiet
def binary_cross_entropy_backward(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str = "mean", dloss: float | Array = 1.0
) -> Array:
    """Gradient of `binary_cross_entropy` with respect to `x`, ``(x - target) / max(x * (1 - x), 1e-12)``, scaled.

    Parameters
    ----------
    x, target, weight, reduction
        As given to `binary_cross_entropy`.
    dloss
        As of `mse_loss_backward`.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.array([0.9, 0.2], np.float32), np.array([1, 0], np.float32)
    >>> print(F.binary_cross_entropy_backward(x, target).round(3))
    [-0.556  0.625]
    """
    check.weighted(x, target, reduction, weight=weight)
    return _scaled(_times((x - target) / np.maximum(x * (1 - x), 1e-12), weight), reduction, dloss)


@quiet
def binary_cross_entropy_with_logits(
    x: Array, target: Array, weight: MaybeArray = None, *, reduction: str = "mean", pos_weight: MaybeArray = None
) -> float | Array:
    """`binary_cross_entropy` of ``sigmoid(x)``; ``-log sigmoid(x)`` is taken as ``max(-x, 0) + log(1 + exp(-|x|))``.

    Parameters
    ----------
    x, target : arrays of float32 or float64, of one shape
        Scores (logits), and probabilities.
    weight : array that broadcasts to the shape of `x`, optional
        Of the elements. It does not change what the mean divides by.
    reduction : "mean", "sum" or "none"
    pos_weight : array that broadcasts to the shape of `x`, optional
        Of yes: a factor of `target`, but not of ``1 - target``.

    Returns
    -------
    float, or array of the shape of `x` for "none"

    Examples
    --------
    >>> x, target = np.array([2, -1], np.float32), np.array([1, 0], np.float32)
    >>> print(round(float(F.binary_cross_entropy_with_logits(x, target)), 4))
    0.2201
    """
    check.weighted(x, target, reduction, weight=weight, pos_weight=pos_weight)
    e = np.log1p(np.exp(-np.abs(x)))
    yes, no = _times(target, pos_weight) * (np.maximum(-x, 0) + e), (1 - target) * (np.maximum(x, 0) + e)
    return _reduced(_times(yes + no, weight), reduction)


@quiet
def binary_cross_entropy_with_logits_backward(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    reduction: str = "mean",
    pos_weight: MaybeArray = None,
    dloss: float | Array = 1.0,
) -> Array:
    """Gradient of `binary_cross_entropy_with_logits` with respect to `x`, ``sigmoid(x) - target``, scaled.

    With `pos_weight` p it is ``(1 - target) * sigmoid(x) - p * target * sigmoid(-x)``.

    Parameters
    ----------
    x, target, weight, reduction, pos_weight
        As given to `binary_cross_entropy_with_logits`.
    dloss
        As of `mse_loss_backward`.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.array([2, -1], np.float32), np.array([1, 0], np.float32)
    >>> print(F.binary_cross_entropy_with_logits_backward(x, target).round(3))
    [-0.06   0.134]
    """
    check.weighted(x, target, reduction, weight=weight, pos_weight=pos_weight)
    e = np.exp(-np.abs(x))
    likely, other = 1 / (1 + e), e / (1 + e)
    yes, no = np.where(x < 0, other, likely), np.where(x < 0, likely, other)
    return _scaled(_times((1 - target) * yes - _times(target, pos_weight) * no, weight), reduction, dloss)


@quiet
def kl_div(x: Array, target: Array, *, reduction: str = "mean", log_target: bool = False) -> float | Array:
    """Kullback-Leibler divergence of logarithms of probabilities from targets, ``target * (log(target) - x)``.

    Parameters
    ----------
    x, target : arrays of float32 or float64, of one shape
        Logarithms of probabilities; probabilities, or their logarithms too with `log_target`.
    reduction : "mean", "batchmean", "sum" or "none"
        "batchmean" divides the sum by the length of the first axis, which is the divergence of a batch; "mean" by the
        number of elements, as in PyTorch.
    log_target : bool

    Returns
    -------
    float, or array of the shape of `x` for "none"
        Where the target is 0, so is the loss.

    Examples
    --------
    >>> x, target = np.log(np.array([[0.5, 0.5]], np.float32)), np.array([[0.9, 0.1]], np.float32)
    >>> print(round(float(F.kl_div(x, target, reduction="sum")), 4))
    0.3681
    """
    check.kl_div(x, target, reduction, log_target)
    if log_target:
        return _reduced(np.exp(target) * (target - x), reduction)
    return _reduced(np.where(target == 0, 0, target * np.log(target)) - target * x, reduction)


@quiet
def kl_div_backward(
    x: Array, target: Array, *, reduction: str = "mean", log_target: bool = False, dloss: float | Array = 1.0
) -> Array:
    """Gradient of `kl_div` with respect to `x`, ``-target``, or ``-exp(target)`` with `log_target`, scaled.

    Parameters
    ----------
    x, target, reduction, log_target
        As given to `kl_div`.
    dloss
        As of `mse_loss_backward`.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.log(np.array([[0.5, 0.5]], np.float32)), np.array([[0.9, 0.1]], np.float32)
    >>> print(F.kl_div_backward(x, target, reduction="sum").round(3))
    [[-0.9 -0.1]]
    """
    check.kl_div(x, target, reduction, log_target)
    return _scaled(-(np.exp(target) if log_target else target), reduction, dloss)


def _times(values: Array, weight: MaybeArray) -> Array:
    return values if weight is None else values * weight


def _count(shape: tuple[int, ...], reduction: str) -> int:
    """What a reduction divides by."""
    return {"mean": int(np.prod(shape)), "batchmean": shape[0] if shape else 1}.get(reduction, 1)


def _reduced(losses: Array, reduction: str) -> float | Array:
    if reduction == "none":
        return np.array(losses, order="C")
    total = float(np.sum(losses, dtype=np.float64))
    count = _count(np.shape(losses), reduction)
    return total / count if count else float("nan")


def _scaled(slopes: Array, reduction: str, dloss: float | Array) -> Array:
    """The gradient, from that of each loss."""
    check.gradient_of_loss(dloss, np.shape(slopes), reduction)
    scale = np.asarray(dloss, np.float64) / max(_count(np.shape(slopes), reduction), 1)
    return np.array(slopes * scale.astype(slopes.dtype), order="C")
