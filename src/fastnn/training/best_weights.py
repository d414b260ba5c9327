"""The weights of the best evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastnn import _validate as check
from fastnn.training.callbacks import Best, Callback

if TYPE_CHECKING:
    from fastnn.training.trainer import Trainer


class BestWeights(Callback):
    """Keeps the weights (and buffers) of the best evaluation, and gives them to the network at the end of `fit`.

    Parameters
    ----------
    monitor : what must become better: "eval_loss" or "loss"; "eval_accuracy" or "accuracy", or the metric of the
        trainer by its own name; by default the metric on held-out data, or the loss on them without a metric
    mode : "max" or "min", what is better; by default as the name says: less of a loss, an error or a deviance, more of
        an accuracy, a score or a psnr. Other names do not say it

    Attributes
    ----------
    iteration : the number of steps taken before the best evaluation, or None
    value : the best value, or None
    weights : its state dict, or None
    """

    def __init__(self, monitor: str | None = None, *, mode: str | None = None) -> None:
        self._best = Best(monitor, mode)
        self.iteration: int | None = None
        self.weights: dict[str, Any] | None = None

    @property
    def value(self) -> float | None:
        return self._best.value

    def on_fit_begin(self, trainer: Trainer) -> None:
        self._best.begin(self, trainer)
        if self.weights is not None:  # they must still fit at the end
            try:
                check.state_dict(self.weights, trainer.net.state_dict(), strict=True)
            except ValueError as error:
                raise ValueError(f"callbacks: the weights that BestWeights keeps do not fit: {error}") from None

    def on_evaluation(self, trainer: Trainer) -> None:
        if self._best.improved(trainer):
            self.iteration, self.weights = trainer.history.iterations, trainer.net.state_dict()

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.weights is not None:
            trainer.net.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best.value, "iteration": self.iteration, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best.value, self.iteration, self.weights = state["best"], state["iteration"], state["weights"]
