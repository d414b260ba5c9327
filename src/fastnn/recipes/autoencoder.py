"""S4: an autoencoder of handwritten characters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.data import CHARACTERS
from fastnn.networks import autoencoder
from fastnn.recipes._frame.card import Card, System
from fastnn.recipes._frame.handwriting import data_option, load
from fastnn.recipes._frame.report import NARROW, Page, Picture
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.recipes.characters import RULES
from fastnn.training import Callback, Trainer, psnr, write

CARD = Card(
    source="16-720, Carnegie Mellon University",
    systems=(System("S4", "an autoencoder of characters", "10 s", {"PSNR of validation images": "15.24 dB"}),),
    data="hw36, 2,801 + 311 (published: NIST36)",
    size="68,704 parameters",
)
SCORE = "valid_psnr"

SHOWN = 5, 2  # classes, and images of each, that are drawn beside their reconstructions


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S4's settings as published. The loss is summed over images and pixels, so the learning rate is small."""

    data: str = data_option()
    epochs: int = option(100, "passes over the training images", at_least_one, quick=5, length=True)
    batch_size: int = option(36, "images in a minibatch", at_least_one)
    lr: float = option(3e-5, "learning rate", number)
    lr_step: int = option(20, "epochs after which the learning rate is multiplied, again and again", at_least_one)
    lr_factor: float = option(0.9, "what it is multiplied with then", number)
    momentum: float = option(0.9, "of the optimizer", number)


class _Table(Callback):
    """A line an evaluation: losses of an image, and PSNR."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        write(f"{'epoch':>5}  {'loss':>8}  {'validation':>10}  {'PSNR, dB':>8}")

    def on_evaluation(self, trainer: Trainer) -> None:
        loss = f"{trainer.latest('loss'):8.2f}" if trainer.history.loss else f"{'-':>8}"
        write(f"{trainer.epochs:5}  {loss}  {trainer.history.eval_loss[-1]:10.2f}  {trainer.latest('eval_psnr'):8.2f}")


def run(settings: Settings) -> Path:
    """Train, reconstruct, and write the run folder; returns its path."""
    with run_folder("autoencoder", settings) as run:
        data = load(settings.data, quick=settings.quick)
        net = fnn.init.initialise(autoencoder(), RULES)
        write(f"{data}; seed {settings.seed}\n{net.summary((1, 1024))}\n")
        train, valid, test = (x.reshape(len(x), -1) for x, _ in data)
        optimizer = fnn.SGD(net.parameters(), lr=settings.lr, momentum=settings.momentum)
        schedule = {"epoch": fnn.lr_scheduler.StepLR(optimizer, settings.lr_step, settings.lr_factor)}
        criterion = fnn.MSELoss(reduction="sum")
        trainer = Trainer(net, criterion, optimizer, schedule=schedule, callbacks=[_Table()], metric=psnr)
        run.fit(trainer, (train, train), (valid, valid), epochs=settings.epochs, batch_size=settings.batch_size)
        run.keep(trainer)

        ratios = {part: psnr(trainer.predict(x), x) for part, x in (("valid", valid), ("test", test))}
        rows = [
            CARD.beside("S4", "PSNR of validation images", f"{ratios['valid']:.2f} dB"),
            CARD.beside("S4", "PSNR of test images", f"{ratios['test']:.2f} dB"),
        ]
        title = f"An autoencoder of {len(train):,} characters"
        steps = -(-len(train) // settings.batch_size)
        shown = {"title": title, "steps_per_epoch": steps, "metric": "PSNR, dB"}
        run.draw("curves", plots.learning_curves, {"32 x 32 x 32": trainer.history}, **shown)
        chosen = of_some_classes(data.test[1])
        few = chosen[np.unique(data.test[1][chosen], return_index=True)[1]]
        for name, places in {"reconstructions": chosen, f"reconstructions{NARROW}": few}.items():
            images = (each.reshape(-1, 32, 32) for each in (test[places], trainer.predict(test[places])))
            run.save(plots.reconstructions(*images, title="Test images, and the autoencoder's"), name)
        result = {f"{part}_psnr": ratio for part, ratio in ratios.items()}
        names = ", ".join(dict.fromkeys(CHARACTERS[place] for place in data.test[1][chosen]))
        page = Page(
            title,
            f"1024, 32, 32, 32, 1024; {data}. The published figure is that of NIST36.",
            rows,
            pictures=[
                Picture("reconstructions.png", "Originals and reconstructions", f"Test images of {names}."),
                Picture("curves.png", "Loss and PSNR"),
            ],
        )
        run.finish({**result, "training_seconds": round(trainer.seconds, 3)}, page)
    return run.folder


def of_some_classes(y: np.ndarray) -> np.ndarray:
    """Places of the first two images of each of five classes, evenly chosen from those that there are."""
    classes = np.unique(y)
    chosen = classes[np.linspace(0, len(classes) - 1, SHOWN[0]).astype(int)]
    return np.concatenate([np.flatnonzero(y == each)[: SHOWN[1]] for each in chosen])
