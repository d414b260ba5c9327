"""S7: SqueezeNet 1.1 with ImageNet's weights, fine-tuned on Oxford flowers-17, and S6's network from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastnn as fnn
from fastnn import networks, plots
from fastnn.data import FLOWERS17_CLASSES, ByteImages, data_folder, flowers17
from fastnn.data.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop
from fastnn.interop.squeezenet_weights import load_squeezenet, normalisation
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.printing import EpochTable, print_report
from fastnn.recipes._frame.report import NARROW, Page, Picture, classifier_tables
from fastnn.recipes._frame.run import Run, run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.training import BestWeights, Trainer, accuracy, confusion_matrix, write

CARD = Card(
    source="16-720, Carnegie Mellon University",
    systems=(
        System("S7", "SqueezeNet fine-tuned on flowers", "10 min", {"test accuracy, squeezenet": 0.8706}),
        System("S7", "S6's network on flowers, from scratch", "7 min", {"test accuracy, cnn": 0.4412}, "--network cnn"),
    ),
    data="Oxford flowers-17, split 2, 680 + 340",
    size="731,217 parameters",
)
SCORE = "valid_accuracy"

WEIGHTS = "squeezenet/squeezenet_v1.1_keras_HWIO.npz"
_LAST = "1.1."  # the classifier in SqueezeNet's state dict
_FEW = 64  # training images of a quick run


class _Defaults(NamedTuple):
    """What a network is trained with unless told otherwise."""

    epochs: int
    size: int
    lr: float


DEFAULTS = {"squeezenet": _Defaults(20, 227, 2e-3), "cnn": _Defaults(100, 64, 1e-3)}


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S7's settings; the update rule is not published."""

    network: str = option("squeezenet", "squeezenet: fine-tuned; cnn: S6's, from scratch", choices=tuple(DEFAULTS))
    weights: str | None = option(None, f"SqueezeNet's, .npz or .pth (default: {WEIGHTS} in the folder FASTNN_DATA)")
    split: int = option(2, "which of the three published splits, 1 to 3", at_least_one)
    epochs: int = option(
        lambda settings: DEFAULTS[settings.network].epochs,
        "passes over the training images; by default 20, for cnn 100",
        at_least_one,
        quick=2,
        length=True,
    )
    batch_size: int = option(32, "images in a minibatch", at_least_one)
    lr: float = option(
        lambda settings: DEFAULTS[settings.network].lr, "learning rate; by default 2e-3, for cnn 1e-3", number
    )
    size: int = option(
        lambda settings: DEFAULTS[settings.network].size,
        "height and width of the images; by default 227, for cnn 64",
        at_least_one,
    )


class Flowers(NamedTuple):
    """Images and labels of a split."""

    train: tuple[ByteImages, np.ndarray]
    valid: tuple[ByteImages, np.ndarray]
    test: tuple[ByteImages, np.ndarray]

    def __str__(self) -> str:
        train, valid, test = (len(x) for x, _ in self)
        return f"{train} photographs to train, {valid} to validate, {test} to test"


