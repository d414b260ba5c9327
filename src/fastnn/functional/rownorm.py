"""Layer, group and instance normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, overload

import numpy as np

import fastnn._kernels._rownorm as _rownorm
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional._door import contiguous, contiguous_or_none

__all__ = [
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "layer_norm",
    "layer_norm_backward",
]


def _forward(
    x: Array,
    rows: tuple[int, int, int, int],
    weight: Array | None,
    bias: Array | None,
    mean: Array | None,
    invstd: Array | None,
    var: Array | None,
    eps: float,
) -> Array:
    y = empty(x.shape, x.dtype)
    weight, bias = contiguous_or_none(weight), contiguous_or_none(bias)
    _rownorm.row_norm(contiguous(x), weight, bias, mean, invstd, var, y, rows, eps)
    return y


def _backward(
    dy: Array,
    x: Array,
    rows: tuple[int, int, int, int],
    weight: Array | None,
    mean: Array,
    invstd: Array,
    shape: tuple[int, ...],
    needs: Iterable[str],
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """The gradients that are needed; those of the weights are of `shape`."""
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(shape, x.dtype) if "dw" in needs else None
    db = empty(shape, x.dtype) if "db" in needs else None
    _rownorm.row_norm_backward(
        contiguous(dy),
        contiguous(x),
        contiguous_or_none(weight),
        contiguous(mean),
        contiguous(invstd),
        dx,
        dw,
        db,
        rows,
    )
    return dx, dw, db


@overload
def layer_norm(
    x: Array,
    normalized_shape: int | tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: Literal[False] = False,
) -> Array: ...
@overload
def layer_norm(
    x: Array,
    normalized_shape: int | tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: Literal[True],
) -> tuple[Array, Array, Array]: ...
def layer_norm(
    x: Array,
    normalized_shape: int | tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    rows, before, eps = check.layer_norm(x, normalized_shape, weight, bias, eps)
    if use_reference():
        return reference.layer_norm(x, normalized_shape, weight, bias, eps=eps, return_statistics=return_statistics)
    mean = empty(x.shape[:before], x.dtype) if return_statistics else None
    invstd = empty(x.shape[:before], x.dtype) if return_statistics else None
    y = _forward(x, rows, weight, bias, mean, invstd, None, eps)
    return y if mean is None or invstd is None else (y, mean, invstd)


def layer_norm_backward(
    dy: Array,
    x: Array,
    normalized_shape: int | tuple[int, ...],
    weight: Array | None,
    mean: Array,
    invstd: Array,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    rows = check.layer_norm_backward(dy, x, normalized_shape, weight, mean, invstd)
    if use_reference():
        return reference.layer_norm_backward(dy, x, normalized_shape, weight, mean, invstd, needs=needs)
    return _backward(dy, x, rows, weight, mean, invstd, x.shape[mean.ndim :], needs)


@overload
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: Literal[False] = False,
) -> Array: ...
@overload
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: Literal[True],
) -> tuple[Array, Array, Array]: ...
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    rows, groups, eps = check.group_norm(x, num_groups, weight, bias, eps)
    if use_reference():
        return reference.group_norm(x, num_groups, weight, bias, eps=eps, return_statistics=return_statistics)
    mean = empty(groups, x.dtype) if return_statistics else None
    invstd = empty(groups, x.dtype) if return_statistics else None
    y = _forward(x, rows, weight, bias, mean, invstd, None, eps)
    return y if mean is None or invstd is None else (y, mean, invstd)


def group_norm_backward(
    dy: Array,
    x: Array,
    num_groups: int,
    weight: Array | None,
    mean: Array,
    invstd: Array,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs)
    rows = check.group_norm_backward(dy, x, num_groups, weight, mean, invstd)
    if use_reference():
        return reference.group_norm_backward(dy, x, num_groups, weight, mean, invstd, needs=needs)
    return _backward(dy, x, rows, weight, mean, invstd, x.shape[1:2], needs)


@overload
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_statistics: Literal[False] = False,
) -> Array: ...
@overload
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_statistics: Literal[True],
) -> tuple[Array, Array, Array]: ...
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    rows, momentum, eps = check.instance_norm(x, running_mean, running_var, weight, bias, momentum, eps)
    if use_reference():
        return reference.instance_norm(
            x, running_mean, running_var, weight, bias, momentum=momentum, eps=eps, return_statistics=return_statistics
        )
    updates = running_mean is not None and rows[0] > 0
    mean = empty(rows[:2], x.dtype) if return_statistics or updates else None
    invstd = empty(rows[:2], x.dtype) if return_statistics else None
    var = empty((rows[0] * rows[1],), np.dtype(np.float64)) if updates else None
    y = _forward(x, rows, weight, bias, mean, invstd, var, eps)
    if running_mean is not None and running_var is not None and mean is not None and var is not None:
        unbiased = rows[3] / (rows[3] - 1)
        with np.errstate(all="ignore"):  # inf and NaN flow through
            for running, now, factor in ((running_mean, mean, 1.0), (running_var, var.reshape(rows[:2]), unbiased)):
                running[...] = (1 - momentum) * running + momentum * factor * now.mean(axis=0, dtype=np.float64)
    return y if mean is None or invstd is None else (y, mean, invstd)


def instance_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array, *, needs: Iterable[str] = check.GRADIENTS
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    return group_norm_backward(dy, x, check.channels(x), weight, mean, invstd, needs=needs)
