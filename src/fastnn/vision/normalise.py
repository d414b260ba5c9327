"""Marks as MNIST has its digits."""

from __future__ import annotations

import math

import numpy as np

from fastnn._extras import require

_FINE = 100  # pixels of a mark's longer side while strokes are measured and thickened
_FAINT = 0.1  # what has less ink is paper
_SIDE, _BOX = 28, 20  # of MNIST's images, and of the digits in them
_NIST_SIDE, _NIST_BOX = 32, 24  # of NIST36's, as far as characters fill them


def like_mnist(ink: np.ndarray, *, stroke: float | None = None) -> np.ndarray:
    """Scale a mark in the manner of MNIST: into 20 x 20 pixels, its centre of mass at pixel (14, 14) of 28 x 28.

    Parameters
    ----------
    ink : (h, w), 0 (paper) to 1 (ink)
    stroke : thinner strokes are thickened to this width, in pixels of the result; MNIST's are mostly 2.1 to 4.2 wide.
        By default they stay: they come out grey, as in MNIST

    Returns
    -------
    image : float32 (28, 28) in 0..1
    """
    small = _scaled(_thickened(ink, stroke, _BOX), _BOX)
    image = np.zeros((_SIDE, _SIDE), np.float32)
    top, left = (_shift(small, axis) for axis in (0, 1))
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def like_nist(ink: np.ndarray, *, stroke: float | None = 2.5) -> np.ndarray:
    """Scale a mark in the manner of NIST36: dark on white, the middle of its box in the middle of 32 x 32 pixels.

    Parameters
    ----------
    ink : (h, w), 0 (paper) to 1 (ink)
    stroke : thinner strokes are thickened to this width, in pixels of the result; None leaves them

    Returns
    -------
    image : float32 (32, 32), 0 (ink) to 1 (paper)
    """
    small = _scaled(_thickened(ink, stroke, _NIST_BOX), _NIST_BOX)
    image = np.ones((_NIST_SIDE, _NIST_SIDE), np.float32)
    top, left = ((_NIST_SIDE - size) // 2 for size in small.shape)
    image[top : top + small.shape[0], left : left + small.shape[1]] -= small
    return image


def thicken(ink: np.ndarray, stroke: float) -> np.ndarray:
    """Widen strokes that are thinner than `stroke` pixels, to all sides; what is wide enough stays.

    Parameters
    ----------
    ink : (h, w), 0 to 1
    stroke : pixels, when the mark is scaled back to the height and width that it had

    Returns
    -------
    ink : larger by what was added on each side
    """
    ndimage = require("scipy.ndimage", "thickening strokes")
    longest = max(ink.shape)
    # Scaling the wider mark back makes its strokes thinner again: (width + 2 r) * longest / (longest + 2 r) = stroke.
    radius = (stroke - stroke_width(ink)) * longest / (2 * max(longest - stroke, 1))
    if radius < 0.5:
        return ink
    reach = math.ceil(radius)
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = down**2 + right**2 <= radius**2
    result: np.ndarray = ndimage.grey_dilation(np.pad(ink, reach), footprint=disc)
    return result


def stroke_width(ink: np.ndarray) -> float:
    """The usual width of strokes: twice the area of the ink for each pixel of its border."""
    ndimage = require("scipy.ndimage", "measuring strokes")
    inked = np.pad(ink > 0.5, 1)
    border = inked & ~ndimage.binary_erosion(inked)
    return 2 * float(inked.sum()) / max(int(border.sum()), 1)


def _thickened(ink: np.ndarray, stroke: float | None, box: int) -> np.ndarray:
    """Trimmed, and with strokes that will be at least so wide when the longer side is `box`."""
    ink = _trimmed(ink)
    return ink if stroke is None else _trimmed(thicken(_scaled(ink, _FINE), stroke * _FINE / box))


def _trimmed(ink: np.ndarray) -> np.ndarray:
    """Without empty rows and columns about it."""
    if ink.ndim != 2 or not (ink > _FAINT).any():
        raise ValueError(f"ink: got an array of shape {ink.shape}, expected (h, w) with ink (above {_FAINT}) in it")
    rows, columns = (np.flatnonzero((ink > _FAINT).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: np.ndarray, longest: int) -> np.ndarray:
    Image = require("PIL.Image", "scaling marks")
    height, width = (max(1, round(size * longest / max(ink.shape))) for size in ink.shape)
    image = Image.fromarray(np.ascontiguousarray(ink, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _shift(small: np.ndarray, axis: int) -> int:
    """Where `small` begins so that its centre of mass is pixel 14, as far as it stays inside."""
    weights = small.sum(axis=1 - axis)
    centre = (weights * np.arange(len(weights))).sum() / weights.sum()
    return int(np.clip(round(_SIDE / 2 - centre), 0, _SIDE - len(weights)))
