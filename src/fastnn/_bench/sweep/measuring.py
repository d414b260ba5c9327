"""How long it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastnn._bench import timing
from fastnn._bench.contestants import all_on, fastnn_kernels
from fastnn._bench.contestants.pytorch import Torch
from fastnn._bench.sweep.drawn import Drawn
from fastnn._bench.sweep.works import OURS, works_of

LEAST_BLOCKS = 3


@dataclass(frozen=True)
class Measured:
    """The times of one direction of a layer, or of a training step."""

    drawn: Drawn
    direction: str
    threads: int
    times: dict[str, timing.Times]

    @property
    def ours(self) -> float:
        """fastnn's seconds."""
        return self.times[OURS].median

    @property
    def theirs(self) -> float:
        """PyTorch's seconds, in the layout that it is faster in."""
        return min(times.median for who, times in self.times.items() if who != OURS)

    @property
    def ratio(self) -> float:
        """How many times as long PyTorch takes."""
        return self.theirs / self.ours

    @property
    def spread(self) -> float:
        """The largest spread of a contestant's blocks."""
        return max(times.spread for times in self.times.values())


def measure(drawn: Iterable[Drawn], threads: int = 1, seconds: float = 0.5) -> Iterator[Measured]:
    """Time layers, one after the other.

    Parameters
    ----------
    drawn : what `draw` gives
    threads : of both libraries
    seconds : for each direction of a layer; at least 3 blocks are taken of each contestant

    Raises
    ------
    ImportError
        PyTorch is not installed.
    AssertionError
        The two libraries compute different things, so that their times would mean nothing.
    """
    block = min(timing.BLOCK, seconds / LEAST_BLOCKS)
    with all_on([fastnn_kernels(), Torch()], threads):
        for each in drawn:
            for direction, contestants in works_of(each).items():
                times = timing.in_turns(contestants, seconds=seconds, least_blocks=LEAST_BLOCKS, block=block)
                yield Measured(each, direction, threads, times)
