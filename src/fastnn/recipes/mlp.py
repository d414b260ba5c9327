"""S10: a perceptron on MNIST from three initialisations; S10b, its better settings; S10c, finite differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import networks, plots
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.report import Comparison, Page, Picture
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option, widths
from fastnn.recipes._frame.split import data_option, load
from fastnn.training import Trainer, write

# Published: training accuracy after 10 epochs of batches of 200 at 1e-3 (S10), and Glorot's accuracy by what was
# changed (S10b), from batches of 100, 10 epochs and, but for the first, a learning rate of 0.01.
PUBLISHED = {"zero": 0.1136, "normal": 0.9389, "glorot": 0.8289}
PUBLISHED_TUNED = {
    "learning rate 0.001": 0.8289,
    "learning rate 0.01": 0.9448,
    "learning rate 0.1": 0.9786,
    "batches of 256": 0.9237,
    "batches of 512": 0.9107,
    "15 epochs": 0.9550,
    "20 epochs": 0.9611,
    "1024 x 512 wide": 0.9794,
}

CARD = Card(
    source="IFT 6135, Université de Montréal",
    systems=(
        System(
            "S10",
            "a perceptron from three initialisations",
            "40 s",
            {f"{name}, training accuracy": accuracy for name, accuracy in PUBLISHED.items()},
        ),
        System("S10b", "its better settings", "", PUBLISHED_TUNED, "--init glorot --lr 0.1 --batch-size 100"),
        System("S10c", "gradients and finite differences", "", {"smallest difference": "falls to 0"}),
    ),
    data="MNIST, 50,000 + 10,000",
    size="973,702 parameters",
)
SCORE = "valid_accuracy"

RULES: Mapping[str, Mapping[str, str]] = {
    "zero": {"Linear": "zeros", "Linear.bias": "zeros"},
    "normal": {"Linear": "normal", "Linear.bias": "zeros"},  # standard normal
    "glorot": {"Linear": "xavier_uniform", "Linear.bias": "zeros"},
}
PLACES = [k * 10**i for i in (0, 1, 3, 5) for k in (1, 5)]  # N of S10c, whose eps is 1/N


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S10's settings as published; S10b's are --init glorot --lr 0.1 --batch-size 100."""

    data: str = data_option()
    init: str = option("all", "what the weights begin with; all: one run for each", choices=("all", *RULES))
    hidden: str = option("666x666", "widths of the hidden layers", widths)
    epochs: int = option(10, "passes over the training images", at_least_one, quick=2, length=True)
    batch_size: int = option(200, "images in a minibatch", at_least_one)
    lr: float = option(1e-3, "learning rate", number)


def network(hidden: str = "666x666") -> fnn.Sequential:
    """The perceptron with hidden layers as a setting gives them."""
    return networks.mlp(hidden=list(map(int, hidden.split("x"))))


def run(settings: Settings) -> Path:
    """Train from each initialisation, compare, check a gradient, and write the run folder; returns its path."""
    with run_folder("mlp", settings) as run:
        data = load(settings.data, quick=settings.quick)
        write(f"{data}; seed {settings.seed}\n{network(settings.hidden).summary((1, 1, 28, 28))}")
        trainers, outputs, result = {}, {}, {}
        for name in RULES if settings.init == "all" else (settings.init,):
            write(f"\n{name}")
            net = fnn.init.initialise(network(settings.hidden), RULES[name])
            outputs[name] = _outputs(net, data.train[0][:500])
            optimizer = fnn.SGD(net.parameters(), lr=settings.lr)
            trainer = trainers[name] = Trainer(net, fnn.CrossEntropyLoss(), optimizer, callbacks=[EpochTable()])
            length = {"epochs": settings.epochs, "batch_size": settings.batch_size}
            run.fit(trainer, data.train, data.valid, **length, name=name)
            run.keep(trainer, name)
            result[name] = {part: trainer.evaluate(examples)[1] for part, examples in data._asdict().items()}

        steps = -(-len(data.train[0]) // settings.batch_size)
        compared = settings.init == "all" and not settings.quick
        published = {name: {10.0: PUBLISHED[name]} for name in trainers} if compared else None
        histories = {name: trainer.history for name, trainer in trainers.items()}
        shown = {"outputs": outputs, "published": published, "steps_per_epoch": steps}
        run.draw("initialisations", plots.initialisations, histories, **shown)
        differences = finite_differences(trainers[name].net, *(part[:20] for part in data.train))
        run.save(plots.gradient_error(differences), "gradient_error")
        write("\nlargest difference between 10 gradients of layer 2 and finite differences, by N = 1/eps")
        write("  ".join(f"{round(1 / eps)}: {error:.1e}" for eps, error in differences.items()))
        seconds = sum(trainer.seconds for trainer in trainers.values())
        accuracies = {f"{name}_{part}_accuracy": value for name, of in result.items() for part, value in of.items()}
        score = {SCORE: result[name]["valid"], **accuracies, "training_seconds": round(seconds, 3)}
        smallest = CARD.beside("S10c", "smallest difference", f"{min(differences.values()):.1e}")
        run.finish(score, _page(str(data), settings, [*_comparisons(settings, result), smallest]))
    return run.folder


def finite_differences(net: fnn.Module, x: np.ndarray, y: np.ndarray) -> dict[float, float]:
    """By eps = 1/N: the largest difference between analytic and numeric gradients of 10 weights of the second layer."""
    criterion = fnn.CrossEntropyLoss()

    def check(eps: float) -> float:
        names = ["3.weight"]
        return fnn.gradcheck(net, x, target=y, criterion=criterion, names=names, eps=eps, show=False).largest_difference

    return {1 / N: check(1 / N) for N in PLACES}


def _outputs(net: fnn.Sequential, x: np.ndarray) -> dict[str, np.ndarray]:
    """What each linear layer gives before training."""
    outputs: dict[str, np.ndarray] = {}
    for layer in net:
        x = layer.eval()(x)
        if isinstance(layer, fnn.Linear):
            outputs[f"layer {len(outputs) + 1}"] = x
    return outputs


def _comparisons(settings: Settings, result: Mapping[str, Mapping[str, float | None]]) -> list[Comparison]:
    rows = []
    for name, accuracies in result.items():
        for part, accuracy in accuracies.items():
            what = f"{name}, {'training' if part == 'train' else part} accuracy"
            rows.append(CARD.beside("S10" if settings.init == "all" else "S10b", what, percent(accuracy or 0.0)))
    if settings.init == "glorot":
        rows += CARD.unmeasured("S10b")
    return rows


def _page(data: str, settings: Settings, comparisons: list[Comparison]) -> Page:
    return Page(
        "A perceptron on MNIST, by its initial weights",
        f"784, {settings.hidden}, 10 classes; {data}.",
        comparisons,
        pictures=[
            Picture("initialisations.png", "Loss and accuracy", "Below: what each layer gave before training."),
            Picture("gradient_error.png", "Gradients of the second layer against finite differences"),
        ],
    )
