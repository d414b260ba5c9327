"""Ratios of times, as bars: narrow and in large letters, for it is read on a telephone too."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn.plots.figure import RIGHT, WRONG, in_legend, new_figure, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FASTER, SLOWER = RIGHT, WRONG  # colour maps: a shade for each series
WIDTH, ROW, BAR = 5.0, 0.36, 0.8  # inches, inches, part of a row
SMALL, NORMAL = 8, 9.5  # points

Bars = Mapping[str, float | Sequence[float]]


@picture
def benchmark_chart(rows: Mapping[str, Mapping[str, Bars]], *, title: str = "", caption: str = "") -> Figure:
    """Ratios of times: how many times longer the other took, a bar for each series, from 1, on a log scale.

    Above 1 bars are blue, below orange. A bar of several ratios ends at their geometric mean and has a line from the
    least to the largest.

    Parameters
    ----------
    rows : section to rows; each row a label and its bars: series to one ratio or several, as
        ``{"training": {"LeNet": {"1 thread": 2.5, "2 threads": [2.4, 2.7]}}}``. A row may lack a series
    title : above the picture
    caption : below the picture; its lines are broken to its width

    Examples
    --------
    >>> figure = plots.benchmark_chart({"training step": {"LeNet": {"1 thread": 2.5, "2 threads": 2.4}}})
    """
    lines: list[tuple[str, Bars]] = []
    for section, members in rows.items():
        if section:
            lines.append((section, {}))
        lines += members.items()
    series = list(dict.fromkeys(name for _, bars in lines for name in bars))
    if not series:
        raise ValueError("rows: got no ratios, expected at least one")
    figure = new_figure(WIDTH, 1.6 + ROW * len(lines))
    axes = figure.subplots()
    height = BAR / len(series)
    for place, (label, bars) in enumerate(lines):
        for rank, name in enumerate(series):
            if name in bars:
                ratios = _ratios(label, name, bars[name])
                _bar(axes, place - BAR / 2 + (rank + 0.5) * height, height, _shade(rank, len(series)), ratios)
    _frame(axes, lines)
    if len(series) > 1 or series != [""]:
        _legend(axes, series)
    if title:
        figure.suptitle(title, fontsize=12)
    if caption:
        figure.supxlabel("\n".join(textwrap.wrap(caption, 66)), fontsize=SMALL)
    return figure


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def _ratios(label: str, name: str, values: float | Sequence[float]) -> list[float]:
    ratios = [float(values)] if isinstance(values, int | float) else [float(value) for value in values]
    if not ratios or not all(0 < ratio < math.inf for ratio in ratios):
        raise ValueError(f"rows: got {values!r} for {name!r} of {label!r}, expected ratios above 0")
    return ratios


def _shade(rank: int, count: int) -> float:
    return 0.45 + 0.4 * (rank + 1) / count


def _bar(axes: Any, place: float, height: float, shade: float, ratios: list[float]) -> None:
    """A bar from 1 to the mean of some ratios, and a line from the least to the largest."""
    from matplotlib import colormaps

    mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
    color = colormaps[FASTER if mean >= 1 else SLOWER](shade)
    axes.barh(place, mean - 1, height, left=1, color=color)
    if len(ratios) > 1:
        axes.plot([min(ratios), max(ratios)], [place, place], color="#222222", lw=0.7)
    axes.annotate(
        _times(mean),
        (max(*ratios, 1), place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=SMALL,
    )


def _frame(axes: Any, lines: list[tuple[str, Bars]]) -> None:
    """The scale, and what the rows are."""
    axes.set_xscale("log", base=2)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), high * 1.35)  # room for the figures at the ends of the bars
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.tick_params(axis="x", labelsize=SMALL, top=True, labeltop=True)
    axes.set_yticks(range(len(lines)), [short(label) for label, _ in lines], fontsize=NORMAL)
    for (_, bars), label in zip(lines, axes.get_yticklabels(), strict=True):
        if not bars:
            label.set_weight("bold")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.axvline(1, color="#222222", lw=1.2)
    axes.grid(visible=True, axis="x")
    axes.spines[:].set_visible(False)


def _legend(axes: Any, series: list[str]) -> None:
    """Which bar is which, beside the first heading, where no bars are."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    keys = [
        Patch(color=colormaps[FASTER](_shade(rank, len(series))), label=in_legend(name))
        for rank, name in enumerate(series)
    ]
    place: dict[str, Any] = {"loc": "upper right", "ncols": len(keys), "borderaxespad": 0, "columnspacing": 1}
    axes.legend(handles=keys, fontsize=SMALL, **place)
