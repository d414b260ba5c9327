"""Planes of another size, and rows, which are planes of height 1: adaptive pooling and interpolation."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

import fastnn._kernels._resample as _resample
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, Interpolation, IntPair, IntSingle, OutputSize, Scale, Sizes
from fastnn.functional._door import contiguous

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool1d_backward",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "interpolate",
    "interpolate_backward",
]

KINDS = {
    "nearest": _resample.NEAREST,
    "nearest-exact": _resample.NEAREST_EXACT,
    "linear": _resample.BILINEAR,  # of planes of one row
    "bilinear": _resample.BILINEAR,
    "bicubic": _resample.BICUBIC,
    "area": _resample.AVERAGE,
}
OF_SIZES = Interpolation("area", False, 0.0, 0.0)


def _planes(x: Array) -> Array:
    return contiguous(x if x.ndim == 4 else x[:, :, None])


def _forward(
    kind: int, x: Array, OH: int, OW: int, how: Interpolation = OF_SIZES, *, return_indices: bool = False
) -> Any:
    shape = x.shape[0], x.shape[1], OH, OW
    y: Array = empty(shape, x.dtype)
    indices: Any = empty(shape, np.dtype(np.int64)) if return_indices else None
    _resample.resample_forward(kind, _planes(x), y, indices, *how[1:])
    if x.ndim == 3:
        y, indices = y[:, :, 0], indices[:, :, 0] if return_indices else None
    return (y, indices) if return_indices else y


def _backward(
    kind: int, dy: Array, H: int, W: int, how: Interpolation = OF_SIZES, *, indices: Array | None = None
) -> Array:
    dx: Array = empty((dy.shape[0], dy.shape[1], H, W), dy.dtype)
    _resample.resample_backward(kind, _planes(dy), dx, None if indices is None else _planes(indices), *how[1:])
    return dx if dy.ndim == 4 else dx[:, :, 0]


def adaptive_avg_pool2d(x: Array, output_size: OutputSize) -> Array:
    OH, OW = check.adaptive_pool(2, x, output_size)
    if use_reference():
        return reference.adaptive_avg_pool2d(x, output_size)
    y: Array = _forward(_resample.AVERAGE, x, OH, OW)
    return y


def adaptive_avg_pool2d_backward(dy: Array, input_size: IntPair) -> Array:
    H, W = check.adaptive_backward(2, dy, input_size)
    if use_reference():
        return reference.adaptive_avg_pool2d_backward(dy, input_size)
    return _backward(_resample.AVERAGE, dy, H, W)


@overload
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: Literal[False] = False) -> Array: ...
@overload
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: Literal[True]) -> tuple[Array, Array]: ...
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: bool = False) -> Array | tuple[Array, Array]:
    OH, OW = check.adaptive_pool(2, x, output_size)
    if use_reference():
        return reference.adaptive_max_pool2d(x, output_size, return_indices=return_indices)
    made: Array | tuple[Array, Array] = _forward(_resample.MAXIMUM, x, OH, OW, return_indices=return_indices)
    return made


def adaptive_max_pool2d_backward(dy: Array, indices: Array, input_size: IntPair) -> Array:
    H, W = check.adaptive_backward(2, dy, input_size)
    check.plane_indices(indices, dy, H, W)
    if use_reference():
        return reference.adaptive_max_pool2d_backward(dy, indices, input_size)
    return _backward(_resample.MAXIMUM, dy, H, W, indices=indices)


def adaptive_avg_pool1d(x: Array, output_size: int | tuple[int] | None) -> Array:
    OH, OL = check.adaptive_pool(1, x, output_size)
    if use_reference():
        return reference.adaptive_avg_pool1d(x, output_size)
    y: Array = _forward(_resample.AVERAGE, x, OH, OL)
    return y


def adaptive_avg_pool1d_backward(dy: Array, input_size: IntSingle) -> Array:
    H, L = check.adaptive_backward(1, dy, input_size)
    if use_reference():
        return reference.adaptive_avg_pool1d_backward(dy, input_size)
    return _backward(_resample.AVERAGE, dy, H, L)


@overload
def adaptive_max_pool1d(
    x: Array, output_size: int | tuple[int] | None, return_indices: Literal[False] = False
) -> Array: ...
@overload
def adaptive_max_pool1d(
    x: Array, output_size: int | tuple[int] | None, return_indices: Literal[True]
) -> tuple[Array, Array]: ...
def adaptive_max_pool1d(
    x: Array, output_size: int | tuple[int] | None, return_indices: bool = False
) -> Array | tuple[Array, Array]:
    OH, OL = check.adaptive_pool(1, x, output_size)
    if use_reference():
        return reference.adaptive_max_pool1d(x, output_size, return_indices=return_indices)
    made: Array | tuple[Array, Array] = _forward(_resample.MAXIMUM, x, OH, OL, return_indices=return_indices)
    return made


def adaptive_max_pool1d_backward(dy: Array, indices: Array, input_size: IntSingle) -> Array:
    H, L = check.adaptive_backward(1, dy, input_size)
    check.plane_indices(indices, dy, H, L)
    if use_reference():
        return reference.adaptive_max_pool1d_backward(dy, indices, input_size)
    return _backward(_resample.MAXIMUM, dy, H, L, indices=indices)


def interpolate(
    x: Array,
    size: Sizes | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    settings = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    how, OH, OW = check.interpolate(x, *settings)
    if use_reference():
        return reference.interpolate(x, *settings)
    y: Array = _forward(KINDS[mode], x, OH, OW, how)
    return y


def interpolate_backward(
    dy: Array,
    input_size: Sizes,
    size: Sizes | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    settings = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    how, H, W = check.interpolate_backward(dy, input_size, *settings)
    if use_reference():
        return reference.interpolate_backward(dy, input_size, *settings)
    return _backward(KINDS[mode], dy, H, W, how)
