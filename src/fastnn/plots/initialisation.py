"""What a network starts from, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.plots.curves import Recorded, draw_runs, name_runs, panels_of
from fastnn.plots.figure import COLORS, MARKERS, add_title, new_figure, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@picture
def initialisations(
    runs: Mapping[str, Recorded],
    *,
    outputs: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    published: Mapping[str, Mapping[float, float]] | None = None,
    steps_per_epoch: int | None = None,
    title: str = "",
    held_out: str = "validation",
    stacked: bool = False,
) -> Figure:
    """Runs that differ in their initial weights: their curves and, below, what their layers gave before training.

    The lower row shows why: an initialisation whose outputs shrink or grow from layer to layer trains badly. It has
    the standard deviation of each layer's outputs, on a log scale; hollow marks at the lower edge are 0.

    Parameters
    ----------
    runs : the initialisation's name to the history of its run; at most 7
    outputs : initialisation to layer to that layer's output for a batch, before the first step; all of the same layers
    published : initialisation to iteration (or epoch, with `steps_per_epoch`) to the metric, drawn as crosses
    steps_per_epoch : count in epochs of so many iterations instead of iterations
    title : above the picture
    held_out : what the data of the evaluations are called, as "test"
    stacked : one below the other, for narrow screens

    Examples
    --------
    >>> from fastnn.training import History
    >>> runs = {"normal": History(loss=[0.7, 0.6], lr=[0.1] * 2), "zero": History(loss=[0.7, 0.7], lr=[0.1] * 2)}
    >>> figure = plots.initialisations(runs)
    """
    if not 1 <= len(runs) <= len(COLORS):
        raise ValueError(f"runs: got {len(runs)}, expected 1 to {len(COLORS)} initialisations")
    layers = list(next(iter(outputs.values()))) if outputs else []
    for given, values in (("outputs", outputs), ("published", published)):
        for name in values or ():
            if name not in runs:
                raise ValueError(f"{given}: got {name!r}, expected one of the runs, {', '.join(map(repr, runs))}")
    if outputs and any(list(of.values()) == [] or list(of) != layers for of in outputs.values()):
        raise ValueError(f"outputs: got {[list(of) for of in outputs.values()]}, expected the same layers of each")

    curves = (5.2, 6.8) if stacked else (8.8, 3.8)
    figure = new_figure(curves[0], curves[1] + 2.2 * bool(layers))
    heights = [curves[1], 2.2][: 1 + bool(layers)]
    parts: Any = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
    panels = panels_of(runs, published or {})
    axes = parts[0, 0].subplots(*(panels, 1) if stacked else (1, panels), squeeze=False).ravel()
    draw_runs(axes, runs, published or {}, steps_per_epoch)
    name_runs(parts[0, 0], axes, held_out)
    if outputs:
        spreads = {name: [float(np.std(of[layer])) for layer in layers] for name, of in outputs.items()}
        _draw_spreads(parts[1, 0].subplots(), layers, spreads, list(runs))
    add_title(figure, title)
    return figure


def _draw_spreads(axes: Any, layers: list[str], spreads: Mapping[str, list[float]], order: list[str]) -> None:
    positive = [value for values in spreads.values() for value in values if value > 0]
    floor = min(positive, default=1.0) / 3
    for name, values in spreads.items():
        rank = order.index(name)
        style: dict[str, Any] = {"color": COLORS[rank], "marker": MARKERS[rank], "ms": 6}
        axes.plot(range(len(layers)), [value or np.nan for value in values], lw=1.8, **style)
        zeros = [place for place, value in enumerate(values) if value == 0]
        axes.plot(zeros, [floor] * len(zeros), ls="", mfc="white", clip_on=False, **style)
    axes.set(yscale="log", title="before training: standard deviation of the outputs")
    axes.set_xticks(range(len(layers)), [short(layer) for layer in layers])
    axes.set_xlim(-0.3, len(layers) - 0.7)
    axes.grid(visible=True)
