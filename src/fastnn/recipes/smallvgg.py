"""S11: SmallVGG on MNIST, beside the perceptron of S10."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fastnn as fnn
from fastnn import plots
from fastnn.networks import small_vgg
from fastnn.recipes import mlp
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.report import Page, Picture
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.recipes._frame.split import data_option, load
from fastnn.training import Trainer, write

CARD = Card(
    source="IFT 6135, Université de Montréal",
    systems=(
        System(
            "S11",
            "SmallVGG beside a perceptron",
            "4 min",
            {
                "SmallVGG, test accuracy": "about 99 %",
                "SmallVGG, test loss": "about 0.05",
                "perceptron, test accuracy": "about 98 %",
            },
        ),
    ),
    data="MNIST, 50,000",
    size="839,802 parameters",
)
SCORE = "valid_accuracy"


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S11's settings; its batch size is not published. The perceptron has S10b's learning rate."""

    data: str = data_option()
    epochs: int = option(10, "passes over the training images", at_least_one, quick=2, length=True)
    batch_size: int = option(64, "images in a minibatch", at_least_one)
    lr: float = option(0.03, "learning rate", number)
    lr_decay: float = option(1.0, "factor of the learning rate after each epoch", number)
    momentum: float = option(0.0, "of the optimizer", number)


XAVIER = {"Conv2d": "xavier_uniform", "Linear": "xavier_uniform", "Conv2d.bias": "zeros", "Linear.bias": "zeros"}


def run(settings: Settings) -> Path:
    """Train both networks, compare them, and write the run folder; returns its path."""
    with run_folder("smallvgg", settings) as run:
        data = load(settings.data, quick=settings.quick)
        perceptron = fnn.init.initialise(mlp.network(), mlp.RULES["glorot"])
        networks = {"SmallVGG": fnn.init.initialise(small_vgg(), XAVIER), "perceptron": perceptron}
        write(f"{data}; seed {settings.seed}\n{networks['SmallVGG'].summary((1, 1, 28, 28))}")
        trainers: dict[str, Trainer] = {}
        losses: dict[str, float] = {}
        right: dict[str, float | None] = {}
        rows = []
        for name, net in networks.items():
            write(f"\n{name}")
            rates = (settings.lr, settings.momentum, settings.lr_decay) if name == "SmallVGG" else (0.1, 0.0, 1.0)
            optimizer = fnn.SGD(net.parameters(), lr=rates[0], momentum=rates[1])
            decay = {"epoch": fnn.lr_scheduler.ExponentialLR(optimizer, rates[2])}
            trainer = trainers[name] = Trainer(
                net, fnn.CrossEntropyLoss(), optimizer, schedule=decay, callbacks=[EpochTable()]
            )
            length = {"epochs": settings.epochs, "batch_size": settings.batch_size}
            run.fit(trainer, data.train, data.valid, **length, name=name)
            run.keep(trainer, name)
            losses[name], right[name] = trainer.evaluate(data.test)
            rows.append(CARD.beside("S11", f"{name}, test accuracy", percent(right[name] or 0.0)))
            rows.append(CARD.beside("S11", f"{name}, test loss", f"{losses[name]:.4f}"))

        histories = {name: trainer.history for name, trainer in trainers.items()}
        steps = -(-len(data.train[0]) // settings.batch_size)
        title = f"SmallVGG and a perceptron, {len(data.train[0]):,} MNIST digits"
        run.draw("curves", plots.learning_curves, histories, title=title, steps_per_epoch=steps)
        run.save(plots.kernels(trainers["SmallVGG"].net.state_dict()["0.weight"]), "kernels")
        result = {
            SCORE: histories["SmallVGG"].eval_accuracy[-1],
            "test_accuracy": right["SmallVGG"],
            "test_loss": losses["SmallVGG"],
            "perceptron_test_accuracy": right["perceptron"],
            "training_seconds": round(trainers["SmallVGG"].seconds, 3),
        }
        pictures = [
            Picture("curves.png", "Loss and accuracy"),
            Picture("kernels.png", "What the first layer has learned"),
        ]
        run.finish(result, Page(title, f"{data}.", rows, pictures=pictures))
    return run.folder
