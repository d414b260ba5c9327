"""S6: a convolutional network with batch norm and dropout, on handwritten characters and on CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import fastnn as fnn
from fastnn import networks, plots
from fastnn.data import CHARACTERS, CIFAR10_CLASSES, cifar10
from fastnn.data.batches import Augmentation
from fastnn.data.transforms import (
    Compose,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomStrokeWidth,
)
from fastnn.recipes._frame import handwriting
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.classifier import show_classifier, test_accuracy
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.report import Picture
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option, widths
from fastnn.recipes._frame.split import Split
from fastnn.training import Trainer, write

CARD = Card(
    source="16-720, Carnegie Mellon University",
    systems=(
        System("S6", "a CNN on handwritten characters", "1 min", {"test accuracy, characters": 0.9356}),
        System("S6", "the same on CIFAR-10", "12 min", {"test accuracy, cifar10": 0.7928}, "--data cifar10"),
    ),
    data="hw36, 2,801 + 311 (published: NIST36); CIFAR-10, 45,000 + 5,000",
    size="397,540; 391,434 parameters",
)
SCORE = "valid_accuracy"

_CIFAR10_MEAN, _CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training images
_TO_VALIDATE = 5_000  # of CIFAR-10's training images, the last ones: they lie in no order

AUGMENT = {
    "characters": Compose(
        [
            RandomStrokeWidth((-1, 1)),
            RandomAffine(10, (0.08, 0.08), (0.85, 1.15), shear=10, fill=1),
        ]
    ),
    "cifar10": Compose([RandomCrop(32, padding=4), RandomHorizontalFlip()]),
}


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S6's settings; its learning rate, batch size and epochs are not published."""

    data: str = option(
        "characters",
        "characters: hw36; cifar10; nist36: the course's .mat files; digits: bundled ones, of 10 of the 36 classes",
        choices=("characters", "nist36", "cifar10", "digits"),
        quick="digits",
    )
    augment: bool = option(
        False, "change training images: characters as other hands would, CIFAR-10's shifted, mirrored"
    )
    epochs: int = option(
        lambda settings: 18 if settings.data == "cifar10" else 30,
        "passes over the training images; by default 30, for cifar10 18",
        at_least_one,
        quick=2,
        length=True,
    )
    batch_size: int = option(64, "images in a minibatch", at_least_one)
    lr: float = option(1e-3, "learning rate of Adam", number)
    lr_step: int = option(
        lambda settings: 6 if settings.data == "cifar10" else 10,
        "epochs after which the learning rate is multiplied, again and again; by default 10, for cifar10 6",
        at_least_one,
    )
    lr_factor: float = option(0.2, "what it is multiplied with then", number)
    dropout: float = option(0.5, "share of the hidden units that are dropped in training", number)
    widths: str = option("32x64x128x256", "channels of the three convolutions, and hidden units", widths)


class Data(NamedTuple):
    """Images in parts, their classes' names, transforms of all images and of those to train, and a name for figures."""

    split: Split
    class_names: Sequence[str]
    transform: Normalize | None
    augment: Augmentation
    name: str


def load(data: str, *, quick: bool) -> Data:
    """What a run learns; for a quick run some of it."""
    if data != "cifar10":
        split = handwriting.load("hw36" if data == "characters" else data, quick=quick)
        return Data(split, CHARACTERS, None, AUGMENT["characters"], "characters")
    x, y, x_test, y_test = cifar10()
    end, few = len(x) - _TO_VALIDATE, 200 if quick else None
    parts = (x[:end][:few], y[:end][:few]), (x[end:][:few], y[end:][:few]), (x_test[:few], y_test[:few])
    normalise = Normalize(_CIFAR10_MEAN, _CIFAR10_STD)
    return Data(_Cifar10(*parts), CIFAR10_CLASSES, normalise, AUGMENT["cifar10"], "cifar10")


class _Cifar10(Split):
    def __str__(self) -> str:
        train, valid, test = (len(x) for x, _ in self)
        return f"CIFAR-10, {train:,} images to train, {valid:,} to validate, {test:,} to test"


def network(settings: Settings, classes: int, channels: int) -> fnn.Sequential:
    """S6's network with these settings, for images of so many channels."""
    sizes = tuple(map(int, settings.widths.split("x")))
    if len(sizes) != 4:
        raise ValueError(f"widths: got {settings.widths}, expected four numbers: three convolutions, and hidden units")
    return networks.cnn(classes, sizes, in_channels=channels, dropout=settings.dropout)


def run(settings: Settings) -> Path:
    """Train, report, and write the run folder; returns its path."""
    with run_folder("cnn", settings) as run:
        split, class_names, transform, augment, name = load(settings.data, quick=settings.quick)
        channels = split.train[0].shape[1]
        net = network(settings, len(class_names), channels)
        write(f"{split}; seed {settings.seed}\n{net.summary((1, channels, 32, 32))}\n")
        optimizer = fnn.Adam(net.parameters(), lr=settings.lr)
        schedule = {"epoch": fnn.lr_scheduler.StepLR(optimizer, settings.lr_step, settings.lr_factor)}
        trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=schedule, callbacks=[EpochTable()])
        run.fit(
            trainer,
            split.train,
            split.valid,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            augment=augment if settings.augment else None,
            transform=transform,
        )
        title = f"A CNN on {len(split.train[0]):,} {'images' if channels == 3 else 'characters'}"
        valid = trainer.history.eval_accuracy[-1]
        run.save(plots.kernels(net.state_dict()["0.weight"], title=title), "kernels")
        show_classifier(
            run,
            trainer,
            split.test,
            class_names=class_names,
            title=title,
            summary="Three convolutions with batch norm, ReLU and max pool, and two linear layers: "
            f"{settings.widths}, {len(class_names)} classes; {split}.",
            rows=[
                CARD.beside("S6", "validation accuracy", percent(valid)),
                CARD.beside("S6", f"test accuracy, {name}", percent(test_accuracy(trainer, split.test))),
            ],
            results={SCORE: valid},
            pictures=[Picture("kernels.png", "What the first layer has learned")],
        )
    return run.folder
