"""What recipes have in common: the run folder, what is written into it, what is printed."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn._extras import require
from fastnn._files import atomic_file, new_folder
from fastnn._json import to_json
from fastnn.interop import save_safetensors
from fastnn.recipes.report import NARROW, Comparison
from fastnn.recipes.settings import CommonSettings
from fastnn.training import (
    Callback,
    Checkpoint,
    Trainer,
    accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
    write,
)
from fastnn.training.trainer import INTERRUPTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECKPOINT = "checkpoint"
RECORD = "settings.json"
_CLASSES_PRINTED = 20  # at most, in a confusion matrix: a line of more is broken in a terminal
_SECONDS = 2.0  # between two checkpoints, however many evaluations there are


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a run that can be gone on with; says how."""


class Run:
    """A run of a recipe: its folder, and training that goes on where an earlier one ended.

    Attributes
    ----------
    folder : where it writes
    resumed : whether it goes on with an earlier one
    """

    def __init__(self, recipe: str, folder: Path, *, resumed: bool) -> None:
        self.recipe, self.folder, self.resumed = recipe, folder, resumed

    def fit(self, trainer: Trainer, *args: Any, name: str = "", **options: Any) -> None:
        """`trainer.fit`, with a checkpoint in the folder, from which a resumed run goes on.

        Parameters
        ----------
        name : of this network, where a run trains several

        Raises
        ------
        Interrupted
            Ctrl-C; the checkpoint is written.
        """
        path = self.folder / f"{CHECKPOINT}{name and '-' + name}.npz"
        trainer.callbacks.append(Checkpoint(path, resume=self.resumed, every=_SECONDS))
        trainer.fit(*args, **options)
        if trainer.stopped == INTERRUPTED:
            raise Interrupted(f"after iteration {trainer.history.iterations}; {self.how_to_go_on()}")

    def keep(self, trainer: Trainer, name: str = "") -> None:
        """Write the weights and the history of a network."""
        ending = name and f"-{name}"
        save_safetensors(self.folder / f"weights{ending}.safetensors", trainer.net.state_dict())
        trainer.history.save(self.folder / f"history{ending}.json")

    def how_to_go_on(self) -> str:
        """The command."""
        return f"go on with: fastnn train {self.recipe} --resume {self.folder}"


@contextmanager
def run_folder(recipe: str, settings: CommonSettings) -> Iterator[Run]:
    """A run, whose folder stays if the block ends well, or as soon as there is something to go on from.

    Seed and threads are set inside. Missing extras and an unusable folder are found here, before any training.
    """
    for module in ("matplotlib.figure", "sklearn.metrics", "safetensors.numpy"):
        require(module, "training a recipe")
    threads = fnn.num_threads(settings.threads) if settings.threads else nullcontext()
    with threads, _folder(recipe, settings) as folder:
        run = Run(recipe, folder, resumed=settings.resume is not None)
        if not run.resumed:
            write_record(folder, recipe, settings)
        fnn.manual_seed(settings.seed)
        try:
            yield run
        except Exception:
            if _can_go_on(folder):
                write(f"the run ends here; {run.how_to_go_on()}")
            raise
    print(f"\nrun folder: {folder}")


def _folder(recipe: str, settings: CommonSettings) -> AbstractContextManager[Path]:
    if settings.resume is None:
        return new_folder(settings.out or _new_name(recipe), keep=_can_go_on)
    saved_settings(recipe, settings.resume)  # there is a run of this recipe
    return nullcontext(Path(settings.resume))


def _can_go_on(folder: Path) -> bool:
    return next(folder.glob(f"{CHECKPOINT}*.npz"), None) is not None


def _new_name(recipe: str) -> Path:
    path = base = Path("runs") / f"{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    count = 1
    while path.exists():
        count += 1
        path = base.with_name(f"{base.name}-{count}")
    return path


