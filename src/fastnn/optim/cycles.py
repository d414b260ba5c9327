"""Schedules of learning rates in cycles: waves with restarts, triangles, and one rise and fall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fastnn import _validate as check
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.schedule import LRScheduler


class CosineAnnealingWarmRestarts(LRScheduler):
    """The rate falls to `eta_min` along half a wave of a cosine, and then begins again at the first rate.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        Steps of the first wave.
    T_mult : int
        Each wave takes so many times the steps of the one before.
    eta_min : float
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.5
    1.0
    0.5
    """

    chains = False

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = self.T_i = check.integer("T_0", T_0, 1)
        self.T_mult = check.integer("T_mult", T_mult, 1)
        self.eta_min = check.number("eta_min", eta_min, 0.0)
        self.T_cur: float = check.integer("last_epoch", last_epoch, -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Count one more, or go to `epoch`, which may lie between two steps, and set the learning rates."""
        if epoch is not None or self.last_epoch < 0:
            self._go_to(0.0 if epoch is None else check.number("epoch", epoch, 0.0))
        else:
            self.last_epoch += 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        self._set(self.get_lr())

    def _go_to(self, epoch: float) -> None:
        """Find the wave that `epoch` is in, by adding up waves."""
        self.last_epoch, self.T_cur, self.T_i = math.floor(epoch), epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult


class CyclicLR(LRScheduler):
    """The rate goes up and down between two bounds in straight lines, and the momentum the other way.

    Smith, "Cyclical learning rates for training neural networks", 2017.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float, or a list of one for each group
        The bounds.
    step_size_up, step_size_down : int
        Steps from the lower bound to the upper one, and back; down as many as up by default.
    mode : {"triangular", "triangular2", "exp_range"}
        Cycles are all as high; or each half as high as the one before; or the height is ``gamma**t`` after t steps.
    gamma : float
    scale_fn : function, optional
        Instead of `mode`: the part of the height, for the number of the cycle, from 1, or of the step. Not in the
        state.
    scale_mode : {"cycle", "iterations"}
        Which of the two `scale_fn` is given.
    cycle_momentum : bool
        Change ``"momentum"``, or the first of ``"betas"``, too.
    base_momentum, max_momentum : float, or a list of one for each group
    last_epoch : int

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0, momentum=0.9)
    >>> scheduler = fnn.lr_scheduler.CyclicLR(optimizer, base_lr=0.1, max_lr=0.5, step_size_up=2)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.3
    0.5
    0.3
    """

    chains = False
    _not_saved = (*LRScheduler._not_saved, "_scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[int], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        groups = check.instance("optimizer", optimizer, Optimizer).param_groups
        low = check.numbers_for_each("base_lr", base_lr, groups)
        self.max_lrs = check.numbers_for_each("max_lr", max_lr, groups)
        up = check.integer("step_size_up", step_size_up, 1)
        self.total_size = float(
            up + (up if step_size_down is None else check.integer("step_size_down", step_size_down, 1))
        )
        self.step_ratio = up / self.total_size
        self.mode, self.gamma = mode, check.number("gamma", gamma, 0.0)
        self._scale_fn, self.scale_mode = self._scale(scale_fn, scale_mode)
        self.cycle_momentum = check.true_or_false("cycle_momentum", cycle_momentum)
        if cycle_momentum:
            check.has_momentum(groups)
            self.base_momentums = check.numbers_for_each("base_momentum", base_momentum, groups)
            self.max_momentums = check.numbers_for_each("max_momentum", max_momentum, groups)
            self.use_beta1 = "betas" in groups[0]
        if last_epoch == -1:
            for group, lr in zip(groups, low, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = low

    def _scale(self, scale_fn: Any, scale_mode: str) -> tuple[Any, str]:
        """The function for the part of the height, None for the mode's own, and what it is given."""
        if scale_fn is not None:
            check.choice("scale_mode", scale_mode, ("cycle", "iterations"))
            return check.functions("scale_fn", scale_fn, None)[0], scale_mode
        check.choice("mode", self.mode, ("triangular", "triangular2", "exp_range"))
        return None, "iterations" if self.mode == "exp_range" else "cycle"

    def get_lr(self) -> list[float]:
        height = self._height()
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def step(self) -> None:
        """Count one more, and set the learning rates and momenta."""
        super().step()
        if not self.cycle_momentum:
            return
        height, groups = self._height(), self.optimizer.param_groups
        for group, low, high in zip(groups, self.base_momentums, self.max_momentums, strict=True):
            momentum = high - (high - low) * height
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _height(self) -> float:
        """The part of the way up, in this cycle's height."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        at = 1 + self.last_epoch / self.total_size - cycle
        part = at / self.step_ratio if at <= self.step_ratio else (at - 1) / (self.step_ratio - 1)
        given = cycle if self.scale_mode == "cycle" else self.last_epoch
        if self._scale_fn is not None:
            return part * check.number("scale_fn", self._scale_fn(given))
        return part * {"triangular": 1.0, "triangular2": 0.5 ** (cycle - 1), "exp_range": self.gamma**given}[self.mode]


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

    Examples
    --------
    >>> optimizer = fnn.SGD([fnn.Parameter(np.ones(1))], lr=1.0)
    >>> scheduler = fnn.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=4)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.8117
    0.2831
    0.0
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


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _half_wave(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
