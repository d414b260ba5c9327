"""Times that can be divided by each other: taken in turns, a contestant at a time, in one run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SAMPLE = 2e-3  # seconds; shorter works are repeated within a sample
SETTLE = 30e-3  # seconds of silence before a sample: OpenBLAS threads spin so long after their last work


@dataclass(frozen=True)
class Times:
    """Seconds of one call, one value for each round."""

    rounds: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.rounds)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def in_turns(works: Mapping[str, Callable[[], object]], *, seconds: float, least_rounds: int) -> dict[str, Times]:
    """Time every work once a round, round after round, for about `seconds` and at least `least_rounds` rounds.

    A sample begins with as many calls that are not timed: they bring the caches and the threads back. Every second
    round goes backwards, so that nobody always follows the same neighbour.
    """
    calls = {name: _calls_in_a_sample(work) for name, work in works.items()}
    rounds: dict[str, list[float]] = {name: [] for name in works}
    collecting = gc.isenabled()
    gc.disable()
    try:
        end, done = time.perf_counter() + seconds, 0
        while done < least_rounds or time.perf_counter() < end:
            for name in list(works) if done % 2 == 0 else reversed(list(works)):
                rounds[name].append(_sample(works[name], calls[name]))
            done += 1
    finally:
        if collecting:
            gc.enable()
    return {name: Times(tuple(values)) for name, values in rounds.items()}


def _calls_in_a_sample(work: Callable[[], object]) -> int:
    work()
    start = time.perf_counter()
    work()
    return max(1, round(SAMPLE / max(time.perf_counter() - start, 1e-7)))


def _sample(work: Callable[[], object], calls: int) -> float:
    time.sleep(SETTLE)
    for _ in range(calls):
        work()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls
