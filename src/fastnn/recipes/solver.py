"""S9: a fully-connected network of any depth and a solver, on MNIST; S9b is its sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn._files import atomic_file
from fastnn.recipes import mlp
from fastnn.recipes._frame.card import UNKNOWN, Card, System, percent
from fastnn.recipes._frame.classifier import keep_classifier
from fastnn.recipes._frame.printing import EpochTable, print_report
from fastnn.recipes._frame.report import Comparison, Page, Picture, classifier_tables
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option, widths
from fastnn.recipes._frame.split import data_option, load
from fastnn.training import BestWeights, Trainer, accuracy, write

PUBLISHED = 0.9605  # validation accuracy

CARD = Card(
    source=UNKNOWN,
    systems=(
        System("S9", "a network of any depth and its solver", "2 min", {"validation accuracy": PUBLISHED}),
        System(
            "S9b",
            "sweeps of its settings",
            "",
            {"validation accuracy, 100 to 200 units": 0.9643, "validation accuracy, 1 to 4 layers": 0.961},
        ),
    ),
    data="MNIST, 50,000 + 10,000",
    size="198,760 parameters",
)
SCORE = "valid_accuracy"

RULES: dict[str, Callable[..., Any]] = {
    "sgd": fnn.SGD,
    "sgd_momentum": lambda params, lr: fnn.SGD(params, lr=lr, momentum=0.9),
    "rmsprop": lambda params, lr: fnn.RMSprop(params, lr=lr),
    "adam": fnn.Adam,
}


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S9's settings as published, but for the update rule, which is not."""

    data: str = data_option()
    hidden: str = option("250", "widths of the hidden layers, as 100x50", widths)
    rule: str = option("adam", "update rule", choices=tuple(RULES))
    lr: float = option(1e-4, "learning rate", number)
    lr_decay: float = option(0.95, "factor of the learning rate after each epoch", number)
    batch_size: int = option(4, "images in a minibatch", at_least_one)
    epochs: int = option(20, "passes over the training images", at_least_one, quick=2, length=True)


def run(settings: Settings) -> Path:
    """Check gradients, train, keep the best weights, report, and write the run folder; returns its path."""
    with run_folder("solver", settings) as run:
        data = load(settings.data, quick=settings.quick)
        net, criterion = mlp.network(settings.hidden), fnn.CrossEntropyLoss()
        write(f"{data}; seed {settings.seed}\n{net.summary((1, 1, 28, 28))}\n")
        x, y = (part[:5] for part in data.train)
        fnn.gradcheck(net, x, target=y, criterion=criterion, samples=3)
        write("")

        before = net.state_dict()["1.weight"]
        optimizer = RULES[settings.rule](net.parameters(), lr=settings.lr)
        decay = {"epoch": fnn.lr_scheduler.ExponentialLR(optimizer, settings.lr_decay)}
        best = BestWeights()
        trainer = Trainer(net, criterion, optimizer, schedule=decay, callbacks=[EpochTable(), best])
        run.fit(trainer, data.train, data.valid, epochs=settings.epochs, batch_size=settings.batch_size)

        predicted = trainer.predict(data.test[0]).argmax(axis=1)
        print_report(trainer, data.test[1], predicted)
        valid = best.value or 0.0
        rows = [
            CARD.beside("S9", "validation accuracy", percent(valid)),
            CARD.beside("S9", "test accuracy", percent(accuracy(predicted, data.test[1]))),
            *CARD.unmeasured("S9b"),
        ]

        title = f"{settings.hidden} hidden, {len(data.train[0]):,} MNIST digits"
        last = {} if settings.quick else {trainer.history.iterations: PUBLISHED}
        result = {SCORE: valid, "best_iteration": best.iteration}
        kept = keep_classifier(run, trainer, data.test[1], predicted, title=title, published=last)
        tiles = {"before": before, "after": trainer.net.state_dict()["1.weight"]}
        run.draw("weights", plots.weight_tiles, tiles, (28, 28), title="Weights of the first layer")
        write_submission(run.folder / "submission.csv", predicted)
        run.finish({**result, **kept}, _page(title, str(data), rows, data.test[1], predicted))
    return run.folder


def _page(title: str, data: str, rows: list[Comparison], target: np.ndarray, predicted: np.ndarray) -> Page:
    pictures = [
        Picture("curves.png", "Loss and accuracy"),
        Picture("confusion.png", "Which digit is taken for which"),
        Picture("weights.png", "What the first layer has learned"),
    ]
    return Page(title, f"{data}.", rows, classifier_tables(target, predicted), pictures)


def write_submission(path: Path, predicted: np.ndarray) -> None:
    """The predicted classes as a CSV table, numbered from 1."""
    lines = ["ImageId,Label", *(f"{i},{label}" for i, label in enumerate(predicted, start=1))]
    with atomic_file(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
