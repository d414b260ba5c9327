"""Lines for a person to read. They never end the work that they are about."""

from __future__ import annotations

import sys
from contextlib import suppress


def write(text: str = "", *, error: bool = False) -> None:
    """Print `text` to standard output, or to standard error, as far as the stream takes it.

    Letters that its encoding lacks become "?". A stream that is closed, full or no longer read takes nothing.
    """
    stream = sys.stderr if error else sys.stdout
    if stream is None:
        return
    with suppress(Exception):  # the stream is the user's, who may have put anything in its place
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
