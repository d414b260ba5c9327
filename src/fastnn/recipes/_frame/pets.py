"""Dogs and cats as S12 and S13 have them: split, augmentation, training, and what both report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.data import DOGS_VS_CATS_CLASSES, ByteImages, dogs_vs_cats
from fastnn.data.transforms import ColorJitter, Compose, Lighting, Normalize, RandomHorizontalFlip, RandomResizedCrop
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.report import NARROW, Picture
from fastnn.recipes._frame.run import Run
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.training import Trainer, confusion_matrix

SIZE = 64  # height and width of the images
NAMES = DOGS_VS_CATS_CLASSES
_FEW = 500  # images of a quick run

NORMALISE = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


class Pets(NamedTuple):
    """Images and labels: four fifths to train, one fifth to validate."""

    train: tuple[ByteImages, np.ndarray]
    valid: tuple[ByteImages, np.ndarray]

    def __str__(self) -> str:
        train, valid = (len(x) for x, _ in self)
        return f"{train:,} photographs to train, {valid:,} to validate"


@dataclass(frozen=True)
class PetSettings(CommonSettings):
    """What the recipes on dogs and cats can be told."""

    epochs: int = option(35, "passes over the training images", at_least_one, quick=2, length=True)
    batch_size: int = option(128, "images in a minibatch", at_least_one)
    lr: float = option(0.1, "learning rate", number)
    momentum: float = option(0.0, "of the optimizer", number)
    weight_decay: float = option(0.0, "of the optimizer", number)
    crop: float = option(0.4, "smallest share of an image that random crops have; 1: no crops", number)


def load(*, quick: bool) -> Pets:
    """The images in an order that is drawn once, for all seeds; of a quick run only some."""
    x, y, _ = dogs_vs_cats(size=SIZE)
    order = np.random.default_rng(0).permutation(len(x))
    if quick:
        order = order[:_FEW]
    train, valid = np.split(order, [len(order) * 4 // 5])
    return Pets((x.subset(train), y[train]), (x.subset(valid), y[valid]))


def initialised(net: fnn.Sequential) -> fnn.Sequential:
    """The network with Glorot's weights: from PyTorch's, which are smaller, the loss stays at log 2 for long."""
    rules = {"Conv2d": "xavier_uniform", "Linear": "xavier_uniform", "Linear.bias": "zeros"}
    if any(layer.bias is not None for layer in net.modules() if isinstance(layer, fnn.Conv2d)):
        rules["Conv2d.bias"] = "zeros"
    return fnn.init.initialise(net, rules)


def augmentation(crop: float) -> Compose:
    """Random resized crop, horizontal flip, colour jitter and lighting noise."""
    colours = [ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4), Lighting(0.1)]
    return Compose([RandomResizedCrop(SIZE, scale=(min(crop, 1.0), 1.0)), RandomHorizontalFlip(), *colours])


def train(run: Run, trainer: Trainer, data: Pets, settings: PetSettings, epochs: int, name: str = "") -> None:
    """Train a network by a recipe's settings, with a line an epoch."""
    trainer.callbacks.append(EpochTable())
    run.fit(
        trainer,
        data.train,
        data.valid,
        epochs=epochs,
        batch_size=settings.batch_size,
        augment=augmentation(settings.crop),
        transform=NORMALISE,
        name=name,
    )
    run.keep(trainer, name)


def results(trainer: Trainer, data: Pets) -> dict[str, Any]:
    """What the record has of a trained network: accuracy on both parts, the best one, and seconds."""
    history = trainer.history
    best = int(np.argmax(history.eval_accuracy))
    return {
        "train_accuracy": trainer.evaluate(data.train)[1],
        "train_accuracy_augmented": trainer.latest("accuracy"),
        "valid_accuracy": history.eval_accuracy[-1],
        "valid_loss": history.eval_loss[-1],
        "best_valid_accuracy": history.eval_accuracy[best],
        "best_epoch": best,
        "training_seconds": round(trainer.seconds, 3),
    }


def save_looks(run: Run, net: fnn.Module, data: Pets, probabilities: np.ndarray) -> None:
    """Of validation images: what is taken for which, undecided ones, sure mistakes; and the first layer's kernels."""
    x: Any = data.valid[0]  # bytes, of which plots take what they show
    y = data.valid[1]
    predicted = probabilities.argmax(axis=1)
    title = f"{np.count_nonzero(predicted != y):,} of {len(y):,} validation images wrong"
    shown: dict[str, Any] = {"probabilities": probabilities, "target": y, "class_names": NAMES}
    figures = {
        "confusion": plots.confusion_matrix(confusion_matrix(y, predicted, len(NAMES)), class_names=NAMES, title=title),
        "most_confusing": plots.most_confusing(x, **shown),
        f"most_confusing{NARROW}": plots.most_confusing(x, **shown, per_class=3),
        "most_wrong": plots.most_wrong(x, **shown),
        f"most_wrong{NARROW}": plots.most_wrong(x, **shown, count=9),
        "kernels": plots.kernels(next(net.parameters()).data),
    }
    for name, figure in figures.items():
        run.save(figure, name)


LOOKS = (
    Picture("confusion.png", "Which is taken for which"),
    Picture(
        "most_confusing.png", "The most confusing images", "Of each class those with a probability nearest to one half."
    ),
    Picture("most_wrong.png", "The surest mistakes", "True class, what it was taken for, with which probability."),
    Picture("kernels.png", "What the first layer has learned", "Grey is zero; each kernel fills its own scale."),
)
