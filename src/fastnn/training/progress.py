"""Progress of training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Any

from fastnn._extras import require

_LINES = 10  # where there is no terminal
_SMOOTHING = 0.05  # share of the newest minibatch in the loss and accuracy shown
_REDRAW = 0.1  # seconds


def write(line: str) -> None:
    """Print a line to standard output, above a bar that is being shown."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(line, flush=True)
    else:
        tqdm.tqdm.write(line)


class Progress:
    """Shows iteration, loss and accuracy; a context manager.

    Parameters
    ----------
    total : iterations to come
    show : False shows nothing
    """

    def __init__(self, total: int, *, show: bool = True) -> None:
        self._total = total
        self._done = 0
        self._loss = self._accuracy = 0.0
        self._next_draw = 0.0
        self._lines = show
        self._bar: Any = None
        if show and sys.stderr.isatty():
            try:
                tqdm = require("tqdm", "the progress bar")
            except ImportError:
                pass  # plain lines say the same
            else:
                self._lines = False
                # Sizes are given because tqdm shows nothing on a terminal that reports none of its own.
                columns = shutil.get_terminal_size().columns - 1
                self._bar = tqdm.tqdm(total=total, unit="it", ncols=columns, nrows=24)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, loss: float, accuracy: float) -> None:
        """One iteration more, with its loss and accuracy."""
        # A plain mean at first, so that the first value does not linger.
        share = max(_SMOOTHING, 1 / (self._done + 1))
        self._loss += share * (loss - self._loss)
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
            print(f"iteration {done}  {self._figures()}", file=sys.stderr, flush=True)

    def _figures(self) -> str:
        return f"loss {self._loss:.4f}, accuracy {self._accuracy:.3f}"
