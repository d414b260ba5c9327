"""Schedules of learning rates, under the names of torch.optim.lr_scheduler.

A schedule is made after the optimiser, and its `step` is called after each of the optimiser's steps, or after each
epoch: it counts its own calls. Most schedules go on from the present rate, as PyTorch's do. So two on one optimiser
multiply, and a rate that is set by hand is the one they go on from. `LambdaLR` and `OneCycleLR` know the rate of each
step by themselves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from fastnn import _validate as check
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.schedule import LRScheduler, Schedule
from fastnn.optim.several import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    """``lr_lambda(t)`` times the first rate, after t steps, whatever the present rate is.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : function, or a list of one for each group
        Functions are not in the state.
    last_epoch : int
    """

    chains = False
    _not_saved = (*LRScheduler._not_saved, "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = check.functions("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        values = [check.number("lr_lambda", f(self.last_epoch)) for f in self.lr_lambdas]
        return [lr * value for lr, value in zip(self.base_lrs, values, strict=True)]


class StepLR(LRScheduler):
    """The rate is multiplied by `gamma` every `step_size` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float
    last_epoch : int
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
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = check.start_factor(start_factor)
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


class OneCycleLR(LRScheduler):
    """The rate rises to `max_lr` and falls to almost nothing, in `total_steps` steps; the momentum goes the other way.

    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float, or a list of one for each group
    total_steps : int
        Or `epochs` and `steps_per_epoch`, whose product it is.
    epochs, steps_per_epoch : int
    pct_start : float, 0 to 1
        The part of the steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Change ``"momentum"``, or the first of ``"betas"``, too.
    base_momentum, max_momentum : float, or a list of one for each group
    div_factor : float
        The first rate is ``max_lr / div_factor``.
    final_div_factor : float
        The last is the first divided by this.
    three_phase : bool
        Fall to the first rate as long as it rose, and then to the last.
    last_epoch : int
    """

    chains = False

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        groups = check.instance("optimizer", optimizer, Optimizer).param_groups
        self.total_steps = check.total_steps(total_steps, epochs, steps_per_epoch)
        check.choice("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        high = check.numbers_for_each("max_lr", max_lr, groups)
        low = [lr / check.positive("div_factor", div_factor) for lr in high]
        last = [lr / check.positive("final_div_factor", final_div_factor) for lr in low]
        slow = check.numbers_for_each("base_momentum", base_momentum, groups)
        fast = check.numbers_for_each("max_momentum", max_momentum, groups)
        rise = check.fraction("pct_start", pct_start) * self.total_steps - 1
        # The steps at which phases end, and the rates and momenta there.
        if three_phase:
            self.ends = [0.0, rise, 2 * rise, self.total_steps - 1.0]
            self.rates, self.momenta = [low, high, low, last], [fast, slow, fast, fast]
        else:
            self.ends = [0.0, rise, self.total_steps - 1.0]
            self.rates, self.momenta = [low, high, last], [fast, slow, fast]
        if check.true_or_false("cycle_momentum", cycle_momentum):
            check.has_momentum(groups)
        if last_epoch == -1:
            for group, lr in zip(groups, low, strict=True):
                group["initial_lr"] = lr
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._between(self.rates)

    def step(self) -> None:
        """Count one more, and set the learning rates and momenta.

        Raises
        ------
        ValueError
            The `total_steps` are over.
        """
        check.steps_left(self.last_epoch + 1, self.total_steps)
        super().step()
        if self.cycle_momentum:
            for group, momentum in zip(self.optimizer.param_groups, self._between(self.momenta), strict=True):
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                else:
                    group["momentum"] = momentum

    def _between(self, values: list[list[float]]) -> list[float]:
        """The values of all groups now, between those at the beginning and at the end of the phase."""
        phase = 0
        while phase < len(self.ends) - 2 and self.last_epoch > self.ends[phase + 1]:
            phase += 1
        length = self.ends[phase + 1] - self.ends[phase]
        part = (self.last_epoch - self.ends[phase]) / length if length else 1.0  # a phase of no steps is over
        between = _half_wave if self.anneal_strategy == "cos" else _line
        return [between(start, end, part) for start, end in zip(values[phase], values[phase + 1], strict=True)]


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


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _half_wave(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
