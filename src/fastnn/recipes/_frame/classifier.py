"""Results and pictures that recipes of classifiers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.recipes._frame.printing import print_report
from fastnn.recipes._frame.report import Comparison, Page, Picture, Table, classifier_tables
from fastnn.recipes._frame.run import Run
from fastnn.training import Trainer, accuracy, confusion_matrix


def test_accuracy(trainer: Trainer, data: tuple[np.ndarray, np.ndarray]) -> float:
    """The share of the test images that are classified rightly."""
    return accuracy(trainer.predict(data[0]), data[1])


def keep_classifier(
    run: Run,
    trainer: Trainer,
    target: np.ndarray,
    predicted: np.ndarray,
    *,
    title: str,
    published: Mapping[int, float] | None = None,
    held_out: str = "validation",
    class_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Write weights, history, learning curves and confusion matrix of a classifier; returns its results."""
    run.keep(trainer)
    shown: dict[str, Any] = {"title": title, "published": published, "held_out": held_out}
    run.draw("curves", plots.learning_curves, trainer.history, **shown)
    wrong = np.count_nonzero(target != predicted)
    matrix = confusion_matrix(target, predicted, None if class_names is None else len(class_names))
    heading = f"{title}: {wrong:,} of {len(target):,} test images wrong"
    run.save(plots.confusion_matrix(matrix, class_names=class_names, title=heading), "confusion")
    return {
        "iterations": trainer.history.iterations,
        "test_accuracy": accuracy(predicted, target),
        "training_seconds": round(trainer.seconds, 3),
    }


def show_classifier(
    run: Run,
    trainer: Trainer,
    test: tuple[np.ndarray, np.ndarray],
    *,
    class_names: Sequence[str],
    title: str,
    summary: str,
    rows: Sequence[Comparison],
    results: Mapping[str, Any],
    tables: Sequence[Table] = (),
    pictures: Sequence[Picture] = (),
) -> None:
    """Print the report of a network, and finish the run.

    Parameters
    ----------
    test : images and classes
    summary, rows : of the page
    results : more than keep_classifier has
    tables, pictures : more than those of every classifier; of pictures first those that the recipe has drawn
    """
    images, target = test
    scores = trainer.predict(images)
    predicted = scores.argmax(axis=1)
    print_report(trainer, target, predicted, class_names)
    kept = keep_classifier(run, trainer, target, predicted, title=title, class_names=class_names)
    probabilities = fnn.functional.softmax(scores)
    run.save(plots.most_wrong(images, probabilities, target, class_names=class_names), "most_wrong")
    all_pictures = [
        Picture("curves.png", "Loss and accuracy", "Pale: single minibatches."),
        *pictures,
        Picture("confusion.png", "Which class is taken for which"),
        Picture("most_wrong.png", "The surest mistakes", "True class, what it was taken for, with which probability."),
    ]
    all_tables = [*classifier_tables(target, predicted, class_names), *tables]
    run.finish({**results, **kept}, Page(title, summary, rows, all_tables, all_pictures))
