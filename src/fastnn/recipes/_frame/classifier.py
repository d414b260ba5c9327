"""What the recipes of classifiers with named classes show of a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.recipes._frame.report import Comparison, Page, Picture, Table, classifier_tables, write_report
from fastnn.recipes._frame.run import Run, print_figures, print_report, write_run
from fastnn.recipes._frame.settings import CommonSettings
from fastnn.training import Trainer, accuracy


def test_accuracy(trainer: Trainer, data: tuple[np.ndarray, np.ndarray]) -> float:
    """The share of the test images that are classified rightly."""
    return accuracy(trainer.predict(data[0]), data[1])


def show_classifier(
    run: Run,
    settings: CommonSettings,
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
    """Print the report of a network, and write the run folder, pictures and page.

    Parameters
    ----------
    test : images and classes
    summary, rows : of the page; the rows are printed too
    results : more than write_run has
    tables, pictures : more than those of every classifier; of pictures first those that the recipe has drawn
    """
    images, target = test
    scores = trainer.predict(images)
    predicted = scores.argmax(axis=1)
    print_report(trainer, target, predicted, class_names)
    print_figures(rows, settings)
    shown: dict[str, Any] = {"title": title, "published": {}, "held_out": "validation", "class_names": class_names}
    write_run(run.folder, run.recipe, settings, trainer, target, predicted, **shown, more=results)
    probabilities = fnn.functional.softmax(scores)
    wrong = plots.most_wrong(images, probabilities, target, class_names=class_names)
    plots.save(wrong, run.folder / "most_wrong.png")
    all_pictures = [
        Picture("curves.png", "Loss and accuracy", "Pale: single minibatches."),
        *pictures,
        Picture("confusion.png", "Which class is taken for which"),
        Picture("most_wrong.png", "The surest mistakes", "True class, what it was taken for, with which probability."),
    ]
    all_tables = [*classifier_tables(target, predicted, class_names), *tables]
    write_report(run.folder, Page(title, summary, rows, all_tables, all_pictures))
