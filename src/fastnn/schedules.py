"""Learning rates over the course of training: from the number of steps taken to the rate of the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def step_decay(lr: float, milestones: Sequence[int], factor: float = 0.1) -> Callable[[int], float]:
    """`lr`, multiplied by `factor` once for every milestone that has been reached.

    Parameters
    ----------
    lr : the rate at first
    milestones : numbers of steps
    factor : what the rate is multiplied by at each
    """
    return lambda iteration: lr * factor ** sum(iteration >= milestone for milestone in milestones)
