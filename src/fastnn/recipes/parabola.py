"""S8: which points lie under a parabola; three small networks, given as volumes with kernels and strides."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.recipes._frame.card import UNKNOWN, Card, System, percent
from fastnn.recipes._frame.report import Comparison, Page, Picture, Table
from fastnn.recipes._frame.run import Run, run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, number, option
from fastnn.training import Trainer, binary_accuracy, write


class Layer(NamedTuple):
    """A layer of sigmoids over a volume: height and width of its kernel, its stride, the depth of what it gives."""

    kernel: tuple[int, int]
    stride: int
    depth: int


class Figures(NamedTuple):
    """Accuracies, the seconds of 1000 epochs, the microseconds of a prediction."""

    train: float
    test: float
    seconds: float
    microseconds: float
    valid: float | None = None

    def shown(self) -> dict[str, float | str]:
        """By the names of the report's rows."""
        return {
            "training accuracy": self.train,
            "test accuracy": self.test,
            "training time": f"{self.seconds:.3f} s",
            "prediction time": f"{self.microseconds:.0f} µs",
        }


POINT = (2, 1, 1)  # height, width and depth of what goes in
NETWORKS: dict[str, tuple[Layer, ...]] = {
    "2 -> 1": (Layer((2, 1), 1, 1),),
    "2 -> 1 -> 1": (Layer((2, 1), 1, 1), Layer((1, 1), 1, 1)),
    "2 -> 3 -> 1": (Layer((2, 1), 1, 3), Layer((1, 1), 1, 1)),
}
PUBLISHED = {
    "2 -> 1": Figures(0.788, 0.76, 0.126, 43),
    "2 -> 1 -> 1": Figures(0.810, 0.76, 0.217, 69),
    "2 -> 3 -> 1": Figures(0.998, 1.0, 0.458, 102),
}

CARD = Card(
    source=UNKNOWN,
    systems=(
        System(
            "S8",
            "points under a parabola",
            "5 s",
            {f"{name}, {what}": figure for name, of in PUBLISHED.items() for what, figure in of.shown().items()},
        ),
    ),
    data="1,000 + 100 points, drawn",
    size="3, 5 and 13 parameters",
)
SCORE = "valid_accuracy"

_TRAIN, _TEST, _VALID = 1000, 100, 1000


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S8's settings as published; with so few test points one draw says little, so there are several."""

    lr: float = option(2.0, "learning rate", number)
    momentum: float = option(0.0, "of the optimizer", number)
    epochs: int = option(1000, "steps, each with all points", at_least_one, quick=50, length=True)
    draws: int = option(
        10, "draws of points and weights; figures are their means, times their medians", at_least_one, quick=2
    )


