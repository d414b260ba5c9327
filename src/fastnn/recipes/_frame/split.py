"""MNIST in parts. What is chosen (settings, the best weights) is chosen by validation images, never by test images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn.data import digits, mnist
from fastnn.recipes._frame.settings import option


class Split(NamedTuple):
    """Examples and targets of each part."""

    train: tuple[np.ndarray, np.ndarray]
    valid: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    def __str__(self) -> str:
        train, valid, test = (len(x) for x, _ in self)
        return f"{train:,} digits to train, {valid:,} to validate, {test:,} to test"


def data_option() -> Any:
    """The setting that `load` goes by."""
    names, about = ("mnist", "digits"), "mnist: 50,000 + 10,000; digits: 4,166 + 834 bundled ones"
    return option("mnist", about, choices=names, quick="digits")


def validate_option() -> Any:
    """The setting of recipes that measure on the test images while they train, as was published."""
    return option(False, "keep the last sixth of the training images apart and measure on it, not on the test images")


def whole(data: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All images of MNIST or of the bundled digits, as `fastnn.data` has them."""
    if data != "mnist":
        return digits()
    try:
        return mnist()
    except ConnectionError as error:
        raise ConnectionError(f"{error}\nOr train on the bundled images: --data digits") from error


def load(data: str, *, quick: bool) -> Split:
    """The images of S9 to S11, of which the last sixth is for validation; for a quick run some of them."""
    x, y, x_test, y_test = whole(data)
    x, y = mixed(x, y, 1200 if quick else None)
    if quick:
        x_test, y_test = x_test[::2], y_test[::2]
    return Split(*hold_out(x, y), (x_test, y_test))


def mixed(x: np.ndarray, y: np.ndarray, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` of the examples, in another order if they lie class by class, as the bundled ones do."""
    order = np.random.default_rng(0).permutation(len(y)) if np.all(y[:-1] <= y[1:]) else np.arange(len(y))
    return x[order[:count]], y[order[:count]]


def hold_out(x: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Examples to train, and the last sixth for validation."""
    end = len(x) * 5 // 6
    return (x[:end], y[:end]), (x[end:], y[end:])
