"""Loss and accuracy over the iterations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.plots.figure import PUBLISHED, TEST, TRAIN, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastnn.training import History


def learning_curves(history: History, *, title: str = "", published: Mapping[int, float] | None = None) -> Figure:
    """Loss (left) and accuracy (right) over the iterations: minibatches, their running mean, and the evaluations.

    Parameters
    ----------
    history : from a `Trainer`
    title : above the picture
    published : iteration to accuracy, drawn as crosses beside ours
    """
    figure = new_figure(10, 4)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    _curve(loss_axes, np.array(history.loss), history.eval_iteration, history.eval_loss)
    loss_axes.set(xlabel="iteration", ylabel="loss (log scale)", yscale="log")
    _curve(accuracy_axes, np.array(history.accuracy), history.eval_iteration, history.eval_accuracy)
    if published:
        accuracy_axes.plot(
            list(published), list(published.values()), "x", color=PUBLISHED, ms=7, mew=1.8, label="published", zorder=4
        )
    accuracy_axes.set(xlabel="iteration", ylabel="accuracy", ylim=(0, 1.02))
    if history.eval_accuracy:
        last = history.eval_accuracy[-1]
        accuracy_axes.annotate(
            f"{last:.3f}",
            (history.eval_iteration[-1], last),
            xytext=(0, -9),
            textcoords="offset points",
            ha="right",
            va="top",
            color=TEST,
            weight="bold",
        )
    for axes in (loss_axes, accuracy_axes):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    loss_axes.legend(frameon=False, loc="lower left")
    accuracy_axes.legend(frameon=False, loc="lower right")
    if title:
        figure.suptitle(title)
    return figure


def _curve(axes: Any, steps: np.ndarray, eval_iteration: list[int], eval_values: list[float]) -> None:
    iteration = np.arange(1, len(steps) + 1)
    axes.plot(iteration, steps, color=TRAIN, alpha=0.25, lw=0.6)
    # A minibatch is a noisy measure: the mean over 2 % of the steps, drawn at their middle, shows the course.
    width = max(1, len(steps) // 50)
    if len(steps):
        sums = np.concatenate([[0.0], np.cumsum(steps)])
        middle = iteration[width - 1 :] - (width - 1) / 2
        axes.plot(middle, (sums[width:] - sums[:-width]) / width, color=TRAIN, lw=1.8, label="training")
    if eval_values:
        axes.plot(eval_iteration, eval_values, "o--", color=TEST, ms=5, lw=1, label="test", zorder=3)
