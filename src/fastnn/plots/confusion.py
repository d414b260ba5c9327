"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastnn.plots._arguments import names_of, numbers
from fastnn.plots.figure import RIGHT, WRONG, add_title, new_figure, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBERS_UP_TO = 40  # classes; more would not be legible


@picture
def confusion_matrix(matrix: np.ndarray, *, class_names: Sequence[str] | None = None, title: str = "") -> Figure:
    """A confusion matrix: what is right in blue, what is wrong in orange, each on a scale of its own.

    One scale for all would leave the few errors of a good network invisible beside its diagonal.

    Parameters
    ----------
    matrix : (K, K) counts, rows true, columns predicted, from `fastnn.training.confusion_matrix`
    class_names : K names; by default the classes' numbers
    title : above the picture

    Examples
    --------
    >>> figure = plots.confusion_matrix(np.array([[5, 1], [0, 4]]), class_names=["cat", "dog"])
    """
    matrix = numbers("matrix", matrix, 2, "(K, K) counts")
    classes = len(matrix)
    if matrix.shape != (classes, classes) or classes == 0:
        raise ValueError(f"matrix: got shape {matrix.shape}, expected (K, K) counts")
    if not np.isfinite(matrix).all() or matrix.min() < 0:
        raise ValueError(f"matrix: got {matrix.min()} to {matrix.max()}, expected counts of at least 0 each")
    names = names_of(class_names, classes)
    right = np.eye(classes, dtype=bool)
    support = matrix.sum(axis=1, keepdims=True)
    wrong = np.where(right, 0, matrix)

    size = min(max(5.0, 1.8 + 0.42 * classes), 13.0)
    figure = new_figure(size, size)
    axes = figure.subplots()
    # The colours' upper ends are left out so that black numbers stay legible everywhere.
    axes.imshow(np.ma.masked_where(~right, matrix / np.maximum(support, 1)), cmap=RIGHT, vmin=0, vmax=2)
    axes.imshow(np.ma.masked_where(right | (wrong == 0), wrong), cmap=WRONG, vmin=0, vmax=1.6 * max(wrong.max(), 4))
    if classes <= _NUMBERS_UP_TO:
        fontsize = 10.0 if classes <= 15 else 7.5
        for i, j in np.argwhere(matrix > 0):
            weight = "normal" if i == j else "bold"
            axes.text(j, i, f"{matrix[i, j]:.12g}", ha="center", va="center", fontsize=fontsize, weight=weight)
        upright = max(map(len, names)) <= 3
        fontsize += 1.5
        axes.set_xticks(range(classes), names, fontsize=fontsize, rotation=0 if upright else 90)
        axes.set_yticks(range(classes), names, fontsize=fontsize)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.88", alpha=1, lw=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    add_title(figure, title)
    return figure
