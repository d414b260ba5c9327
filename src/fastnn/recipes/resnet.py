"""S13: a residual network on S12's dogs and cats, with batch normalisation and without."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastnn as fnn
from fastnn import networks, plots
from fastnn.recipes._frame import pets
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.report import Comparison, Page, Picture, classifier_tables
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import at_least_one, number, option, widths
from fastnn.training import Trainer, write

CARD = Card(
    source="IFT 6135, Université de Montréal",
    systems=(
        System(
            "S13",
            "a residual network, dogs and cats",
            "60 min; 30 min",
            {"batch norm, validation accuracy": 0.91, "no batch norm, validation accuracy": "lower"},
        ),
    ),
    data="dogs vs. cats, 64 x 64, 19,998",
    size="307,794 parameters",
)
SCORE = "valid_accuracy"

NAMES = ("batch norm", "no batch norm")


@dataclass(frozen=True)
class Settings(pets.PetSettings):
    """Of S13's settings only the data and the augmentation, those of S12, are published."""

    epochs: int = option(
        20, "passes over the training images, with batch normalisation", at_least_one, quick=2, length=True
    )
    epochs_without: int = option(8, "the same, without batch normalisation", at_least_one, quick=2, length=True)
    lr_without: float = option(0.02, "learning rate, without batch normalisation", number)
    momentum: float = option(0.9, "of the optimizer", number)
    weight_decay: float = option(5e-4, "of the optimizer", number)
    channels: str = option("16x32x64x128", "channels of each stage", widths)
    blocks: str = option("1x1x1x1", "residual blocks of each stage", widths)
    norm: str = option("both", "which networks to train", choices=("both", "with", "without"))


def network(settings: Settings, *, batch_norm: bool) -> fnn.Sequential:
    """The residual network of these settings, with Glorot's weights as S12's."""
    channels, blocks = (tuple(map(int, text.split("x"))) for text in (settings.channels, settings.blocks))
    if len(channels) != len(blocks):
        raise ValueError(f"blocks: got {settings.blocks}, expected a number for each of the stages {settings.channels}")
    return pets.initialised(networks.resnet(len(pets.NAMES), channels, blocks, batch_norm=batch_norm))


def schedule(optimizer: fnn.optim.Optimizer, epochs: int) -> fnn.lr_scheduler.LambdaLR:
    """A learning rate that falls to 0 along half a wave of a cosine.

    A checkpoint does not keep it: a run that becomes longer or shorter follows its new length.
    """
    return fnn.lr_scheduler.LambdaLR(optimizer, lambda epoch: (1 + math.cos(math.pi * epoch / epochs)) / 2)


def run(settings: Settings) -> Path:
    """Train both networks, compare them, and write the run folder; returns its path."""
    with run_folder("resnet", settings) as run:
        data = pets.load(quick=settings.quick)
        write(f"{data}; seed {settings.seed}")
        trainers: dict[str, Trainer] = {}
        results: dict[str, Any] = {}
        epochs = {"batch norm": settings.epochs, "no batch norm": settings.epochs_without}
        for name in {"both": NAMES, "with": NAMES[:1], "without": NAMES[1:]}[settings.norm]:
            net = network(settings, batch_norm=name == "batch norm")
            write(f"\n{name}\n{net.summary((1, 3, pets.SIZE, pets.SIZE))}\n")
            lr = settings.lr if name == "batch norm" else settings.lr_without
            optimizer = fnn.SGD(net.parameters(), lr=lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
            decay = {"epoch": schedule(optimizer, epochs[name])}
            trainer = trainers[name] = Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=decay)
            pets.train(run, trainer, data, settings, epochs[name], name.replace(" ", "-"))
            results[name] = pets.results(trainer, data)

        title = f"A residual network, {len(data.train[0]):,} dogs and cats"
        steps = -(-len(data.train[0]) // settings.batch_size)
        histories = {name: trainer.history for name, trainer in trainers.items()}
        run.draw("curves", plots.learning_curves, histories, title=title, steps_per_epoch=steps)
        best = next(iter(trainers))
        x, y = data.valid
        probabilities = fnn.functional.softmax(trainers[best].predict(x))
        pets.save_looks(run, trainers[best].net, data, probabilities)
        flat = {f"{name.replace(' ', '_')}_{what}": value for name, of in results.items() for what, value in of.items()}
        tables = classifier_tables(y, probabilities.argmax(axis=1), pets.NAMES)
        page = Page(title, f"{data}. Tables and pictures: {best}.", _rows(results), tables, PICTURES)
        run.finish({SCORE: results[best][SCORE], **flat}, page)
    return run.folder


def _rows(results: Mapping[str, Mapping[str, Any]]) -> list[Comparison]:
    rows = []
    for name, result in results.items():
        rows.append(CARD.beside("S13", f"{name}, validation accuracy", percent(result["valid_accuracy"])))
        rows.append(CARD.beside("S13", f"{name}, validation loss", f"{result['valid_loss']:.4f}"))
        rows.append(CARD.beside("S13", f"{name}, training accuracy", percent(result["train_accuracy"])))
    return rows


PICTURES = (
    Picture("curves.png", "Loss and accuracy", "Training minibatches are augmented, validation images are not."),
    *pets.LOOKS,
)
