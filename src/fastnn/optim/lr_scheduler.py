"""Schedules of learning rates, under the names of torch.optim.lr_scheduler.

A schedule is made after the optimiser, and its `step` is called after each of the optimiser's steps, or after each
epoch: it counts its own calls. Most schedules go on from the present rate, as PyTorch's do. So two on one optimiser
multiply, and a rate that is set by hand is the one they go on from. `LambdaLR`, `OneCycleLR`, `CyclicLR` and
`CosineAnnealingWarmRestarts` know the rate of each step by themselves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from fastnn import _validate as check
from fastnn.optim.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from fastnn.optim.factors import ConstantLR, MultiplicativeLR, PolynomialLR
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.schedule import LRScheduler, OfFunctions, Schedule
from fastnn.optim.several import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LambdaLR(OfFunctions):
    """``lr_lambda(t)`` times the first rate, after t steps, whatever the present rate is.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : function, or a list of one for each group
        Functions are not in the state.
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.5
    0.3333
    0.25
    """

    chains = False

    def get_lr(self) -> list[float]:
        return [lr * value for lr, value in zip(self.base_lrs, self._values(), strict=True)]


class StepLR(LRScheduler):
    """The rate is multiplied by `gamma` every `step_size` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    1.0
    0.1
    0.1
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = check.integer("step_size", step_size, 1)
        self.gamma = check.number("gamma", gamma, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        ends = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self._times(self.gamma) if ends else self._present()


class MultiStepLR(LRScheduler):
    """The rate is multiplied by `gamma` at each of the `milestones`.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : ints
        Numbers of steps.
    gamma : float
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3])
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.1
    0.1
    0.01
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(check.milestones(milestones))
        self.gamma = check.number("gamma", gamma, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._times(self.gamma ** self.milestones.get(self.last_epoch, 0))


class ExponentialLR(LRScheduler):
    """The rate is multiplied by `gamma` at every step.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.5
    0.25
    0.125
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = check.number("gamma", gamma, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._present() if self._is_initial else self._times(self.gamma)


class LinearLR(LRScheduler):
    """A warm-up: a factor on the rate goes in a straight line from one value to another, and stays there.

    Parameters
    ----------
    optimizer : Optimizer
    start_factor : float, above 0 and at most 1
    end_factor : float, 0 to 1
    total_iters : int
        Steps from one to the other.
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.5
    0.75
    1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = check.factor_above_zero("start_factor", start_factor)
        self.end_factor = check.fraction("end_factor", end_factor)
        self.total_iters = check.integer("total_iters", total_iters, 1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._times(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        rise = self.end_factor - self.start_factor
        return self._times(1 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))


class CosineAnnealingLR(LRScheduler):
    """The rate falls to `eta_min` in `T_max` steps, along half a wave of a cosine; then it rises again.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without the restarts.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
    eta_min : float
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.8536
    0.5
    0.1464
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = check.integer("T_max", T_max, 1)
        self.eta_min = check.number("eta_min", eta_min, 0.0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._present()
        before, now = (1 + math.cos(math.pi * t / self.T_max) for t in (self.last_epoch - 1, self.last_epoch))
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # at the foot, which no factor leads away from
            return [
                lr + (base - self.eta_min) * now / 2 for lr, base in zip(self._present(), self.base_lrs, strict=False)
            ]
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in self._present()]


class ReduceLROnPlateau(Schedule):
    """The rate is multiplied by `factor` when a metric has not become better for more than `patience` steps.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether less is better, or more.
    factor : float below 1
    patience : int
    threshold : float
        By how much a metric has to be better than the best.
    threshold_mode : {"rel", "abs"}
        Whether `threshold` is a part of the best, or a difference.
    cooldown : int
        Steps after a reduction that do not count.
    min_lr : float, or a list of one for each group
    eps : float
        Smaller reductions are not made.

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     scheduler.step(loss)
    >>> print(scheduler.get_last_lr())
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer, 0)
        check.choice("mode", mode, ("min", "max"))
        check.choice("threshold_mode", threshold_mode, ("rel", "abs"))
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = check.below_one("factor", factor)
        self.patience = check.integer("patience", patience, 0)
        self.threshold = check.number("threshold", threshold, 0.0)
        self.cooldown = check.integer("cooldown", cooldown, 0)
        self.min_lrs = check.numbers_for_each("min_lr", min_lr, optimizer.param_groups)
        self.eps = check.number("eps", eps, 0.0)
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = 0

    def step(self, metrics: float) -> None:
        """Look at the metric of the last epoch, and reduce the learning rates if it is time."""
        metrics = check.metric(metrics)
        rates = self._present()
        self.last_epoch += 1
        self.num_bad_epochs += 1
        if self._is_better(metrics):
            self.best, self.num_bad_epochs = metrics, 0
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            check.one_for_each_group(self, self.min_lrs, self.optimizer.param_groups)
            less = [max(lr * self.factor, least) for lr, least in zip(rates, self.min_lrs, strict=True)]
            rates = [new if old - new > self.eps else old for old, new in zip(rates, less, strict=True)]
        self._set(rates)

    def _is_better(self, metrics: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return metrics * sign > self.best * sign + self.threshold
        return metrics * sign > self.best * (1 + sign * self.threshold) * sign
