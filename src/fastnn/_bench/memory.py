"""``fastnn bench --memory``: how much of it a training run takes, each in a process of its own."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastnn._bench.cases import CASES, BenchCase, draw
from fastnn._bench.contestants import PEERS, Contestant, fastnn_kernels
from fastnn._bench.table import Table

STEPS = {"vgg11-b128": 20, "lenet-b64": 1000}  # the largest network for the peak, a quick one for growth
WARM = 10  # steps until all memory that a step needs is there
MIB = 2.0**20


def tables(contestants: Sequence[Contestant], cases: Sequence[BenchCase], threads: int, seconds: float) -> list[Table]:
    """One table: start, peak and growth of the resident memory."""
    return [
        Table(
            "Memory of a training run",
            f"resident MiB on {threads} threads: before the first step, at most, and how much more there is in the end "
            f"than after {WARM} steps",
            _rows([who.name for who in contestants], cases, threads),
        )
    ]


def _rows(names: list[str], cases: Sequence[BenchCase], threads: int) -> Iterator[dict[str, Any]]:
    for case in cases:
        row: dict[str, Any] = {"case": case.name, "steps": STEPS[case.name]}
        for name in names:
            start, peak, growth = (value / MIB for value in in_a_process(name, case, STEPS[case.name], threads))
            row |= {f"{name} start": start, f"{name} peak": peak, f"{name} growth": growth}
        for name in names[1:]:
            row[f"peak / {name}'s"] = row[f"{names[0]} peak"] / row[f"{name} peak"]
        yield row


def in_a_process(name: str, case: BenchCase, steps: int, threads: int) -> tuple[int, int, int]:
    """Bytes at the start, at the peak, and what was added, of so many steps of a contestant in a new process."""
    source = f"from fastnn._bench import memory; memory.run({name!r}, {str(case)!r}, {steps}, {threads})"
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    start, peak, growth = json.loads(process.stdout)
    return start, peak, growth


def run(name: str, case_name: str, steps: int, threads: int) -> None:
    """What that process does: the steps, and a line of figures."""
    (case,) = (case for case in CASES if str(case) == case_name)
    who = fastnn_kernels() if name == "fastnn" else PEERS[name]()
    with who.threads(threads):
        step = who.prepare(case, draw(case))
        start = resident()
        for _ in range(WARM):
            step()
        warm = resident()
        for _ in range(steps):
            step()
    print(json.dumps([start, peak_resident(), resident() - warm]))


def resident() -> int:
    """Bytes of this process in memory now; where the system has no /proc, at most until now."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return peak_resident()
    return pages * mmap.PAGESIZE


def peak_resident() -> int:
    """Bytes of this process in memory at most until now."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        import resource  # not on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux's ru_maxrss begins with what the parent had: useless for a child of a large process.
    (peak,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return peak
