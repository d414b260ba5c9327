"""Losses: a call gives the value, `backward` the gradient of what was scored in that call."""

from __future__ import annotations

from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array


class CrossEntropyLoss:
    """Cross-entropy between targets and the softmax of scores.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    """

    def __init__(self, reduction: str = "mean") -> None:
        check.reduction(reduction)
        self.reduction = reduction
        self._kept: tuple[Array, Array] | None = None

    def __call__(self, x: Array, target: Array) -> Any:
        """Compute the loss.

        Parameters
        ----------
        x : (N, K) array of float32 or float64
            Scores.
        target : (N,) array of integers, or (N, K) array of the dtype of `x`
            Labels 0 to K-1, or probabilities.

        Returns
        -------
        float, or (N,) array for the reduction "none"
        """
        loss = functional.cross_entropy(x, target, reduction=self.reduction)
        self._kept = x, target
        return loss

    def backward(self, dloss: float | Array = 1.0) -> Array:
        """Return the gradient of the scores of the last call, ``(N, K)``."""
        x, target = check.kept(self, self._kept)
        return functional.cross_entropy_backward(x, target, reduction=self.reduction, dloss=dloss)

    def __repr__(self) -> str:
        return f"CrossEntropyLoss(reduction={self.reduction!r})"


class MSELoss:
    """Mean squared error, the squared difference of outputs and targets.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    """

    def __init__(self, reduction: str = "mean") -> None:
        check.reduction(reduction)
        self.reduction = reduction
        self._kept: tuple[Array, Array] | None = None

    def __call__(self, x: Array, target: Array) -> Any:
        """Compute the loss.

        Parameters
        ----------
        x, target : arrays of float32 or float64, of one shape

        Returns
        -------
        float, or array of the shape of `x` for the reduction "none"
        """
        loss = functional.mse_loss(x, target, reduction=self.reduction)
        self._kept = x, target
        return loss

    def backward(self, dloss: float | Array = 1.0) -> Array:
        """Return the gradient of `x` of the last call, of its shape."""
        x, target = check.kept(self, self._kept)
        return functional.mse_loss_backward(x, target, reduction=self.reduction, dloss=dloss)

    def __repr__(self) -> str:
        return f"MSELoss(reduction={self.reduction!r})"
