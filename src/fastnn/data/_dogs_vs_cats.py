"""Dogs vs. cats: photographs of the Asirra challenge (Elson et al., 2007)."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np

from fastnn.data._archive import find_archive, read_images
from fastnn.data.byte_images import ByteImages
from fastnn.data.images import decode_rgb

DOGS_VS_CATS_CLASSES = ("cat", "dog")


def dogs_vs_cats(root: str | Path | None = None, *, size: int = 64) -> tuple[ByteImages, np.ndarray, ByteImages]:
    """Photographs of cats and dogs.

    `dogs-vs-cats.tar`, or the folder `dogs-vs-cats/`, is looked for in `root`, then in the folder that the environment
    variable FASTNN_DATA names. Labelled images are those in folders `cat` and `dog` or with names like `cat.1.jpg`, as
    in Kaggle's training set; the others, in a folder `test`, have no labels.

    Parameters
    ----------
    root : the folder
    size : height and width; an image is scaled until it covers them, and its middle is taken

    Returns
    -------
    x, y : ByteImages (N, 3, size, size) in the order of their names, int64 (N,): 0 cat, 1 dog
    x_test : ByteImages, without labels

    Raises
    ------
    ValueError
        The archive or an image in it is truncated or corrupt; names it.
    FileNotFoundError
        There is no such file.
    """
    advice = "Get it from Kaggle's competition Dogs vs. Cats, and unpack its images to a folder of this name"
    path = find_archive(root, ("dogs-vs-cats.tar", "dogs-vs-cats"), advice)

    def decode(name: str, file: io.BytesIO) -> tuple[int | None, np.ndarray]:
        return _label(PurePosixPath(name)), decode_rgb(file, f"{path}: {name}", (size, size))

    found = read_images(path, decode, lambda name: _label(name) is not None or "test" in name.parts[:-1])
    labelled = [pixels for label, pixels in found if label is not None]
    if not labelled:
        raise ValueError(f"{path}: has no images in folders cat and dog, nor called cat.1.jpg")
    labels = np.array([label for label, _ in found if label is not None], np.int64)
    test = [pixels for label, pixels in found if label is None]
    empty = np.empty((0, *labelled[0].shape), np.uint8)
    return ByteImages(np.stack(labelled)), labels, ByteImages(np.stack(test) if test else empty)


def _label(name: PurePosixPath) -> int | None:
    if "test" in name.parts[:-1]:
        return None
    for said in (name.parent.name.lower(), name.name.partition(".")[0].lower()):
        if said in DOGS_VS_CATS_CLASSES:
            return DOGS_VS_CATS_CLASSES.index(said)
    return None
