"""Matrix products and linear layers."""

from __future__ import annotations

from collections.abc import Iterable

import fastnn._kernels._matmul as _matmul
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none, pick, rows

__all__ = ["linear", "linear_backward", "matmul"]


def matmul(a: Array, b: Array) -> Array:
    check.matmul(a, b)
    if use_reference():
        return reference.matmul(a, b)
    c = empty((a.shape[0], b.shape[1]), a.dtype)
    pick(_matmul.matmul, a.dtype)(contiguous(a), contiguous(b), c)
    return c


def linear(x: Array, weight: Array, bias: Array | None = None, *, activation: str | None = None) -> Array:
    check.linear(x, weight, bias, activation)
    if use_reference():
        return reference.linear(x, weight, bias, activation=activation)
    y = empty((*x.shape[:-1], weight.shape[0]), x.dtype)
    relu = activation is not None
    pick(_matmul.linear_forward, x.dtype)(rows(x), contiguous(weight), contiguous_or_none(bias), rows(y), relu)
    return y


def linear_backward(
    dy: Array, x: Array, weight: Array, *, needs: Iterable[str] = check.GRADIENTS
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    check.linear_backward(dy, x, weight)
    if use_reference():
        return reference.linear_backward(dy, x, weight, needs=needs)
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(weight.shape, x.dtype) if "dw" in needs else None
    db = empty(weight.shape[:1], x.dtype) if "db" in needs else None
    pick(_matmul.linear_backward, x.dtype)(
        rows(dy), rows(x), contiguous(weight), None if dx is None else rows(dx), dw, db
    )
    return dx, dw, db
