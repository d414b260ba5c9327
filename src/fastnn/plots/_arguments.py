"""What pictures are given, checked: one clear error instead of matplotlib's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.plots.figure import short


def numbers(name: str, values: Any, ndim: int, expected: str) -> np.ndarray:
    """An array of numbers of `ndim` dimensions."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: got dtype {array.dtype}, expected numbers, {expected}")
    if array.ndim != ndim or 0 in array.shape[1:]:
        raise ValueError(f"{name}: got shape {array.shape}, expected {expected}")
    return array


def by_place(values: Any) -> Any:
    """What is indexed by place: a series of pandas is indexed by label."""
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def same_length(name: str, values: Sequence[Any] | np.ndarray, count: int, of: str) -> None:
    """As many values as there are of something else."""
    if len(values) != count:
        raise ValueError(f"{name}: got {len(values)}, expected {count}: one for each {of}")


def positive(name: str, value: int) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: got {value!r}, expected a whole number of at least 1")
    return int(value)


def names_of(class_names: Sequence[str] | None, classes: int) -> list[str]:
    """The classes' names as pictures show them; by default their numbers."""
    if class_names is None:
        return [str(k) for k in range(classes)]
    same_length("class_names", class_names, classes, "class")
    return [short(name) for name in class_names]


def images_as_shown(name: str, images: Sequence[np.ndarray] | np.ndarray) -> list[np.ndarray]:
    """Images as matplotlib takes them, (H, W) or (H, W, 3), in 0..1.

    Whole numbers within 0..255 and floats within 0..1 are taken as they are; others (normalised images) are
    stretched, all of them alike.
    """
    if len(images) == 0:
        return []
    layers_last = [_channels_last(name, np.asarray(image)) for image in images]
    low = min(float(np.nanmin(image)) for image in layers_last)
    high = max(float(np.nanmax(image)) for image in layers_last)
    kinds = {image.dtype.kind for image in layers_last}
    if kinds <= set("iu") and low >= 0 and 1 < high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return [(image.astype(np.float32) - low) / ((high - low) or 1.0) for image in layers_last]


def _channels_last(name: str, image: np.ndarray) -> np.ndarray:
    expected = "(H, W), (1, H, W), (3, H, W) or (H, W, 3)"
    if image.dtype.kind not in "biuf":
        raise ValueError(f"{name}: got dtype {image.dtype}, expected numbers, each image {expected}")
    if image.ndim == 3 and image.shape[0] in (1, 3):
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[:, :, 0]
    if 0 in image.shape or not (image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3)):
        raise ValueError(f"{name}: got an image of shape {image.shape}, expected {expected}")
    return image
