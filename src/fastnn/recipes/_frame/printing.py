"""The tables that a run prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fastnn.recipes._frame.report import QUICK, Comparison, ours_alone
from fastnn.training import (
    Callback,
    Trainer,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
    write,
)

_CLASSES_PRINTED = 20  # at most, in a confusion matrix: a line of more is broken in a terminal


class AccuracyTable(Callback):
    """A line an evaluation: our accuracy on the held-out data, beside the published one.

    Parameters
    ----------
    held_out : what that data is called
    published : accuracy by iteration; of an empty one there is no column
    source : the system that it was published for
    """

    def __init__(self, held_out: str, published: Mapping[int, float], source: str) -> None:
        self._published, self._source = published, source
        self._title = f"{held_out} accuracy"

    def on_fit_begin(self, trainer: Trainer) -> None:
        self._line("iteration", self._title, f"{self._source}, published")

    def on_evaluation(self, trainer: Trainer) -> None:
        iteration, value = trainer.history.eval_iteration[-1], trainer.history.eval_accuracy[-1]
        published = f"{self._published[iteration]:.3f}" if iteration in self._published else "-"
        self._line(str(iteration), f"{value:.4f}", published)

    def _line(self, iteration: str, accuracy: str, published: str) -> None:
        line = f"{iteration:>9}  {accuracy:>{len(self._title)}}"
        write(f"{line}  {published:>13}" if self._published else line)


class EpochTable(Callback):
    """A line an evaluation: loss and accuracy of the minibatches since the last one, accuracy on validation data."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        write(f"{'epoch':>5}  {'loss':>8}  {'training':>8}  {'validation':>10}  {'learning rate':>13}")

    def on_evaluation(self, trainer: Trainer) -> None:
        text = f"{'-':>8}  {'-':>8}"
        if trainer.history.loss:
            text = f"{trainer.latest('loss'):8.4f}  {trainer.latest('accuracy'):8.4f}"
        rate = trainer.optimizer.param_groups[0]["lr"]
        write(f"{trainer.epochs:5}  {text}  {trainer.history.eval_accuracy[-1]:10.4f}  {rate:13.3g}")


def print_figures(rows: Sequence[Comparison], *, quick: bool) -> None:
    """Our figures beside the published ones; of a quick run, ours alone."""
    if not rows:
        return
    if quick:
        write(f"\n{QUICK}")
    table = [("", "ours"), *ours_alone(rows)] if quick else [("", "published", "ours"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    write("")
    for what, *figures in table:
        cells = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
        write("  ".join([what.ljust(widths[0]), *cells]))


def print_report(
    trainer: Trainer, target: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] | None = None
) -> None:
    """The time, the per-class table, the confusion matrix, if it is not too wide, and the most confused pairs."""
    steps = trainer.history.iterations
    matrix = confusion_matrix(target, predicted, None if class_names is None else len(class_names))
    table = f"{confusion_table(matrix, class_names)}\n\n" if len(matrix) <= _CLASSES_PRINTED else ""
    pairs = ", ".join(map(str, most_confused_pairs(matrix, class_names=class_names))) or "none"
    write(
        f"\n{steps} iterations in {trainer.seconds:.1f} s, {1e3 * trainer.seconds / steps:.2f} ms each\n\n"
        f"{classification_report(target, predicted, class_names)}\n{table}most confused: {pairs}"
    )
