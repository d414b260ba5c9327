"""CIFAR-10: 50,000 training and 10,000 test images of ten kinds of things (Krizhevsky, 2009)."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import numpy as np

from fastnn.data._archive import read_to_the_end
from fastnn.data._pickles import read_pickle
from fastnn.data.download import cache_folder, download, folders

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE = "cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)

_FOLDERS = ("cifar10", "cifar-10-batches-bin", "cifar-10-batches-py", ".")
_TRAIN, _TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch"
_IMAGES = 10_000  # of a file
_RECORD = 1 + 3 * 32 * 32  # bytes of the binary version: a label, then red, green and blue planes


def cifar10(root: str | Path | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """CIFAR-10.

    The files of the binary version (`data_batch_1.bin` and so on) or of the Python version (`data_batch_1`) are looked
    for in `root`, then in the folder that the environment variable FASTNN_DATA names (in each: `cifar10/`,
    `cifar-10-batches-bin/`, `cifar-10-batches-py/`, then the folder itself). Else `cifar-10-binary.tar.gz` is read from
    there, or downloaded into `root/cifar10/` or, without `root`, into the user's cache folder.

    Returns
    -------
    x_train, y_train, x_test, y_test :
        images float32 (50000, 3, 32, 32) and (10000, 3, 32, 32) in 0..1; labels int64 (50000,) and (10000,), whose
        names are in `fastnn.data.CIFAR10_CLASSES`

    Raises
    ------
    ValueError
        A file is truncated, corrupt or not CIFAR-10; names the file.
    ConnectionError
        The files are not there and cannot be downloaded; says which file to put where.
    """
    for folder in folders(root, *_FOLDERS):
        for ending, read in ((".bin", _read_binary), ("", _read_python)):
            if (folder / f"{_TEST}{ending}").is_file():
                parts = [read(folder / f"{name}{ending}") for name in (*_TRAIN, _TEST)]
                return _as_examples(parts)
    found = next((folder / ARCHIVE for folder in folders(root, *_FOLDERS) if (folder / ARCHIVE).is_file()), None)
    target = (Path(root) if root else cache_folder()) / "cifar10"
    return _as_examples(_read_archive(found or download(ARCHIVE, f"md5:{MD5}", MIRRORS, target)))


def _as_examples(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    def floats(pixels: list[np.ndarray]) -> np.ndarray:
        x = np.empty((len(pixels) * _IMAGES, 3, 32, 32), np.float32)
        for start, part in enumerate(pixels):
            np.divide(part, np.float32(255), out=x[start * _IMAGES : (start + 1) * _IMAGES], dtype=np.float32)
        return x

    *train, test = parts
    y = np.concatenate([labels for _, labels in train]).astype(np.int64)
    return floats([pixels for pixels, _ in train]), y, floats([test[0]]), test[1].astype(np.int64)


def _checked(name: object, pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if pixels.shape != (_IMAGES, 3072) or labels.shape != (_IMAGES,):
        raise ValueError(f"{name}: {len(pixels)} images and {len(labels)} labels, expected {_IMAGES:,} of each")
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{name}: labels from {labels.min()} to {labels.max()}, expected 0 to 9")
    return pixels.reshape(_IMAGES, 3, 32, 32), labels


def _from_records(name: object, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    if len(content) != _IMAGES * _RECORD:
        raise ValueError(f"{name}: {len(content):,} bytes, expected {_IMAGES * _RECORD:,}: {_IMAGES:,} images")
    records = np.frombuffer(content, np.uint8).reshape(_IMAGES, _RECORD)
    return _checked(name, records[:, 1:], records[:, 0])


def _read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return _from_records(path, path.read_bytes())


def _read_archive(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    try:
        with tarfile.open(path) as archive:
            files = {Path(member.name).name: member for member in archive if member.isfile()}
            parts = []
            for name in (*_TRAIN, _TEST):
                member = files[f"{name}.bin"]
                content = archive.extractfile(member)
                assert content is not None, "a file has content"
                parts.append(_from_records(f"{path}: {member.name}", content.read(_IMAGES * _RECORD + 1)))
            read_to_the_end(archive)
            return parts
    except KeyError as error:
        raise ValueError(f"{path}: has no {error.args[0]}, expected CIFAR-10's binary version") from error
    except (FileNotFoundError, PermissionError):
        raise
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"{path}: truncated, corrupt or no tar archive ({error})") from error


def _read_python(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = path.read_bytes()
    try:
        batch = read_pickle(content)
        pixels, labels = batch[b"data"].pixels, batch[b"labels"]
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise ValueError("its labels are no list of numbers")
        return _checked(path, pixels, np.array(labels, np.int64))
    except Exception as error:  # a broken pickle shows in whatever it stumbles over
        raise ValueError(f"{path}: truncated, corrupt or not CIFAR-10's Python version ({error})") from error
