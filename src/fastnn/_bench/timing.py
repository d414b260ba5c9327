"""Times that can be divided by each other: taken in turns, a contestant at a time, in one run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SAMPLE = 2e-3  # seconds; shorter works are repeated within a sample
WARM = 1e-2  # seconds of calls before it; after a silence, cores and caches take some 8 ms to reach their usual speed
PATIENCE = 10.0  # seconds; after them a few rounds of slow works must do
FEW = 3
SLICE = 5e-3  # seconds; how often `silence` looks
NOISE = 0.5  # seconds; the longest that it waits


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

    Works so slow that `PATIENCE` ends before have `FEW` rounds. A sample begins with calls that are not timed: they
    bring the cores, the caches and the threads back. Every second round goes backwards, so that nobody always follows
    the same neighbour.
    """
    calls = {name: _calls_in_a_sample(work) for name, work in works.items()}
    rounds: dict[str, list[float]] = {name: [] for name in works}
    collecting = gc.isenabled()
    gc.disable()
    try:
        start, elapsed, done = time.perf_counter(), 0.0, 0
        while elapsed < seconds or done < (least_rounds if elapsed < PATIENCE else FEW):
            for name in list(works) if done % 2 == 0 else reversed(list(works)):
                rounds[name].append(_sample(works[name], calls[name]))
            done += 1
            elapsed = time.perf_counter() - start
    finally:
        if collecting:
            gc.enable()
    return {name: Times(tuple(values)) for name, values in rounds.items()}


def stretch(work: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each of the calls that `seconds` hold, at least of one; a call before them is not timed."""
    work()
    calls: list[float] = []
    end = time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        calls.append(time.perf_counter() - start)
    return calls


def silence() -> None:
    """Wait until no thread of this process works.

    Those of OpenBLAS and ONNX Runtime spin for some 30 ms after their last work, at the cost of whoever comes next.
    """
    end = time.perf_counter() + NOISE
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(SLICE)
        if time.process_time() - before < SLICE / 10:
            return


def _calls_in_a_sample(work: Callable[[], object]) -> int:
    work()
    start = time.perf_counter()
    work()
    return max(1, round(SAMPLE / max(time.perf_counter() - start, 1e-7)))


def _sample(work: Callable[[], object], calls: int) -> float:
    silence()
    end = time.perf_counter() + WARM
    work()
    while time.perf_counter() < end:
        work()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls
