"""``fastnn bench --scaling``: what threads bring, and what an image costs as the batch grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastnn._bench.cases import BenchCase, draw
from fastnn._bench.contestants import Contestant, all_on
from fastnn._bench.table import Table
from fastnn._bench.timing import timed

ROUNDS = 3  # one thread and all by turns
BATCHES = tuple(2**i for i in range(10))


def tables(contestants: Sequence[Contestant], cases: Sequence[BenchCase], threads: int, seconds: float) -> list[Table]:
    """A table for threads, and one for batches, of fastnn alone."""
    return [
        Table(
            f"Training steps on 1 and on {threads} threads",
            "best ms; ratio: on one thread / on all",
            _by_threads(contestants, cases, threads, seconds),
        ),
        Table(
            "Time per image as the batch grows",
            f"fastnn on {threads} threads, best µs of a training step and of a call in eval mode, divided by the batch",
            _by_batch(contestants[0], cases, threads, seconds),
        ),
    ]


def _by_threads(
    contestants: Sequence[Contestant], cases: Sequence[BenchCase], threads: int, seconds: float
) -> Iterator[dict[str, Any]]:
    for case in cases:
        arrays = draw(case)
        row: dict[str, Any] = {"case": case.name}
        for who in contestants:
            work = who.prepare(case, arrays)
            best = dict.fromkeys((1, threads), float("inf"))
            for _ in range(ROUNDS):
                for n in best:
                    with all_on([who], n):
                        best[n] = min(best[n], *timed(work, seconds / ROUNDS / len(best)))
            row |= {f"{who.name} {n}T": s * 1e3 for n, s in best.items()}
            row[f"{who.name} ratio"] = best[1] / best[threads]
        yield row


def _by_batch(who: Contestant, cases: Sequence[BenchCase], threads: int, seconds: float) -> Iterator[dict[str, Any]]:
    networks = {case.name.partition("-")[0]: case.setting for case in cases}
    with all_on([who], threads):
        for family, direction in (("training", "step"), ("inference", "forward")):
            for name, network in networks.items():
                row: dict[str, Any] = {"network": f"{family}/{name}"}
                for n in BATCHES:
                    case = BenchCase(family, f"{name}-b{n}", direction, network.batch(n))
                    work = who.prepare(case, draw(case))
                    row[f"{n}"] = min(timed(work, seconds / 2)) / n * 1e6
                yield row
