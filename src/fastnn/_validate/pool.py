"""Pooling over one or two axes, and the positions of maxima.

Whatever the number of axes, the rules give two of everything, rows and columns: a row of pixels is a plane of height 1.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from fastnn._validate._base import (
    LARGEST,
    Array,
    IntPair,
    bounded,
    has_shape,
    images,
    integer,
    pair,
    sequences,
    true_or_false,
    windows_fit,
)

__all__ = [
    "Windows",
    "average_settings",
    "pool",
    "pool_backward",
    "pool_settings",
    "positions",
    "positions_dtype",
    "positions_inside",
]


UINT8, INT32 = np.dtype(np.uint8), np.dtype(np.int32)


class Windows(NamedTuple):
    """Size, stride, padding and dilation of windows."""

    KH: int
    KW: int
    SH: int
    SW: int
    PH: int
    PW: int
    DH: int
    DW: int


def pool_settings(
    axes: int, kernel_size: IntPair, stride: IntPair | None, padding: IntPair, dilation: IntPair, ceil_mode: bool
) -> Windows:
    """The windows of a pool over one or two axes."""
    KH, KW = _sizes(axes, "kernel_size", kernel_size, 1, 1)
    SH, SW = (KH, KW) if stride is None else _sizes(axes, "stride", stride, 1, 1)
    PH, PW = _sizes(axes, "padding", padding, 0, 0)
    DH, DW = _sizes(axes, "dilation", dilation, 1, 1)
    if 2 * PH > KH or 2 * PW > KW:
        raise ValueError(f"padding: got {padding!r}; expected at most half of kernel_size {_shown(axes, KH, KW)}")
    if KH * KW > LARGEST or DH * (KH - 1) >= LARGEST or DW * (KW - 1) >= LARGEST:
        raise ValueError(f"kernel_size: got {_shown(axes, KH, KW)}; expected at most {LARGEST} elements")
    true_or_false("ceil_mode", ceil_mode)
    return Windows(KH, KW, SH, SW, PH, PW, DH, DW)


def _sizes(axes: int, name: str, value: IntPair, least: int, missing: int) -> tuple[int, int]:
    """`value` for rows and columns; over one axis it is for columns, and rows have `missing`."""
    if axes == 2:
        return pair(name, value, least)
    one = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    size = integer(name, one, least)  # type: ignore[arg-type]
    if size > LARGEST:
        raise ValueError(f"{name}: got {value!r}; expected at most {LARGEST}")
    return missing, size


def _shown(axes: int, rows: int, columns: int) -> int | tuple[int, int]:
    return (rows, columns) if axes == 2 else columns


def _outputs(size: int, K: int, S: int, P: int, D: int, ceil_mode: bool) -> int:
    """How many windows fit along one axis, by PyTorch's rule."""
    room = size + 2 * P - D * (K - 1) - 1
    if not ceil_mode:
        return room // S + 1
    count = (room + S - 1) // S + 1
    return count - 1 if (count - 1) * S >= size + P else count


def _output_size(axes: int, H: int, W: int, windows: Windows, ceil_mode: bool) -> tuple[int, int]:
    KH, KW, SH, SW, PH, PW, DH, DW = windows
    OH, OW = _outputs(H, KH, SH, PH, DH, ceil_mode), _outputs(W, KW, SW, PW, DW, ceil_mode)
    if OH < 1 or OW < 1:
        if axes == 2:
            windows_fit(H, W, KH, KW, PH, PW, DH, DW)
        dilated = f" with dilation {DW}" if DW != 1 else ""
        raise ValueError(
            f"kernel_size: got {KW}{dilated}; expected at most the padded input, {W + 2 * PW} (input {W}, padding {PW})"
        )
    if _steps_over(H, SH, PH, DH, OH) or _steps_over(W, SW, PW, DW, OW):
        raise ValueError(
            f"dilation: got {_shown(axes, DH, DW)}; expected no more than lets every window meet the input "
            f"(input {_shown(axes, H, W)}, padding {_shown(axes, PH, PW)})"
        )
    return OH, OW


def _steps_over(size: int, S: int, P: int, D: int, outputs: int) -> bool:
    """Whether a window that begins in the padding has no pixel inside: its maximum would be nowhere."""
    return size < D and any((o * S - P) % D >= size for o in range(outputs) if o * S < P)


def _of_size(
    axes: int,
    H: int,
    W: int,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    dilation: IntPair,
    ceil_mode: bool,
) -> tuple[Windows, int, int]:
    """The windows, OH and OW."""
    windows = pool_settings(axes, kernel_size, stride, padding, dilation, ceil_mode)
    return windows, *_output_size(axes, H, W, windows, ceil_mode)