def points(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points uniform in [-2, 2]², as volumes (count, 1, 2, 1); 1 where x0² > x1, else 0, (count, 1)."""
    x = rng.uniform(-2, 2, (count, 2)).astype(np.float32)
    return x.reshape(count, 1, 2, 1), (x[:, :1] ** 2 > x[:, 1:]).astype(np.float32)


def network(layers: Sequence[Layer]) -> fnn.Sequential:
    """The network of these layers; a kernel that covers its volume makes a linear layer of the convolution."""
    parts: list[fnn.Module] = [fnn.Flatten()]
    for volume, layer in zip(volumes(layers), layers, strict=False):
        if layer.kernel != volume[:2]:
            raise ValueError(f"kernel: got {layer.kernel}, expected that of the whole volume, {volume[:2]}")
        height, width, depth = volume
        parts += [fnn.Linear(height * width * depth, layer.depth), fnn.Sigmoid()]
    return fnn.Sequential(*parts)


def volumes(layers: Sequence[Layer]) -> list[tuple[int, int, int]]:
    """Height, width and depth of what goes in, and of what each layer gives."""
    sizes = [POINT]
    for (KH, KW), stride, depth in layers:
        H, W, _ = sizes[-1]
        sizes.append(((H - KH) // stride + 1, (W - KW) // stride + 1, depth))
    return sizes


def run(settings: Settings) -> Path:
    """Train each network on each draw, compare, and write the run folder; returns its path."""
    draws, epochs = settings.draws, settings.epochs
    with run_folder("parabola", settings) as run:
        comparisons: list[Comparison] = []
        tables: list[Table] = []
        networks: dict[str, list[Figures]] = {}
        for name, layers in NETWORKS.items():
            tables.append(_layer_table(name, layers))
            write("\n".join("  ".join(f"{cell:>10}" for cell in row) for row in (tables[-1].columns, *tables[-1].rows)))
            write("")
            seeds = np.random.SeedSequence(settings.seed).spawn(draws)
            networks[name] = [_train(run, name, seed, epochs, settings, keep=seed is seeds[0]) for seed in seeds]
            comparisons += _compare(name, networks[name])
        result: dict[str, Any] = {name: [each._asdict() for each in figures] for name, figures in networks.items()}
        every = [each for figures in networks.values() for each in figures]
        valid, test = (statistics.fmean(getattr(each, part) for each in every) for part in ("valid", "test"))
        title, counts = "Points under a parabola", f"{_TRAIN:,} points to train with and {_TEST} to test"
        summary = f"{counts}, {draws} times; {epochs:,} epochs of gradient descent over all points."
        pictures = [Picture(f"{_file(name)}.png", name) for name in NETWORKS]
        run.finish(
            {SCORE: valid, "test_accuracy": test, "networks": result},
            Page(title, summary, comparisons, tables, pictures),
        )
    return run.folder


def _train(
    run: Run, name: str, seed: np.random.SeedSequence, epochs: int, settings: Settings, *, keep: bool
) -> Figures:
    """One network on one draw; `keep` what is to be looked at."""
    rng = np.random.default_rng(seed)
    fnn.manual_seed(int(rng.integers(2**31)))
    train, test, valid = points(_TRAIN, rng), points(_TEST, rng), points(_VALID, rng)
    net = network(NETWORKS[name])
    optimizer = fnn.SGD(net.parameters(), lr=settings.lr, momentum=settings.momentum)
    trainer = Trainer(net, fnn.BCELoss(), optimizer, metric=None)
    trainer.fit(train, epochs=epochs, batch_size=_TRAIN, evaluate_every=epochs, shuffle=False, progress=False)
    if trainer.stopped:
        raise KeyboardInterrupt
    right = [binary_accuracy(net(x), y) for x, y in (train, test, valid)]
    if keep:
        run.keep(trainer, _file(name))
        title = f"{name}: {percent(right[0])} in training"
        shown = plots.decision_regions(train[0].reshape(-1, 2), train[1], net, title=title)
        run.save(shown, _file(name))
    return Figures(right[0], right[1], trainer.seconds, _prediction_time(net, test[0]), right[2])


def _prediction_time(net: fnn.Sequential, x: np.ndarray) -> float:
    """Microseconds to predict x: the median of many calls."""
    times = []
    for _ in range(200):
        start = time.perf_counter()
        net(x)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def _compare(name: str, figures: list[Figures]) -> list[Comparison]:
    train, test, seconds, microseconds, _ = (np.array(values) for values in zip(*figures, strict=True))

    def spread(values: np.ndarray) -> str:
        return f"{percent(values.mean())} ({percent(values.min())} to {percent(values.max())})"

    return [
        CARD.beside("S8", f"{name}, training accuracy", spread(train)),
        CARD.beside("S8", f"{name}, test accuracy", spread(test)),
        CARD.beside("S8", f"{name}, training time", f"{np.median(seconds):.3f} s"),
        CARD.beside("S8", f"{name}, prediction time", f"{np.median(microseconds):.1f} µs"),
    ]


def _layer_table(name: str, layers: Sequence[Layer]) -> Table:
    sizes = [" x ".join(map(str, volume)) for volume in volumes(layers)]
    rows = [
        (before, " x ".join(map(str, layer.kernel)), layer.stride, after)
        for before, layer, after in zip(sizes[:-1], layers, sizes[1:], strict=True)
    ]
    return Table(name, ("input", "kernel", "stride", "output"), rows)


def _file(name: str) -> str:
    return name.replace(" -> ", "-")
