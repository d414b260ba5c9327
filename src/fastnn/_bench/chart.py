"""The table of ratios as a picture, narrow and in large letters: it is read on a telephone too."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastnn._bench import report
from fastnn.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FASTER, SLOWER = "Blues", "Oranges"  # colour maps: a shade for each number of threads
WIDTH, ROW, BAR = 5.0, 0.36, 0.8  # inches, inches, part of a row
SMALL, NORMAL = 8, 9.5  # points


@dataclass
class Row:
    """A line of the chart: a case, or the mean of a group of cases; without results a heading."""

    label: str
    members: list[report.Result]


def ratio_chart(about: dict[str, Any], titles: dict[str, str], results: list[report.Result]) -> Figure:
    """Ratios to the fastest peer of each case, one bar for each number of threads.

    Networks have a row for each case; operations one for each group, with a line from the least to the largest ratio.
    """
    rows = _rows(results)
    threads = list(report.by_threads(results))
    figure = new_figure(WIDTH, 1.6 + ROW * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        for rank, n in enumerate(threads):
            members = [r for r in row.members if r.threads == n]
            if members:
                height = BAR / len(threads)
                _bar(axes, place - BAR / 2 + (rank + 0.5) * height, height, _shade(rank, len(threads)), members)
    _frame(axes, rows)
    _legend(axes, threads)
    peers = [title for name, title in titles.items() if name != "reference"] or list(titles.values())
    figure.suptitle(
        "Time of the fastest peer\ndivided by fastnn's" if len(peers) > 1 else f"{peers[0]}:\ntime divided by fastnn's",
        fontsize=12,
        weight="bold",
    )
    caption = (
        f"fastnn {about['fastnn']} ({about['isa']}) against {', '.join(peers)}; float32; {about['cpu']}, "
        f"{about['cores']} cores. Above 1 fastnn is faster. Operations: geometric mean of all shapes, and a line from "
        "the least to the largest."
    )
    figure.supxlabel("\n".join(textwrap.wrap(caption, 66)), fontsize=SMALL)
    return figure


def _rows(results: list[report.Result]) -> list[Row]:
    sections: dict[str, dict[str, list[report.Result]]] = {}
    for r in results:
        network = r.case.setting
        match r.case.family:
            case "training":
                section, label = "training step", f"{network.title}, batch {network.x[0]}"
            case "inference":
                section, label = f"inference, batch {network.x[0]}", network.title
            case _:
                section, label = "operations", r.case.group
        sections.setdefault(section, {}).setdefault(label, []).append(r)
    rows = []
    for section, lines in sections.items():
        rows += [Row(section, []), *(Row(label, members) for label, members in lines.items())]
    return rows


def _shade(rank: int, count: int) -> float:
    return 0.45 + 0.4 * (rank + 1) / count


def _bar(axes: Any, place: float, height: float, shade: float, members: list[report.Result]) -> None:
    """A bar from 1 to the mean ratio of some cases, and a line from the least to the largest."""
    from matplotlib import colormaps

    ratios = [r.ratio(r.fastest_peer() or "reference") for r in members]
    mean = report.geometric_mean(ratios)
    color = colormaps[FASTER if mean >= 1 else SLOWER](shade)
    axes.barh(place, mean - 1, height, left=1, color=color)
    if len(ratios) > 1:
        axes.plot([min(ratios), max(ratios)], [place, place], color="#222222", lw=0.7)
    end = max(*ratios, 1)
    axes.annotate(
        f"{report.times(mean)}",
        (end, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=SMALL,
    )


def _frame(axes: Any, rows: list[Row]) -> None:
    """The scale, and what the rows are."""
    axes.set_xscale("log", base=2)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), high * 1.35)  # room for the figures at the ends of the bars
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.tick_params(axis="x", labelsize=SMALL, top=True, labeltop=True)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=NORMAL)
    for row, label in zip(rows, axes.get_yticklabels(), strict=True):
        if not row.members:
            label.set_weight("bold")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.axvline(1, color="#222222", lw=1.2)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _legend(axes: Any, threads: list[int]) -> None:
    """Which bar is which, beside the first heading, where no bars are."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    keys = [
        Patch(color=colormaps[FASTER](_shade(rank, len(threads))), label=report.threads_title(n))
        for rank, n in enumerate(threads)
    ]
    place: dict[str, Any] = {"loc": "upper right", "ncols": len(keys), "borderaxespad": 0, "columnspacing": 1}
    axes.legend(handles=keys, frameon=False, fontsize=SMALL, **place)
