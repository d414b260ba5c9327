"""Dropout."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

import fastnn._kernels._drop as _drop
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous

__all__ = ["dropout", "dropout2d", "dropout2d_backward", "dropout_backward"]


@overload
def dropout(
    x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], return_kept: Literal[False] = False
) -> Array: ...
@overload
def dropout(
    x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], return_kept: Literal[True]
) -> tuple[Array, Array]: ...
def dropout(
    x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], return_kept: bool = False
) -> Array | tuple[Array, Array]:
    threshold, scale, stream, step = check.dropout(x, p, training, key, False)
    if use_reference():
        return reference.dropout(x, p, training, key=key, return_kept=return_kept)
    kept: Array | None = empty((-(-x.size // 8),), np.dtype(np.uint8)) if return_kept else None
    y = empty(x.shape, x.dtype)
    _drop.dropout(contiguous(x), y, kept, x.size, stream, step, threshold, scale)
    return y if kept is None else (y, kept)


def dropout_backward(
    dy: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], kept: Array | None = None
) -> Array:
    threshold, scale, stream, step = check.dropout(dy, p, training, key, False, "dy")
    check.kept_bits(kept, dy)
    if use_reference():
        return reference.dropout_backward(dy, p, training, key=key, kept=kept)
    dx = empty(dy.shape, dy.dtype)
    if kept is None:
        _drop.dropout(contiguous(dy), dx, None, dy.size, stream, step, threshold, scale)
    else:
        _drop.dropout_kept(contiguous(dy), dx, contiguous(kept), scale)
    return dx


def dropout2d(x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    threshold, scale, stream, step = check.dropout(x, p, training, key, True)
    if use_reference():
        return reference.dropout2d(x, p, training, key=key)
    return _planes_dropped(x, stream, step, threshold, scale)


def dropout2d_backward(dy: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    threshold, scale, stream, step = check.dropout(dy, p, training, key, True, "dy")
    if use_reference():
        return reference.dropout2d_backward(dy, p, training, key=key)
    return _planes_dropped(dy, stream, step, threshold, scale)


def _planes_dropped(x: Array, stream: int, step: int, threshold: int, scale: float) -> Array:
    y = empty(x.shape, x.dtype)
    _drop.dropout(contiguous(x), y, None, x.shape[0] * x.shape[1], stream, step, threshold, scale)
    return y
