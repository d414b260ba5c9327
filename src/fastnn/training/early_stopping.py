"""The end of training that no longer helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastnn import _validate as check
from fastnn.training.callbacks import Best, Callback

if TYPE_CHECKING:
    from fastnn.training.trainer import Trainer


class EarlyStopping(Callback):
    """Ends training when what is monitored has not become better for some evaluations.

    Parameters
    ----------
    monitor, mode : what must become better, and whether that is "min" or "max", as for `BestWeights`
    min_delta : by how much
    patience : evaluations in a row without a better value that are borne; one more ends training
    """

    def __init__(
        self, monitor: str = "eval_loss", patience: int = 3, *, mode: str | None = None, min_delta: float = 0.0
    ) -> None:
        self.patience = check.integer("patience", patience, 0)
        self._best = Best(monitor, mode, min_delta)
        self._waited = 0

    def on_fit_begin(self, trainer: Trainer) -> None:
        self._best.begin(self, trainer)

    def on_evaluation(self, trainer: Trainer) -> None:
        improved = self._best.improved(trainer)
        if improved is None:
            return
        self._waited = 0 if improved else self._waited + 1
        if self._waited > self.patience:
            trainer.stop(f"{self._best.monitor} has not become better for {self._waited} evaluations")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best.value, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best.value, self._waited = state["best"], state["waited"]
