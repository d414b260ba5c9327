"""Pooling, and the positions of maxima."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._validate._base import LARGEST, Array, IntPair, has_shape, images, pair, windows_fit


def _pool_axis(size: int, K: int, S: int, P: int, ceil_mode: bool) -> int:
    """How many windows fit along one axis, by PyTorch's rule."""
    if not ceil_mode:
        return (size + 2 * P - K) // S + 1
    count = (size + 2 * P - K + S - 1) // S + 1
    return count - 1 if (count - 1) * S >= size + P else count


def pool2d_settings(
    kernel_size: IntPair, stride: IntPair | None, padding: IntPair, ceil_mode: bool
) -> tuple[int, int, int, int, int, int]:
    """Return KH, KW, SH, SW, PH, PW."""
    KH, KW = pair("kernel_size", kernel_size, 1)
    SH, SW = (KH, KW) if stride is None else pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    if 2 * PH > KH or 2 * PW > KW:
        raise ValueError(f"padding: got {padding!r}; expected at most half of kernel_size {(KH, KW)}")
    if KH * KW > LARGEST:
        raise ValueError(f"kernel_size: got {(KH, KW)}; expected at most {LARGEST} elements")
    if ceil_mode is not True and ceil_mode is not False:
        raise TypeError(f"ceil_mode: got {ceil_mode!r}; expected True or False")
    return KH, KW, SH, SW, PH, PW


def _pool_geometry(
    H: int, W: int, kernel_size: IntPair, stride: IntPair | None, padding: IntPair, ceil_mode: bool
) -> tuple[int, int, int, int, int, int, int, int]:
    KH, KW, SH, SW, PH, PW = pool2d_settings(kernel_size, stride, padding, ceil_mode)
    OH, OW = _pool_axis(H, KH, SH, PH, ceil_mode), _pool_axis(W, KW, SW, PW, ceil_mode)
    if OH < 1 or OW < 1:
        windows_fit(H, W, KH, KW, PH, PW)
    return KH, KW, SH, SW, PH, PW, OH, OW


def pool2d(
    x: Array, kernel_size: IntPair, stride: IntPair | None, padding: IntPair, ceil_mode: bool
) -> tuple[int, int, int, int, int, int, int, int]:
    """Return KH, KW, SH, SW, PH, PW, OH, OW."""
    images("x", x)
    return _pool_geometry(x.shape[2], x.shape[3], kernel_size, stride, padding, ceil_mode)


def pool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    ceil_mode: bool,
) -> tuple[int, int, int, int, int, int, int, int]:
    """Return H, W, KH, KW, SH, SW, PH, PW."""
    images("dy", dy)
    H, W = pair("input_size", input_size, 1)
    KH, KW, SH, SW, PH, PW, OH, OW = _pool_geometry(H, W, kernel_size, stride, padding, ceil_mode)
    N, C = dy.shape[:2]
    has_shape("dy", dy, (N, C, OH, OW), f"the output of pooling an input of {(H, W)}")
    return H, W, KH, KW, SH, SW, PH, PW


def positions(
    positions: Array,
    dy: Array,
    H: int,
    W: int,
    KH: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
) -> None:
    """`positions` is what maxpool2d returned beside the output that `dy` belongs to: all inside the input."""
    wanted = positions_dtype(KH, KW)
    if not isinstance(positions, np.ndarray) or isinstance(positions, np.ma.MaskedArray) or positions.dtype != wanted:
        came = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(
            f"positions: got {came}; expected an array of {wanted}, as maxpool2d returns for kernel_size {(KH, KW)}"
        )
    has_shape("positions", positions, dy.shape, "the shape of dy")
    if positions.size and (positions.max() >= KH * KW or (wanted != np.uint8 and positions.min() < 0)):
        raise ValueError(
            f"positions: got values from {positions.min()} to {positions.max()}; "
            f"expected 0 to {KH * KW - 1}, places in a window of {(KH, KW)}"
        )
    for o in _overhanging(positions.shape[2], H, KH, SH, PH):
        _positions_inside(positions[:, :, o] // KW, o * SH - PH, H)
    for o in _overhanging(positions.shape[3], W, KW, SW, PW):
        _positions_inside(positions[:, :, :, o] % KW, o * SW - PW, W)


def _overhanging(count: int, size: int, K: int, S: int, P: int) -> list[int]:
    """The windows along one axis that hang over the edge of the input."""
    if P == 0 and (count - 1) * S + K <= size:
        return []
    return [o for o in range(count) if o * S < P or o * S - P + K > size]


def _positions_inside(places: Array, start: int, size: int) -> None:
    if places.size and (start + int(places.min()) < 0 or start + int(places.max()) >= size):
        raise ValueError("positions: got one in the padding; expected places inside the input, as from maxpool2d")


def positions_dtype(KH: int, KW: int) -> np.dtype[Any]:
    """The smallest of the two dtypes that holds every place in a window."""
    return np.dtype(np.uint8) if KH * KW <= 256 else np.dtype(np.int32)
