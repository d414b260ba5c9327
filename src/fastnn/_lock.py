"""A folder that one process at a time writes into."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"
_HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold a folder, made if it is missing, against all other processes and threads.

    The system takes the lock from a process that ends, however it ends.

    Raises
    ------
    FileExistsError
        Another one holds the folder, or there is a file of its name.
    """
    file = _take(Path(folder))
    try:
        yield
    finally:
        _give_back(Path(folder) / LOCK, file)


def _take(folder: Path) -> int:
    path = folder / LOCK
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise FileExistsError(f"{folder}: exists already and is no folder") from None
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the folder's last holder has just removed it
            continue
        try:
            _lock(file)
        except OSError as error:
            os.close(file)
            if error.errno in _HELD:
                raise FileExistsError(f"{folder}: in use: another process is writing into it") from None
            raise
        # The file's last holder may have removed it since it was opened: a lock on it would keep nobody out.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        os.close(file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _give_back(path: Path, file: int) -> None:
        os.close(file)
        with suppress(OSError):  # whoever has opened it keeps it there
            path.unlink()

else:
    import fcntl

    def _lock(file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise
            # Some network file systems have no locks: there it is the user who keeps processes apart.

    def _give_back(path: Path, file: int) -> None:
        with suppress(OSError):
            path.unlink()
        os.close(file)
