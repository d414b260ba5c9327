"""Dark marks on a light sheet: where they are, and their ink alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastnn._extras import require
from fastnn.vision.lines import find_lines

_LARGEST = 4e6  # pixels; the marks of a larger photograph are looked for on a smaller one
_BACKGROUND = 1 / 5  # of the photograph's shorter side: strokes are thinner than this, shadows wider
_COARSE = 200  # pixels that the shorter side has, about, while the paper is looked for
_BLUR = 1 / 1000, 0.5  # of the shorter side, and in pixels, at least: the paper's grain is finer, strokes are thicker
_CRACK = 1 / 1000  # of the shorter side is half as wide as what parts a stroke without parting marks
_DARKEST = 0.02  # paper, however deep its shadow
_FAINTEST = 0.05  # ink is darker than its paper by this share at least
_GRAIN = 5  # and by so many standard deviations of the paper's grain
_FINEST = 0.001  # grain, as if of paper without any


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
    ink : float32, 0 (paper) to 1 (ink), without what others have inside the box: (bottom - top, right - left); of
        photographs of more than four megapixels one pixel for every 2 x 2, 3 x 3 and so on
    """

    box: Box
    ink: np.ndarray


def find_marks(image: np.ndarray, *, smallest: float = 0.05, gap: float = 0.25) -> list[Mark]:
    """Find the marks on a photograph of a sheet, in the order of reading.

    The paper is what is left when everything thinner than a fifth of the photograph is closed. Ink is darker than it by
    a share of more than Otsu's threshold, in red, green, blue or grey, whichever shows it best. Connected ink is a
    part of a mark. Parts above one another, as the bar of a 5 that was left open, belong together if they are no higher
    than marks are here.

    Parameters
    ----------
    image : (H, W) or (1, H, W) grey, or (3, H, W) colour, in 0..1; dark on light
    smallest : parts with less ink than this share of a usual part's are specks, and left out
    gap : parts may be this share of a usual part's height apart

    Returns
    -------
    marks : line by line from the top, each from left to right; none where nothing is written

    Raises
    ------
    ValueError, TypeError
        The image has other axes or values.
    """
    measure = require("skimage.measure", "finding marks")
    planes = _planes(image)
    factor = math.ceil(math.sqrt(planes[0].size / _LARGEST))
    ink = _ink(_smaller(planes, factor) if factor > 1 else planes)
    labels = measure.label(_closed(ink > 0.5), connectivity=2)
    parts = measure.regionprops(labels)
    boxes = np.array([part.bbox for part in parts]).reshape(-1, 4)
    amounts = np.array([part.area for part in parts])
    kept = np.flatnonzero(~_at_the_edge(boxes, ink.shape))
    if len(kept) == 0:
        return []
    kept = kept[amounts[kept] >= smallest * _usual(amounts[kept], amounts[kept])]
    groups = _together(boxes[kept], amounts[kept], gap)
    marks = [_cut_out(ink, labels, boxes[kept[group]], 1 + kept[group], factor) for group in groups]
    return [mark for line in find_lines(marks) for mark in line]


def _planes(image: np.ndarray) -> np.ndarray:
    planes = image[None] if image.ndim == 2 else image
    if planes.ndim != 3 or len(planes) not in (1, 3) or planes.size == 0:
        raise ValueError(f"image: got an array of shape {image.shape}, expected (H, W), (1, H, W) or (3, H, W)")
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image: got {image.dtype}, expected float in 0..1; divide bytes by 255")
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"image: got values from {image.min():g} to {image.max():g}, expected 0 to 1")
    return planes


