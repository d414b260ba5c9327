"""The characters of S2, S4, S5 and S6: hw36 in the place of NIST36, or NIST36 where a user has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.data import CHARACTERS, digits, hw36, nist36
from fastnn.recipes._frame.settings import option
from fastnn.recipes._frame.split import Split, hold_out, mixed

_TO_VALIDATE = 10  # one of so many images of hw36's training sheets, drawn at random
_QUICK = 900, 200, 200  # images of each part at most, in a quick run


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
        quick="digits",
    )


def load(data: str, *, quick: bool) -> Handwriting:
    """The characters of a recipe; for a quick run some of them.

    hw36's test images are those of whole sheets, and so of other hands. Its training sheets mostly have one class each;
    so images to validate are drawn from all of them, and look like those that are trained on.
    """
    try:
        parts = {"hw36": _hw36, "nist36": _nist36, "digits": _digits}[data]()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}\nOr train on the bundled images: --data digits") from error
    if quick:
        return Handwriting(*map(_thinned, parts, _QUICK))
    return parts


def _thinned(part: tuple[np.ndarray, np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray]:
    step = -(-len(part[0]) // most)
    return part[0][::step], part[1][::step]


def _hw36() -> Handwriting:
    train, test, _ = hw36()
    order = np.random.default_rng(0).permutation(len(train.x))
    valid, rest = np.split(order, [len(order) // _TO_VALIDATE])
    return Handwriting((train.x[rest], train.y[rest]), (train.x[valid], train.y[valid]), (test.x, test.y))


def _nist36() -> Handwriting:
    x, y, x_valid, y_valid, x_test, y_test = nist36()
    return Handwriting((x, y), (x_valid, y_valid), (x_test, y_test))


def _digits() -> Handwriting:
    """The bundled digits in the form of characters: dark on white, 32 x 32, in the last ten classes."""
    x, y, x_test, y_test = digits()
    parts = *hold_out(*mixed(x, y)), (x_test, y_test)
    return Handwriting(*((_framed(images), classes + CHARACTERS.index("0")) for images, classes in parts))


def _framed(x: np.ndarray) -> np.ndarray:
    return np.pad(1 - x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=1)
