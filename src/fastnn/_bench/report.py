"""What was measured, for a person (a table as it grows, Markdown) and for a program (JSON)."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import _runtime
from fastnn._bench.cases import BenchCase
from fastnn._bench.timing import Times
from fastnn._json import to_json
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

    def peers(self) -> list[str]:
        """Those who took part."""
        return [name for name in self.times if name != OURS]

    def fastest_peer(self) -> str | None:
        """Whom one would pick instead: the reference never."""
        others = [name for name in self.peers() if name != "reference"]
        return min(others, key=self.ratio, default=None)


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
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown CPU"


def versions(about: dict[str, Any]) -> str:
    tiers = ", ".join(about["isa_available"])
    return (
        f"fastnn {about['fastnn']}, ISA {about['isa']} (of {tiers}); {about['cpu']}, {about['cores']} cores; "
        f"{about['system']}, Python {about['python']}, NumPy {about['numpy']}"
    )


def header(about: dict[str, Any], titles: list[str]) -> list[str]:
    return [
        versions(about),
        f"float32; against {', '.join(titles) or 'nobody'}, taking turns in one run, all on the same number of threads",
        "ms: the best of all rounds; ratio: the peer's time divided by fastnn's (above 1 fastnn is faster)",
    ]


def columns(peers: list[str]) -> str:
    return f"{'case':34} {'fastnn ms':>10} {'':>13}" + "".join(f" {peer + ' ms':>14} {'ratio':>7}" for peer in peers)


def row(result: Result, peers: list[str]) -> str:
    ours = result.times[OURS].best
    cells = f"{result.case!s:34} {milliseconds(ours):>10} {result.case.rate(ours):>13}"
    return (cells + "".join(f" {time:>14} {ratio:>7}" for time, ratio in _theirs(result, peers))).rstrip()


def _theirs(result: Result, peers: list[str]) -> list[tuple[str, str]]:
    """The time and the ratio of each peer, empty for one who did not take part."""
    ran = result.peers()
    return [(milliseconds(result.times[p].best), times(result.ratio(p))) if p in ran else ("", "") for p in peers]


def milliseconds(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:.4f}" if ms < 0.1 else f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def means(results: Iterable[Result], peers: list[str]) -> Iterator[tuple[str, int, list[float | None]]]:
    """(group, number of cases, geometric mean of the ratios to each peer who ran them all); last, of all."""
    results = list(results)
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case.group, []).append(result)
    groups["all"] = results
    for name, members in groups.items():
        ran_all = set.intersection(*(set(r.peers()) for r in members))
        yield (
            name,
            len(members),
            [geometric_mean([r.ratio(p) for r in members]) if p in ran_all else None for p in peers],
        )


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


@dataclass(frozen=True)
class AgainstFastest:
    """Inference against the fastest peer of each case: the mean ratio, and the least with its case and peer."""

    count: int
    geometric_mean: float
    least: float
    case: str
    peer: str

    def __str__(self) -> str:
        return (
            f"inference against the fastest peer ({self.count}): {times(self.geometric_mean)}, "
            f"least {times(self.least)} ({self.case}, {self.peer})"
        )


def against_fastest(results: Iterable[Result]) -> AgainstFastest | None:
    """None without peers, or without cases of inference."""
    ratios = [
        (r.ratio(peer), r.case.name, peer)
        for r in results
        if r.case.family == "inference" and (peer := r.fastest_peer()) is not None
    ]
    if not ratios:
        return None
    return AgainstFastest(len(ratios), geometric_mean([ratio for ratio, _, _ in ratios]), *min(ratios))


def mean_rows(results: list[Result], peers: list[str]) -> list[str]:
    rows = [
        f"{f'{name} ({count})':34} {'':>24}" + "".join(f" {'':>14} {times(mean):>7}" for mean in ratios)
        for name, count, ratios in means(results, peers)
    ]
    fastest = against_fastest(results)
    return [line.rstrip() for line in rows] + ([str(fastest)] if fastest else [])


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
            "ratio": {peer: r.ratio(peer) for peer in r.peers()},
            "paired_ratio": {peer: r.paired_ratio(peer) for peer in r.peers()},
        }
        for r in results
    ]
    geometric = {
        str(n): {name: dict(zip(titles, ratios, strict=True)) for name, _, ratios in means(group, list(titles))}
        for n, group in by_threads(results).items()
    }
    fastest = {
        str(n): asdict(summary) for n, group in by_threads(results).items() if (summary := against_fastest(group))
    }
    document = {
        "machine": about,
        "peers": titles,
        "results": rows,
        "geometric_means": geometric,
        "inference_against_fastest": fastest,
    }
    return to_json(document, indent=1) + "\n"


def as_markdown(about: dict[str, Any], titles: dict[str, str], results: list[Result]) -> str:
    peers = list(titles)
    lines = [line + "  " for line in header(about, list(titles.values()))]
    for n, group in by_threads(results).items():
        lines += ["", f"### {threads_title(n)}", ""]
        lines += [_markdown_row("case", "fastnn ms", "", *(c for peer in peers for c in (f"{peer} ms", "ratio")))]
        lines += ["|---|--:|--:|" + "--:|--:|" * len(peers)]
        for r in group:
            ours = r.times[OURS].best
            theirs = (c for time, ratio in _theirs(r, peers) for c in (time, _bold(ratio)))
            lines.append(_markdown_row(str(r.case), milliseconds(ours), r.case.rate(ours), *theirs))
        for name, count, ratios in means(group, peers):
            cells = (c for ratio in ratios for c in ("", _bold(times(ratio))))
            lines.append(_markdown_row(f"*geometric mean, {name} ({count})*", "", "", *cells))
        if fastest := against_fastest(group):
            lines += ["", f"{fastest}."]
    return "\n".join(lines) + "\n"


def _bold(text: str) -> str:
    return f"**{text}**" if text else ""


def _markdown_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def threads_title(n: int) -> str:
    return f"{n} thread" if n == 1 else f"{n} threads"