def saved_settings(recipe: str, folder: str | Path) -> dict[str, Any]:
    """The settings of the run in a folder.

    Raises
    ------
    ValueError
        There is no run of this recipe.
    """
    path = Path(folder) / RECORD
    try:
        record = json.loads(path.read_bytes())
        if record["recipe"] != recipe:
            raise ValueError(f"is of {record['recipe']!r}")
        return dict(record["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"resume: got {str(folder)!r}, expected the folder of a run of {recipe} ({error})") from error


class AccuracyTable(Callback):
    """A line an evaluation, our test accuracy beside the published one.

    Parameters
    ----------
    published : accuracy by iteration
    source : the system that it was published for
    """

    def __init__(self, published: Mapping[int, float], source: str) -> None:
        self._published, self._source = published, source

    def on_fit_begin(self, trainer: Trainer) -> None:
        write(f"{'iteration':>9}  {'test accuracy':>13}  {self._source + ', published':>13}")

    def on_evaluation(self, trainer: Trainer) -> None:
        iteration, value = trainer.history.eval_iteration[-1], trainer.history.eval_accuracy[-1]
        published = f"{self._published[iteration]:.3f}" if iteration in self._published else "-"
        write(f"{iteration:9}  {value:13.4f}  {published:>13}")


class EpochTable(Callback):
    """A line an evaluation: loss and accuracy of the minibatches since the last one, accuracy on the held-out data.

    Parameters
    ----------
    held_out : what that data is called
    """

    def __init__(self, held_out: str = "validation") -> None:
        self._held_out = held_out

    def on_fit_begin(self, trainer: Trainer) -> None:
        write(f"{'epoch':>5}  {'loss':>8}  {'training':>8}  {self._held_out:>10}  {'learning rate':>13}")

    def on_evaluation(self, trainer: Trainer) -> None:
        text = f"{'-':>8}  {'-':>8}"
        if trainer.history.loss:
            text = f"{trainer.latest('loss'):8.4f}  {trainer.latest('accuracy'):8.4f}"
        rate = trainer.optimizer.param_groups[0]["lr"]
        write(f"{trainer.epochs:5}  {text}  {trainer.history.eval_accuracy[-1]:10.4f}  {rate:13.3g}")


def print_figures(rows: Sequence[Comparison]) -> None:
    """Our figures beside the published ones."""
    table = [("", "published", "ours"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print()
    for what, *figures in table:
        cells = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
        print("  ".join([what.ljust(widths[0]), *cells]))


def percent(share: float) -> str:
    """A share as authors write it, as "97.86 %"."""
    return f"{100 * share:.2f} %"


def print_report(
    trainer: Trainer, target: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] | None = None
) -> None:
    """The time, the per-class table, the confusion matrix, if it is not too wide, and the most confused pairs."""
    steps = trainer.history.iterations
    matrix = confusion_matrix(target, predicted, None if class_names is None else len(class_names))
    table = f"{confusion_table(matrix, class_names)}\n\n" if len(matrix) <= _CLASSES_PRINTED else ""
    pairs = ", ".join(map(str, most_confused_pairs(matrix, class_names=class_names))) or "none"
    print(
        f"\n{steps} iterations in {trainer.seconds:.1f} s, {1e3 * trainer.seconds / steps:.2f} ms each\n\n"
        f"{classification_report(target, predicted, class_names)}\n{table}most confused: {pairs}"
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
    class_names: Sequence[str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Weights, history, settings, learning curves and confusion matrix of a classifier, and `more` results."""
    save_safetensors(folder / "weights.safetensors", trainer.net.state_dict())
    trainer.history.save(folder / "history.json")
    save_picture(folder, "curves", plots.learning_curves, trainer.history, title=title, published=published)
    wrong = np.count_nonzero(target != predicted)
    confusion = plots.confusion_matrix(
        confusion_matrix(target, predicted, None if class_names is None else len(class_names)),
        class_names=class_names,
        title=f"{title}: {wrong:,} of {len(target):,} test images wrong",
    )
    plots.save(confusion, folder / "confusion.png")
    result = {
        **(more or {}),
        "iterations": trainer.history.iterations,
        "test_accuracy": accuracy(predicted, target),
        "training_seconds": round(trainer.seconds, 3),
    }
    write_record(folder, recipe, settings, result)


def save_picture(folder: Path, name: str, draw: Callable[..., Figure], *args: Any, **options: Any) -> None:
    """What `draw` makes of the arguments as `NAME.png`, and one part below the other for the page on narrow screens."""
    plots.save(draw(*args, **options), folder / f"{name}.png")
    plots.save(draw(*args, stacked=True, **options), folder / f"{name}{NARROW}.png")


def write_record(folder: Path, recipe: str, settings: CommonSettings, result: Mapping[str, Any] | None = None) -> None:
    """The settings of a run and what it ran on; `result` when there is one."""
    record = {
        "recipe": recipe,
        "settings": {**asdict(settings), "out": None, "resume": None},
        "environment": {
            "fastnn": fnn.__version__,
            "isa": fnn.isa(),
            "threads": fnn.get_num_threads(),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    }
    if result is not None:
        record["result"] = dict(result)
    with atomic_file(folder / RECORD) as file:
        file.write((to_json(record, indent=2) + "\n").encode())
