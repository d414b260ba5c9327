"""S9c: an image convolved with masks, pooled, and the gradients with respect to image and mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import functional as F
from fastnn import plots
from fastnn.data import digits
from fastnn.recipes._frame.card import UNKNOWN, Card, System
from fastnn.recipes._frame.report import Comparison, Page, Picture
from fastnn.recipes._frame.run import run_folder
from fastnn.recipes._frame.settings import CommonSettings, UsageError, at_least_one, not_negative, option, option_of

CARD = Card(
    source=UNKNOWN,
    systems=(
        System(
            "S9c",
            "an image convolved with masks, and its gradients",
            "2 s",
            {"gradients of image and mask": "a derivation"},
        ),
    ),
    data="one bundled digit",
    size="4 masks",
)
SCORE = "passed"

PREWITT = np.array([[-1.0, 0.0, 1.0]] * 3)
CENTRAL = np.array([[-0.5, 0.0, 0.5]])
MASKS = {"Prewitt, x": PREWITT, "Prewitt, y": PREWITT.T, "central, x": CENTRAL, "central, y": CENTRAL.T}


@dataclass(frozen=True)
class Settings(CommonSettings):
    """Strides and window; any of them works with any mask."""

    image: int = option(0, "which of the bundled test images", not_negative)
    stride: int = option(1, "of the masks", at_least_one)
    pool: int = option(2, "height, width and stride of the pooling window", at_least_one)


def run(settings: Settings) -> Path:
    """Convolve, pool, check the gradients, and write the run folder; returns its path."""
    x = digits()[2].astype(np.float64)
    _check(settings, len(x))
    with run_folder("masks", settings) as run:
        image = x[settings.image][None]
        maps, rows, errors, passed = {}, [], [], True
        for name, mask in MASKS.items():
            edges = convolve(image, mask, settings.stride)
            pooled = F.max_pool2d(np.abs(edges), settings.pool)
            maps[name], maps[f"{name}, pooled"] = edges[0], pooled[0]
            check = fnn.gradcheck(
                lambda image, mask: convolve(image, mask, settings.stride),
                (image, mask),
                backward=lambda dy, image, mask: gradients(dy, image, mask, settings.stride),
                show=False,
            )
            passed = passed and check.passed
            apart = float(np.abs(edges - by_hand(image, mask, settings.stride)).max())
            size = f"{edges.shape[2]} x {edges.shape[3]}"
            rows += [Comparison(f"{name}: {size}, apart from the definition by", "-", f"{apart:.1e}")]
            rows += [Comparison(f"{name}: relative error of both gradients", "-", f"{check.largest_error:.1e}")]
            errors.append(check.largest_error)
        error = _pooling_error(edges, settings.pool)
        rows.insert(0, CARD.beside("S9c", "gradients of image and mask", f"relative error {max(errors):.1e} at most"))
        rows += [Comparison("pooling: relative error of the gradient", "-", f"{error:.1e}")]
        run.draw("edges", plots.feature_maps, image[0], maps, title="Edges, and their largest")
        pictures = [
            Picture("edges.png", "Edges", "Right of each: the largest in each pooling window, whatever its sign.")
        ]
        run.finish({SCORE: passed}, Page("A digit convolved with masks", "", rows, pictures=pictures))
    return run.folder


def _check(settings: Settings, images: int) -> None:
    """Refuse what one of the 28 x 28 images has no room for."""
    smallest = (28 - len(PREWITT)) // settings.stride + 1
    for name, largest in (("image", images - 1), ("stride", 28 - len(PREWITT)), ("pool", smallest)):
        value = getattr(settings, name)
        if value > largest:
            beside = f" with {option_of('stride')} {settings.stride}" if name == "pool" else ""
            raise UsageError(f"{option_of(name)}: got {value}, expected at most {largest}{beside}")


def convolve(image: np.ndarray, mask: np.ndarray, stride: int) -> np.ndarray:
    """The sum over a mask's window of image times mask, at every `stride`-th place: (1, 1, H, W)."""
    return F.conv2d(image, mask[None, None], stride=stride)


def gradients(dy: np.ndarray, image: np.ndarray, mask: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """With respect to image and mask."""
    d_image, d_mask, _ = F.conv2d_backward(dy, image, mask[None, None], stride=stride, needs=("dx", "dw"))
    return d_image, d_mask[0, 0]


def by_hand(image: np.ndarray, mask: np.ndarray, stride: int) -> np.ndarray:
    """The same as `convolve`, as it is defined."""
    (h, w), (H, W) = mask.shape, image.shape[2:]
    sums = [
        [np.sum(image[0, 0, i : i + h, j : j + w] * mask) for j in range(0, W - w + 1, stride)]
        for i in range(0, H - h + 1, stride)
    ]
    return np.array(sums)[None, None]


def _pooling_error(maps: np.ndarray, size: int) -> float:
    """Of maps without ties, for a maximum that two elements share has no gradient."""
    distinct = np.random.default_rng(0).permutation(maps.size).reshape(maps.shape) / maps.size
    return fnn.gradcheck(fnn.MaxPool2d(size), distinct, show=False).largest_error
