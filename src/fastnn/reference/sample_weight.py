"""Losses of examples, each of which counts as its weight says."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet

__all__ = ["weigh_losses", "weigh_losses_backward"]


@check.takes_one("losses", "sample_weight", "mass", axes=1)
@quiet
def weigh_losses(
    losses: Array, sample_weight: Array, mass: MaybeArray = None, *, reduction: str = "mean"
) -> float | Array:
    """Reduce losses of examples that have weights.

    The mean is ``sum(w * losses) / sum(w * mass)``, as scikit-learn's and ``np.average``'s. An example of weight 2
    counts as if it were there twice, and one of weight 0 as if it were not there. With the masses of labels it is the
    mean that PyTorch takes with weights of classes. Where the divisor is 0 the mean is 0: nothing is to be learnt.

    Parameters
    ----------
    losses : (N,), (N, d1, ...) or () array of float32 or float64
        As a loss with the reduction "none" returns them.
    sample_weight : (N,) array of the dtype of `losses`, or () with losses of ()
    mass : array of the shape and dtype of `losses`, optional
        How much each loss counts in the mean: the weight of its label's class, and 0 where the label is left out. By
        default 1.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    float, or array of the shape of `losses` for "none"

    Examples
    --------
    >>> losses, w = np.array([1.0, 4.0]), np.array([2.0, 1.0])
    >>> F.weigh_losses(losses, w), F.weigh_losses(losses, w, reduction="sum")
    (2.0, 6.0)
    """
    check.weigh_losses(losses, sample_weight, mass, reduction)
    weighed: Array = losses * _column(sample_weight, losses)
    if reduction == "none":
        return weighed
    total = weighed.sum(dtype=np.float64)
    return float(_mean(total, losses, sample_weight, mass) if reduction == "mean" else total)


@check.takes_one("losses", "sample_weight", "mass", axes=1)
@quiet
def weigh_losses_backward(
    losses: Array,
    sample_weight: Array,
    mass: MaybeArray = None,
    *,
    reduction: str = "mean",
    dloss: float | Array = 1.0,
) -> Array:
    """Gradient of `weigh_losses` with respect to the losses.

    Parameters
    ----------
    losses, sample_weight, mass, reduction
        As given to `weigh_losses`.
    dloss : float, or array of the shape of `losses` with reduction "none"
        Gradient of the loss.

    Returns
    -------
    array of the shape of `losses`

    Examples
    --------
    >>> F.weigh_losses_backward(np.array([1.0, 4.0]), np.array([3.0, 1.0])).tolist()
    [0.75, 0.25]
    """
    check.weigh_losses_backward(losses, sample_weight, mass, reduction, dloss)
    scale = np.asarray(dloss, np.float64) * _column(sample_weight, losses)
    if reduction == "mean":
        scale = _mean(scale, losses, sample_weight, mass)
    return np.ascontiguousarray(np.broadcast_to(scale, losses.shape).astype(losses.dtype))


def _column(sample_weight: Array, losses: Array) -> Array:
    """The weights with the axes of the losses."""
    return sample_weight.reshape(-1, *[1] * (losses.ndim - 1))


def _mean(total: Array, losses: Array, sample_weight: Array, mass: MaybeArray) -> Array:
    """What was weighed, by the weight of all examples."""
    if mass is None:
        whole = sample_weight.sum(dtype=np.float64) * (losses.size / max(len(losses), 1))
    else:
        whole = (mass * _column(sample_weight, losses)).sum(dtype=np.float64)
    return total / whole if whole or not len(losses) else total * 0
