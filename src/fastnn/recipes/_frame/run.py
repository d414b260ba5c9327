"""A run of a recipe: its folder, its training, its record and its page."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastnn as fnn
from fastnn import plots
from fastnn._extras import require
from fastnn._files import new_folder
from fastnn._lock import locked
from fastnn.interop import save_safetensors
from fastnn.recipes._frame.printing import print_figures
from fastnn.recipes._frame.record import CHECKPOINT, changes, make_record, read_record, write_record
from fastnn.recipes._frame.report import NARROW, Page, write_report
from fastnn.recipes._frame.settings import CommonSettings
from fastnn.training import Checkpoint, DivergenceError, Trainer, write
from fastnn.training.trainer import INTERRUPTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SECONDS = 2.0  # between two checkpoints, however many evaluations there are


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a run that can be gone on with; says how."""


class Run:
    """A run of a recipe: its folder, and training that goes on where an earlier one ended.

    Attributes
    ----------
    recipe, settings : which one, and what it was told
    folder : where it writes
    """

    def __init__(self, recipe: str, settings: CommonSettings, folder: Path) -> None:
        self.recipe, self.settings, self.folder = recipe, settings, folder

    @property
    def resumed(self) -> bool:
        """Whether it goes on with an earlier one."""
        return self.settings.resume is not None

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

    def save(self, figure: Figure, name: str) -> None:
        """Write a picture, `NAME.png`."""
        plots.save(figure, self.folder / f"{name}.png")

    def draw(self, name: str, plot: Callable[..., Figure], *args: Any, **options: Any) -> None:
        """Write the picture that `plot` makes of the arguments, and the one with its parts below each other.

        The page shows the second one on narrow screens.
        """
        self.save(plot(*args, **options), name)
        self.save(plot(*args, stacked=True, **options), name + NARROW)

    def finish(self, result: Mapping[str, Any], page: Page) -> None:
        """Print the page's figures, and write the page and the record of settings, environment and results.

        The record comes last: a run whose record has results is finished.
        """
        print_figures(page.comparisons, quick=self.settings.quick)
        record = make_record(self.folder, self.recipe, self.settings, result=result)
        write_report(self.folder, record, page)
        write_record(self.folder, record)

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
        run = Run(recipe, settings, folder)
        changed = changes(recipe, settings) if run.resumed else {}
        if changed or not run.resumed:
            write_record(folder, make_record(folder, recipe, settings, changed=changed))
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
