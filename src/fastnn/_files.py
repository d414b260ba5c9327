"""Files and folders that appear whole or not at all: written under a temporary name, then moved into place."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


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
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder to write into that becomes `path` when the block ends without an error.

    Missing parents are made. On an error nothing is left behind.

    Raises
    ------
    FileExistsError
        `path` exists already and is not an empty folder.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path}: exists already; expected a new or empty folder")
    new_parents = [parent for parent in path.parents if not parent.exists()]
    temporary = _temporary(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rmdir()  # empty; a rename over it works on some systems only
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in new_parents:
            with suppress(OSError):  # not empty: somebody else has put something there
                parent.rmdir()
        raise
