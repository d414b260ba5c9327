"""Matrix products and linear layers."""

from __future__ import annotations

from collections.abc import Iterable

import fastnn._kernels._matmul as _matmul
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none, pick, rows


def matmul(a: Array, b: Array) -> Array:
    check.matmul(a, b)
    if use_reference():
        return reference.matmul(a, b)
    c = empty((a.shape[0], b.shape[1]), a.dtype)
    pick(_matmul.matmul, a.dtype)(contiguous(a), contiguous(b), c)
    return c


def linear(x: Array, w: Array, b: Array | None = None, *, activation: str | None = None) -> Array:
    check.linear(x, w, b, activation)
    if use_reference():
        return reference.linear(x, w, b, activation=activation)
    y = empty((*x.shape[:-1], w.shape[0]), x.dtype)
    relu = activation is not None
    pick(_matmul.linear_forward, x.dtype)(rows(x), contiguous(w), contiguous_or_none(b), rows(y), relu)
    return y


def linear_backward(
    dy: Array, x: Array, w: Array, *, needs: Iterable[str] = check.GRADIENTS
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    check.linear_backward(dy, x, w, needs)
    if use_reference():
        return reference.linear_backward(dy, x, w, needs=needs)
    dtype, dy_rows = x.dtype, rows(dy)
    dx = dw = db = None
    if "dx" in needs:
        dx = empty(x.shape, dtype)
        pick(_matmul.linear_backward_input, dtype)(dy_rows, contiguous(w), rows(dx))
    if "dw" in needs:
        dw = empty(w.shape, dtype)
        pick(_matmul.linear_backward_weight, dtype)(dy_rows, rows(x), dw)
    if "db" in needs:
        db = empty(w.shape[:1], dtype)
        pick(_matmul.linear_backward_bias, dtype)(dy_rows, db)
    return dx, dw, db
