"""Progress of training: a bar in a terminal or a notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from fastnn import _console
from fastnn._extras import require
from fastnn.training.history import Measured

_LINES = 10  # where there is no terminal
_QUIET = 60.0  # seconds at most between two lines
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


class Bar:
    """A bar of tqdm. It ends nothing: where it cannot be drawn any more, `show` returns False."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def show(self, done: int, text: str) -> bool:
        """Draw how many are done, and a text behind it."""
        try:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.n = done
            self._bar.refresh()
        except (OSError, ValueError):  # the terminal is gone, or lacks letters of the text
            self._bar.disable = True  # or it would fail once more when it is deleted
            return False
        return True

    def close(self) -> None:
        """Leave the bar as it is."""
        with suppress(OSError, ValueError):
            self._bar.close()


def new_bar(total: int, done: int = 0, unit: str = "it") -> Bar | None:
    """A bar, where tqdm is installed and there is a terminal or a notebook to show it in; otherwise None."""
    notebook = _in_notebook()
    if not (notebook or _is_terminal(sys.stderr)):
        return None
    try:
        tqdm = require("tqdm", "the progress bar")
        if notebook:
            widgets = require("tqdm.notebook", "the progress bar")
            if getattr(widgets, "IProgress", widgets) is None:
                return None  # without ipywidgets: a bar would fail when it is half made, and again when it is deleted
            return Bar(widgets.tqdm(total=total, initial=done, unit=unit))
        # Sizes are given because tqdm shows nothing on a terminal that reports none of its own.
        columns = shutil.get_terminal_size().columns - 1
        return Bar(tqdm.tqdm(total=total, initial=done, unit=unit, ncols=columns, nrows=24))
    except (ImportError, OSError, ValueError):  # no tqdm, no widgets, nobody to see it: plain lines say the same
        return None


def _is_terminal(stream: Any) -> bool:
    """Whether somebody sees what is written; there may be no stream (pythonw), or one of others' making."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):  # none, or closed
        return False


def _in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class _Mean:
    """A mean of what came last; NaN and infinity are left out, since no mean would ever forget them."""

    def __init__(self) -> None:
        self.now = math.nan
        self._seen = 0

    def add(self, value: float) -> None:
        if math.isfinite(value):
            self._seen += 1
            # A plain mean at first, so that the first value does not linger.
            share = max(_SMOOTHING, 1 / self._seen)
            self.now = value if share == 1 else self.now + share * (value - self.now)


class Progress:
    """Shows iteration, loss and metric; a context manager.

    Parameters
    ----------
    total : iterations in all
    done : those taken before
    show : False shows nothing
    metric : its name, if there is one whose value comes alone
    """

    def __init__(self, total: int, done: int = 0, *, show: bool = True, metric: str = "accuracy") -> None:
        self._total = total
        self._done = done
        self._metric = metric
        self._loss = _Mean()
        self._values: dict[str, _Mean] = {}
        self._held_out = ""
        self._next_draw = 0.0
        self._next_line = time.monotonic() + _QUIET
        self._bar = new_bar(total, done) if show else None
        self._lines = show and self._bar is None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, loss: float, value: Measured) -> None:
        """One iteration more, with its loss, and the value of the metric, or those of several by name."""
        self._loss.add(loss)
        for name, each in self._named(value).items():
            self._values.setdefault(name, _Mean()).add(each)
        self._done += 1
        if self._bar is not None:
            self._draw(self._bar)
        elif self._lines:
            self._write()

    def evaluated(self, loss: float, value: Measured) -> None:
        """Loss on held-out data, and what is measured on them, which are shown from now on."""
        measured = "".join(f", {name} {each:.3f}" for name, each in self._named(value).items())
        self._held_out = f"; held out: loss {loss:.4f}{measured}"

    def _named(self, value: Measured) -> Mapping[str, float]:
        return value if isinstance(value, Mapping) else {} if value is None else {self._metric: value}

    def _draw(self, bar: Bar) -> None:
        now = time.monotonic()
        if now < self._next_draw and self._done != self._total:
            return
        self._next_draw = now + _REDRAW
        if not bar.show(self._done, self._figures()):
            self._bar, self._lines = None, True

    def _write(self) -> None:
        """A line for each tenth of all iterations, and after each minute without one."""
        tenths, before = (_LINES * done // self._total for done in (self._done, self._done - 1))
        now = time.monotonic()
        if tenths == before and now < self._next_line:
            return
        self._next_line = now + _QUIET
        done = f"{self._done:>{len(str(self._total))}}/{self._total}"
        _console.write(f"iteration {done}  {self._figures()}", error=True)

    def _figures(self) -> str:
        measured = "".join(f", {name} {mean.now:.3f}" for name, mean in self._values.items())
        return f"loss {self._loss.now:.4f}{measured}{self._held_out}"
