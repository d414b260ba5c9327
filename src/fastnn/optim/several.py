"""Schedules that are made of others: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from fastnn import _validate as check
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.schedule import LRScheduler, Schedule


class _Several(LRScheduler):
    """What schedules of schedules have in common."""

    _not_saved = (*LRScheduler._not_saved, "base_lrs")

    def __init__(self, optimizer: Optimizer | None, schedulers: Iterable[LRScheduler]) -> None:
        self._schedulers: list[LRScheduler] = check.schedulers(schedulers, optimizer, LRScheduler)
        Schedule.__init__(self, self._schedulers[0].optimizer, 0)
        self.base_lrs = self._schedulers[0].base_lrs

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [each.state_dict() for each in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        state = self._fitting(state_dict)
        for each, its_state in zip(self._schedulers, state.pop("_schedulers"), strict=True):
            each.load_state_dict(its_state)
        vars(self).update(state)

    def _fitting(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        state = super()._fitting(state_dict)
        check.schedule_states(state["_schedulers"], len(self._schedulers))
        for each, its_state in zip(self._schedulers, state["_schedulers"], strict=True):
            each._fitting(its_state)
        return state


class SequentialLR(_Several):
    """One schedule after the other: at each of the `milestones` the next one begins, at the first rate.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : schedules of this optimizer
        Their first steps, which came when they were made, are taken back.
    milestones : ints, each larger than the one before
        Numbers of steps, one less than there are `schedulers`.
    last_epoch : int
        -1; `load_state_dict` goes on from a state.

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> warm_up = fnn.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = fnn.lr_scheduler.ExponentialLR(optimizer, gamma=0.1)
    >>> scheduler = fnn.lr_scheduler.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> for _ in range(4):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.75
    1.0
    0.1
    0.01
    """

    chains = False

    def __init__(
        self, optimizer: Optimizer, schedulers: Iterable[LRScheduler], milestones: Iterable[int], last_epoch: int = -1
    ) -> None:
        super().__init__(check.instance("optimizer", optimizer, Optimizer), schedulers)
        self._milestones = check.turns(milestones, len(self._schedulers))
        check.choice("last_epoch", last_epoch, (-1,))
        self._set([group["initial_lr"] for group in optimizer.param_groups])
        self._again()

    def step(self) -> None:
        """Count one more, and let the schedule whose turn it is set the learning rates."""
        self.last_epoch += 1
        now = self._whose_turn()
        if self.last_epoch in self._milestones:
            now._take_over()
        else:
            now.step()
        self._last_lr = now.get_last_lr()

    def _whose_turn(self) -> LRScheduler:
        return self._schedulers[bisect_right(self._milestones, self.last_epoch)]

    def _again(self) -> None:
        self.last_epoch = 0
        now = self._whose_turn()
        now._again()
        self._last_lr = now.get_last_lr()


class ChainedScheduler(_Several):
    """Schedules that are stepped together: each goes on from the rate that the one before has set.

    Parameters
    ----------
    schedulers : schedules of one optimizer
    optimizer : Optimizer
        By default that of the schedulers.

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> halve = fnn.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> drop = fnn.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    >>> scheduler = fnn.lr_scheduler.ChainedScheduler([halve, drop])
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.5
    0.025
    0.0125
    """

    def __init__(self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None) -> None:
        super().__init__(optimizer, schedulers)

    @property
    def chains(self) -> bool:  # type: ignore[override]
        return all(each.chains for each in self._schedulers)

    def step(self) -> None:
        """Count one more, and let all schedules set the learning rates in turn."""
        self.last_epoch += 1
        for each in self._schedulers:
            each.step()
        self._last_lr = self._present()

    def _again(self) -> None:
        self.last_epoch = 0
        for each in self._schedulers:
            each._again()
        self._last_lr = self._present()
