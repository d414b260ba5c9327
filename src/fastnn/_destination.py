"""Files that are written at the end of long work: whether they can be written is known before it."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path


def prepare(path: str | Path) -> None:
    """Make the folder of `path` if it is missing, and find out whether a file can be written there.

    Raises
    ------
    OSError
        It cannot: a folder has its name, its folder is a file or may not be written to, or the name is too long. Names
        the file and its folder.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # a link is written behind
    try:
        with suppress(FileNotFoundError):
            path.stat()  # an error for a name that is too long, and for links that go round in a circle
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if path.exists() and not path.is_file():
            return  # a pipe or a device
        target.parent.mkdir(parents=True, exist_ok=True)
        trial = target.parent / f".{secrets.token_hex(8)}.tmp"
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        message = f"{error.strerror}; expected a file that can be written in the folder {str(target.parent)!r}"
        raise type(error)(error.errno, message, str(path)) from None
