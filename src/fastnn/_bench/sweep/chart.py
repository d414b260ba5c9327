"""The heat map of a sweep."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._bench import report
from fastnn._bench.sweep.measuring import Measured
from fastnn.plots.figure import DIVERGING, add_title, new_figure, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 4  # ratio of the deepest colour; its reciprocal on the other side
CELL = 0.62  # inches


@picture
def heat_map(measured: Sequence[Measured], *, title: str = "", caption: str = "") -> Figure:
    """Ratios by the work of a case: a row for each kind, direction and number of threads, a column for a factor of 10.

    In a cell are the geometric mean of the ratios, and their number. Above 1 (fastnn is faster) cells are blue.

    Parameters
    ----------
    measured : at least one
    title : above the picture
    caption : below it
    """
    cells: dict[tuple[str, int], list[float]] = {}
    for m in measured:
        row = f"{m.drawn.kind} {m.direction}, {report.threads_title(m.threads)}"
        cells.setdefault((row, int(math.log10(max(m.drawn.work, 1)))), []).append(m.ratio)
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = range(min(c for _, c in cells), 1 + max(c for _, c in cells))
    means = np.full((len(rows), len(columns)), np.nan)
    for (row, column), ratios in cells.items():
        means[rows.index(row), column - columns[0]] = report.geometric_mean(ratios)

    figure = new_figure(2.6 + CELL * len(columns), 1.8 + CELL * len(rows))
    axes: Any = figure.subplots()
    axes.imshow(-np.log(means), cmap=DIVERGING, vmin=-math.log(LIMIT), vmax=math.log(LIMIT), aspect="auto")
    for (row, column), ratios in cells.items():
        mean = report.geometric_mean(ratios)
        color = "white" if abs(math.log(mean)) > math.log(LIMIT) * 0.7 else "black"
        place = column - columns[0], rows.index(row)
        axes.text(*place, f"{report.times(mean)}\n({len(ratios)})", ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(len(columns)), [f"1e{column}" for column in columns])
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("at least so many multiply-adds forward;\nelements where nothing is multiplied")
    if caption:
        figure.supxlabel("\n".join(textwrap.wrap(caption, 20 + 9 * len(columns))), fontsize=8)
    add_title(figure, title)
    return figure
