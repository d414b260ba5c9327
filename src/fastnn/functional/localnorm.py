"""Local response normalisation."""

from __future__ import annotations

import fastnn._kernels._localnorm as _localnorm
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous, pick

__all__ = ["local_response_norm", "local_response_norm_backward"]


def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    shape, *settings = check.local_response_norm(x, size, alpha, beta, k)
    if use_reference():
        return reference.local_response_norm(x, size, alpha=alpha, beta=beta, k=k)
    y = empty(x.shape, x.dtype)
    pick(_localnorm.local_response_norm, x.dtype)(contiguous(x).reshape(shape), y.reshape(shape), *settings)
    return y


def local_response_norm_backward(
    dy: Array, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    shape, *settings = check.local_response_norm_backward(dy, x, size, alpha, beta, k)
    if use_reference():
        return reference.local_response_norm_backward(dy, x, size, alpha=alpha, beta=beta, k=k)
    dx = empty(x.shape, x.dtype)
    pick(_localnorm.local_response_norm_backward, x.dtype)(
        contiguous(dy).reshape(shape), contiguous(x).reshape(shape), dx.reshape(shape), *settings
    )
    return dx
