"""What can be done while a network is trained: objects that a `Trainer` tells what has happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastnn import _validate as check
from fastnn.training.history import EVAL

if TYPE_CHECKING:
    from fastnn.layers import Module
    from fastnn.training.trainer import Trainer


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


def better(name: str) -> str | None:
    """Whether more ("max") or less ("min") of a measure is better, where its name says so, as scikit-learn's do."""
    if name.endswith(("accuracy", "score", "psnr")):
        return "max"
    return "min" if name.endswith(("loss", "error", "deviance")) else None


class Best:
    """The best value so far of what is monitored, which callbacks that wait for a better one share.

    Parameters
    ----------
    monitor : "eval_loss", "eval_accuracy" (or another metric, by its name); or "loss", "accuracy": the mean of the
        training steps since the last evaluation; None for the metric on held-out data, or the loss without a metric
    mode : "min" or "max", what is better; by default less of what ends in loss, error or deviance, more of
        what ends in accuracy, score or psnr; other names do not say it
    min_delta : by how much a value must be better
    """

    def __init__(self, monitor: str | None, mode: str | None, min_delta: float = 0.0) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode: got {mode!r}, expected 'min' or 'max'")
        self.monitor, self.mode = monitor, mode
        self.min_delta = check.number("min_delta", min_delta, 0.0)
        self.value: float | None = None
        self._net: Module | None = None

    def begin(self, owner: Callback, trainer: Trainer) -> None:
        """Before the first step: find out what is monitored, and that it is the network of all calls before.

        Raises
        ------
        ValueError
            Nothing of that name is measured; its name does not say what is better; or the network is another one.
        """
        name = type(owner).__name__
        if self._net is not None and self._net is not trainer.net:
            raise ValueError(
                f"callbacks: got a {name} that followed another network, expected a new {name} for this one"
            )
        self._net = trainer.net
        self.monitor = trainer.monitored(self.monitor)
        self.mode = self.mode or better(self.monitor)
        if self.mode is None:
            raise ValueError(
                f"mode: got None for {name}, expected 'min' or 'max': the name {self.monitor!r} does not say which"
            )

    def improved(self, trainer: Trainer) -> bool | None:
        """Whether the newest value is better; it is the best then. NaN is never better; None before there is any."""
        monitor = trainer.monitored(self.monitor)
        if trainer.history.iterations == 0 and not monitor.startswith(EVAL):
            return None
        value = trainer.latest(monitor)
        sign = 1 if self.mode == "max" else -1
        if value != value or (self.value is not None and sign * (value - self.value) <= self.min_delta):
            return False
        self.value = value
        return True
