"""Marks as MNIST and NIST36 have theirs: scaled, placed, and with strokes of a usual width."""

from __future__ import annotations

import math

import numpy as np

from fastnn._extras import require

_FINE = 72  # pixels of a mark's longer side while strokes are measured and thickened
_FAINT = 0.1  # what has less ink is paper
_MNIST_SIDE, _MNIST_BOX = 28, 20  # of MNIST's images, and of the digits in them
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

    Raises
    ------
    ValueError
        There is no ink.
    """
    small = _scaled(_thickened(_bytes(ink), stroke, _MNIST_BOX), _MNIST_BOX)
    top, left = (_shift(small, axis) for axis in (0, 1))
    return _placed(small, top, left, _MNIST_SIDE) / np.float32(255)


def like_nist(ink: np.ndarray, *, stroke: float | None = 2.5) -> np.ndarray:
    """Scale a mark in the manner of NIST36: dark on white, the middle of its box in the middle of 32 x 32 pixels.

    Parameters
    ----------
    ink : (h, w), 0 (paper) to 1 (ink)
    stroke : thinner strokes are thickened to this width, in pixels of the result; None leaves them

    Returns
    -------
    image : float32 (32, 32), 0 (ink) to 1 (paper)

    Raises
    ------
    ValueError
        There is no ink.
    """
    return nist_bytes(_bytes(ink), stroke=stroke) / np.float32(255)


def nist_bytes(ink: np.ndarray, *, stroke: float | None = 2.5) -> np.ndarray:
    """`like_nist` of bytes: uint8 (h, w), 0 (paper) to 255 (ink); the result is uint8 (32, 32), 0 (ink) to 255."""
    small = _scaled(_thickened(ink, stroke, _NIST_BOX), _NIST_BOX)
    top, left = ((_NIST_SIDE - size) // 2 for size in small.shape)
    return 255 - _placed(small, top, left, _NIST_SIDE)


def thicken(ink: np.ndarray, stroke: float) -> np.ndarray:
    """Widen strokes that are thinner than `stroke` pixels, to all sides; what is wide enough stays.

    Parameters
    ----------
    ink : (h, w), 0 to 1, or bytes
    stroke : pixels, when the mark is scaled back to the height and width that it had

    Returns
    -------
    ink : larger by what was added on each side
    """
    longest = max(ink.shape)
    # Scaling the wider mark back makes its strokes thinner again: (width + 2 r) * longest / (longest + 2 r) = stroke.
    radius = (stroke - stroke_width(ink)) * longest / (2 * max(longest - stroke, 1))
    return ink if radius < 0.5 else _dilated(ink, radius)


def stroke_width(ink: np.ndarray) -> float:
    """The usual width of strokes: twice the area of the ink for each pixel of its border."""
    inked = np.pad(ink > (127 if ink.dtype == np.uint8 else 0.5), 1)
    core = inked[1:-1, 1:-1] & inked[:-2, 1:-1] & inked[2:, 1:-1] & inked[1:-1, :-2] & inked[1:-1, 2:]
    area, inner = int(np.count_nonzero(inked)), int(np.count_nonzero(core))
    return 2 * area / max(area - inner, 1)


def _dilated(ink: np.ndarray, radius: float) -> np.ndarray:
    """The largest value within a disc about each pixel, `ceil(radius)` pixels more on each side."""
    reach = math.ceil(radius)
    height, width = ink.shape
    framed = np.pad(ink, ((0, 0), (reach, reach)))
    result = np.zeros((height + 2 * reach, width + 2 * reach), ink.dtype)
    widened, wide = np.pad(framed, ((0, 0), (reach, reach))), -1
    row = np.zeros_like(framed)
    for down in range(reach, -1, -1):  # from the narrowest row of the disc to the widest
        half = int(math.sqrt(max(radius**2 - down**2, 0)))
        for right in range(wide + 1, half + 1):
            for shift in {-right, right}:
                np.maximum(row, widened[:, reach + shift : reach + shift + row.shape[1]], out=row)
        wide = half
        if down <= radius:
            for place in {reach - down, reach + down}:
                np.maximum(result[place : place + height], row, out=result[place : place + height])
    return result


def _bytes(ink: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.asarray(ink)).astype(np.uint8)


def _thickened(ink: np.ndarray, stroke: float | None, box: int) -> np.ndarray:
    """Trimmed, and with strokes that will be at least so wide when the longer side is `box`."""
    ink = _trimmed(ink)
    return ink if stroke is None else _trimmed(thicken(_scaled(ink, _FINE), stroke * _FINE / box))


def _trimmed(ink: np.ndarray) -> np.ndarray:
    """Without empty rows and columns about it."""
    inked = ink > 255 * _FAINT
    if ink.ndim != 2 or not inked.any():
        raise ValueError(f"ink: got an array of shape {ink.shape}, expected (h, w) with ink (above {_FAINT}) in it")
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: np.ndarray, longest: int) -> np.ndarray:
    Image = require("PIL.Image", "scaling marks")
    height, width = (max(1, round(size * longest / max(ink.shape))) for size in ink.shape)
    image = Image.fromarray(np.ascontiguousarray(ink))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _placed(small: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    image = np.zeros((side, side), np.uint8)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def _shift(small: np.ndarray, axis: int) -> int:
    """Where `small` begins so that its centre of mass is pixel 14, as far as it stays inside."""
    weights = small.sum(axis=1 - axis, dtype=float)
    centre = (weights * np.arange(len(weights))).sum() / weights.sum()
    return int(np.clip(round(_MNIST_SIDE / 2 - centre), 0, _MNIST_SIDE - len(weights)))
