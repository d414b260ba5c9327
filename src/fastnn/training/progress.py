"""Progress of training: a bar in a terminal or a notebook, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Any

from fastnn import _console
from fastnn._extras import require

_LINES = 10  # where there is no terminal
_SMOOTHING = 0.05  # share of the newest minibatch in the loss and accuracy shown
_REDRAW = 0.1  # seconds


def write(line: str) -> None:
    """Print a line to standard output, above a bar that is being shown."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        _console.write(line)
    else:
        with tqdm.tqdm.external_write_mode():
            _console.write(line)


def new_bar(total: int, done: int = 0, unit: str = "it") -> Any:
    """A bar of tqdm, where it is installed and there is a terminal or a notebook to show it in; otherwise None."""
    notebook = _in_notebook()
    if not (notebook or sys.stderr.isatty()):
        return None
    try:
        tqdm = require("tqdm", "the progress bar")
        if notebook:
            return require("tqdm.notebook", "the progress bar").tqdm(total=total, initial=done, unit=unit)
    except ImportError:  # of tqdm, or of the widgets that it draws with in a notebook: plain lines say the same
        return None
    # Sizes are given because tqdm shows nothing on a terminal that reports none of its own.
    columns = shutil.get_terminal_size().columns - 1
    return tqdm.tqdm(total=total, initial=done, unit=unit, ncols=columns, nrows=24)


def _in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class Progress:
    """Shows iteration, loss and accuracy; a context manager.

    Parameters
    ----------
    total : iterations in all
    done : those taken before
    show : False shows nothing
    """

    def __init__(self, total: int, done: int = 0, *, show: bool = True) -> None:
        self._total = total
        self._done = done
        self._seen = 0
        self._has_accuracy = False
        self._loss = self._accuracy = 0.0
        self._next_draw = 0.0
        self._lines = show
        self._bar: Any = None
        if show:
            self._bar = new_bar(total, done)
            self._lines = self._bar is None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, loss: float, accuracy: float | None) -> None:
        """One iteration more, with its loss, and its accuracy if there is one."""
        # A plain mean at first, so that the first value does not linger.
        self._seen += 1
        share = max(_SMOOTHING, 1 / self._seen)
        self._loss += share * (loss - self._loss)
        self._has_accuracy = accuracy is not None
        if accuracy is not None:
            self._accuracy += share * (accuracy - self._accuracy)
        self._done += 1
        if self._bar is not None:
            now = time.monotonic()
            if now >= self._next_draw or self._done == self._total:
                self._next_draw = now + _REDRAW
                self._bar.set_postfix_str(self._figures(), refresh=False)
                self._bar.n = self._done
                self._bar.refresh()
        elif self._lines and self._done % max(1, self._total // _LINES) == 0:
            done = f"{self._done:>{len(str(self._total))}}/{self._total}"
            _console.write(f"iteration {done}  {self._figures()}", error=True)

    def _figures(self) -> str:
        accuracy = f", accuracy {self._accuracy:.3f}" if self._has_accuracy else ""
        return f"loss {self._loss:.4f}{accuracy}"
