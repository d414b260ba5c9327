"""Loss and metric over the iterations, of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastnn.plots._arguments import positive
from fastnn.plots.figure import COLORS, MARKERS, PUBLISHED, TEST, TRAIN, add_title, in_legend, new_figure, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 2000  # of a curve at most: more are not seen, and take long to draw
_TICKS = 6  # at most: numbers of five digits stay apart
_MARKS = 20  # of a curve at most


class Recorded(Protocol):
    """The numbers of a run that are drawn; a `fastnn.training.History` has them all, and says what they are."""

    @property
    def metric_name(self) -> str | None: ...

    loss: list[float]
    eval_iteration: list[int]
    eval_loss: list[float]

    @property
    def measured(self) -> list[float]: ...

    @property
    def eval_measured(self) -> list[float]: ...


@picture
def learning_curves(
    history: Recorded | Mapping[str, Recorded],
    *,
    title: str = "",
    published: Mapping[Any, Any] | None = None,
    steps_per_epoch: int | None = None,
    metric: str | None = None,
    held_out: str = "validation",
    stacked: bool = False,
) -> Figure:
    """Loss and metric over the iterations: minibatches, their running mean, and the evaluations.

    Of several runs, each in a colour of its own, the running means are solid and the evaluations dashed. Without
    a metric (of an autoencoder, say) there is the loss alone.

    Parameters
    ----------
    history : the `History` of a `Trainer`; or several, by the names of the runs
    title : above the picture
    published : iteration (or epoch, with `steps_per_epoch`) to the metric, drawn as crosses beside ours; of several
        runs, by their names
    steps_per_epoch : count in epochs of so many iterations instead of iterations
    metric : what the metric is called in the picture, as "PSNR, dB"; by default by its name. An accuracy has a scale of
        0..1
    held_out : what the data of the evaluations are called, as "test"
    stacked : the metric below the loss, for narrow screens, instead of beside it

    Examples
    --------
    >>> from fastnn.training import History
    >>> history = History(loss=[0.7, 0.6, 0.4], lr=[0.1] * 3, accuracy=[0.5, 0.6, 0.8])
    >>> figure = plots.learning_curves(history)
    >>> plots.save(figure, "curves.png")
    """
    runs = dict(history) if isinstance(history, Mapping) else {"": history}
    given = dict(published or {}) if isinstance(history, Mapping) else {"": published or {}}
    crosses = _crosses(given, runs)
    panels = panels_of(runs, crosses)
    rows, columns = (panels, 1) if stacked else (1, panels)
    figure = new_figure(4.4 * columns + (0.8 if columns == 1 else 0), 3.5 * rows + 0.3 * ("" not in runs))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    draw_runs(axes, runs, crosses, steps_per_epoch, metric, held_out)
    if "" in runs:
        for each in axes:
            if each.get_legend_handles_labels()[0]:
                each.legend(loc="best")
    else:
        name_runs(figure, axes, held_out)
    add_title(figure, title)
    return figure


def panels_of(runs: Mapping[str, Recorded], published: Mapping[str, Mapping[float, float]]) -> int:
    """How many axes `draw_runs` fills: one for the loss, and one for the metric if there is any."""
    return 1 + (any(published.values()) or any(run.measured or run.eval_measured for run in runs.values()))


def draw_runs(
    axes: Any,
    runs: Mapping[str, Recorded],
    published: Mapping[str, Mapping[float, float]],
    steps_per_epoch: int | None,
    metric: str | None = None,
    held_out: str = "validation",
) -> None:
    """Draw the loss of all runs into the first axes and, if there are two, their metric into the second.

    A single run is called "".
    """
    per_unit = 1 if steps_per_epoch is None else positive("steps_per_epoch", steps_per_epoch)
    losses = [value for run in runs.values() for value in (*run.loss, *run.eval_loss)]
    if min(losses, default=0.0) < 0:  # as the likelihood of a density may be
        axes[0].set(ylabel="loss")
    else:
        axes[0].set(ylabel="loss (log scale)", yscale="log")
    if len(axes) > 1:
        names = list(dict.fromkeys(run.metric_name for run in runs.values() if run.metric_name)) or ["accuracy"]
        label = metric or " / ".join(names)
        axes[1].set_ylabel(label)
        values = [value for run in runs.values() for value in (*run.measured, *run.eval_measured)]
        if label.endswith("accuracy") and not max(values, default=0.0) > 1:
            axes[1].set_ylim(0, 1.03)
    for place, (name, run) in enumerate(runs.items()):
        style = _style(name, place, len(runs), held_out)
        _draw(axes[0], run.loss, run.eval_iteration, run.eval_loss, style, per_unit)
        if len(axes) > 1:
            _draw(axes[1], run.measured, run.eval_iteration, run.eval_measured, style, per_unit)
            _draw_published(axes[1], published.get(name, {}), style)
            if style.single and run.eval_measured:
                _name_last(axes[1], run.eval_iteration[-1] / per_unit, run.eval_measured[-1])
    for each in axes:
        each.set_xlabel("iteration" if steps_per_epoch is None else "epoch")
        each.locator_params(axis="x", nbins=_TICKS)
        each.grid(visible=True)


def name_runs(figure: Any, axes: Any, held_out: str = "validation") -> None:
    """Below the picture, once: the runs' names, and what solid lines, dashed ones and crosses are."""
    from matplotlib.lines import Line2D

    named: dict[str, Any] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    lines = [line for each in axes for line in each.lines]
    dashed = [line for line in lines if line.get_linestyle() == "--"]
    if dashed and len(dashed) < len(lines):
        named["training"] = Line2D([], [], color="0.4", lw=1.8)
        named[held_out] = Line2D([], [], color="0.4", lw=1.2, ls="--", marker="o", ms=5)
    if any(line.get_marker() == "x" for line in lines):
        named["published"] = Line2D([], [], color="0.4", ls="", marker="x", ms=8, mew=2)
    room = figure.bbox.width / figure.dpi * 11  # letters of this size in a line
    columns = int(max(1, min(len(named), room // (max(map(len, named), default=0) + 6))))
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns, fontsize=10)


@dataclass(frozen=True)
class _Style:
    """How a run is drawn: in one colour, with its name; the two curves of a single run are told apart instead."""

    single: bool
    train: Any
    test: Any
    published: Any
    marker: str
    train_label: str
    test_label: str


def _style(name: str, place: int, runs: int, held_out: str) -> _Style:
    if not name:
        return _Style(True, TRAIN, TEST, PUBLISHED, "o", "training", held_out)
    color: Any = COLORS[place % len(COLORS)]
    if runs > len(COLORS):  # as a sweep has: shades of one scale, so that neighbours on a grid look alike
        from matplotlib import colormaps

        color = colormaps["viridis"](place / (runs - 1) * 0.92)
    label = in_legend(name)
    return _Style(False, color, color, color, MARKERS[place % len(MARKERS)], label, label)


def _draw(
    axes: Any, steps: list[float], eval_iteration: list[int], evaluations: list[float], style: _Style, per_unit: int
) -> None:
    """One measure of one run: each step's value thin and pale (of a single run), their mean, and the evaluations."""
    values = np.asarray(steps, float)
    if len(values):
        x = np.arange(1, len(values) + 1) / per_unit
        if style.single:
            every = -(-len(values) // _POINTS)
            axes.plot(x[::every], values[::every], color=style.train, alpha=0.25, lw=0.6)
        # A minibatch is a noisy measure: the mean over 2 % of the steps, drawn at their middle, shows the course.
        width = max(1, len(values) // 50)
        # NaN and infinity, as of a metric that some minibatches have none of, are left out of it.
        known = np.isfinite(values)
        sums, counts = (np.concatenate([[0.0], np.cumsum(each)]) for each in (np.where(known, values, 0.0), known))
        counted = counts[width:] - counts[:-width]
        mean = np.divide(sums[width:] - sums[:-width], counted, out=np.full(len(counted), np.nan), where=counted > 0)
        middle = x[width - 1 :] - (width - 1) / 2 / per_unit
        every = -(-len(mean) // _POINTS)
        axes.plot(middle[::every], mean[::every], color=style.train, lw=1.8, label=style.train_label)
    if evaluations:
        axes.plot(
            np.asarray(eval_iteration) / per_unit,
            evaluations,
            "--" + style.marker,
            color=style.test,
            ms=5,
            lw=1.2,
            label=style.test_label,
            zorder=3,
            markevery=-(-len(evaluations) // _MARKS),
        )


def _draw_published(axes: Any, published: Mapping[float, float], style: _Style) -> None:
    if published:
        label = "published" if style.single else style.train_label
        at, values = list(published), list(published.values())
        axes.plot(at, values, "x", color=style.published, ms=8, mew=2, label=label, zorder=4)


def _name_last(axes: Any, x: float, value: float) -> None:
    if not np.isfinite(value):
        return
    place: dict[str, Any] = {"xytext": (0, -10), "textcoords": "offset points", "ha": "right", "va": "top"}
    axes.annotate(f"{value:.3f}", (x, value), color=TEST, weight="bold", **place)


def _crosses(
    published: Mapping[str, Mapping[float, float]], runs: Mapping[str, Recorded]
) -> Mapping[str, Mapping[float, float]]:
    if not runs:
        raise ValueError("history: got no runs, expected at least one")
    for name in published:
        if name not in runs:
            raise ValueError(f"published: got {name!r}, expected one of the runs, {', '.join(map(repr, runs))}")
    return published
