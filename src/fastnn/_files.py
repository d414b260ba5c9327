"""Files and folders that appear whole or not at all: written under a temporary name, then moved into place."""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fastnn._lock import LOCK, locked

_SYSTEM = ("/dev/", "/proc/")  # links in there lead to open files, as /dev/stdout does


@contextmanager
def atomic_file(path: str | Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A binary file open for writing that takes the place of `path` when the block ends without an error.

    On an error nothing is left behind, and what `path` was before stays. A link stays, and the file that it leads to is
    replaced; a file that is replaced leaves its permissions, and its owner where the system allows it, to the new one.
    Other hard links keep the old content. A pipe or a device gets the bytes when the block ends.

    Parameters
    ----------
    path : file to write
    durable : whether the content is to be on the disk at the end, not only with the system

    Raises
    ------
    OSError
        The file cannot be written; names `path`.
    """
    target = _behind_links(Path(path))
    temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.tmp")
    try:
        before = _status(target)
        if target.is_symlink() or not (before is None or stat.S_ISREG(before.st_mode)):
            content = io.BytesIO()  # pipes cannot be sought in, as some formats do
            yield content
            with open(target, "wb") as file:
                file.write(content.getbuffer())
            return
        if before is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with open(temporary, "xb") as file:
            if before is not None:
                _like(temporary, before)
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        ours = (None, str(temporary), str(target))
        if isinstance(error, OSError) and error.errno is not None and error.filename in ours:
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise


def _behind_links(path: Path) -> Path:
    """The file that a link leads to, there or not; a link of the system's stays one."""
    with suppress(FileNotFoundError):
        path.stat()  # refuses links that go round in a circle
    while path.is_symlink() and not f"{os.path.realpath(path.parent)}/".startswith(_SYSTEM):
        path = path.parent / os.readlink(path)
    return path


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _like(path: Path, before: os.stat_result) -> None:
    """Give a file the owner and the permissions that another one has."""
    if sys.platform != "win32":
        for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):
            with suppress(OSError):  # files are given away by the superuser only
                os.chown(path, owner, group)
    path.chmod(stat.S_IMODE(before.st_mode))


def _prefix(path: Path) -> str:
    """How temporary names of a file begin: short, since its own name may be as long as names can be.

    They are in the same folder, so that the move is a rename within one file system.
    """
    return f".fastnn-{zlib.crc32(os.fsencode(path.name)):08x}-"


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
    target = _behind_links(Path(path))
    for left in target.parent.glob(f"{_prefix(target)}*.tmp"):
        left.unlink(missing_ok=True)
