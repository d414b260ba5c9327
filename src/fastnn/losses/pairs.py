"""Losses of outputs and targets of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.losses._base import Loss, as_array


class BCELoss(Loss):
    """Cross-entropy of probabilities of yes or no, see `fastnn.functional.binary_cross_entropy`.

    Called with probabilities, as of `Sigmoid`, and targets of their shape; `BCEWithLogitsLoss` is more exact.

    Parameters
    ----------
    weight : array that broadcasts to the outputs, optional
        Of the elements.
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> p, y = np.array([0.9, 0.2], np.float32), np.array([1, 0], np.float32)
    >>> print(round(float(fnn.BCELoss()(p, y)), 4))
    0.1643
    """

    _function = "binary_cross_entropy"
    _settings = ("weight", "reduction")

    def __init__(self, weight: MaybeArray = None, reduction: str = "mean") -> None:
        weight = as_array("weight", weight)
        check.element_losses(reduction, weight=weight)
        self.weight = weight
        self.reduction = reduction


class BCEWithLogitsLoss(Loss):
    """Cross-entropy of the sigmoid of scores, see `fastnn.functional.binary_cross_entropy_with_logits`.

    Called with scores, and targets 0 to 1 of their shape.

    Parameters
    ----------
    weight : array that broadcasts to the outputs, optional
        Of the elements.
    reduction : "mean", "sum" or "none"
    pos_weight : array that broadcasts to the outputs, optional
        Of yes, as (K,) for K questions.

    Examples
    --------
    >>> x, y = np.array([2, -1], np.float32), np.array([1, 0], np.float32)
    >>> print(round(float(fnn.BCEWithLogitsLoss()(x, y)), 4))
    0.2201
    """

    _function = "binary_cross_entropy_with_logits"
    _settings = ("weight", "reduction", "pos_weight")

    def __init__(self, weight: MaybeArray = None, reduction: str = "mean", pos_weight: MaybeArray = None) -> None:
        weight, pos_weight = as_array("weight", weight), as_array("pos_weight", pos_weight)
        check.element_losses(reduction, weight=weight, pos_weight=pos_weight)
        self.weight = weight
        self.reduction = reduction
        self.pos_weight = pos_weight


class MSELoss(Loss):
    """Mean squared error, the squared difference of outputs and targets of one shape.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> criterion = fnn.MSELoss()
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(criterion(x, y)), criterion.backward().tolist()
    (4.625, [-0.5, 3.0])
    """

    _function = "mse_loss"

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def plan(self, steps: Any) -> None:
        steps.mse_loss(**self._options())


class L1Loss(Loss):
    """Mean absolute error, the absolute difference of outputs and targets of one shape.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(fnn.L1Loss()(x, y))
    1.75
    """

    _function = "l1_loss"

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)


class SmoothL1Loss(Loss):
    """Absolute difference, rounded to a parabola below `beta`, see `fastnn.functional.smooth_l1_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    beta : float, at least 0

    Examples
    --------
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(fnn.SmoothL1Loss()(x, y))
    1.3125
    """

    _function = "smooth_l1_loss"
    _settings = ("reduction", "beta")

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        check.reduction(reduction)
        self.reduction = reduction
        self.beta = check.number("beta", beta, 0.0)


class HuberLoss(Loss):
    """Half of the squared difference below `delta`, linear above, see `fastnn.functional.huber_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    delta : float, above 0

    Examples
    --------
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(fnn.HuberLoss()(x, y))
    1.3125
    """

    _function = "huber_loss"
    _settings = ("reduction", "delta")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        check.reduction(reduction)
        self.reduction = reduction
        self.delta = check.positive("delta", delta)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of logarithms of probabilities from targets, see `fastnn.functional.kl_div`.

    Parameters
    ----------
    reduction : "mean", "batchmean", "sum" or "none"
        "batchmean", the mean over the examples, is the divergence as mathematics has it.
    log_target : bool
        Targets are logarithms too.

    Examples
    --------
    >>> log_p, q = np.log(np.array([[0.5, 0.5]], np.float32)), np.array([[0.9, 0.1]], np.float32)
    >>> print(round(float(fnn.KLDivLoss(reduction="sum")(log_p, q)), 4))
    0.3681
    """

    _function = "kl_div"
    _settings = ("reduction", "log_target")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        check.kl_reduction(reduction)
        check.true_or_false("log_target", log_target)
        self.reduction = reduction
        self.log_target = log_target

    def _mass(self, x: Array, target: Array, losses: Array) -> MaybeArray:
        batchmean = self.reduction == "batchmean"
        return np.full_like(losses, len(losses) / max(losses.size, 1)) if batchmean else None

    def _reduced(self) -> str:
        return "mean" if self.reduction == "batchmean" else self.reduction
