"""What can be done while a network is trained: objects that a `Trainer` tells what has happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.training.trainer import Trainer

MONITORS = {"loss": "min", "accuracy": "max", "eval_loss": "min", "eval_accuracy": "max"}


class Callback:
    """Told what happens during `Trainer.fit`; a subclass writes the methods that it wants.

    Each gets the trainer, and may read its `history`, change what it has, or end training by `Trainer.stop`. Callbacks
    are told in the order in which the trainer got them, and of the end in the opposite order. What a callback must
    remember for a resumed run is its `state_dict`.
    """

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first step of a call of `fit`."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After every step of the optimiser and the schedule."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After the last step of an epoch, before the evaluation that may follow."""

    def on_evaluation(self, trainer: Trainer) -> None:
        """After each evaluation; without data to evaluate on, where it would have been."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last step, however training ended, but not after an error."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: numbers, texts, arrays, and lists and dicts of them."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


def overridden(callbacks: list[Callback], name: str) -> list[Callable[[Trainer], None]]:
    """The methods of this name of all callbacks that wrote one: the others cost nothing at every step."""
    return [getattr(each, name) for each in callbacks if getattr(type(each), name) is not getattr(Callback, name)]


class Best:
    """The best value so far of what is monitored, which callbacks that wait for a better one share.

    Parameters
    ----------
    monitor : "eval_loss", "eval_accuracy", or "loss", "accuracy": the mean of the training steps since the last
        evaluation
    mode : "min" or "max", what is better; by default less loss, more accuracy (which a metric of your own may turn
        round)
    min_delta : by how much a value must be better
    """

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if monitor not in MONITORS:
            raise ValueError(f"monitor: got {monitor!r}, expected one of {', '.join(MONITORS)}")
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode: got {mode!r}, expected 'min' or 'max'")
        if not min_delta >= 0:
            raise ValueError(f"min_delta: got {min_delta!r}, expected at least 0")
        self.monitor, self.min_delta = monitor, min_delta
        self.sign = 1 if (mode or MONITORS[monitor]) == "max" else -1
        self.value: float | None = None

    def improved(self, trainer: Trainer) -> bool:
        """Whether the newest value is better; it is the best then. NaN is never better."""
        value = trainer.latest(self.monitor)
        if value != value or (self.value is not None and self.sign * (value - self.value) <= self.min_delta):
            return False
        self.value = value
        return True
