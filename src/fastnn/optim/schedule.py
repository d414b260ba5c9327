"""What all schedules are: an optimiser whose rates they set, a count of steps, and a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastnn import _validate as check
from fastnn.optim.optimizer import Optimizer


class Schedule:
    """What all schedules have: an optimiser, the rates of its groups, and a state.

    Attributes
    ----------
    chains : bool
        Whether each rate follows from the present one, so that another schedule may change the rates too.
    """

    chains: bool = True
    _not_saved: tuple[str, ...] = ("optimizer", "_is_initial")

    def __init__(self, optimizer: Optimizer, last_epoch: int) -> None:
        self.optimizer: Optimizer = check.instance("optimizer", optimizer, Optimizer)
        self.last_epoch = check.integer("last_epoch", last_epoch, -1)
        self._last_lr = self._present()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group as this schedule set it last."""
        return list(self._last_lr)

    def _present(self) -> list[float]:
        """The learning rate of each group as it is."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self, rates: list[float]) -> None:
        """Give each group its learning rate."""
        groups = self.optimizer.param_groups
        check.one_for_each_group(self, rates, groups)
        for group, lr in zip(groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = rates

    def state_dict(self) -> dict[str, Any]:
        """All but the optimiser and functions; the optimiser's own state has the rates."""
        return {name: value for name, value in vars(self).items() if name not in self._not_saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; nothing changes if it is of another schedule."""
        vars(self).update(self._fitting(state_dict))

    def _fitting(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        """The entries of a state of this schedule."""
        return check.schedule_state(state_dict, self.state_dict(), self._not_saved)


class LRScheduler(Schedule):
    """A rate for each number of steps; a subclass writes `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int
        The number of the last step taken before, -1 at the beginning; otherwise the groups have their
        ``"initial_lr"``, as those of a loaded state have.

    Examples
    --------
    >>> class InverseRoot(fnn.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr / (1 + self.last_epoch) ** 0.5 for lr in self.base_lrs]
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = InverseRoot(optimizer)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> print(scheduler.get_last_lr())
    [0.5]
    """

    _is_initial = False  # whether `get_lr` is asked for the rates to begin with, as PyTorch calls it

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [check.entry("optimizer", group, "initial_lr") for group in optimizer.param_groups]
        self._first_step()

    def step(self) -> None:
        """Count one more, and set the learning rates."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def get_lr(self) -> list[float]:
        """The learning rate of each group after `last_epoch` steps, most often from that of its ``"lr"`` before."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr")

    def _times(self, factor: float) -> list[float]:
        return [lr * factor for lr in self._present()]

    def _first_step(self) -> None:
        """Set the rates to begin with, or to go on with from a loaded state."""
        self._is_initial = True
        self.step()
        self._is_initial = False

    def _again(self) -> None:
        """Count from 0 again."""
        self.last_epoch = -1
        self._first_step()

    def _take_over(self) -> None:
        """Begin after another schedule, at the first rates."""
        self._set(self.base_lrs)
        self._again()


class OfFunctions(LRScheduler):
    """A schedule of functions of the number of steps: one for all groups, or one for each."""

    _not_saved = (*LRScheduler._not_saved, "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = check.functions("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def _values(self) -> list[float]:
        """What the functions say, for each group."""
        check.one_for_each_group(self, self.lr_lambdas, self.optimizer.param_groups)
        return [check.number("lr_lambda", f(self.last_epoch)) for f in self.lr_lambdas]
