"""What recipes have in common: the run folder, what is written into it, what is printed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn._extras import require
from fastnn._files import new_folder
from fastnn._lock import locked
from fastnn.interop import save_safetensors
from fastnn.recipes._frame.record import CHECKPOINT, changes, read_record, write_record
from fastnn.recipes._frame.report import NARROW, QUICK, Comparison, ours_alone
from fastnn.recipes._frame.settings import CommonSettings
from fastnn.training import (
    Callback,
    Checkpoint,
    DivergenceError,
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
    with threads, ExitStack() as stack:
        folder = _enter_folder(stack, recipe, settings)
        run = Run(recipe, folder, resumed=settings.resume is not None)
        if run.resumed:
            changed = changes(recipe, settings)
            if changed:
                write_record(folder, recipe, settings, changed=changed)
        else:
            write_record(folder, recipe, settings)
        fnn.manual_seed(settings.seed)
        try:
            yield run
        except Interrupted:  # says so itself
            raise
        except DivergenceError as error:  # it would diverge again
            advice = "Try a smaller --lr" if hasattr(settings, "lr") else ""
            raise DivergenceError(error.what, advice) from error
        except BaseException:
            if _can_go_on(folder):
                write(f"the run ends here; {run.how_to_go_on()}")
            raise
    write(f"\nrun folder: {folder}")


def _enter_folder(stack: ExitStack, recipe: str, settings: CommonSettings) -> Path:
    """Take the folder that a run is to write into, as long as the stack lasts."""
    if settings.resume is not None:
        read_record(recipe, settings.resume)  # there is a run of this recipe
        with usable(f"resume: {settings.resume}"):
            stack.enter_context(locked(settings.resume))
        return Path(settings.resume)
    if settings.out is not None:
        with usable(f"out: {settings.out}"):
            return stack.enter_context(new_folder(settings.out, keep=_can_go_on))
    base = Path("runs") / f"{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    with usable(f"{base.absolute()}", "; --out chooses another"):
        for count in itertools.count(1):
            with suppress(FileExistsError):
                path = base if count == 1 else base.with_name(f"{base.name}-{count}")
                return stack.enter_context(new_folder(path, keep=_can_go_on))
    raise AssertionError("there is always another number")


@contextmanager
def usable(place: str, advice: str = "") -> Iterator[None]:
    """A block that takes a folder; an error of the system says so, and what is expected."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        message = f"{place}: {error.strerror}; expected a folder that can be written into{advice}"
        raise type(error)(message) from error


def _can_go_on(folder: Path) -> bool:
    return next(folder.glob(f"{CHECKPOINT}*.npz"), None) is not None


class AccuracyTable(Callback):
    """A line an evaluation: our accuracy on the held-out data, beside the published one.

    Parameters
    ----------
    held_out : what that data is called
    published : accuracy by iteration; of an empty one there is no column
    source : the system that it was published for
    """

    def __init__(self, held_out: str, published: Mapping[int, float], source: str) -> None:
        self._published, self._source = published, source
        self._title = f"{held_out} accuracy"

    def on_fit_begin(self, trainer: Trainer) -> None:
        self._line("iteration", self._title, f"{self._source}, published")

    def on_evaluation(self, trainer: Trainer) -> None:
        iteration, value = trainer.history.eval_iteration[-1], trainer.history.eval_accuracy[-1]
        published = f"{self._published[iteration]:.3f}" if iteration in self._published else "-"
        self._line(str(iteration), f"{value:.4f}", published)

    def _line(self, iteration: str, accuracy: str, published: str) -> None:
        line = f"{iteration:>9}  {accuracy:>{len(self._title)}}"
        write(f"{line}  {published:>13}" if self._published else line)


class EpochTable(Callback):
    """A line an evaluation: loss and accuracy of the minibatches since the last one, accuracy on validation data."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        write(f"{'epoch':>5}  {'loss':>8}  {'training':>8}  {'validation':>10}  {'learning rate':>13}")

    def on_evaluation(self, trainer: Trainer) -> None:
        text = f"{'-':>8}  {'-':>8}"
        if trainer.history.loss:
            text = f"{trainer.latest('loss'):8.4f}  {trainer.latest('accuracy'):8.4f}"
        rate = trainer.optimizer.param_groups[0]["lr"]
        write(f"{trainer.epochs:5}  {text}  {trainer.history.eval_accuracy[-1]:10.4f}  {rate:13.3g}")


def print_figures(rows: Sequence[Comparison], settings: CommonSettings) -> None:
    """Our figures beside the published ones; of a quick run, ours alone."""
    if settings.quick:
        write(f"\n{QUICK}")
    table = [("", "ours"), *ours_alone(rows)] if settings.quick else [("", "published", "ours"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    write("")
    for what, *figures in table:
        cells = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
        write("  ".join([what.ljust(widths[0]), *cells]))


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
    write(
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
    held_out: str,
    class_names: Sequence[str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Weights, history, settings, learning curves and confusion matrix of a classifier, and `more` results."""
    save_safetensors(folder / "weights.safetensors", trainer.net.state_dict())
    trainer.history.save(folder / "history.json")
    shown = {"title": title, "published": published, "held_out": held_out}
    save_picture(folder, "curves", plots.learning_curves, trainer.history, **shown)
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
