"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, overload

import fastnn._kernels._norm as _norm
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none, write_back

__all__ = ["batch_norm", "batch_norm_backward"]


@overload
def batch_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    activation: str | None = None,
    return_statistics: Literal[False] = False,
) -> Array: ...
@overload
def batch_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    activation: str | None = None,
    return_statistics: Literal[True],
) -> tuple[Array, Array, Array]: ...
def batch_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    activation: str | None = None,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    _, _, _, momentum, eps = check.batch_norm(
        x, running_mean, running_var, weight, bias, training, momentum, eps, activation
    )
    if use_reference():
        return reference.batch_norm(
            x,
            running_mean,
            running_var,
            weight,
            bias,
            training=training,
            momentum=momentum,
            eps=eps,
            activation=activation,
            return_statistics=return_statistics,
        )
    y = empty(x.shape, x.dtype)
    mean = empty(x.shape[1:2], x.dtype) if return_statistics else None
    invstd = empty(x.shape[1:2], x.dtype) if return_statistics else None
    now_mean: MaybeArray = contiguous_or_none(running_mean)
    now_var: MaybeArray = contiguous_or_none(running_var)
    weight, bias, relu = contiguous_or_none(weight), contiguous_or_none(bias), activation is not None
    _norm.batch_norm_forward(
        contiguous(x), weight, bias, now_mean, now_var, momentum, mean, invstd, y, eps, relu, training
    )
    if training and running_mean is not None and running_var is not None:
        write_back(running_mean, now_mean)
        write_back(running_var, now_var)
    return y if mean is None or invstd is None else (y, mean, invstd)


def batch_norm_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    invstd: Array,
    *,
    training: bool = True,
    y: Array | None = None,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    check.batch_norm_backward(dy, x, weight, mean, invstd, y)
    if use_reference():
        return reference.batch_norm_backward(dy, x, weight, mean, invstd, training=training, y=y, needs=needs)
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(x.shape[1:2], x.dtype) if "dw" in needs else None
    db = empty(x.shape[1:2], x.dtype) if "db" in needs else None
    _norm.batch_norm_backward(
        contiguous(dy),
        contiguous(x),
        contiguous_or_none(y),
        contiguous_or_none(weight),
        contiguous(mean),
        contiguous(invstd),
        dx,
        dw,
        db,
        bool(training),
    )
    return dx, dw, db
