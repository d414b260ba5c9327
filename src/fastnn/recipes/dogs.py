"""S12: VGG-11 cut down, on dogs and cats; S12b is its sweep; S14 looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import networks, plots
from fastnn.recipes._frame import pets
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.printing import print_report
from fastnn.recipes._frame.report import Page, Picture, classifier_tables
from fastnn.recipes._frame.run import Run, run_folder
from fastnn.training import Trainer, write

SCORE = "valid_accuracy"

# Published: the figures of S12, whose hidden test images have no labels here, and validation accuracy by what was
# changed (S12b).
PUBLISHED = {"training accuracy": 0.8682, "validation accuracy": 0.8464, "hidden test accuracy": 0.88}
RESULTS = {"training accuracy": "train_accuracy_augmented", "validation accuracy": SCORE}
PUBLISHED_TUNING = {
    "batches of 128": 0.8464,
    "batches of 256": 0.7571,
    "learning rate 0.1": 0.8464,
    "learning rate 0.05": 0.8304,
    "learning rate 0.005": 0.6393,
    "15 epochs": 0.7676,
    "25 epochs": 0.7849,
    "35 epochs": 0.8464,
}
CARD = Card(
    source="IFT 6135, Université de Montréal",
    systems=(
        System("S12", "VGG-11 cut down, dogs and cats", "60 min", PUBLISHED),
        System("S12b", "its tuning", "", PUBLISHED_TUNING),
        System("S14", "S12 looked at: images, kernels, feature maps", "", {}),
    ),
    data="dogs vs. cats, 64 x 64, 19,998",
    size="5,884,162 parameters",
)


@dataclass(frozen=True)
class Settings(pets.PetSettings):
    """S12's settings as published; how much its random crops and colours vary is not."""


def network() -> fnn.Sequential:
    """VGG-11 cut down."""
    return pets.initialised(networks.vgg11(size=pets.SIZE))


def run(settings: Settings) -> Path:
    """Train, report, look at the network, and write the run folder; returns its path."""
    with run_folder("dogs", settings) as run:
        data = pets.load(quick=settings.quick)
        net = network()
        write(f"{data}; seed {settings.seed}\n{net.summary((1, 3, pets.SIZE, pets.SIZE))}\n")
        optimizer = fnn.SGD(
            net.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer)
        pets.train(run, trainer, data, settings, settings.epochs)

        x, y = data.valid
        scores = trainer.predict(x)
        predicted = scores.argmax(axis=1)
        print_report(trainer, y, predicted)
        result = pets.results(trainer, data)
        rows = [
            CARD.beside("S12", name, percent(result[key]) if (key := RESULTS.get(name)) else "") for name in PUBLISHED
        ]
        rows += CARD.unmeasured("S12b")

        title = f"VGG-11 cut down, {len(data.train[0]):,} dogs and cats"
        steps = -(-len(data.train[0]) // settings.batch_size)
        published = None if settings.quick else {settings.epochs: PUBLISHED["validation accuracy"]}
        curves = {"title": title, "published": published, "steps_per_epoch": steps}
        run.draw("curves", plots.learning_curves, trainer.history, **curves)
        pets.save_looks(run, net, data, fnn.functional.softmax(scores))
        _pictures(run, net, data)
        tables = classifier_tables(y, predicted, pets.NAMES)
        run.finish(result, Page(title, f"{data}.", rows, tables, PICTURES))
    return run.folder


PICTURES = (
    Picture("curves.png", "Loss and accuracy", "Training minibatches are augmented, validation images are not."),
    *pets.LOOKS,
    Picture("last_kernels.png", "Part of the last convolution"),
    Picture("feature_maps.png", "What the first layer keeps", "Blue is below zero; ReLU takes it away."),
)


def _pictures(run: Run, net: fnn.Sequential, data: pets.Pets) -> None:
    """S14's last kernels, and feature maps of the first dog."""
    x, y = data.valid
    first, *_, last = (layer for layer in net if isinstance(layer, fnn.Conv2d))
    run.save(plots.kernels(last.weight.data, count=8, channels=8), "last_kernels")
    dog = int(np.flatnonzero(y == pets.NAMES.index("dog"))[0])
    maps = first(pets.NORMALISE(x[dog : dog + 1]))
    shown = {"first convolution": maps, "after ReLU": fnn.functional.relu(maps)}
    run.draw("feature_maps", plots.feature_maps, x[dog], shown)
