"""Max and average pooling over two axes, and over one, which is a plane of height 1."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

import fastnn._kernels._pool as _pool
import fastnn._kernels._pool_backward as _backward
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, IntPair, Windows
from fastnn.functional._door import contiguous

__all__ = [
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
]


@overload
def max_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    return_positions: Literal[False] = False,
) -> Array: ...
@overload
def max_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    return_positions: bool = False,
) -> tuple[Array, ...]: ...
def max_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    return_positions: bool = False,
) -> Array | tuple[Array, ...]:
    windows, OH, OW = check.pool(2, x, kernel_size, stride, padding, dilation, ceil_mode)
    if use_reference():
        return reference.max_pool2d(
            x,
            kernel_size,
            stride,
            padding,
            dilation,
            ceil_mode,
            return_positions=return_positions,
            return_indices=return_indices,
        )
    return _max_pool(x, (x.shape[0], x.shape[1], OH, OW), windows, return_positions, return_indices)


def _max_pool(
    x: Array, shape: tuple[int, ...], windows: Windows, return_positions: bool, return_indices: bool
) -> Array | tuple[Array, ...]:
    dtype = check.positions_dtype(windows.KH, windows.KW)
    y: Array = empty(shape, x.dtype)
    positions: Any = empty(shape, dtype) if return_positions or return_indices else None
    _pool.max_pool2d_forward(contiguous(x), y, positions, windows)
    if not return_indices:
        return y if positions is None else (y, positions)
    indices: Array = empty(shape, np.dtype(np.int64))
    kernel: Any = _pool.max_pool2d_indices
    kernel["uint8_t" if dtype.itemsize == 1 else "int32_t"](positions, indices, x.shape[-1], windows)
    return (y, positions, indices) if return_positions else (y, indices)


def max_pool2d_backward(
    dy: Array,
    positions: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
) -> Array:
    windows, H, W = check.pool_backward(2, dy, input_size, kernel_size, stride, padding, dilation, ceil_mode)
    check.positions(positions, dy, windows)
    if use_reference():
        return reference.max_pool2d_backward(
            dy, positions, input_size, kernel_size, stride, padding, dilation, ceil_mode
        )
    return _max_pool_backward(dy, positions, H, W, windows)


def _max_pool_backward(dy: Array, positions: Array, H: int, W: int, windows: Windows) -> Array:
    dx: Array = empty((dy.shape[0], dy.shape[1], H, W), dy.dtype)
    positions = contiguous(positions)
    if not _pool.max_pool2d_positions_fit(positions, H, W, windows):
        check.positions_inside(positions, H, W, windows)
    _backward.max_pool2d_backward(contiguous(dy), positions, dx, windows)
    return dx


def avg_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    windows, OH, OW = check.pool(2, x, kernel_size, stride, padding, 1, ceil_mode)
    divisor = check.average_settings(count_include_pad, divisor_override)
    if use_reference():
        return reference.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _avg_pool(x, (x.shape[0], x.shape[1], OH, OW), windows, count_include_pad, divisor)


def _avg_pool(x: Array, shape: tuple[int, ...], windows: Windows, count_padding: bool, divisor: int) -> Array:
    y: Array = empty(shape, x.dtype)
    _pool.avg_pool2d_forward(contiguous(x), y, windows, count_padding, divisor)
    return y


def avg_pool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    windows, H, W = check.pool_backward(2, dy, input_size, kernel_size, stride, padding, 1, ceil_mode)
    divisor = check.average_settings(count_include_pad, divisor_override)
    if use_reference():
        return reference.avg_pool2d_backward(
            dy, input_size, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    return _avg_pool_backward(dy, H, W, windows, count_include_pad, divisor)


def _avg_pool_backward(dy: Array, H: int, W: int, windows: Windows, count_padding: bool, divisor: int) -> Array:
    dx: Array = empty((dy.shape[0], dy.shape[1], H, W), dy.dtype)
    _backward.avg_pool2d_backward(contiguous(dy), dx, windows, count_padding, divisor)
    return dx


@overload
def max_pool1d(
    x: Array,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    return_positions: Literal[False] = False,
) -> Array: ...
@overload
def max_pool1d(
    x: Array,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    return_positions: bool = False,
) -> tuple[Array, ...]: ...
def max_pool1d(
    x: Array,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    return_positions: bool = False,
) -> Array | tuple[Array, ...]:
    windows, _, OL = check.pool(1, x, kernel_size, stride, padding, dilation, ceil_mode)
    if use_reference():
        return reference.max_pool1d(
            x,
            kernel_size,
            stride,
            padding,
            dilation,
            ceil_mode,
            return_positions=return_positions,
            return_indices=return_indices,
        )
    results = _max_pool(x[:, :, None], (*x.shape[:2], 1, OL), windows, return_positions, return_indices)
    return tuple(r[:, :, 0] for r in results) if isinstance(results, tuple) else results[:, :, 0]


def max_pool1d_backward(
    dy: Array,
    positions: Array,
    input_size: int,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> Array:
    windows, _, L = check.pool_backward(1, dy, input_size, kernel_size, stride, padding, dilation, ceil_mode)
    check.positions(positions, dy, windows)
    if use_reference():
        return reference.max_pool1d_backward(
            dy, positions, input_size, kernel_size, stride, padding, dilation, ceil_mode
        )
    return _max_pool_backward(dy[:, :, None], positions[:, :, None], 1, L, windows)[:, :, 0]


def avg_pool1d(
    x: Array,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    windows, _, OL = check.pool(1, x, kernel_size, stride, padding, 1, ceil_mode)
    check.average_settings(count_include_pad, None)
    if use_reference():
        return reference.avg_pool1d(x, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return _avg_pool(x[:, :, None], (*x.shape[:2], 1, OL), windows, count_include_pad, 0)[:, :, 0]


def avg_pool1d_backward(
    dy: Array,
    input_size: int,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    windows, _, L = check.pool_backward(1, dy, input_size, kernel_size, stride, padding, 1, ceil_mode)
    check.average_settings(count_include_pad, None)
    if use_reference():
        return reference.avg_pool1d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return _avg_pool_backward(dy[:, :, None], 1, L, windows, count_include_pad, 0)[:, :, 0]
