"""Slices, parts and other orders of the axes, as a plan picks them from an example."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn._validate import Array
from fastnn.plan.contract import NoPlan

MOST_AXES = 6  # as in _pick.pxd
Axes = tuple[tuple[int, int], ...]


def viewed(shape: tuple[int, ...], view: Callable[[Array], Array]) -> tuple[tuple[int, ...], int, int, Axes]:
    """The view that `view` makes of arrays of this shape, whose first axis is the batch.

    Returns
    -------
    shape : of the view
    size : elements of an example of the array
    start : the first element of an example's view
    axes : of an example's view
        A length and a stride in elements for each. Neighbours that one can stand for are one; there are two or more.

    Raises
    ------
    ValueError
        No array of this shape has such a view.
    NoPlan
        The first axis, which is the batch's, does not stay what it is.
    """
    whole = np.empty(shape, np.int8)  # only looked at: an element is a byte, so that strides count elements
    try:
        found = view(whole)
    except IndexError as error:
        raise ValueError(str(error)) from None
    start = found.ctypes.data - whole.ctypes.data
    kept = found.ndim > 1 and found.shape[0] == len(whole) and found.strides[0] == whole.strides[0]
    if not kept or not 0 <= start < whole.strides[0] or not found.size:
        raise NoPlan("the axis of the batch is cut, or changes its place")
    axes: list[tuple[int, int]] = []
    for length, stride in zip(found.shape[1:], found.strides[1:], strict=True):
        if axes and axes[-1][1] == stride * length:
            axes[-1] = axes[-1][0] * length, stride
        elif length > 1:
            axes.append((length, stride))
    if len(axes) > MOST_AXES:
        raise NoPlan(f"a view of more than {MOST_AXES} axes")
    return found.shape, whole.strides[0], start, ((1, 0),) * (2 - len(axes)) + tuple(axes)
