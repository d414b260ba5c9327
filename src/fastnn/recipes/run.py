"""What recipes have in common: the run folder, what is written into it, what is printed."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn._extras import require
from fastnn._files import atomic_folder
from fastnn.interop import save_safetensors
from fastnn.recipes.settings import CommonSettings
from fastnn.training import (
    Trainer,
    accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
    write,
)


@contextmanager
def run_folder(recipe: str, settings: CommonSettings) -> Iterator[tuple[Path, Path]]:
    """The folder to write a run into, and the path that it gets when the block ends well.

    Seed and threads are set inside. Missing extras and an unusable folder are found here, before any training.
    """
    for module in ("matplotlib.figure", "sklearn.metrics", "safetensors.numpy"):
        require(module, "training a recipe")
    threads = fnn.num_threads(settings.threads) if settings.threads else nullcontext()
    final = Path(settings.out) if settings.out else _new_name(recipe)
    with atomic_folder(final) as folder, threads:
        fnn.manual_seed(settings.seed)
        yield folder, final
    print(f"\nrun folder: {final}")


def _new_name(recipe: str) -> Path:
    path = base = Path("runs") / f"{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    count = 1
    while path.exists():
        count += 1
        path = base.with_name(f"{base.name}-{count}")
    return path


class AccuracyTable:
    """A trainer's callback: a line an evaluation, our test accuracy beside the published one."""

    def __init__(self, published: Mapping[int, float], source: str) -> None:
        self._published = published
        write(f"{'iteration':>9}  {'test accuracy':>13}  {source + ', published':>13}")

    def __call__(self, trainer: Trainer) -> None:
        iteration, value = trainer.history.eval_iteration[-1], trainer.history.eval_accuracy[-1]
        published = f"{self._published[iteration]:.3f}" if iteration in self._published else "-"
        write(f"{iteration:9}  {value:13.4f}  {published:>13}")


def print_report(trainer: Trainer, target: np.ndarray, predicted: np.ndarray) -> None:
    """The time, the per-class table, the confusion matrix and the most confused pairs."""
    steps = trainer.history.iterations
    matrix = confusion_matrix(target, predicted)
    pairs = ", ".join(map(str, most_confused_pairs(matrix))) or "none"
    print(
        f"\n{steps} iterations in {trainer.seconds:.1f} s, {1e3 * trainer.seconds / steps:.2f} ms each\n\n"
        f"{classification_report(target, predicted)}\n{confusion_table(matrix)}\n\nmost confused: {pairs}"
    )


def write_run(
    folder: Path,
    recipe: str,
    settings: CommonSettings,
    trainer: Trainer,
    target: np.ndarray,
    predicted: np.ndarray,
    *,
    title: str,
    published: Mapping[int, float],
) -> None:
    """Weights, history, settings, learning curves and confusion matrix of a classifier."""
    save_safetensors(folder / "weights.safetensors", trainer.net.state_dict())
    trainer.history.save(folder / "history.json")
    plots.save(plots.learning_curves(trainer.history, title=title, published=published), folder / "curves.png")
    wrong = np.count_nonzero(target != predicted)
    confusion = plots.confusion_matrix(
        confusion_matrix(target, predicted), title=f"{title}: {wrong:,} of {len(target):,} test images wrong"
    )
    plots.save(confusion, folder / "confusion.png")
    record = {
        "recipe": recipe,
        "settings": asdict(settings),
        "environment": {
            "fastnn": fnn.__version__,
            "isa": fnn.isa(),
            "threads": fnn.get_num_threads(),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "result": {
            "iterations": trainer.history.iterations,
            "test_accuracy": accuracy(predicted, target),
            "training_seconds": round(trainer.seconds, 3),
        },
    }
    (folder / "settings.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
