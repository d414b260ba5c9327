"""The characters of S2, S4, S5 and S6: hw36 in the place of NIST36, or NIST36 where a user has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.data import CHARACTERS, digits, hw36, nist36
from fastnn.recipes.settings import option
from fastnn.recipes.split import Split

_TO_VALIDATE = 10  # one of so many images of hw36's training sheets, drawn at random


class Handwriting(Split):
    """Images (N, 1, 32, 32), dark ink on white, and places in `fastnn.data.CHARACTERS`."""

    def __str__(self) -> str:
        train, valid, test = (len(x) for x, _ in self)
        return f"{train:,} characters to train, {valid:,} to validate, {test:,} to test"


def data_option() -> Any:
    """The setting that `load` goes by."""
    return option(
        "hw36",
        "hw36: 2,801 + 311 to train and to validate, 299 of other sheets to test; nist36: the course's .mat files; "
        "digits: bundled ones, of 10 of the 36 classes",
        choices=("hw36", "nist36", "digits"),
    )


def load(data: str, *, quick: bool) -> Handwriting:
    """The characters of a recipe; for a quick run some of the bundled digits, whatever the data.

    hw36's test images are those of whole sheets, and so of other hands. Its training sheets mostly have one class each;
    so images to validate are drawn from all of them, and look like those that are trained on.
    """
    if quick or data == "digits":
        return _digits(quick=quick)
    if data == "nist36":
        x, y, *others = nist36()
        return Handwriting((x, y), (others[0], others[1]), (others[2], others[3]))
    train, test, _ = hw36()
    order = np.random.default_rng(0).permutation(len(train.x))
    valid, rest = np.split(order, [len(order) // _TO_VALIDATE])
    return Handwriting((train.x[rest], train.y[rest]), (train.x[valid], train.y[valid]), (test.x, test.y))


def _digits(*, quick: bool) -> Handwriting:
    """The bundled digits in the form of characters: dark on white, 32 x 32, in the last ten classes."""
    x, y, x_test, y_test = digits()
    order = np.random.default_rng(0).permutation(len(x))[: 1000 if quick else None]  # they lie class by class
    x, y = x[order], y[order]
    if quick:
        x_test, y_test = x_test[::5], y_test[::5]
    end = len(x) * 5 // 6
    parts = ((x[:end], y[:end]), (x[end:], y[end:]), (x_test, y_test))
    return Handwriting(*((_framed(images), classes + CHARACTERS.index("0")) for images, classes in parts))


def _framed(x: np.ndarray) -> np.ndarray:
    return np.pad(1 - x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=1)
