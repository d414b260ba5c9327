"""A schedule that rises once and falls once, the momentum with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fastnn import _validate as check
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.schedule import LRScheduler


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