def run(settings: Settings) -> Path:
    """Fine-tune or train, report, and write the run folder; returns its path."""
    size = settings.size
    with run_folder("flowers", settings) as run:
        net, normalise = squeezenet(settings.weights) if settings.network == "squeezenet" else cnn(size)
        data = load(size, settings.split, quick=settings.quick)
        write(f"{data}; seed {settings.seed}\n{net.summary((1, 3, size, size))}\n")
        if settings.network == "squeezenet":
            optimizer: fnn.optim.Optimizer = fnn.SGD(net.parameters(), lr=settings.lr, momentum=0.9)
        else:
            optimizer = fnn.Adam(net.parameters(), lr=settings.lr)
        best = BestWeights()
        trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer, callbacks=[EpochTable(), best])
        run.fit(
            trainer,
            data.train,
            data.valid,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            augment=Compose([RandomResizedCrop(size, scale=(0.5, 1.0)), RandomHorizontalFlip()]),
            transform=normalise,
        )
        run.keep(trainer)

        x, y = data.test
        scores = trainer.predict(x)
        predicted = scores.argmax(axis=1)
        print_report(trainer, y, predicted)
        right = accuracy(predicted, y)
        result = {
            SCORE: best.value,
            "best_iteration": best.iteration,
            "test_accuracy": right,
            "training_seconds": round(trainer.seconds, 3),
        }
        rows = [
            CARD.beside("S7", f"test accuracy, {settings.network}", percent(right)),
            CARD.beside("S7", "validation accuracy", percent(best.value or 0.0)),
        ]

        how = "SqueezeNet 1.1, fine-tuned" if settings.network == "squeezenet" else "S6's network from scratch"
        title = f"{how}, on {len(data.train[0])} flowers"
        steps = -(-len(data.train[0]) // settings.batch_size)
        run.draw("curves", plots.learning_curves, trainer.history, title=title, steps_per_epoch=steps)
        _pictures(run, net, data, fnn.functional.softmax(scores))
        tables = classifier_tables(y, predicted, FLOWERS17_CLASSES)
        run.finish(result, Page(title, f"Split {settings.split}: {data}.", rows, tables, PICTURES))
    return run.folder


def load(size: int, split: int, *, quick: bool) -> Flowers:
    """The images of a split; of a quick run some of each part."""
    parts = flowers17(size=size, split=split)
    if not quick:
        return Flowers(*parts)
    order = [np.random.default_rng(0).permutation(len(y))[:_FEW] for _, y in parts]
    return Flowers(*((x.subset(few), y[few]) for (x, y), few in zip(parts, order, strict=True)))


def squeezenet(weights: str | None) -> tuple[fnn.Sequential, Normalize]:
    """SqueezeNet with ImageNet's weights, but for its last layer, which is new; and how images are normalised."""
    folder = data_folder()
    path = Path(weights) if weights else folder and folder / WEIGHTS
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"weights: got {path or 'none'}, expected SqueezeNet 1.1's: {WEIGHTS} in the folder that the environment "
            "variable FASTNN_DATA names, or --weights FILE, as torchvision's squeezenet1_1-b8a52dc0.pth"
        )
    state = {name: array for name, array in load_squeezenet(path).items() if not name.startswith(_LAST)}
    net = networks.squeezenet(len(FLOWERS17_CLASSES))
    net.load_state_dict(state, strict=False)
    return net, normalisation(path)


def cnn(size: int) -> tuple[fnn.Sequential, Normalize]:
    return networks.cnn(len(FLOWERS17_CLASSES), size=size), Normalize((0.5,) * 3, (0.25,) * 3)


PICTURES = (
    Picture("curves.png", "Loss and accuracy", "Training minibatches are augmented, validation images are not."),
    Picture("confusion.png", "Which flower is taken for which"),
    Picture("most_wrong.png", "The surest mistakes", "True class, what it was taken for, with which probability."),
    Picture("kernels.png", "The kernels of the first layer", "Grey is zero; each kernel fills its own scale."),
)


def _pictures(run: Run, net: fnn.Sequential, data: Flowers, probabilities: np.ndarray) -> None:
    x: Any = data.test[0]  # bytes, of which plots take what they show
    y = data.test[1]
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(y, predicted, len(FLOWERS17_CLASSES))
    title = f"{np.count_nonzero(predicted != y)} of {len(y)} test images wrong"
    run.save(plots.confusion_matrix(matrix, class_names=FLOWERS17_CLASSES, title=title), "confusion")
    for name, count in (("most_wrong", 18), (f"most_wrong{NARROW}", 9)):
        wrong = plots.most_wrong(x, probabilities, y, class_names=FLOWERS17_CLASSES, count=count)
        run.save(wrong, name)
    first = next(layer for layer in net.modules() if isinstance(layer, fnn.Conv2d))
    run.save(plots.kernels(first.weight.data), "kernels")