_remembered = functools.lru_cache(maxsize=1024)(_of_size)  # of plain numbers only: True would pass for 1


def _looked_up(
    axes: int,
    H: int,
    W: int,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    dilation: IntPair,
    ceil_mode: bool,
) -> tuple[Windows, int, int]:
    """As `_of_size`; a small call would take as long for working it out again as for pooling."""
    plain = type(kernel_size) is type(padding) is type(dilation) is int and type(ceil_mode) is bool
    find = _remembered if plain and (stride is None or type(stride) is int) else _of_size
    return find(axes, H, W, kernel_size, stride, padding, dilation, ceil_mode)


def pool(
    axes: int,
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    dilation: IntPair,
    ceil_mode: bool,
) -> tuple[Windows, int, int]:
    """Return the windows, OH and OW."""
    _planes(axes, "x", x)
    H, W = x.shape[2:] if axes == 2 else (1, x.shape[2])
    return _looked_up(axes, H, W, kernel_size, stride, padding, dilation, ceil_mode)


def pool_backward(
    axes: int,
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    dilation: IntPair,
    ceil_mode: bool,
) -> tuple[Windows, int, int]:
    """Return the windows, H and W."""
    _planes(axes, "dy", dy)
    H, W = _sizes(axes, "input_size", input_size, 1, 1)
    windows, OH, OW = _looked_up(axes, H, W, kernel_size, stride, padding, dilation, ceil_mode)
    out = (OH, OW) if axes == 2 else (OW,)
    if dy.shape[2:] != out:
        has_shape("dy", dy, (*dy.shape[:2], *out), f"the output of pooling an input of {_shown(axes, H, W)}")
    return windows, H, W


def _planes(axes: int, name: str, a: Array) -> None:
    if axes == 2:
        images(name, a)
        return
    sequences(name, a)


def average_settings(count_include_pad: bool, divisor_override: int | None) -> int:
    """The divisor of every window, or 0 where each has its own."""
    true_or_false("count_include_pad", count_include_pad)
    return 0 if divisor_override is None else bounded("divisor_override", divisor_override, 1)


def positions(positions: Array, dy: Array, windows: Windows) -> None:
    """`positions` can be what max pooling returned beside the output that `dy` belongs to."""
    wanted = positions_dtype(windows.KH, windows.KW)
    if type(positions) is np.ndarray and positions.dtype is wanted and positions.shape == dy.shape:
        return
    if not isinstance(positions, np.ndarray) or isinstance(positions, np.ma.MaskedArray) or positions.dtype != wanted:
        came = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(
            f"positions: got {came}; expected an array of {wanted}, "
            f"as max pooling returns for kernel_size {windows[:2]}"
        )
    has_shape("positions", positions, dy.shape, "the shape of dy")


def positions_inside(positions: Array, H: int, W: int, windows: Windows) -> None:
    """All positions are places in their windows and inside the input."""
    KH, KW, SH, SW, PH, PW, DH, DW = windows
    wanted = positions.dtype
    if positions.size and (positions.max() >= KH * KW or (wanted != np.uint8 and positions.min() < 0)):
        raise ValueError(
            f"positions: got values from {positions.min()} to {positions.max()}; "
            f"expected 0 to {KH * KW - 1}, places in a window of {(KH, KW)}"
        )
    planes = positions if positions.ndim == 4 else positions[:, :, None]
    for o in _overhanging(planes.shape[2], H, KH, SH, PH, DH):
        _positions_inside(planes[:, :, o] // KW, o * SH - PH, DH, H)
    for o in _overhanging(planes.shape[3], W, KW, SW, PW, DW):
        _positions_inside(planes[:, :, :, o] % KW, o * SW - PW, DW, W)


def _overhanging(count: int, size: int, K: int, S: int, P: int, D: int) -> list[int]:
    """The windows along one axis that hang over the edge of the input."""
    reach = D * (K - 1) + 1
    if P == 0 and (count - 1) * S + reach <= size:
        return []
    return [o for o in range(count) if o * S < P or o * S - P + reach > size]


def _positions_inside(places: Array, start: int, D: int, size: int) -> None:
    if places.size and (start + int(places.min()) * D < 0 or start + int(places.max()) * D >= size):
        raise ValueError("positions: got one in the padding; expected places inside the input, as from max pooling")


def positions_dtype(KH: int, KW: int) -> np.dtype[Any]:
    """The smallest of the two dtypes that holds every place in a window."""
    return UINT8 if KH * KW <= 256 else INT32
