"""The full MNIST: 60,000 training and 10,000 test images of handwritten digits (LeCun and Cortes)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastnn.data.download import cache_folder, data_folder, download, find
from fastnn.data.idx import read_idx

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


class File(NamedTuple):
    name: str
    sha256: str


FILES = {
    ("train", "images"): File(
        "train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    ("train", "labels"): File(
        "train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    ("test", "images"): File(
        "t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    ("test", "labels"): File(
        "t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}


def mnist(root: str | Path | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The full MNIST.

    The four .gz files are looked for in `root`, then in the folder that the environment variable FASTNN_DATA
    names (in each: `FOLDER/mnist/`, then `FOLDER/`), and else downloaded, checked by SHA-256, into `root/mnist/`
    or, without `root`, into the user's cache folder.

    Returns
    -------
    x_train, y_train, x_test, y_test :
        images float32 (60000, 1, 28, 28) and (10000, 1, 28, 28) in 0..1; labels int64 (60000,) and (10000,)

    Raises
    ------
    ValueError
        A file is truncated, corrupt or not MNIST; names the file.
    ConnectionError
        A file is not there and cannot be downloaded; says which file to put where.
    """
    folders = [folder for folder in (None if root is None else Path(root), data_folder()) if folder is not None]
    places = [place for folder in folders for place in (folder / "mnist", folder)]
    target = None if root is None else Path(root) / "mnist"

    def locate(part: str, kind: str) -> Path:
        name, sha256 = FILES[part, kind]
        return find(name, places) or download(name, sha256, MIRRORS, target or cache_folder() / "mnist")

    x_train, y_train = _read(locate("train", "images"), locate("train", "labels"))
    x_test, y_test = _read(locate("test", "images"), locate("test", "labels"))
    return x_train, y_train, x_test, y_test


def _read(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(images_path, ndim=3)
    labels = read_idx(labels_path, ndim=1)
    if images.shape[1:] != (28, 28):
        raise ValueError(f"{images_path}: images of {images.shape[1:]} pixels, expected (28, 28)")
    if len(labels) != len(images):
        raise ValueError(f"{labels_path}: {len(labels)} labels, but {len(images)} images in {images_path.name}")
    if labels.max(initial=0) > 9:
        raise ValueError(f"{labels_path}: label {labels.max()}, expected 0 to 9")
    return as_examples(images, labels)


def as_examples(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (N, 28, 28) and labels (N,) as a network takes them: float32 (N, 1, 28, 28) in 0..1 and int64."""
    return np.divide(images[:, None], np.float32(255), dtype=np.float32), labels.astype(np.int64)
