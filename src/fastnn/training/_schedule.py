"""When schedules of learning rates are stepped, and how two of them go together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastnn.optim.lr_scheduler import ReduceLROnPlateau
from fastnn.training._arguments import described


class Scheduler(Protocol):
    """Changes the optimiser's learning rates."""

    def step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None: ...


Schedule = Scheduler | ReduceLROnPlateau | Mapping[str, Scheduler | ReduceLROnPlateau] | None


class Schedules:
    """The schedule of a trainer: one by steps, one by epochs, or both, which go on from each other's rates.

    Parameters
    ----------
    schedule : a scheduler, stepped after each of the optimiser's steps; or {"step": scheduler, "epoch": scheduler}, or
        one of the two. A `ReduceLROnPlateau` is stepped after each evaluation, wherever it stands.
    """

    def __init__(self, schedule: Schedule) -> None:
        if isinstance(schedule, Mapping):
            if not schedule or not schedule.keys() <= {"step", "epoch"}:
                came = ", ".join(map(repr, schedule)) or "nothing"
                raise ValueError(f"schedule: got schedules by {came}, expected 'step', 'epoch' or both")
            self._by = dict(schedule)
        else:
            self._by = {} if schedule is None else {"step": schedule}
        for each in self._by.values():
            if isinstance(each, type) or not callable(getattr(each, "step", None)):
                raise TypeError(f"schedule: got {described(each)}, expected one, as StepLR(optimizer, 10)")
            if len(self._by) > 1 and not getattr(each, "chains", False):
                raise ValueError(
                    f"schedule: got {type(each).__name__} beside another one, whose rates it would not go on from; "
                    "expected two that go on from the present rate, as LinearLR and StepLR"
                )

    def step_ended(self) -> None:
        """One of the optimiser's steps has been taken."""
        self._count("step")

    def epoch_ended(self) -> None:
        """An epoch is over."""
        self._count("epoch")

    def evaluated(self, latest: Callable[[str], float], of: str) -> None:
        """The network has been evaluated; `latest` knows the values of loss and metric, after the prefix `of`."""
        for each in self._by.values():
            if isinstance(each, ReduceLROnPlateau):
                each.step(latest(of + ("loss" if each.mode == "min" else self._metric)))

    def check(self, optimizer: Any, metric: str | None) -> None:
        """They are of this optimiser; `metric` is the name of what a plateau of mode "max" is told, None for none."""
        self._metric = metric or ""
        for each in self._by.values():
            if getattr(each, "optimizer", optimizer) is not optimizer:
                raise ValueError(
                    f"schedule: got {type(each).__name__} of another optimizer, expected the trainer's own"
                )
            if isinstance(each, ReduceLROnPlateau) and each.mode == "max" and metric is None:
                raise ValueError(
                    "schedule: got ReduceLROnPlateau of mode 'max', expected 'min', or a metric: there is only the loss"
                )

    def _count(self, by: str) -> None:
        schedule = self._by.get(by)
        if schedule is not None and not isinstance(schedule, ReduceLROnPlateau):
            schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return {by: schedule.state_dict() for by, schedule in self._by.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.keys() != self._by.keys():
            raise ValueError(
                f"schedule: got one by {', '.join(state) or 'nothing'}, not {', '.join(self._by) or 'none'}"
            )
        for by, schedule in self._by.items():
            schedule.load_state_dict(state[by])