def _smaller(planes: np.ndarray, factor: int) -> np.ndarray:
    """The means of squares of pixels; a rest below and on the right is left out."""
    height, width = (max(1, size // factor) for size in planes.shape[1:])
    whole = planes[:, : height * factor, : width * factor]
    down, right = whole.shape[1] // height, whole.shape[2] // width
    means: np.ndarray = whole.reshape(len(planes), height, down, width, right).mean(axis=(2, 4), dtype=np.float32)
    return means


def _most_telling(planes: np.ndarray) -> np.ndarray:
    """Grey (H, W), or the one of red, green and blue in which ink stands out from the paper more than twice as much."""
    grey = planes.mean(axis=0, dtype=np.float32)
    if len(planes) == 1:
        return grey
    coarse = _smaller(np.stack([grey, *planes]), max(1, min(grey.shape) // (3 * _COARSE)))
    grey_shows, *colours_show = (_stands_out(_darkness(plane)) for plane in coarse)
    best = int(np.argmax(colours_show))
    return planes[best].astype(np.float32) if colours_show[best] > 2 * grey_shows else grey


def _darkness(grey: np.ndarray) -> np.ndarray:
    """By which share of its paper each pixel is darker than it."""
    filters, morphology = (require(f"skimage.{name}", "finding marks") for name in ("filters", "morphology"))
    side = min(grey.shape)
    smooth = filters.gaussian(grey, max(_BLUR[0] * side, _BLUR[1]))
    coarse = _smaller(smooth[None], max(1, side // _COARSE))[0]
    window = 2 * int(_BACKGROUND * min(coarse.shape) / 2) + 1
    square = morphology.footprint_rectangle((window, window), decomposition="separable")
    paper = filters.gaussian(morphology.closing(coarse, square), window / 4)
    if coarse.shape != grey.shape:
        paper = require("skimage.transform", "finding marks").resize(paper, grey.shape, order=1, mode="edge")
    darkness: np.ndarray = 1 - smooth / np.maximum(paper, _DARKEST)
    return darkness - np.median(darkness)


def _threshold(darkness: np.ndarray) -> float:
    """What is darker is ink. Otsu's threshold alone would cut the grain of an empty sheet in two."""
    otsu = require("skimage.filters", "finding marks").threshold_otsu(darkness)
    return max(float(otsu), _FAINTEST, _GRAIN * _grain(darkness))


def _grain(darkness: np.ndarray) -> float:
    """The standard deviation of the paper's darkness, from the median, which ink hardly moves."""
    return max(float(np.median(np.abs(darkness))) / 0.6745, _FINEST)


def _stands_out(darkness: np.ndarray) -> float:
    """How dark ink is, in standard deviations of the grain."""
    inked = darkness[darkness > _threshold(darkness)]
    return float(inked.mean()) / _grain(darkness) if inked.size else 0.0


def _ink(planes: np.ndarray) -> np.ndarray:
    """Above 0.5 what is ink, 0 what is less than half as dark as that."""
    darkness = _darkness(_most_telling(planes))
    return np.clip(darkness / _threshold(darkness) - 0.5, 0, 1).astype(np.float32, copy=False)


def _closed(inked: np.ndarray) -> np.ndarray:
    """With the cracks in strokes filled that are finer than strokes are."""
    morphology = require("skimage.morphology", "finding marks")
    closed: np.ndarray = morphology.closing(inked, morphology.disk(round(_CRACK * min(inked.shape))))
    return closed


def _at_the_edge(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which parts touch the border and are long: not marks, but where the sheet or a shadow ends."""
    touching = (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2:] == shape).any(axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    long: np.ndarray = sides.max(axis=1) > _BACKGROUND * min(shape)
    return touching & long


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
        shared = np.minimum(extent[:, 3], right) - np.maximum(extent[:, 1], left)
        apart = np.maximum(extent[:, 0] - bottom, top - extent[:, 2])
        height = np.maximum(extent[:, 2], bottom) - np.minimum(extent[:, 0], top)
        narrower = np.minimum(extent[:, 3] - extent[:, 1], right - left)
        highest = 1.25 * np.maximum(usual, extent[:, 2] - extent[:, 0])
        # A high part beside the most of another is a mark of its own, as an I in an L's arm.
        above = (bottom - top <= usual / 2) | (-2 * apart <= np.minimum(extent[:, 2] - extent[:, 0], bottom - top))
        fits = (2 * shared >= narrower) & (apart <= gap * usual) & (height <= highest) & above
        fits &= owner == np.arange(len(boxes))
        fits[part] = False
        if fits.any():
            host = np.flatnonzero(fits)[apart[fits].argmin()]
            owner[owner == part] = host
            extent[host] = _around(extent[[host, part]])
    return [np.flatnonzero(owner == number) for number in np.unique(owner)]


def _around(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _cut_out(ink: np.ndarray, labels: np.ndarray, boxes: np.ndarray, own: np.ndarray, factor: int) -> Mark:
    top, left, bottom, right = (int(edge) for edge in _around(boxes))
    inside = labels[top:bottom, left:right]
    others = (inside > 0) & ~np.isin(inside, own)
    cut = np.where(others, np.float32(0), ink[top:bottom, left:right])
    return Mark(Box(*(factor * edge for edge in (top, left, bottom, right))), cut.astype(np.float32, copy=False))
