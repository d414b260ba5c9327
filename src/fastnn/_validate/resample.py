"""Planes of another size: adaptive pooling and interpolation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn._validate._base import (
    LARGEST,
    Array,
    IntPair,
    all_below,
    choice,
    has_shape,
    images,
    number,
    pair,
    true_or_false,
)

__all__ = [
    "Interpolation",
    "OutputSize",
    "Scale",
    "adaptive_backward",
    "adaptive_pool",
    "adaptive_settings",
    "interpolate",
    "interpolate_backward",
    "interpolation_settings",
    "plane_indices",
]

OutputSize = int | None | tuple[int | None, int | None]
Scale = float | tuple[float, float]


def adaptive_settings(output_size: OutputSize) -> tuple[int | None, int | None]:
    """`output_size` of rows and columns; None: as many as there are."""
    if type(output_size) is tuple and len(output_size) == 2 and type(output_size[0]) is type(output_size[1]) is int:
        return pair("output_size", output_size, 1)  # type: ignore[arg-type]
    items = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    if len(items) != 2:
        raise ValueError(f"output_size: got {output_size!r}; expected an int or None, or a pair of them")
    rows, columns = pair("output_size", (*(1 if item is None else item for item in items),), 1)  # type: ignore[arg-type]
    return None if items[0] is None else rows, None if items[1] is None else columns


def adaptive_pool(x: Array, output_size: OutputSize) -> tuple[int, int]:
    """Return OH and OW."""
    images("x", x)
    rows, columns = adaptive_settings(output_size)
    return rows or x.shape[2], columns or x.shape[3]


def adaptive_backward(dy: Array, input_size: IntPair) -> tuple[int, int]:
    """Return H and W."""
    images("dy", dy)
    return pair("input_size", input_size, 1)


def plane_indices(indices: Array, dy: Array, H: int, W: int) -> None:
    """`indices` are places of maxima in planes of H x W, one for each element of `dy`."""
    if not isinstance(indices, np.ndarray) or isinstance(indices, np.ma.MaskedArray) or indices.dtype != np.int64:
        came = getattr(indices, "dtype", type(indices).__name__)
        raise TypeError(f"indices: got {came}; expected an array of int64, as adaptive_max_pool2d returns")
    has_shape("indices", indices, dy.shape, "the shape of dy")
    if not all_below(indices, H * W):
        raise ValueError(
            f"indices: got values from {indices.min()} to {indices.max()}; expected 0 to {H * W - 1}, places in a plane"
        )


class Interpolation(NamedTuple):
    """How pixels are found: smoothly or not, and the scales that were asked for, 0 where the sizes say."""

    bilinear: bool
    align_corners: bool
    scale_h: float
    scale_w: float


def interpolation_settings(
    size: IntPair | None, scale_factor: Scale | None, mode: str, align_corners: bool | None
) -> Interpolation:
    """Just one of `size` and `scale_factor` is given, and the mode has what it needs."""
    choice("mode", mode, ("nearest", "bilinear"))
    if align_corners is not None:
        true_or_false("align_corners", align_corners)
        if mode == "nearest":
            raise ValueError(f"align_corners: got {align_corners!r}; expected None for the mode 'nearest'")
    if (size is None) == (scale_factor is None):
        came = "neither" if size is None else f"{size!r}, and scale_factor {scale_factor!r}"
        raise ValueError(f"size: got {came}; expected either size or scale_factor")
    if size is not None:
        pair("size", size, 1)
        return Interpolation(mode == "bilinear", bool(align_corners), 0.0, 0.0)
    scales = tuple(scale_factor) if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    if len(scales) != 2:
        raise ValueError(f"scale_factor: got {scale_factor!r}; expected a number or a pair of numbers")
    scale_h, scale_w = (_scale(scale) for scale in scales)
    return Interpolation(mode == "bilinear", bool(align_corners), scale_h, scale_w)


def _scale(value: Any) -> float:
    scale = number("scale_factor", value, 0.0)
    if scale == 0:
        raise ValueError(f"scale_factor: got {value!r}; expected a number above 0")
    return scale


def interpolate(
    x: Array, size: IntPair | None, scale_factor: Scale | None, mode: str, align_corners: bool | None
) -> tuple[Interpolation, int, int]:
    """Return the interpolation, OH and OW."""
    images("x", x)
    return _interpolation(x.shape[2], x.shape[3], size, scale_factor, mode, align_corners)


def interpolate_backward(
    dy: Array,
    input_size: IntPair,
    size: IntPair | None,
    scale_factor: Scale | None,
    mode: str,
    align_corners: bool | None,
) -> tuple[Interpolation, int, int]:
    """Return the interpolation, H and W."""
    images("dy", dy)
    H, W = pair("input_size", input_size, 1)
    how, OH, OW = _interpolation(H, W, size, scale_factor, mode, align_corners)
    has_shape("dy", dy, (*dy.shape[:2], OH, OW), f"the output of interpolating an input of {(H, W)}")
    return how, H, W


def _interpolation(
    H: int, W: int, size: IntPair | None, scale_factor: Scale | None, mode: str, align_corners: bool | None
) -> tuple[Interpolation, int, int]:
    how = interpolation_settings(size, scale_factor, mode, align_corners)
    if size is not None:
        return how, *pair("size", size, 1)
    OH, OW = (int(min(length * scale, LARGEST + 1)) for length, scale in ((H, how.scale_h), (W, how.scale_w)))
    if min(OH, OW) < 1 or max(OH, OW) > LARGEST:
        raise ValueError(f"scale_factor: got {scale_factor!r}; expected an output of at least one pixel of {(H, W)}")
    return how, OH, OW
