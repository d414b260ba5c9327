"""Max and average pooling."""

from __future__ import annotations

from typing import Literal, overload

import fastnn._kernels._pool as _pool
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, IntPair
from fastnn.functional._door import contiguous, pick


@overload
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: Literal[False] = False,
) -> Array: ...
@overload
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: Literal[True],
) -> tuple[Array, Array]: ...
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: bool = False,
) -> Array | tuple[Array, Array]:
    KH, KW, SH, SW, PH, PW, OH, OW = check.pool2d(x, kernel_size, stride, padding, ceil_mode)
    if use_reference():
        return reference.maxpool2d(
            x,
            kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            return_positions=return_positions,
        )
    shape = (*x.shape[:2], OH, OW)
    y = empty(shape, x.dtype)
    positions = empty(shape, check.positions_dtype(KH, KW)) if return_positions else None
    forward = _pool.maxpool2d_forward_wide if KH * KW > 256 else _pool.maxpool2d_forward
    pick(forward, x.dtype)(contiguous(x), y, positions, KH, KW, SH, SW, PH, PW)
    return y if positions is None else (y, positions)


def maxpool2d_backward(
    dy: Array,
    positions: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    H, W, KH, KW, SH, SW, PH, PW = check.pool2d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode)
    check.positions(positions, dy, H, W, KH, KW, SH, SW, PH, PW)
    if use_reference():
        return reference.maxpool2d_backward(
            dy, positions, input_size, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
        )
    dx = empty((*dy.shape[:2], H, W), dy.dtype)
    backward = _pool.maxpool2d_backward_wide if KH * KW > 256 else _pool.maxpool2d_backward
    pick(backward, dy.dtype)(contiguous(dy), contiguous(positions), dx, KH, KW, SH, SW, PH, PW)
    return dx


def avgpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    KH, KW, SH, SW, PH, PW, OH, OW = check.pool2d(x, kernel_size, stride, padding, ceil_mode)
    if use_reference():
        return reference.avgpool2d(x, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    y = empty((*x.shape[:2], OH, OW), x.dtype)
    pick(_pool.avgpool2d_forward, x.dtype)(contiguous(x), y, KH, KW, SH, SW, PH, PW)
    return y


def avgpool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    H, W, KH, KW, SH, SW, PH, PW = check.pool2d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode)
    if use_reference():
        return reference.avgpool2d_backward(
            dy, input_size, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
        )
    dx = empty((*dy.shape[:2], H, W), dy.dtype)
    pick(_pool.avgpool2d_backward, dy.dtype)(contiguous(dy), dx, KH, KW, SH, SW, PH, PW)
    return dx
