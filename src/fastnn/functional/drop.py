"""Dropout."""

from __future__ import annotations

import fastnn._kernels._drop as _drop
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous, pick

__all__ = ["dropout", "dropout2d", "dropout2d_backward", "dropout_backward"]


def dropout(x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    threshold, scale, stream, step = check.dropout(x, p, training, key, False)
    if use_reference():
        return reference.dropout(x, p, training, key=key)
    return _rows_dropped(x, (x.size, 1), stream, step, threshold, scale)


def dropout_backward(dy: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    threshold, scale, stream, step = check.dropout(dy, p, training, key, False, "dy")
    if use_reference():
        return reference.dropout_backward(dy, p, training, key=key)
    return _rows_dropped(dy, (dy.size, 1), stream, step, threshold, scale)


def dropout2d(x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    threshold, scale, stream, step = check.dropout(x, p, training, key, True)
    if use_reference():
        return reference.dropout2d(x, p, training, key=key)
    return _rows_dropped(x, _planes(x), stream, step, threshold, scale)


def dropout2d_backward(dy: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    threshold, scale, stream, step = check.dropout(dy, p, training, key, True, "dy")
    if use_reference():
        return reference.dropout2d_backward(dy, p, training, key=key)
    return _rows_dropped(dy, _planes(dy), stream, step, threshold, scale)


def _planes(x: Array) -> tuple[int, int]:
    N, C, H, W = x.shape
    return N * C, H * W


def _rows_dropped(x: Array, rows: tuple[int, int], stream: int, step: int, threshold: int, scale: float) -> Array:
    """Each of the rows, which `x` has that many of that length of, kept or dropped."""
    y = empty(x.shape, x.dtype)
    pick(_drop.dropout, x.dtype)(contiguous(x).reshape(rows), y.reshape(rows), stream, step, threshold, scale)
    return y
