"""MNIST as S9 to S11 have it: the last sixth of the training images is for validation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn.data import digits, mnist
from fastnn.recipes.settings import option


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
    return option("mnist", "mnist: 50,000 + 10,000; digits: 4,166 + 834 bundled ones", choices=("mnist", "digits"))


def load(data: str, *, quick: bool) -> Split:
    """The images of a recipe; for a quick run some of the bundled ones, whatever the data."""
    x, y, x_test, y_test = mnist() if data == "mnist" and not quick else digits()
    if data == "digits" or quick:
        order = np.random.default_rng(0).permutation(len(x))  # the bundled ones lie class by class
        x, y = x[order], y[order]
    if quick:
        x, y, x_test, y_test = x[:1200], y[:1200], x_test[::2], y_test[::2]
    end = len(x) * 5 // 6
    return Split((x[:end], y[:end]), (x[end:], y[end:]), (x_test, y_test))
