"""The end of training that no longer helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastnn.training.callbacks import Best, Callback

if TYPE_CHECKING:
    from fastnn.training.trainer import Trainer


class EarlyStopping(Callback):
    """Ends training when what is monitored has not become better for some evaluations.

    Parameters
    ----------
    monitor, mode, min_delta : what must become better, and by how much: "eval_loss", "eval_accuracy", "loss" or
        "accuracy"
    patience : evaluations in a row without a better value that are borne; one more ends training
    """

    def __init__(
        self, monitor: str = "eval_loss", patience: int = 3, *, mode: str | None = None, min_delta: float = 0.0
    ) -> None:
        if patience < 0:
            raise ValueError(f"patience: got {patience}, expected at least 0")
        self.patience = patience
        self._best = Best(monitor, mode, min_delta)
        self._waited = 0

    def on_evaluation(self, trainer: Trainer) -> None:
        if trainer.history.iterations == 0 and not self._best.monitor.startswith("eval"):
            return  # no step has been taken yet
        self._waited = 0 if self._best.improved(trainer) else self._waited + 1
        if self._waited > self.patience:
            trainer.stop(f"{self._best.monitor} has not become better for {self._waited} evaluations")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best.value, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best.value, self._waited = state["best"], state["waited"]
