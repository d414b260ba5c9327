"""``fastnn bench --busy``: what a training step takes while other processes want the cores too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean, median
from typing import Any

from fastnn._bench.cases import BenchCase, draw
from fastnn._bench.contestants import Contestant, all_on
from fastnn._bench.table import Table
from fastnn._bench.timing import timed

ROUNDS = 3  # idle and busy by turns
# It ends with the process that has started it.
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"


def tables(contestants: Sequence[Contestant], cases: Sequence[BenchCase], threads: int, seconds: float) -> list[Table]:
    """One table: a training step on so many threads, idle and busy."""
    return [
        Table(
            f"A training step on {threads} threads, on a busy machine",
            "median ms, alone (idle) and while other processes leave it one core too few (busy); "
            "ratio: busy / idle, of medians and of means",
            _rows(contestants, cases, threads, seconds),
        )
    ]


def processes_for(threads: int) -> int:
    """How many other processes leave so many threads one core too few."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - threads + 1)


def _rows(
    contestants: Sequence[Contestant], cases: Sequence[BenchCase], threads: int, seconds: float
) -> Iterator[dict[str, Any]]:
    with all_on(list(contestants), threads), Neighbours(processes_for(threads)) as neighbours:
        for case in cases:
            arrays = draw(case)
            row: dict[str, Any] = {"case": case.name}
            for who in contestants:
                work = who.prepare(case, arrays)
                idle: list[float] = []
                busy: list[float] = []
                for _ in range(ROUNDS):
                    idle += timed(work, seconds / ROUNDS)
                    with neighbours.awake():
                        busy += timed(work, seconds / ROUNDS)
                row |= {
                    f"{who.name} idle": median(idle) * 1e3,
                    f"{who.name} busy": median(busy) * 1e3,
                    f"{who.name} ratio": median(busy) / median(idle),
                    f"{who.name} of means": mean(busy) / mean(idle),
                }
            yield row


class Neighbours:
    """Processes that keep a core busy each while they are awake."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> Neighbours:
        self.processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(self.count)]
        self._tell(signal.SIGSTOP)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    @contextmanager
    def awake(self) -> Iterator[None]:
        self._tell(signal.SIGCONT)
        try:
            yield
        finally:
            self._tell(signal.SIGSTOP)

    def _tell(self, what: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(what)
