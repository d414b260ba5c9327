"""S5: the characters of S2 by a wider hidden layer and Adam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fastnn as fnn
from fastnn import plots
from fastnn.data import CHARACTERS
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.classifier import show_classifier, test_accuracy
from fastnn.recipes._frame.handwriting import data_option, load
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.report import Picture
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.recipes.characters import network
from fastnn.training import Trainer, write

CARD = Card(
    source="16-720, Carnegie Mellon University",
    systems=(System("S5", "characters, a wider layer and Adam", "40 s", {"test accuracy": 0.8328}),),
    data="hw36, 2,801 + 311 (published: NIST36)",
    size="271,652 parameters",
)
SCORE = "valid_accuracy"


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S5's settings as published."""

    data: str = data_option()
    hidden: int = option(256, "units of the hidden layer", at_least_one)
    epochs: int = option(200, "passes over the training images", at_least_one, quick=5, length=True)
    batch_size: int = option(32, "images in a minibatch", at_least_one)
    lr: float = option(1e-3, "learning rate of Adam", number)
    lr_step: int = option(100, "epochs after which the learning rate is multiplied, again and again", at_least_one)
    lr_factor: float = option(0.5, "what it is multiplied with then", number)


def run(settings: Settings) -> Path:
    """Train, report, and write the run folder; returns its path."""
    with run_folder("characters-adam", settings) as run:
        data = load(settings.data, quick=settings.quick)
        net = network(settings.hidden)
        write(f"{data}; seed {settings.seed}\n{net.summary((1, 1, 32, 32))}\n")
        before = net.state_dict()["1.weight"]
        optimizer = fnn.Adam(net.parameters(), lr=settings.lr)
        schedule = {"epoch": fnn.lr_scheduler.StepLR(optimizer, settings.lr_step, settings.lr_factor)}
        trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=schedule, callbacks=[EpochTable()])
        run.fit(trainer, data.train, data.valid, epochs=settings.epochs, batch_size=settings.batch_size)

        valid = trainer.history.eval_accuracy[-1]
        tiles = {"before": before, "after": net.state_dict()["1.weight"]}
        run.draw("weights", plots.weight_tiles, tiles, (32, 32), title="Weights of the first layer")
        show_classifier(
            run,
            trainer,
            data.test,
            class_names=CHARACTERS,
            title=f"{settings.hidden} hidden units and Adam on {len(data.train[0]):,} characters",
            summary=f"1024, {settings.hidden}, 36 classes; {data}. The published figure is that of NIST36.",
            rows=[
                CARD.beside("S5", "validation accuracy", percent(valid)),
                CARD.beside("S5", "test accuracy", percent(test_accuracy(trainer, data.test))),
            ],
            results={SCORE: valid},
            pictures=[Picture("weights.png", "What the first layer has learned", "64 of the units.")],
        )
    return run.folder
