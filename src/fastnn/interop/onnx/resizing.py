"""Resize: along each axis a product with a matrix, whose rows say which elements an output is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn._validate import Array
from fastnn.interop.onnx.operation import Attributes, Inputs, Operation, axes_of, ints

Maybe = Array | None


class _Line(NamedTuple):
    """One axis: lengths before and after, the scale, and the part of the input that is looked at."""

    n: int
    m: int
    scale: float
    roi: tuple[float, float]


def _half_pixel(i: Array, line: _Line) -> Array:
    return np.asarray((i + 0.5) / line.scale - 0.5)


def _pytorch_half_pixel(i: Array, line: _Line) -> Array:
    return np.full(line.m, -0.5) if line.scale * line.n == 1 else _half_pixel(i, line)


def _symmetric(i: Array, line: _Line) -> Array:
    return line.n / 2 * (1 - line.m / (line.scale * line.n)) + _half_pixel(i, line)


def _align_corners(i: Array, line: _Line) -> Array:
    wide = line.scale * line.n
    return np.zeros(line.m) if wide == 1 else np.asarray(i * (line.n - 1) / (wide - 1))


def _crop(i: Array, line: _Line) -> Array:
    first, last = line.roi
    if line.m == 1:
        return np.full(1, (first + last) * (line.n - 1) / 2)
    return np.asarray(first * (line.n - 1) + i * (last - first) * (line.n - 1) / (line.m - 1))


_COORDINATES: dict[str, Callable[[Array, _Line], Array]] = {
    "half_pixel": _half_pixel,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "half_pixel_symmetric": _symmetric,
    "align_corners": _align_corners,
    "asymmetric": lambda i, line: np.asarray(i / line.scale),
    "tf_crop_and_resize": _crop,
    "tf_half_pixel_for_nn": lambda i, line: np.asarray((i + 0.5) / line.scale),
}
_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _linear(distance: Array, a: float) -> Array:
    return np.clip(1 - distance, 0, 1)


def _cubic(d: Array, a: float) -> Array:
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


_KERNELS = {"linear": (_linear, 1), "cubic": (_cubic, 2)}  # and how far they reach


def _matrix(line: _Line, settings: dict[str, Any]) -> tuple[Array, Array]:
    """The matrix (m, n), and which outputs lie outside of the input."""
    if line.m == 0:
        return np.zeros((0, line.n)), np.zeros(0, bool)
    where = settings["coordinate_transformation_mode"]
    x = _COORDINATES[where](np.arange(line.m, dtype=np.float64), line)
    outside = (x < 0) | (x > line.n - 1) if where == "tf_crop_and_resize" else np.zeros(line.m, bool)
    matrix = np.zeros((line.m, line.n))
    rows = np.arange(line.m)
    if settings["mode"] == "nearest":
        matrix[rows, np.clip(_NEAREST[settings["nearest_mode"]](x), 0, line.n - 1).astype(int)] = 1
        return matrix, outside
    kernel, reach = _KERNELS[settings["mode"]]
    narrow = min(line.scale, 1.0) if settings["antialias"] else 1.0
    far = math.ceil(reach / narrow)
    first = np.ceil(x).astype(int) - far
    for place in range(2 * far):
        at = first + place
        weight = kernel(np.abs(x - at) * narrow, settings["cubic_coeff_a"])
        if settings["exclude_outside"]:
            weight = np.where((at >= 0) & (at < line.n), weight, 0)
        np.add.at(matrix, (rows, np.clip(at, 0, line.n - 1)), weight)
    if settings["antialias"] or settings["exclude_outside"]:
        matrix /= matrix.sum(1, keepdims=True)
    return matrix, outside


_DEFAULTS: Attributes = {
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
    "mode": "nearest",
    "cubic_coeff_a": -0.75,
    "exclude_outside": 0,
    "extrapolation_value": 0.0,
    "antialias": 0,
    "keep_aspect_ratio_policy": "stretch",
}


def lines_of(
    shape: tuple[int, ...], roi: Maybe, scales: Maybe, sizes: Maybe, attributes: Attributes
) -> dict[int, _Line]:
    """The axes that change, by their places."""
    axes = axes_of(attributes["axes"], len(shape)) if attributes.get("axes") is not None else tuple(range(len(shape)))
    edges = [0.0] * len(axes) + [1.0] * len(axes) if roi is None or not np.size(roi) else [float(e) for e in roi]
    policy = attributes.get("keep_aspect_ratio_policy", "stretch")
    if sizes is not None and np.size(sizes):
        lengths = ints(sizes)
        factors = [m / shape[axis] for m, axis in zip(lengths, axes, strict=True)]
        if policy != "stretch":
            one = min(factors) if policy == "not_larger" else max(factors)
            factors = [one] * len(axes)
            lengths = [math.floor(one * shape[axis] + 0.5) for axis in axes]
    elif scales is not None and np.size(scales):
        factors = [float(each) for each in scales]
        lengths = [math.floor(factor * shape[axis]) for factor, axis in zip(factors, axes, strict=True)]
    else:
        raise ValueError("has neither scales nor sizes")
    lines = {}
    for place, (axis, m, factor) in enumerate(zip(axes, lengths, factors, strict=True)):
        line = _Line(shape[axis], m, factor, (edges[place], edges[place + len(axes)]))
        if m != shape[axis] or factor != 1 or line.roi != (0.0, 1.0):
            lines[axis] = line
    return lines


def _resize(x: Array, roi: Maybe = None, scales: Maybe = None, sizes: Maybe = None, **attributes: Any) -> Array:
    settings = _DEFAULTS | attributes
    y = x
    for axis, line in lines_of(x.shape, roi, scales, sizes, attributes).items():
        matrix, outside = _matrix(line, settings)
        y = np.moveaxis(np.tensordot(y, matrix.T, (axis, 0)), -1, axis)
        if outside.any():
            y[(slice(None),) * axis + (outside,)] = settings["extrapolation_value"]
    if x.dtype.kind in "iu":
        y = np.rint(y) if settings["mode"] != "nearest" else y
    return np.asarray(y).astype(x.dtype)


def _resize_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    roi, scales, sizes = (*inputs[1:], None, None, None)[:3]
    settings, dx = _DEFAULTS | attributes, dy
    for axis, line in reversed(lines_of(inputs[0].shape, roi, scales, sizes, attributes).items()):
        matrix, outside = _matrix(line, settings)
        matrix[outside] = 0
        dx = np.moveaxis(np.tensordot(dx, matrix, (axis, 0)), -1, axis)
    return (np.asarray(dx, dy.dtype), *(None,) * (len(inputs) - 1))


def _size(x: Array, roi: Maybe = None, scales: Maybe = None, sizes: Maybe = None, **attributes: Any) -> int:
    lines = lines_of(x.shape, roi, scales, sizes, attributes)
    matrices = sum(max(line.n, 1) * line.m for line in lines.values())
    return matrices + math.prod(lines[axis].m if axis in lines else n for axis, n in enumerate(x.shape))


OPERATIONS: dict[str, Operation] = {"Resize": Operation(_resize, _resize_backward, _size)}
