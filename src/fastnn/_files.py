"""Files and folders that appear whole or not at all: written under a temporary name, then moved into place."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fastnn._lock import LOCK, locked


def _temporary(path: Path) -> Path:
    # In the same folder, so that the move is a rename within one file system.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file open for writing that takes the place of `path` when the block ends without an error.

    On an error nothing is left behind, and what `path` was before stays.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: str | Path, keep: Callable[[Path], object]) -> Iterator[Path]:
    """A new folder to write into, which stays if the block ends without an error, or if `keep` is true of it.

    It is this process's alone. Missing parents are made. Of an error before there is anything to keep nothing is left
    behind.

    Raises
    ------
    FileExistsError
        `path` exists already and is not an empty folder, or another process is writing into it.
    """
    path = Path(path)
    made = [parent for parent in (path, *path.parents) if not parent.exists()]
    _must_be_empty(path)
    try:
        with locked(path):
            _must_be_empty(path)
            try:
                yield path
            except BaseException:
                if not keep(path):
                    _empty(path)
                raise
    except BaseException:
        for folder in made:
            with suppress(OSError):  # not empty: somebody else has put something there
                folder.rmdir()
        raise


def _must_be_empty(path: Path) -> None:
    if path.exists() and not (path.is_dir() and {each.name for each in path.iterdir()} <= {LOCK}):
        raise FileExistsError(f"{path}: exists already; expected a new or empty folder")


def _empty(folder: Path) -> None:
    for inside in folder.iterdir():
        if inside.name != LOCK:
            inside.unlink() if inside.is_file() else shutil.rmtree(inside, ignore_errors=True)


def remove_temporaries(path: str | Path) -> None:
    """Remove what is left of `path` where a process was killed while it wrote; nobody may be writing to it now."""
    path = Path(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)
