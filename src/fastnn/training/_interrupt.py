"""Ctrl-C, which ends training after the step that is being taken."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """A context in which the first Ctrl-C is only noted, in `came`; the second one is a KeyboardInterrupt.

    Where Ctrl-C is somebody else's affair (another thread, a handler of one's own) it stays so.
    """

    def __init__(self) -> None:
        self.came = False
        self._ours = False

    def __enter__(self) -> Interruption:
        in_main = threading.current_thread() is threading.main_thread()
        self._ours = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
