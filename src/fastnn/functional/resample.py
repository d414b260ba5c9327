"""Planes of another size: adaptive pooling and interpolation."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

import fastnn._kernels._resample as _resample
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, Interpolation, IntPair, OutputSize, Scale
from fastnn.functional._door import contiguous

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "interpolate",
    "interpolate_backward",
]


def adaptive_avg_pool2d(x: Array, output_size: OutputSize) -> Array:
    OH, OW = check.adaptive_pool(x, output_size)
    if use_reference():
        return reference.adaptive_avg_pool2d(x, output_size)
    return _forward(_resample.AVERAGE, x, OH, OW)


def _forward(
    kind: int, x: Array, OH: int, OW: int, *, indices: Any = None, how: tuple[Any, ...] = (False, 0, 0)
) -> Array:
    y: Array = empty((x.shape[0], x.shape[1], OH, OW), x.dtype)
    _resample.resample_forward(kind, contiguous(x), y, indices, *how)
    return y


def _backward(
    kind: int, dy: Array, H: int, W: int, *, indices: Any = None, how: tuple[Any, ...] = (False, 0, 0)
) -> Array:
    dx: Array = empty((dy.shape[0], dy.shape[1], H, W), dy.dtype)
    _resample.resample_backward(kind, contiguous(dy), dx, indices, *how)
    return dx


def adaptive_avg_pool2d_backward(dy: Array, input_size: IntPair) -> Array:
    H, W = check.adaptive_backward(dy, input_size)
    if use_reference():
        return reference.adaptive_avg_pool2d_backward(dy, input_size)
    return _backward(_resample.AVERAGE, dy, H, W)


@overload
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: Literal[False] = False) -> Array: ...
@overload
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: Literal[True]) -> tuple[Array, Array]: ...
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: bool = False) -> Array | tuple[Array, Array]:
    OH, OW = check.adaptive_pool(x, output_size)
    if use_reference():
        return reference.adaptive_max_pool2d(x, output_size, return_indices=return_indices)
    if not return_indices:
        return _forward(_resample.MAXIMUM, x, OH, OW)
    indices: Array = empty((x.shape[0], x.shape[1], OH, OW), np.dtype(np.int64))
    return _forward(_resample.MAXIMUM, x, OH, OW, indices=indices), indices


def adaptive_max_pool2d_backward(dy: Array, indices: Array, input_size: IntPair) -> Array:
    H, W = check.adaptive_backward(dy, input_size)
    check.plane_indices(indices, dy, H, W)
    if use_reference():
        return reference.adaptive_max_pool2d_backward(dy, indices, input_size)
    return _backward(_resample.MAXIMUM, dy, H, W, indices=contiguous(indices))


def _kind(how: Interpolation) -> int:
    return _resample.BILINEAR if how.bilinear else _resample.NEAREST


def interpolate(
    x: Array,
    size: IntPair | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Array:
    how, OH, OW = check.interpolate(x, size, scale_factor, mode, align_corners)
    if use_reference():
        return reference.interpolate(x, size, scale_factor, mode=mode, align_corners=align_corners)
    return _forward(_kind(how), x, OH, OW, how=how[1:])


def interpolate_backward(
    dy: Array,
    input_size: IntPair,
    size: IntPair | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Array:
    how, H, W = check.interpolate_backward(dy, input_size, size, scale_factor, mode, align_corners)
    if use_reference():
        return reference.interpolate_backward(
            dy, input_size, size, scale_factor, mode=mode, align_corners=align_corners
        )
    return _backward(_kind(how), dy, H, W, how=how[1:])
