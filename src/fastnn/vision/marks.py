"""Dark marks on a light sheet: where they are, and their ink alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn._extras import require

_BACKGROUND = 1 / 5  # of the photograph's shorter side: strokes are thinner than this, shadows wider
_BLUR = 1 / 300  # of it: the paper's grain is finer than this, strokes are thicker
_FAINTEST = 0.05  # what is darker than paper by less than this is no ink


class Box(NamedTuple):
    """A rectangle of pixels: rows from top up to bottom, columns from left up to right."""

    top: int
    left: int
    bottom: int
    right: int


class Mark(NamedTuple):
    """A digit, a letter, a sign.

    Attributes
    ----------
    box : where it is on the photograph
    ink : float32 (bottom - top, right - left), 0 (paper) to 1 (ink), without what others have inside the box
    """

    box: Box
    ink: np.ndarray


def find_marks(image: np.ndarray, *, smallest: float = 0.05, gap: float = 0.25) -> list[Mark]:
    """Find the marks on a photograph of a sheet, in the order of reading.

    The paper is what is left when everything thinner than a fifth of the photograph is closed; ink is darker than it by
    more than Otsu's threshold. Ink that is connected is a part of a mark. A low part above or below another one, as the
    bar of a 5 that was left open, belongs to it if both together are no higher than marks are here.

    Parameters
    ----------
    image : (H, W) or (1, H, W) grey, or (3, H, W) colour, in 0..1; dark on light
    smallest : parts with less ink than this share of a usual part's are specks, and left out
    gap : parts may be this share of a usual part's height apart

    Returns
    -------
    marks : line by line from the top, each from left to right; none where nothing is written
    """
    ndimage = require("scipy.ndimage", "finding marks")
    ink = _ink(_grey(image), ndimage)
    labels, count = ndimage.label(ink > 0.5, np.ones((3, 3)))
    if count == 0:
        return []
    amounts = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    places = ndimage.find_objects(labels)
    kept = np.flatnonzero(amounts >= smallest * _usual(amounts, amounts))
    boxes = np.array([[places[i][0].start, places[i][1].start, places[i][0].stop, places[i][1].stop] for i in kept])
    groups = _together(boxes, amounts[kept], gap)
    return _reading_order([_cut_out(ink, labels, boxes[group], 1 + kept[group]) for group in groups])


def _grey(image: np.ndarray) -> np.ndarray:
    planes = image[None] if image.ndim == 2 else image
    if planes.ndim != 3 or len(planes) not in (1, 3) or planes.size == 0:
        raise ValueError(f"image: got an array of shape {image.shape}, expected (H, W), (1, H, W) or (3, H, W)")
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image: got {image.dtype}, expected float in 0..1; divide bytes by 255")
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"image: got values from {image.min():g} to {image.max():g}, expected 0 to 1")
    return planes.mean(axis=0, dtype=np.float32)


def _ink(grey: np.ndarray, ndimage: Any) -> np.ndarray:
    """How dark each pixel is: 0 as the paper about it, above 0.5 what is ink."""
    side = min(grey.shape)
    smooth = ndimage.gaussian_filter(grey, _BLUR * side)
    window = 2 * int(_BACKGROUND * side / 2) + 1
    paper = ndimage.gaussian_filter(ndimage.grey_closing(smooth, (window, window)), window / 4)
    darker = np.maximum(paper - smooth, 0)
    ink: np.ndarray = np.minimum(darker / (2 * max(_otsu(darker), _FAINTEST)), 1)
    return ink


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two classes with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * centres)
    between = (sums[-1] * below - sums * below[-1]) ** 2 / np.maximum(below * (below[-1] - below), 1)
    return float(edges[1:][between.argmax()])


def _usual(sizes: np.ndarray, amounts: np.ndarray) -> float:
    """The size of the part that the middle of all ink is in: specks, though many, do not count."""
    order = np.argsort(sizes, kind="stable")
    running = np.cumsum(amounts[order])
    return float(sizes[order][np.searchsorted(running, running[-1] / 2)])


def _together(boxes: np.ndarray, amounts: np.ndarray, gap: float) -> list[np.ndarray]:
    """Which parts are one mark, of boxes (top, left, bottom, right): the numbers of the parts of each mark."""
    usual = _usual(boxes[:, 2] - boxes[:, 0], amounts)
    owner = np.arange(len(boxes))
    extent = boxes.copy()
    for part in np.argsort(amounts, kind="stable"):
        top, left, bottom, right = extent[part]
        if bottom - top > usual / 2:
            continue
        shared = np.minimum(extent[:, 3], right) - np.maximum(extent[:, 1], left)
        apart = np.maximum(extent[:, 0] - bottom, top - extent[:, 2])
        height = np.maximum(extent[:, 2], bottom) - np.minimum(extent[:, 0], top)
        narrower = np.minimum(extent[:, 3] - extent[:, 1], right - left)
        fits = (2 * shared >= narrower) & (apart <= gap * usual) & (height <= 1.25 * usual)
        fits &= owner == np.arange(len(boxes))
        fits[part] = False
        if fits.any():
            host = np.flatnonzero(fits)[apart[fits].argmin()]
            owner[owner == part] = host
            extent[host] = _around(extent[[host, part]])
    return [np.flatnonzero(owner == number) for number in np.unique(owner)]


def _around(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _cut_out(ink: np.ndarray, labels: np.ndarray, boxes: np.ndarray, own: np.ndarray) -> Mark:
    top, left, bottom, right = (int(edge) for edge in _around(boxes))
    inside = labels[top:bottom, left:right]
    others = (inside > 0) & ~np.isin(inside, own)
    cut = np.where(others, np.float32(0), ink[top:bottom, left:right])
    return Mark(Box(top, left, bottom, right), cut.astype(np.float32, copy=False))


def _reading_order(marks: list[Mark]) -> list[Mark]:
    """A mark belongs to a line if its middle lies within the line's height."""

    def middle(mark: Mark) -> float:
        return (mark.box.top + mark.box.bottom) / 2

    lines: list[list[Mark]] = []
    for mark in sorted(marks, key=middle):
        if lines and middle(mark) < max(each.box.bottom for each in lines[-1]):
            lines[-1].append(mark)
        else:
            lines.append([mark])
    return [mark for line in lines for mark in sorted(line, key=lambda mark: mark.box.left)]
