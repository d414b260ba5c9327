"""The full MNIST: 60,000 training and 10,000 test images of handwritten digits (LeCun and Cortes)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastnn.data._mnist_mat import MAT, read_mnist_mat
from fastnn.data.download import cache_folder, download, find, folders
from fastnn.data.idx import read_idx

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

Examples = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class File(NamedTuple):
    name: str
    sha256: str
    content: str | None = None  # SHA-256 of what is inside, where a file that was found is to be checked


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


def mnist(root: str | Path | None = None) -> Examples:
    """The full MNIST.

    The four .gz files are looked for in `root`, then in the folder that the environment variable FASTNN_DATA
    names (in each: `FOLDER/mnist/`, then `FOLDER/`), and else downloaded, checked by SHA-256, into `root/mnist/`
    or, without `root`, into the user's cache folder. Where a folder has none of them but MATLAB's mnist_all.mat
    (arrays train0 to train9 and test0 to test9 of images (n, 784)), that is read; its images are sorted by class.

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
    places = folders(root, "mnist", ".")
    mat = find(MAT, places)
    if mat is not None and not any(find(file.name, places) for file in FILES.values()):
        train, test = read_mnist_mat(mat)
        return *as_examples(*train), *as_examples(*test)
    return read_set(FILES, places, MIRRORS, root, "mnist")


def read_set(
    files: dict[tuple[str, str], File],
    places: Sequence[Path],
    mirrors: Sequence[str],
    root: str | Path | None,
    name: str,
) -> Examples:
    """Images and labels for training and testing, from `places` or else downloaded to folder `name` in `root`."""

    def locate(file: File) -> Path:
        found = find(file.name, places)
        return found or download(file.name, file.sha256, mirrors, (Path(root) if root else cache_folder()) / name)

    def read(part: str) -> tuple[np.ndarray, np.ndarray]:
        images, labels = files[part, "images"], files[part, "labels"]
        return _read(locate(images), locate(labels), images.content, labels.content)

    return *read("train"), *read("test")


def _read(
    images_path: Path, labels_path: Path, images_content: str | None, labels_content: str | None
) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(images_path, ndim=3, sha256=images_content)
    labels = read_idx(labels_path, ndim=1, sha256=labels_content)
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
