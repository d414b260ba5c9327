"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastnn.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBERS_UP_TO = 40  # classes; more would not be legible


def confusion_matrix(matrix: np.ndarray, *, class_names: Sequence[str] | None = None, title: str = "") -> Figure:
    """A confusion matrix: what is right in green, what is wrong in red, each on a scale of its own.

    One scale for all would leave the few errors of a good network invisible beside its diagonal.

    Parameters
    ----------
    matrix : (K, K) counts, rows true, columns predicted, from `fastnn.training.confusion_matrix`
    class_names : K names; by default the classes' numbers
    title : above the picture
    """
    classes = len(matrix)
    names = [str(k) for k in range(classes)] if class_names is None else list(class_names)
    right = np.eye(classes, dtype=bool)
    support = matrix.sum(axis=1, keepdims=True)
    wrong = np.where(right, 0, matrix)

    size = min(max(5.0, 1.8 + 0.42 * classes), 14.0)
    figure = new_figure(size, size)
    axes = figure.subplots()
    # The colours' upper ends are left out so that black numbers stay legible everywhere.
    axes.imshow(np.ma.masked_where(~right, matrix / np.maximum(support, 1)), cmap="Greens", vmin=0, vmax=2)
    axes.imshow(np.ma.masked_where(right | (wrong == 0), wrong), cmap="Reds", vmin=0, vmax=1.6 * max(wrong.max(), 4))
    if classes <= _NUMBERS_UP_TO:
        fontsize = 9.0 if classes <= 15 else 6.0
        for i, j in np.argwhere(matrix > 0):
            weight = "normal" if i == j else "bold"
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=fontsize, weight=weight)
        fontsize += 1
        axes.set_xticks(range(classes), names, fontsize=fontsize)
        axes.set_yticks(range(classes), names, fontsize=fontsize)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", lw=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title)
    return figure
