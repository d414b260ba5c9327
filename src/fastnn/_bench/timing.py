"""Times that can be divided by each other: contestants take turns in blocks, in one run.

The worker threads of a peer spin for milliseconds after its call (OpenMP's and OpenBLAS's do). If contestants took
turns call by call, the next one would pay for that, as no user's program does. So each has a block of many calls to
itself, which begins with calls that are not timed.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

BLOCK = 0.1  # seconds of timed calls
UNTIMED = 0.3  # of the block before them: the others' threads go to sleep; cores and caches reach their usual speed
SAMPLE = 1e-3  # seconds; shorter works are repeated within a sample
PATIENCE = 10.0  # seconds; after them a few blocks of slow works must do
FEW = 3


@dataclass(frozen=True)
class Times:
    """Seconds of one call: the median of each block."""

    blocks: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.blocks)

    @property
    def median(self) -> float:
        return statistics.median(self.blocks)

    @property
    def spread(self) -> float:
        """How far the blocks in the middle half are apart, as a part of the median."""
        if len(self.blocks) < 2:
            return 0.0
        lower, _, upper = statistics.quantiles(self.blocks, n=4, method="inclusive")
        return (upper - lower) / self.median


def in_turns(
    works: Mapping[str, Callable[[], object]], *, seconds: float, least_blocks: int, block: float = BLOCK
) -> dict[str, Times]:
    """Give every work a block by turns, for about `seconds` and at least `least_blocks` blocks each.

    Works so slow that `PATIENCE` ends before have `FEW` blocks. Every second round goes backwards, so that nobody
    always follows the same neighbour.
    """
    calls = {name: _calls_in_a_sample(work) for name, work in works.items()}
    blocks: dict[str, list[float]] = {name: [] for name in works}
    collecting = gc.isenabled()
    gc.disable()
    try:
        start, elapsed, done = time.perf_counter(), 0.0, 0
        while elapsed < seconds or done < (least_blocks if elapsed < PATIENCE else min(FEW, least_blocks)):
            for name in list(works) if done % 2 == 0 else reversed(list(works)):
                blocks[name].append(statistics.median(timed(works[name], block, calls[name])))
            done += 1
            elapsed = time.perf_counter() - start
    finally:
        if collecting:
            gc.enable()
    return {name: Times(tuple(values)) for name, values in blocks.items()}


def timed(work: Callable[[], object], seconds: float = BLOCK, calls: int = 1) -> list[float]:
    """One block: seconds of a call, for each of the samples that `seconds` hold, at least one.

    A sample has so many `calls`. Before them are calls that are not timed, at least one.
    """
    end = time.perf_counter() + UNTIMED * seconds
    work()
    while time.perf_counter() < end:
        work()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        samples.append((time.perf_counter() - start) / calls)
    return samples


def _calls_in_a_sample(work: Callable[[], object]) -> int:
    work()
    start = time.perf_counter()
    work()
    return max(1, round(SAMPLE / max(time.perf_counter() - start, 1e-7)))
