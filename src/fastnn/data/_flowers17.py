"""Oxford flowers-17: 80 photographs of each of 17 kinds of flowers (Nilsback and Zisserman, 2006)."""

from __future__ import annotations

import io
import re
from pathlib import Path, PurePosixPath

import numpy as np

from fastnn.data._archive import find_archive, read_images
from fastnn.data.arrays import read_arrays
from fastnn.data.byte_images import ByteImages
from fastnn.data.images import decode_rgb

FLOWERS17_CLASSES = (
    *("daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tigerlily", "tulip", "fritillary"),
    *("sunflower", "daisy", "colt's foot", "dandelion", "cowslip", "buttercup", "windflower", "pansy"),
)

_COUNT, _OF_A_CLASS = 1360, 80
_SPLITS = ("trn", "val", "tst")

Part = tuple[ByteImages, np.ndarray]


def flowers17(root: str | Path | None = None, *, size: int = 227, split: int = 1) -> tuple[Part, Part, Part]:
    """Oxford flowers-17 in one of its three published splits.

    `17flowers.tgz` or `17flowers.tar`, or the folder `17flowers/`, and `datasplits.mat` are looked for in `root`, then
    in the folder that the environment variable FASTNN_DATA names (in each: `flowers17/`, then the folder itself).

    Parameters
    ----------
    root : the folder
    size : height and width; an image is scaled until it covers them, and its middle is taken
    split : 1, 2 or 3

    Returns
    -------
    train, valid, test : ``(x, y)`` each: ByteImages (680, 340 and 340, 3, size, size), int64 labels, whose names are in
        `fastnn.data.FLOWERS17_CLASSES`

    Raises
    ------
    ValueError
        The archive, an image in it or the splits are truncated or corrupt; names the file.
    FileNotFoundError
        A file is not there; says where users get it.
    """
    if split not in (1, 2, 3):
        raise ValueError(f"split: got {split!r}, expected 1, 2 or 3")
    advice = "Get it from https://www.robots.ox.ac.uk/~vgg/data/flowers/17/"
    names = ("17flowers.tgz", "17flowers.tar", "17flowers", "jpg")
    path = find_archive(root, [f"{folder}{name}" for folder in ("flowers17/", "") for name in names], advice)
    splits = find_archive(root, ("flowers17/datasplits.mat", "datasplits.mat"), advice)
    parts = [
        np.asarray(part).reshape(-1) for part in read_arrays(splits, *(f"{name}{split}" for name in _SPLITS)).values()
    ]
    if sorted(np.concatenate(parts)) != list(range(1, _COUNT + 1)):
        raise ValueError(f"{splits}: split {split} does not have each of the images 1 to {_COUNT} once")

    def decode(name: str, file: io.BytesIO) -> np.ndarray:
        return decode_rgb(file, f"{path}: {name}", (size, size))

    pixels = read_images(path, decode, _is_numbered)
    if len(pixels) != _COUNT:
        raise ValueError(f"{path}: has {len(pixels)} images called image_NNNN.jpg, expected {_COUNT}")
    x, y = ByteImages(np.stack(pixels)), np.arange(_COUNT) // _OF_A_CLASS
    train, valid, test = ((x.subset(part.astype(np.int64) - 1), y[part.astype(np.int64) - 1]) for part in parts)
    return train, valid, test


def _is_numbered(name: PurePosixPath) -> bool:
    return re.fullmatch(r"image_\d{4}", name.stem) is not None
