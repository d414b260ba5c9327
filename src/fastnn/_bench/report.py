"""What was measured, for a person (a table as it grows, Markdown) and for a program (JSON)."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import _runtime
from fastnn._bench.cases import BenchCase
from fastnn._bench.timing import Times
from fastnn._version import __version__

OURS = "fastnn"


@dataclass(frozen=True)
class Result:
    case: BenchCase
    threads: int
    times: dict[str, Times]

    def ratio(self, peer: str) -> float:
        """How many times as long the peer takes: the best of each."""
        return self.times[peer].best / self.times[OURS].best

    def paired_ratio(self, peer: str) -> float:
        """The same, as the median over the rounds, in which both ran one after the other."""
        pairs = zip(self.times[peer].rounds, self.times[OURS].rounds, strict=True)
        return float(np.median([theirs / ours for theirs, ours in pairs]))


def machine() -> dict[str, Any]:
    """Where the figures are from."""
    return {
        "fastnn": __version__,
        "isa": _runtime.isa(),
        "isa_available": list(_runtime.isa_available()),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown CPU"


def header(about: dict[str, Any], titles: list[str]) -> list[str]:
    tiers = ", ".join(about["isa_available"])
    return [
        f"fastnn {about['fastnn']}, ISA {about['isa']} (of {tiers}); {about['cpu']}, {about['cores']} cores; "
        f"{about['system']}, Python {about['python']}, NumPy {about['numpy']}",
        f"float32; against {', '.join(titles) or 'nobody'}, taking turns in one run, all on the same number of threads",
        "ms: the best of all rounds; ratio: the peer's time divided by fastnn's (above 1 fastnn is faster)",
    ]


def columns(peers: list[str]) -> str:
    return f"{'case':34} {'fastnn ms':>10} {'':>13}" + "".join(f" {peer + ' ms':>13} {'ratio':>7}" for peer in peers)


def row(result: Result, peers: list[str]) -> str:
    ours = result.times[OURS].best
    cells = f"{result.case!s:34} {milliseconds(ours):>10} {result.case.rate(ours):>13}"
    return cells + "".join(
        f" {milliseconds(result.times[peer].best):>13} {times(result.ratio(peer)):>7}" for peer in peers
    )


def milliseconds(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:.4f}" if ms < 0.1 else f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def means(results: Iterable[Result], peers: list[str]) -> Iterator[tuple[str, int, list[float]]]:
    """(group, number of cases, geometric mean of the ratios to each peer); last, of all."""
    results = list(results)
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case.group, []).append(result)
    groups["all"] = results
    for name, members in groups.items():
        yield name, len(members), [geometric_mean([r.ratio(peer) for r in members]) for peer in peers]


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def mean_rows(results: Iterable[Result], peers: list[str]) -> list[str]:
    return [
        f"{f'{name} ({count})':34} {'':>24}" + "".join(f" {'':>13} {times(mean):>7}" for mean in ratios)
        for name, count, ratios in means(results, peers)
    ]


def by_threads(results: list[Result]) -> dict[int, list[Result]]:
    groups: dict[int, list[Result]] = {}
    for result in results:
        groups.setdefault(result.threads, []).append(result)
    return groups


def as_json(about: dict[str, Any], titles: dict[str, str], results: list[Result]) -> str:
    rows = [
        {
            "case": str(r.case),
            "family": r.case.family,
            "name": r.case.name,
            "direction": r.case.direction,
            "threads": r.threads,
            "flop": r.case.flop,
            "bytes": r.case.moved,
            "seconds": {
                who: {"best": t.best, "median": t.median, "rounds": len(t.rounds)} for who, t in r.times.items()
            },
            "ratio": {peer: r.ratio(peer) for peer in titles},
            "paired_ratio": {peer: r.paired_ratio(peer) for peer in titles},
        }
        for r in results
    ]
    geometric = {
        str(n): {name: dict(zip(titles, ratios, strict=True)) for name, _, ratios in means(group, list(titles))}
        for n, group in by_threads(results).items()
    }
    document = {"machine": about, "peers": titles, "results": rows, "geometric_means": geometric}
    return json.dumps(document, indent=1) + "\n"


def as_markdown(about: dict[str, Any], titles: dict[str, str], results: list[Result]) -> str:
    peers = list(titles)
    lines = [line + "  " for line in header(about, list(titles.values()))]
    for n, group in by_threads(results).items():
        lines += ["", f"### {threads_title(n)}", ""]
        lines += [_markdown_row("case", "fastnn ms", "", *(c for peer in peers for c in (f"{peer} ms", "ratio")))]
        lines += ["|---|--:|--:|" + "--:|--:|" * len(peers)]
        for r in group:
            ours = r.times[OURS].best
            theirs = (c for p in peers for c in (milliseconds(r.times[p].best), f"**{times(r.ratio(p))}**"))
            lines.append(_markdown_row(str(r.case), milliseconds(ours), r.case.rate(ours), *theirs))
        for name, count, ratios in means(group, peers):
            cells = (c for ratio in ratios for c in ("", f"**{times(ratio)}**"))
            lines.append(_markdown_row(f"*geometric mean, {name} ({count})*", "", "", *cells))
    return "\n".join(lines) + "\n"


def _markdown_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def threads_title(n: int) -> str:
    return f"{n} thread" if n == 1 else f"{n} threads"
