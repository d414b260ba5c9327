"""Losses of scores of classes."""

from __future__ import annotations

from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, MaybeArray
from fastnn.losses._base import Loss, as_array


class CrossEntropyLoss(Loss):
    """Cross-entropy between targets and the softmax of scores, see `fastnn.functional.cross_entropy`.

    Called with scores (N, K) or (N, K, d1, ...), and labels (N,) or (N, d1, ...) or probabilities of the scores' shape;
    or with the scores (K,) of one example, and its label or probabilities.

    Parameters
    ----------
    weight : (K,) array, optional
        Of the classes.
    ignore_index : int
        A label that is left out.
    reduction : "mean", "sum" or "none"
    label_smoothing : float, 0 to 1
        How much of each target goes to all classes alike.

    Examples
    --------
    >>> criterion = fnn.CrossEntropyLoss()
    >>> scores, labels = np.array([[2, 1, 0], [0, 0, 0]], np.float32), np.array([0, 2])
    >>> print(round(float(criterion(scores, labels)), 4))
    0.7531
    >>> print(criterion.backward().round(3))
    [[-0.167  0.122  0.045]
     [ 0.167  0.167 -0.333]]
    """

    _function = "cross_entropy"
    _settings = ("weight", "ignore_index", "reduction", "label_smoothing")

    def __init__(
        self,
        weight: MaybeArray = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        weight = as_array("weight", weight)
        check.class_losses(weight, ignore_index, reduction)
        check.smoothing(label_smoothing)
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def plan(self, steps: Any) -> None:
        steps.cross_entropy(**self._options())

    def _mass(self, x: Array, target: Array, losses: Array) -> MaybeArray:
        return functional.loss.mass_of_labels(x, target, self.weight, self.ignore_index)


class NLLLoss(Loss):
    """Negative log-likelihood of labels, see `fastnn.functional.nll_loss`.

    Called with logarithms of probabilities (N, K) or (N, K, d1, ...), as of `LogSoftmax`, and labels (N,) or
    (N, d1, ...); or with those of one example, (K,), and its label.

    Parameters
    ----------
    weight : (K,) array, optional
        Of the classes.
    ignore_index : int
        A label that is left out.
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> log_p = np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32))
    >>> print(round(float(fnn.NLLLoss()(log_p, np.array([0, 1]))), 4))
    0.3993
    """

    _function = "nll_loss"
    _settings = ("weight", "ignore_index", "reduction")

    def __init__(self, weight: MaybeArray = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        weight = as_array("weight", weight)
        check.class_losses(weight, ignore_index, reduction)
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction

    def _mass(self, x: Array, target: Array, losses: Array) -> MaybeArray:
        return functional.loss.mass_of_labels(x, target, self.weight, self.ignore_index)
