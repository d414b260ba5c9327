"""What was measured, for a person (a table as it grows, Markdown) and for a program (JSON)."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
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
BUSY = 0.1  # a larger spread than this says more about the machine than about the contestants


@dataclass(frozen=True)
class Result:
    case: BenchCase
    threads: int
    times: dict[str, Times]

    def ratio(self, peer: str) -> float:
        """How many times as long the peer takes: the median of each."""
        return self.times[peer].median / self.times[OURS].median

    @property
    def spread(self) -> float:
        """The largest spread of a contestant's blocks."""
        return max(times.spread for times in self.times.values())

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
        "ms: the median of all blocks; ratio: the peer's time divided by fastnn's (above 1 fastnn is faster)",
    ]


def columns(peers: list[str]) -> str:
    return f"{'case':34} {'shape':26} {'fastnn ms':>10} {'':>13}" + "".join(
        f" {peer + ' ms':>{_width(peer)}} {'ratio':>7}" for peer in peers
    )


def row(result: Result, peers: list[str]) -> str:
    case, ours = result.case, result.times[OURS].median
    cells = f"{case!s:34} {case.shape:26} {milliseconds(ours):>10} {case.rate(ours):>13}"
    theirs = zip(peers, _theirs(result, peers), strict=True)
    cells += "".join(f" {time:>{_width(peer)}} {ratio:>7}" for peer, (time, ratio) in theirs)
    return (cells + (f"  spread {result.spread:.0%}" if result.spread > BUSY else "")).rstrip()


def _width(peer: str) -> int:
    return max(10, len(peer) + 3)


def busy_warning(spreads: Sequence[float]) -> str:
    """What to think of the figures of cases with these spreads; empty where blocks differ little."""
    shaky = sum(spread > BUSY for spread in spreads)
    if not shaky:
        return ""
    return (
        f"the machine was busy: blocks differ by more than {BUSY:.0%} in {shaky} of {len(spreads)} cases; "
        "take no ratio from them"
    )


def _theirs(result: Result, peers: list[str]) -> list[tuple[str, str]]:
    """The time and the ratio of each peer, empty for one who did not take part."""
    ran = result.peers()
    return [(milliseconds(result.times[p].median), times(result.ratio(p))) if p in ran else ("", "") for p in peers]


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
    """A group of cases, each against its fastest peer: the mean ratio, and the least with its case and peer."""

    count: int
    geometric_mean: float
    least: float
    case: str
    peer: str

    def __str__(self) -> str:
        return (
            f"against the fastest peer ({self.count}): {times(self.geometric_mean)}, "
            f"least {times(self.least)} ({self.case}, {self.peer})"
        )


def against_fastest(results: Iterable[Result]) -> dict[str, AgainstFastest]:
    """By the groups in which a case has several peers, the reference not counted."""
    groups: dict[str, list[tuple[float, str, str]]] = {}
    several = set()
    for r in results:
        if (peer := r.fastest_peer()) is not None:
            groups.setdefault(r.case.group, []).append((r.ratio(peer), r.case.name, peer))
            several |= {r.case.group} if len(set(r.peers()) - {"reference"}) > 1 else set()
    return {
        group: AgainstFastest(len(ratios), geometric_mean([ratio for ratio, _, _ in ratios]), *min(ratios))
        for group, ratios in groups.items()
        if group in several
    }


def mean_rows(results: list[Result], peers: list[str]) -> list[str]:
    rows = [
        f"{f'{name} ({count})':34} {'':>51}"
        + "".join(f" {'':>{_width(p)}} {times(mean):>7}" for p, mean in zip(peers, ratios, strict=True))
        for name, count, ratios in means(results, peers)
    ]
    fastest = [f"{group} {summary}" for group, summary in against_fastest(results).items()]
    return [line.rstrip() for line in rows] + fastest


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
            "shape": r.case.shape,
            "threads": r.threads,
            "flop": r.case.flop,
            "bytes": r.case.moved,
            "seconds": {
                who: {"best": t.best, "median": t.median, "spread": t.spread, "blocks": len(t.blocks)}
                for who, t in r.times.items()
            },
            "ratio": {peer: r.ratio(peer) for peer in r.peers()},
        }
        for r in results
    ]
    geometric = {
        str(n): {name: dict(zip(titles, ratios, strict=True)) for name, _, ratios in means(group, list(titles))}
        for n, group in by_threads(results).items()
    }
    fastest = {
        str(n): {name: asdict(summary) for name, summary in against_fastest(group).items()}
        for n, group in by_threads(results).items()
    }
    document = {
        "machine": about,
        "peers": titles,
        "results": rows,
        "geometric_means": geometric,
        "against_fastest": fastest,
    }
    return to_json(document, indent=1) + "\n"


def as_markdown(about: dict[str, Any], titles: dict[str, str], results: list[Result]) -> str:
    peers = list(titles)
    lines = [line + "  " for line in header(about, list(titles.values()))]
    for n, group in by_threads(results).items():
        lines += ["", f"### {threads_title(n)}", ""]
        lines += [
            _markdown_row("case", "shape", "fastnn ms", "", *(c for peer in peers for c in (f"{peer} ms", "ratio")))
        ]
        lines += ["|---|---|--:|--:|" + "--:|--:|" * len(peers)]
        for r in group:
            ours = r.times[OURS].median
            theirs = (cell for time, ratio in _theirs(r, peers) for cell in (time, _bold(ratio)))
            lines.append(_markdown_row(str(r.case), r.case.shape, milliseconds(ours), r.case.rate(ours), *theirs))
        for name, count, ratios in means(group, peers):
            cells = (c for ratio in ratios for c in ("", _bold(times(ratio))))
            lines.append(_markdown_row(f"*geometric mean, {name} ({count})*", "", "", "", *cells))
        fastest = [f"{name} {summary}." for name, summary in against_fastest(group).items()]
        for line in (*fastest, busy_warning([r.spread for r in group])):
            lines += ["", line] if line else []
    return "\n".join(lines) + "\n"


def _bold(text: str) -> str:
    return f"**{text}**" if text else ""


def _markdown_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def threads_title(n: int) -> str:
    return f"{n} thread" if n == 1 else f"{n} threads"
