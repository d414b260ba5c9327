"""What is in a folder, without what systems and programs leave there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Folders of macOS, Windows, Linux, network disks and Python, in small letters; hidden ones are left out anyway.
_LEFT = frozenset(
    (
        *("__macosx", "network trash folder", "temporary items"),
        *("$recycle.bin", "recycler", "system volume information"),
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
        *("lost+found", "__pycache__"),
    )
)


def images_in(folder: str | Path) -> Iterator[Path]:
    """The files of a folder that are called like images, by name; whether links lead to one shows when it is read."""
    for each in _entries(folder):
        if each.name.lower().endswith(SUFFIXES) and (_is_broken(each) or each.is_file()):
            yield Path(each.path)


def folders_in(folder: str | Path) -> Iterator[Path]:
    """The folders in a folder, by name, and those that links in it lead to.

    Raises
    ------
    FileNotFoundError
        A link leads to nothing; names it.
    """
    for each in _entries(folder):
        if _is_broken(each):
            raise FileNotFoundError(f"{each.path}: a link to {os.readlink(each.path)!r}, which is not there")
        if each.is_dir():
            yield Path(each.path)


def all_images_in(folder: Path, outer: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """The images of a folder, and then those of the folders in it.

    Links are followed, but for those to one of the `outer` folders, which the folder is in: they would not end.
    """
    here = identity(folder)
    if here not in outer:
        yield from images_in(folder)
        for inner in folders_in(folder):
            yield from all_images_in(inner, outer | {here})


def identity(folder: Path) -> tuple[int, int]:
    """What a folder has in common with itself under another name."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """The files and folders in a folder, by name, without hidden ones and those that systems make for themselves."""
    with os.scandir(folder) as found:
        kept = [each for each in found if not each.name.startswith(".") and each.name.lower() not in _LEFT]
    return sorted(kept, key=lambda each: each.name)


def _is_broken(each: os.DirEntry[str]) -> bool:
    return each.is_symlink() and not os.path.exists(each.path)
