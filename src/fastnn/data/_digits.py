"""The bundled subset of MNIST; its origin and licence are in digits/LICENSE.md."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from fastnn.data._mnist import as_examples


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The 6,000 MNIST images that come with the package: no download.

    Of each class, 500 training and 100 test images, from MNIST's own training and test files.

    Returns
    -------
    x_train, y_train, x_test, y_test :
        images float32 (5000, 1, 28, 28) and (1000, 1, 28, 28) in 0..1; labels int64 (5000,) and (1000,)
    """
    with files("fastnn.data").joinpath("digits/digits.npz").open("rb") as file, np.load(file) as archive:
        train = as_examples(archive["train_images"], archive["train_labels"])
        test = as_examples(archive["test_images"], archive["test_labels"])
    return *train, *test
