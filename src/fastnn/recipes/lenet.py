"""S1: LeNet on MNIST digits, with its test report (S1b) and its feature maps (S1d)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.networks import lenet
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.classifier import keep_classifier
from fastnn.recipes._frame.printing import AccuracyTable, print_report
from fastnn.recipes._frame.report import Page, Picture, classifier_tables
from fastnn.recipes._frame.run import Run, run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.recipes._frame.split import hold_out, mixed, validate_option, whole
from fastnn.training import Trainer, accuracy, classification_report, confusion_matrix, most_confused_pairs, write

PUBLISHED = {0: 0.104, 500: 0.954, 2000: 0.956}  # test accuracy by iteration

CARD = Card(
    source="CMPT 412, Simon Fraser University",
    systems=(
        System(
            "S1",
            "LeNet on MNIST digits",
            "15 s",
            {
                "test accuracy": PUBLISHED[2000],
                "test accuracy after 500 iterations": PUBLISHED[500],
                "test accuracy before training": PUBLISHED[0],
                "iterations": "2,000",
                "test images": "500",
            },
            "--data subset",
        ),
        System(
            "S1b",
            "its test report",
            "",
            {"accuracy": 0.95, "macro average": 0.95, "most confused": "4 -> 9 x4, 7 -> 2 x3"},
            "--data subset",
        ),
        System("S1d", "its feature maps", "", {}),
    ),
    data="6,000 bundled digits; MNIST",
    size="431,080 parameters",
)
SCORE = "valid_accuracy"
SWEEP = {"validate": True}

_SUBSET, _SUBSET_TEST = 2_500, 500  # a twentieth of 50,000 and of 10,000


def iterations_option() -> Any:
    """The setting, whose default depends on the data."""
    return option(
        lambda settings: 4000 if settings.data == "mnist" else 2000,
        "minibatches; by default 2000, for mnist 4000",
        at_least_one,
        quick=100,
        length=True,
    )


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S1's settings; batch size and iterations as published."""

    data: str = option(
        "digits",
        "digits: the 6,000 bundled images; mnist: all 70,000; subset: as published, 2,500 to train and 500 to test",
        choices=("digits", "mnist", "subset"),
    )
    iterations: int = iterations_option()
    batch_size: int = option(64, "images in a minibatch", at_least_one)
    lr: float = option(0.05, "learning rate, divided by 10 after 50 %% and again after 80 %% of the run", number)
    momentum: float = option(0.9, "of the optimizer", number)
    weight_decay: float = option(5e-4, "of the optimizer", number)
    validate: bool = validate_option()


def schedule(optimizer: fnn.optim.Optimizer, iterations: int) -> fnn.lr_scheduler.LambdaLR:
    """A tenth of the learning rate after 50 % of the run, and a hundredth after 80 %.

    A checkpoint does not keep it: a run that becomes longer or shorter follows its new length.
    """
    ends = (iterations // 2, iterations * 4 // 5)
    return fnn.lr_scheduler.LambdaLR(optimizer, lambda t: 0.1 ** sum(t >= end for end in ends))


def run(settings: Settings) -> Path:
    """Train, report, and write the run folder; returns its path."""
    iterations = settings.iterations
    with run_folder("lenet", settings) as run:
        x, y, x_test, y_test = whole(settings.data)
        if settings.data == "subset":
            x, y, x_test, y_test = x[:_SUBSET], y[:_SUBSET], x_test[:_SUBSET_TEST], y_test[:_SUBSET_TEST]
        train, held_out, published = (x, y), (x_test, y_test), {} if settings.quick else PUBLISHED
        if settings.validate:
            (train, held_out), published = hold_out(*mixed(x, y)), {}
        held_out_name = "validation" if settings.validate else "test"
        net = lenet()
        title = f"LeNet on {len(train[0]):,} MNIST digits"
        write(f"{title}, {len(x_test):,} test images; seed {settings.seed}\n{net.summary((1, 1, 28, 28))}\n")

        optimizer = fnn.SGD(
            net.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        table = AccuracyTable(held_out_name, published, "S1")
        decay = schedule(optimizer, iterations)
        trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=decay, callbacks=[table])
        run.fit(
            trainer,
            train,
            held_out,
            iterations=iterations,
            batch_size=settings.batch_size,
            drop_last=True,
            evaluate_every=50 if settings.quick else 500,
        )
        scores = trainer.predict(x_test)
        predicted = scores.argmax(axis=1)
        print_report(trainer, y_test, predicted)

        shown: dict[str, Any] = {"title": title, "published": published, "held_out": held_out_name}
        valid = {SCORE: trainer.history.eval_accuracy[-1]} if settings.validate else {}
        kept = keep_classifier(run, trainer, y_test, predicted, **shown)
        _pictures(run, net, x_test, y_test, fnn.functional.softmax(scores), title)
        run.finish({**valid, **kept}, _page(iterations, title, y_test, predicted))
    return run.folder


def _pictures(
    run: Run, net: fnn.Sequential, x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, title: str
) -> None:
    """S1d: what the first layers make of an image; and where the network is wrong."""
    conv1 = net[0](x[:1])
    maps = {"conv1": conv1, "after ReLU": fnn.functional.relu(conv1)}
    run.draw("feature_maps", plots.feature_maps, x[0], maps, title=title)
    run.save(plots.kernels(net.state_dict()["0.weight"], title=title), "kernels")
    run.save(plots.most_wrong(x, probabilities, y), "most_wrong")


def _page(iterations: int, title: str, y: np.ndarray, predicted: np.ndarray) -> Page:
    report = classification_report(y, predicted, as_dict=True)
    pairs = most_confused_pairs(confusion_matrix(y, predicted), 2)
    return Page(
        title,
        "1 x 28 x 28, conv 20, max pool, conv 50, max pool, 500, 10 classes.",
        [
            CARD.beside("S1", "test accuracy", percent(accuracy(predicted, y))),
            CARD.beside("S1", "iterations", f"{iterations:,}"),
            CARD.beside("S1", "test images", f"{len(y):,}"),
            CARD.beside("S1b", "accuracy", percent(report["accuracy"])),
            CARD.beside("S1b", "macro average", percent(report["macro avg"]["f1-score"])),
            CARD.beside("S1b", "most confused", ", ".join(map(str, pairs)) or "none"),
        ],
        classifier_tables(y, predicted),
        [
            Picture(
                "curves.png", "Loss and accuracy", "Pale: single minibatches. Crosses, if any: published accuracy."
            ),
            Picture("confusion.png", "Which digit is taken for which"),
            Picture(
                "most_wrong.png", "The surest mistakes", "True digit, what it was taken for, with which probability."
            ),
            Picture("feature_maps.png", "What the first layers keep", "Blue is below zero; ReLU takes it away."),
            Picture("kernels.png", "What the first layer has learned"),
        ],
    )
