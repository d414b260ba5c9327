"""Images in a tar archive, or in the folder that it was unpacked to."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

from fastnn._runtime import get_num_threads
from fastnn.data._folders import SUFFIXES, all_images_in, is_left
from fastnn.data.download import folders

T = TypeVar("T")

_LARGEST = 2**26  # bytes of one file in an archive


def find_archive(root: str | Path | None, names: Sequence[str], advice: str) -> Path:
    """The first of these archives or folders in `root`, or in the folder that FASTNN_DATA names.

    Raises
    ------
    FileNotFoundError
        There is none; `advice` says where users get it.
    """
    places = folders(root, ".")
    for place in places:
        for name in names:
            if (place / name).exists():
                return place / name
    where = " or ".join(str(place) for place in places) or "the folder that FASTNN_DATA names (it is not set)"
    raise FileNotFoundError(f"{names[0]}: not in {where}. {advice}")


def read_images(path: Path, make: Callable[[str, io.BytesIO], T], keep: Callable[[PurePosixPath], bool]) -> list[T]:
    """What `make` makes of the name and the content of each image, in the order of their names, by several threads.

    Parameters
    ----------
    path : a tar archive, compressed or not, or a folder
    make : its name inside, and the file
    keep : which of them are wanted, by the path inside

    Raises
    ------
    ValueError
        The archive is truncated or corrupt; names it.
    """
    found = _of_folder(path) if path.is_dir() else _of_tar(path)
    images = sorted((str(name), content) for name, content in found if _is_image(name) and keep(name))
    with ThreadPoolExecutor(get_num_threads()) as pool:
        return list(pool.map(lambda image: make(image[0], io.BytesIO(image[1])), images))


def _is_image(name: PurePosixPath) -> bool:
    return name.suffix.lower() in SUFFIXES and not any(map(is_left, name.parts))


def _of_folder(folder: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    for path in all_images_in(folder):
        yield PurePosixPath(path.relative_to(folder).as_posix()), path.read_bytes()


def _of_tar(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                if member.size > _LARGEST:
                    raise ValueError(f"{path}: {member.name} has {member.size:,} bytes, expected an image")
                file = archive.extractfile(member)
                assert file is not None, "a file has content"
                yield PurePosixPath(member.name), file.read()
            read_to_the_end(archive)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(f"{path}: truncated, corrupt or no tar archive ({error})") from error


def read_to_the_end(archive: tarfile.TarFile) -> None:
    """Read what comes behind the members: zeros, and in a compressed file its checksum, which only then is compared.

    Raises
    ------
    tarfile.ReadError
        There are no zeros: a header that is cut off ends the members as they do.
    """
    source = archive.fileobj
    assert source is not None, "it is open"
    source.seek(archive.offset)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it has no end")
    while source.read(2**20):
        pass
