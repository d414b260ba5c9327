"""What a sweep says: a line for each group of cases, and the cases in which fastnn does worst."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastnn._bench import report
from fastnn._bench.sweep.measuring import Measured
from fastnn._json import to_json

ABOUT = (
    "float32, layers of fastnn and modules of PyTorch, backward apart; conv and pool against the faster of PyTorch's "
    "two layouts; training steps with Adam; ms are medians of blocks; ratio: PyTorch's time divided by fastnn's"
)
GOOD = 0.9
WORST = 10


@dataclass(frozen=True)
class Group:
    """All cases of a kind, a direction and a number of threads."""

    kind: str
    direction: str
    threads: int
    count: int
    geometric_mean: float
    share: float  # at or above GOOD
    least: float

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.direction}, {report.threads_title(self.threads)} ({self.count}): "
            f"geometric mean {report.times(self.geometric_mean)}, {self.share:.0%} at or above {GOOD}, "
            f"least {report.times(self.least)}"
        )


def groups(measured: Iterable[Measured]) -> list[Group]:
    """The groups in the order in which they come."""
    ratios: dict[tuple[str, str, int], list[float]] = {}
    for m in measured:
        ratios.setdefault((m.drawn.kind, m.direction, m.threads), []).append(m.ratio)
    return [
        Group(*key, len(of), report.geometric_mean(of), sum(r >= GOOD for r in of) / len(of), min(of))
        for key, of in ratios.items()
    ]


def worst(measured: Iterable[Measured], count: int = WORST) -> list[Measured]:
    """Those with the lowest ratios, the lowest first."""
    return sorted(measured, key=lambda m: m.ratio)[:count]


def line(m: Measured) -> str:
    """One case."""
    ours, theirs = (report.milliseconds(seconds) for seconds in (m.ours, m.theirs))
    shaky = f"  spread {m.spread:.0%}" if m.spread > report.BUSY else ""
    return (
        f"{m.drawn.kind:7} {m.direction:9} {m.threads:2} {ours:>10} {theirs:>10} {report.times(m.ratio):>7}  "
        f"{m.drawn.text}{shaky}"
    )


COLUMNS = f"{'kind':7} {'direction':9} {'T':>2} {'fastnn ms':>10} {'torch ms':>10} {'ratio':>7}  shape"


def summary(measured: Sequence[Measured]) -> str:
    """The groups, the worst cases, and a warning if the machine was busy."""
    lowest = [f"the {min(WORST, len(measured))} lowest", COLUMNS, *map(line, worst(measured))]
    return "\n".join(
        filter(None, [*map(str, groups(measured)), *lowest, report.busy_warning([m.spread for m in measured])])
    )


def as_json(about: dict[str, Any], seed: int, measured: Sequence[Measured]) -> str:
    """Everything."""
    rows = [
        {
            "kind": m.drawn.kind,
            "shape": m.drawn.text,
            "direction": m.direction,
            "threads": m.threads,
            "work": m.drawn.work,
            "seconds": {who: times.median for who, times in m.times.items()},
            "spread": m.spread,
            "ratio": m.ratio,
        }
        for m in measured
    ]
    document = {"machine": about, "seed": seed, "groups": [asdict(group) for group in groups(measured)], "rows": rows}
    return to_json(document, indent=1) + "\n"


def as_markdown(heading: Sequence[str], measured: Sequence[Measured]) -> str:
    """The groups and the worst cases as tables."""
    lines = [f"{text}  " for text in heading]
    lines += ["", "| sweep | threads | cases | geometric mean | at or above 0.9 | least |", "|---|--:|--:|--:|--:|--:|"]
    for g in groups(measured):
        mean, least = report.times(g.geometric_mean), report.times(g.least)
        lines.append(f"| {g.kind} {g.direction} | {g.threads} | {g.count} | **{mean}** | {g.share:.0%} | {least} |")
    lines += ["", "| lowest | direction | threads | fastnn ms | PyTorch ms | ratio |", "|---|---|--:|--:|--:|--:|"]
    for m in worst(measured):
        times = f"{report.milliseconds(m.ours)} | {report.milliseconds(m.theirs)} | **{report.times(m.ratio)}**"
        lines.append(f"| {m.drawn.text} | {m.direction} | {m.threads} | {times} |")
    return "\n".join(lines) + "\n"
