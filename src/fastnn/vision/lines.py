"""Marks in lines, and words in lines: by where marks stand beside one another, and how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastnn.vision.marks import Mark

_BESIDE = 0.3  # of the lower one's height is what two marks of a line share, seen from the side
_STEPS = 500  # from mark to mark, about, that tell the slope of the lines
_FEWEST = 4  # and at least so many; as many gaps tell which are spaces
_NARROWEST = 0.5  # of a line's height is a space
_WIDER = 2  # times as wide as the gaps in words are those between words


def find_lines(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Marks line by line from the top, each line from left to right.

    The sheet is turned upright first, by the usual slope from one mark to the next. Then, from the left on, each mark
    continues the line whose last two marks it stands beside; if there is none, it begins a line.

    Parameters
    ----------
    marks : in any order

    Returns
    -------
    lines : none is empty
    """
    if not marks:
        return []
    boxes = np.array([mark.box for mark in marks], float)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    fall = _slope(middles) * middles[:, 1]
    tops, bottoms = boxes[:, 0] - fall, boxes[:, 2] - fall
    lines: list[list[int]] = []
    for mark in np.argsort(boxes[:, 1], kind="stable"):
        ends = [line[-2:] for line in lines]
        top, bottom = np.array([(tops[end].min(), bottoms[end].max()) for end in ends]).reshape(-1, 2).T
        shared = np.minimum(bottom, bottoms[mark]) - np.maximum(top, tops[mark])
        shares = shared / np.minimum(bottom - top, bottoms[mark] - tops[mark])
        if lines and shares.max() >= _BESIDE:
            lines[int(shares.argmax())].append(int(mark))
        else:
            lines.append([int(mark)])
    lines.sort(key=lambda line: float((tops[line] + bottoms[line]).mean()))
    return [[marks[mark] for mark in line] for line in lines]


def _slope(middles: np.ndarray) -> float:
    """How far lines fall for each pixel to the right: the median of the steps from marks to those on their right."""
    some = middles[:: 1 + len(middles) // _STEPS]
    down, right = (middles[None, :, axis] - some[:, None, axis] for axis in (0, 1))
    far = np.where(np.abs(down) < right, right + 2 * np.abs(down), np.inf)
    own, following = np.arange(len(some)), far.argmin(axis=1)
    steps = np.isfinite(far[own, following])
    if steps.sum() < _FEWEST:
        return 0.0
    return float(np.median(down[own, following][steps] / right[own, following][steps]))


def words(lines: Sequence[Sequence[Mark]]) -> list[list[list[Mark]]]:
    """Lines cut into words, where marks stand far apart.

    Gaps are measured in heights of their line. Otsu's threshold parts those of all lines into narrow and wide ones. If
    the wide ones are not twice as wide, marks just stand apart, and each line is one word. A few gaps do not tell; then
    a gap of a line's height is a space.

    Parameters
    ----------
    lines : as `find_lines` returns them

    Returns
    -------
    words : of each line, none of them empty
    """
    gaps = [_gaps(line) for line in lines]
    space = _space(np.concatenate([np.zeros(0), *gaps]))
    cuts = [np.flatnonzero(each > space) + 1 for each in gaps]
    return [
        [list(line[start:stop]) for start, stop in pairwise((0, *cut.tolist(), len(line)))]
        for line, cut in zip(lines, cuts, strict=True)
    ]


def _gaps(line: Sequence[Mark]) -> np.ndarray:
    """From each mark to the next one, in heights of the line."""
    boxes = np.array([mark.box for mark in line], float)
    gaps: np.ndarray = (boxes[1:, 1] - boxes[:-1, 3]) / np.median(boxes[:, 2] - boxes[:, 0])
    return gaps


def _space(gaps: np.ndarray) -> float:
    """A gap that is wider parts words."""
    if len(gaps) < _FEWEST:
        return 1.0
    gaps = np.sort(np.clip(gaps, 0, 2))  # however far words are apart
    count, sums = np.arange(1, len(gaps)), np.cumsum(gaps)
    between = (sums[:-1] * len(gaps) - count * sums[-1]) ** 2 / (count * (len(gaps) - count))
    last = int(between.argmax())
    narrow, wide = gaps[: last + 1].mean(), gaps[last + 1 :].mean()
    space = float(gaps[last] + gaps[last + 1]) / 2
    return max(space, _NARROWEST) if wide >= _WIDER * narrow else np.inf
