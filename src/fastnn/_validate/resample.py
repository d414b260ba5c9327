"""Planes of another size: adaptive pooling and interpolation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn._validate._base import (
    LARGEST,
    Array,
    IntPair,
    IntSingle,
    all_below,
    choice,
    has_shape,
    images,
    number,
    pair,
    sequences,
    single,
    true_or_false,
)
from fastnn._validate.network import only

__all__ = [
    "Interpolation",
    "OutputSize",
    "Scale",
    "Sizes",
    "adaptive_backward",
    "adaptive_pool",
    "adaptive_settings",
    "interpolate",
    "interpolate_backward",
    "interpolation_settings",
    "plane_indices",
]

OutputSize = int | None | tuple[int | None, ...]
Scale = float | tuple[float] | tuple[float, float]
Sizes = IntPair | IntSingle


def adaptive_settings(axes: int, output_size: OutputSize) -> tuple[int | None, int | None]:
    """`output_size` of rows and columns, of sequences 1 and their length; None: as many as there are."""
    if (
        type(output_size) is tuple
        and len(output_size) == axes == 2
        and type(output_size[0]) is type(output_size[1]) is int
    ):
        return pair("output_size", output_size, 1)  # type: ignore[arg-type]
    items = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * axes
    if len(items) != axes:
        more = ", or a pair of them" if axes == 2 else ""
        raise ValueError(f"output_size: got {output_size!r}; expected an int or None{more}")
    rows, columns = _plane("output_size", tuple(1 if item is None else item for item in items), axes)
    return None if items[0] is None and axes == 2 else rows, None if items[-1] is None else columns


def adaptive_pool(axes: int, x: Array, output_size: OutputSize) -> tuple[int, int]:
    """Return OH and OW; (N, C, L) are planes of one row."""
    (images if axes == 2 else sequences)("x", x)
    rows, columns = adaptive_settings(axes, output_size)
    return rows or x.shape[2], columns or x.shape[-1]


def adaptive_backward(axes: int, dy: Array, input_size: IntPair | IntSingle) -> tuple[int, int]:
    """Return H and W; (N, C, L) are planes of one row."""
    (images if axes == 2 else sequences)("dy", dy)
    return _plane("input_size", input_size, axes)


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
    """How pixels are found: the mode, and the scales that were asked for, 0 where the sizes say."""

    mode: str
    align_corners: bool
    scale_h: float
    scale_w: float


def interpolation_settings(
    size: Sizes | None,
    scale_factor: Scale | None,
    mode: str,
    align_corners: bool | None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> None:
    """Just one of `size` and `scale_factor` is given, for one axis or two, and the mode has what it needs."""
    choice("mode", mode, ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "area"))
    only("antialias", antialias, (False,))
    if align_corners is not None:
        true_or_false("align_corners", align_corners)
        if mode not in ("linear", "bilinear", "bicubic"):
            raise ValueError(f"align_corners: got {align_corners!r}; expected None for the mode {mode!r}")
    if (size is None) == (scale_factor is None):
        came = "neither" if size is None else f"{size!r}, and scale_factor {scale_factor!r}"
        raise ValueError(f"size: got {came}; expected either size or scale_factor")
    if recompute_scale_factor is not None and true_or_false("recompute_scale_factor", recompute_scale_factor):
        only("size", size, (None,), ": recompute_scale_factor is of a scale_factor")
    if size is not None:
        single("size", size, 1) if _is_single(size) else pair("size", size, 1)  # type: ignore[arg-type]
    else:
        _scales("scale_factor", scale_factor, 1 if _is_single(scale_factor) else 2)


def _is_single(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 1


def _scales(name: str, value: Any, axes: int) -> tuple[float, float]:
    """The scales of rows and columns; of one axis, that of the rows is 0."""
    items = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(items) != axes:
        raise ValueError(f"{name}: got {value!r}; expected a number{'' if axes == 1 else ' or a pair of numbers'}")
    found = [number(name, item, 0.0) for item in items]
    if 0 in found:
        raise ValueError(f"{name}: got {value!r}; expected a number above 0")
    return (0.0, *found)[-2], found[-1]


def interpolate(x: Array, size: Sizes | None, scale_factor: Scale | None, *how: Any) -> tuple[Interpolation, int, int]:
    """Return the interpolation, OH and OW; (N, C, L) are planes of one row."""
    axes = _axes("x", x)
    return _interpolation((1, *x.shape[2:])[-2:], axes, size, scale_factor, *how)


def interpolate_backward(
    dy: Array, input_size: IntPair | IntSingle, size: Sizes | None, scale_factor: Scale | None, *how: Any
) -> tuple[Interpolation, int, int]:
    """Return the interpolation, H and W; (N, C, L) are planes of one row."""
    axes = _axes("dy", dy)
    plane = _plane("input_size", input_size, axes)
    found, *out = _interpolation(plane, axes, size, scale_factor, *how)
    expected = (*dy.shape[:2], *out[-axes:])
    has_shape("dy", dy, expected, f"the output of interpolating an input of {plane[-axes:]}")
    return found, *plane


def _axes(name: str, x: Array) -> int:
    """Along how many axes planes get another size: of (N, C, L) one, of (N, C, H, W) two."""
    one = getattr(x, "ndim", None) == 3
    (sequences if one else images)(name, x)
    return 1 if one else 2


def _plane(name: str, size: Any, axes: int) -> tuple[int, int]:
    return (1, single(name, size, 1)) if axes == 1 else pair(name, size, 1)


def _interpolation(
    plane: tuple[int, ...],
    axes: int,
    size: Sizes | None,
    scale_factor: Scale | None,
    mode: str,
    align_corners: bool | None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> tuple[Interpolation, int, int]:
    interpolation_settings(size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    if mode in (("bilinear", "bicubic") if axes == 1 else ("linear",)):
        kind, possible = ("(N, C, L)", "'linear'") if axes == 1 else ("(N, C, H, W)", "'bilinear' or 'bicubic'")
        raise ValueError(f"mode: got {mode!r} for {kind}; expected {possible}")
    if size is not None:
        return Interpolation(mode, bool(align_corners), 0.0, 0.0), *_plane("size", size, axes)
    asked = _scales("scale_factor", scale_factor, axes)
    lengths = [int(min(n * s, LARGEST + 1)) for n, s in zip(plane, asked, strict=True)]
    OH, OW = (1, lengths[1]) if axes == 1 else lengths
    if min(OH, OW) < 1 or max(OH, OW) > LARGEST:
        came = plane[-axes:]
        raise ValueError(f"scale_factor: got {scale_factor!r}; expected an output of at least one pixel of {came}")
    return Interpolation(mode, bool(align_corners), *((0.0, 0.0) if recompute_scale_factor else asked)), OH, OW
