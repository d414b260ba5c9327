"""What recipes that read photographs have in common: which files they read, what is known of them, what they write."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Mapping
from pathlib import Path

from fastnn.data import data_folder
from fastnn.data._folders import images_in


def photographs_in(given: str | None, folder: str, what: str) -> list[Path]:
    """The photographs of the folder that was given, or else of `folder` in the folder FASTNN_DATA.

    Raises
    ------
    FileNotFoundError
        There is none; says which photographs are expected, `what`, and where.
    """
    data = data_folder()
    chosen = Path(given) if given else data and data / folder
    if chosen is None or not chosen.is_dir():
        raise FileNotFoundError(
            f"photographs: got {'no folder' if chosen is None else chosen}, expected one of photographs of {what}: "
            f"{folder}/ in the folder that the environment variable FASTNN_DATA names, or --photographs FOLDER"
        )
    paths = list(images_in(chosen))
    if not paths:
        raise FileNotFoundError(f"photographs: {chosen} has no images")
    return paths


def truth_of(path: Path, known: Mapping[str, str]) -> str | None:
    """The text of a photograph: of the file photo.txt beside photo.jpg, or as it is known by its name; else None.

    Raises
    ------
    ValueError
        The text is no text; names it.
    """
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        return known.get(path.name)
    content = beside.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{beside}: got {error.reason} at byte {error.start}, expected a text in UTF-8") from error


def printable(path: Path) -> str:
    """The name of a file, though it be no text."""
    return path.name.encode(errors="replace").decode()


def picture_of(name: str) -> str:
    """The file that a photograph of this name is drawn in; systems have names of up to 255 bytes."""
    return f"{name}.boxes.png" if len(name.encode()) < 240 else f"{zlib.crc32(name.encode()):08x}.boxes.png"
