"""The one crossing of all functions element by element and row by row."""

from __future__ import annotations

import fastnn._kernels._activation as _activation
from fastnn._runtime import empty
from fastnn._validate import Array
from fastnn.functional._door import contiguous

FUNCTIONS: dict[str, int] = _activation.FUNCTIONS


def forward(function: str, x: Array, a: float = 0.0, b: float = 0.0, row: int = 0) -> Array:
    """The function of that name, with its settings, of `x`; by rows of `row` elements if it is one of rows."""
    y = empty(x.shape, x.dtype)
    _activation.forward(FUNCTIONS[function], contiguous(x), y, a, b, row)
    return y


def backward(function: str, dy: Array, seen: Array, a: float = 0.0, b: float = 0.0, row: int = 0) -> Array:
    """Its gradient, of `dy` and of what it has to see beside it."""
    dx = empty(seen.shape, seen.dtype)
    _activation.backward(FUNCTIONS[function], contiguous(dy), contiguous(seen), dx, a, b, row)
    return dx
