"""Schedules of learning rates that multiply the present rate: a constant, a polynomial, any function."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.schedule import LRScheduler, OfFunctions


class ConstantLR(LRScheduler):
    """The rate is multiplied by `factor` until `total_iters` steps have been taken.

    Parameters
    ----------
    optimizer : Optimizer
    factor : float, above 0 and at most 1
    total_iters : int
        Steps until the rate is itself again.
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=2)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.25
    1.0
    1.0
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor = check.factor_above_zero("factor", factor)
        self.total_iters = check.integer("total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._times(self.factor)
        return self._times(1 / self.factor) if self.last_epoch == self.total_iters else self._present()


class PolynomialLR(LRScheduler):
    """The rate falls to 0 in `total_iters` steps: after t steps it is ``(1 - t/total_iters)**power`` of the first.

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int
    power : float
        1 is a straight line.
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2.0)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.5625
    0.25
    0.0625
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = check.integer("total_iters", total_iters, 1)
        self.power = check.number("power", power, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        left = 1 - self.last_epoch / self.total_iters
        return self._times((left / (1 - (self.last_epoch - 1) / self.total_iters)) ** self.power)


class MultiplicativeLR(OfFunctions):
    """The rate is multiplied by ``lr_lambda(t)`` at step t.

    In a `SequentialLR` it goes on from the last rate of the schedule before it, as PyTorch's does.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : function, or a list of one for each group
        Functions are not in the state.
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.MultiplicativeLR(optimizer, lambda t: 1 / t)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    1.0
    0.5
    0.1667
    """

    def get_lr(self) -> list[float]:
        present = self._present()
        if self._is_initial:
            return present
        return [lr * factor for lr, factor in zip(present, self._values(), strict=True)]

    def _take_over(self) -> None:
        """Begin after another schedule at its last rate, as PyTorch's does: it knows no other."""
        self.last_epoch = 0
        self._set(self.get_lr())
