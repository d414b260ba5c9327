"""Points in the plane, and what a network makes of the plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fastnn.plots._arguments import numbers, same_length
from fastnn.plots.figure import COLORS, MARKERS, PUBLISHED, add_title, new_figure, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 160  # points of the plane along an axis


@picture
def decision_regions(
    points: np.ndarray,
    labels: np.ndarray,
    probability: Callable[[np.ndarray], np.ndarray],
    *,
    title: str = "",
) -> Figure:
    """Points of two classes over the probability that a network gives to class 1 anywhere among them.

    The line is where the probability is 0.5. Points on its wrong side are ringed.

    Parameters
    ----------
    points : (N, 2)
    labels : (N,) of 0 and 1
    probability : takes points of their dtype, float32 if that is of integers, (M, 2), and returns M numbers in 0..1
    title : above the picture

    Examples
    --------
    >>> points = np.array([[0, 0], [1, 1]], np.float32)
    >>> figure = plots.decision_regions(points, np.array([0, 1]), lambda p: (p.sum(axis=1) > 1).astype(float))
    """
    points = numbers("points", points, 2, "(N, 2)")
    labels = numbers("labels", np.asarray(labels).reshape(-1), 1, "(N,) of 0 and 1")
    if points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"points: got shape {points.shape}, expected (N, 2)")
    same_length("labels", labels, len(points), "point")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels: got {np.unique(labels).tolist()}, expected 0 and 1")

    if points.dtype.kind != "f":  # the plane between them has fractions
        points = points.astype(np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.03 * np.maximum(high - low, 1e-6)
    across, up = (np.linspace(a, b, _SIDE) for a, b in zip(low - margin, high + margin, strict=True))
    plane = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(points.dtype)
    share = np.asarray(probability(plane)).reshape(_SIDE, _SIDE)
    wrong = (np.asarray(probability(points)).reshape(-1) >= 0.5) != (labels == 1)

    from matplotlib.colors import LinearSegmentedColormap

    pale = LinearSegmentedColormap.from_list("pale", ["#8fc1e3", "white", "#f7b98a"])
    figure = new_figure(5.6, 4.9)
    axes = figure.subplots()
    shown = axes.pcolormesh(across, up, share, cmap=pale, vmin=0, vmax=1, shading="nearest", rasterized=True)
    if share.min() < 0.5 < share.max():
        axes.contour(across, up, share, levels=[0.5], colors=PUBLISHED, linewidths=1.5)
    for k, color in ((0, COLORS[0]), (1, COLORS[1])):
        of_class = points[labels == k]
        axes.plot(*of_class.T, MARKERS[k], color=color, ms=4, mec="white", mew=0.4, label=f"class {k}")
    if wrong.any():
        axes.plot(
            *points[wrong].T, "o", mfc="none", mec="black", mew=1, ms=8, label=f"wrong: {np.count_nonzero(wrong)}"
        )
    figure.colorbar(shown, ax=axes, label="probability of class 1", aspect=30, ticks=[0, 0.5, 1])
    axes.set(xlabel="x0", ylabel="x1", xlim=across[[0, -1]], ylim=up[[0, -1]])
    figure.legend(loc="outside lower center", ncols=3)
    add_title(figure, title)
    return figure
