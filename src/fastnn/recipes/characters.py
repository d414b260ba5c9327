"""S2: handwritten characters by one hidden layer; its learning rates (S2b), its looks (S2c), its gradients (S2d)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.data import CHARACTERS
from fastnn.networks import mlp
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.classifier import show_classifier, test_accuracy
from fastnn.recipes._frame.handwriting import data_option, load
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.report import Picture, Table
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.training import Trainer, write

CARD = Card(
    source="16-720, Carnegie Mellon University",
    systems=(
        System(
            "S2",
            "handwritten characters, one hidden layer",
            "20 s",
            {"validation accuracy": 0.77, "test accuracy": 0.7783},
        ),
        System(
            "S2b",
            "its learning rates",
            "",
            {"test accuracy, lr 0.02": 0.7222, "test accuracy, lr 0.002": 0.7783, "test accuracy, lr 0.0002": 0.69},
        ),
        System("S2c", "its weights and mistakes", "", {"most confused": "O and 0, 5 and S, 2 and Z, I and 1"}),
        System("S2d", "finite differences of all its gradients", "", {"largest difference": "agrees"}),
    ),
    data="hw36, 2,801 + 311 (published: NIST36)",
    size="67,940 parameters",
)
SCORE = "valid_accuracy"

FACTORS = (10.0, 1.0, 0.1)  # of S2's learning rate, in S2b
RULES = {"Linear": "xavier_uniform", "Linear.bias": "zeros"}
_CHECKED = 4  # images that finite differences are taken of


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S2's settings as published. The loss is summed over a minibatch, so the learning rate is small."""

    data: str = data_option()
    hidden: int = option(64, "units of the hidden layer", at_least_one)
    epochs: int = option(100, "passes over the training images", at_least_one, quick=5, length=True)
    batch_size: int = option(64, "images in a minibatch", at_least_one)
    lr: float = option(2e-3, "learning rate of S2; S2b has ten times as much, and a tenth, too", number)


def network(hidden: int = 64) -> fnn.Sequential:
    """1024 -> hidden, sigmoid -> 36, with S2's initialisation."""
    net = mlp(1024, (hidden,), len(CHARACTERS), activation=fnn.Sigmoid)
    return fnn.init.initialise(net, RULES)


def run(settings: Settings) -> Path:
    """Train with three learning rates, look at the published one, check all gradients; returns the run folder."""
    with run_folder("characters", settings) as run:
        data = load(settings.data, quick=settings.quick)
        write(f"{data}; seed {settings.seed}\n{network(settings.hidden).summary((1, 1, 32, 32))}")
        before = network(settings.hidden).state_dict()["1.weight"]
        trainers: dict[float, Trainer] = {}
        rows = []
        for factor in FACTORS:
            rate = settings.lr * factor
            name = _name(rate)
            write(f"\n{name}")
            fnn.manual_seed(settings.seed)  # all begin with the same weights
            net = network(settings.hidden)
            before = net.state_dict()["1.weight"]
            optimizer = fnn.SGD(net.parameters(), lr=rate)
            criterion = fnn.CrossEntropyLoss(reduction="sum")
            trainer = trainers[factor] = Trainer(net, criterion, optimizer, callbacks=[EpochTable()])
            run.fit(trainer, data.train, data.valid, epochs=settings.epochs, batch_size=settings.batch_size, name=name)
            run.keep(trainer, name)
            rows.append(CARD.beside("S2b", f"test accuracy, lr {rate:g}", percent(test_accuracy(trainer, data.test))))
        base = trainers[1.0]
        valid = base.history.eval_accuracy[-1]
        rows = [
            CARD.beside("S2", "validation accuracy", percent(valid)),
            CARD.beside("S2", "test accuracy", percent(test_accuracy(base, data.test))),
            *rows,
        ]

        found = finite_differences(base.net, *(part[:_CHECKED] for part in data.train), quick=settings.quick)
        rows.append(CARD.beside("S2d", "largest difference", f"{found.largest_difference:.1e}"))
        table = _by_array(found)
        write(f"\n{table.title}, eps {found.eps:g}")
        write("\n".join(f"{name}: {count:,}, {apart} apart at most" for name, count, apart, _ in table.rows))

        title = f"One hidden layer on {len(data.train[0]):,} characters"
        histories = {_name(settings.lr * factor): trainer.history for factor, trainer in trainers.items()}
        steps = -(-len(data.train[0]) // settings.batch_size)
        run.draw("rates", plots.learning_curves, histories, title=title, steps_per_epoch=steps)
        tiles = {"before": before, "after": base.net.state_dict()["1.weight"]}
        run.draw("weights", plots.weight_tiles, tiles, (32, 32), title="Weights of the first layer")
        show_classifier(
            run,
            base,
            data.test,
            class_names=CHARACTERS,
            title=title,
            summary=f"1024, {settings.hidden}, 36 classes; {data}. Published figures are those of NIST36, where "
            f"{CARD.systems[2].published['most confused']} were confused most.",
            rows=rows,
            results={SCORE: valid, "largest_gradient_difference": found.largest_difference},
            tables=[table],
            pictures=[
                Picture("rates.png", "Loss and accuracy by learning rate", "Solid: training. Dashed: validation."),
                Picture("weights.png", "What the first layer has learned"),
            ],
        )
    return run.folder


def finite_differences(net: fnn.Module, x: np.ndarray, y: np.ndarray, *, quick: bool) -> fnn.gradients.Gradcheck:
    """S2d: the gradient of every weight and bias beside central differences; of some of them for a quick run."""
    names = [name for name, _ in net.named_parameters()]
    samples = 20 if quick else None
    return fnn.gradcheck(
        net, x, target=y, criterion=fnn.CrossEntropyLoss(), names=names, samples=samples, eps=1e-6, show=False
    )


def _by_array(found: fnn.gradients.Gradcheck) -> Table:
    rows = []
    for name in dict.fromkeys(entry.name for entry in found.entries):
        entries = [entry for entry in found.entries if entry.name == name]
        apart = max(abs(entry.analytic - entry.numeric) for entry in entries)
        rows.append([name, len(entries), f"{apart:.1e}", f"{max(entry.error for entry in entries):.1e}"])
    return Table("Gradients beside finite differences", ["of", "elements", "apart at most", "relative error"], rows)


def _name(rate: float) -> str:
    return f"lr-{rate:g}"
