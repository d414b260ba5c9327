"""Operators that pick, order, repeat and join numbers, and that make arrays of shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._validate import Array
from fastnn.interop.onnx.operation import Operation, axes_of, flat, ints, picks

Maybe = Array | None


def _shape(x: Array, start: int = 0, end: int | None = None) -> Array:
    return np.array(np.shape(x)[start:end], np.int64)


def reshape(x: Array, shape: Array, allowzero: int = 0) -> Array:
    lengths = [n or (0 if allowzero else x.shape[axis]) for axis, n in enumerate(ints(shape))]
    if -1 in lengths and not x.size:  # a batch of none: what is left is that of one
        known = math.prod(n or 1 for n in lengths if n != -1)
        lengths[lengths.index(-1)] = math.prod(n or 1 for n in x.shape) // known
    return x.reshape(lengths)


def _flatten(x: Array, axis: int = 1) -> Array:
    axis += x.ndim if axis < 0 else 0
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _squeeze(x: Array, axes: Maybe = None) -> Array:
    if axes is None:
        return np.squeeze(x)
    return np.squeeze(x, axes_of(axes, x.ndim))


def _unsqueeze(x: Array, axes: Array) -> Array:
    return np.expand_dims(x, axes_of(axes, x.ndim + np.size(axes)))


def _transpose(x: Array, perm: list[int] | None = None) -> Array:
    return x.transpose(perm)


def _concat(*inputs: Array, axis: int) -> Array:
    return np.concatenate(inputs, axis)


def _split(x: Array, split: Maybe = None, axis: int = 0, num_outputs: int | None = None, outputs: int = 1) -> Any:
    """`outputs` is how many the node has."""
    if split is None:
        length = -(-x.shape[axis] // outputs)
        lengths = [min(length, x.shape[axis] - length * place) for place in range(outputs)]
    else:
        lengths = ints(split)
    if sum(lengths) != x.shape[axis] or min(lengths) < 0:
        raise ValueError(f"has the lengths {lengths[:8]}, of an axis of length {x.shape[axis]}")
    return tuple(np.split(x, np.cumsum(lengths)[:-1], axis))


def slices_of(ndim: int, starts: Array, ends: Array, axes: Maybe = None, steps: Maybe = None) -> tuple[slice, ...]:
    """The index that the inputs of Slice say; ONNX cuts off what is out of range as NumPy does."""
    first = ints(starts)
    index = [slice(None)] * ndim
    along = range(len(first)) if axes is None else axes_of(axes, ndim)
    strides = [1] * len(first) if steps is None else ints(steps)
    for axis, start, end, step in zip(along, first, ints(ends), strides, strict=True):
        far = step < 0 and end < -(2**31)  # before the first, where -1 would be the last
        index[axis] = slice(start, None if far else end, step)
    return tuple(index)


def _slice(x: Array, starts: Array, ends: Array, axes: Maybe = None, steps: Maybe = None) -> Array:
    index = slices_of(x.ndim, starts, ends, axes, steps)
    turned = tuple(_from_the_end(each, n) for each, n in zip(index, x.shape, strict=True))
    return np.asarray(x[turned])


def _from_the_end(index: slice, n: int) -> slice:
    """The slice for a negative step whose end lies before the first element."""
    if index.step is not None and index.step < 0 and index.stop is not None and index.stop + n < 0:
        return slice(index.start, None, index.step)
    return index


def _gather(x: Array, indices: Array, axis: int = 0) -> Array:
    return np.take(x, indices, axis)


def _gather_size(x: Array, indices: Array, axis: int = 0) -> int:
    return int(np.size(indices) * x.size // max(x.shape[axis], 1))


def _at(x: Array, indices: Array, axis: int) -> tuple[Any, ...]:
    where = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    where[axis] = indices
    return tuple(where)


def _gather_elements(x: Array, indices: Array, axis: int = 0) -> Array:
    return np.asarray(x[_at(x, indices, axis)])


def _gather_nd(x: Array, indices: Array, batch_dims: int = 0) -> Array:
    lead = np.ogrid[tuple(slice(n) for n in indices.shape[:batch_dims])]
    between = indices.ndim - 1 - batch_dims
    batch = tuple(each.reshape(each.shape + (1,) * between) for each in lead)
    return np.asarray(x[(*batch, *np.moveaxis(indices, -1, 0))])


def _gather_nd_size(x: Array, indices: Array, batch_dims: int = 0) -> int:
    return int(np.size(indices) // max(indices.shape[-1], 1) * math.prod(x.shape[batch_dims + indices.shape[-1] :]))


_INTO: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _written(x: Array, where: Any, updates: Array, reduction: str) -> Array:
    y = x.copy()
    if reduction == "none":
        y[where] = updates
    else:
        _INTO[reduction].at(y, where, updates)
    return y


def _scatter_elements(x: Array, indices: Array, updates: Array, axis: int = 0, reduction: str = "none") -> Array:
    return _written(x, _at(x, indices, axis), updates, reduction)


def _scatter_nd(x: Array, indices: Array, updates: Array, reduction: str = "none") -> Array:
    return _written(x, tuple(np.moveaxis(indices, -1, 0)), updates, reduction)


def _expand(x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(ints(shape))))


def _expand_size(x: Array, shape: Array) -> int:
    return math.prod(np.broadcast_shapes(x.shape, tuple(ints(shape))))


def _tile(x: Array, repeats: Array) -> Array:
    return np.tile(x, ints(repeats))


_PADS = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def widths_of(pads: Array, axes: Maybe, ndim: int) -> list[tuple[int, int]]:
    """Before and behind each axis."""
    along = range(ndim) if axes is None else axes_of(axes, ndim)
    widths = [(0, 0)] * ndim
    for place, axis in enumerate(along):
        widths[axis] = int(pads[place]), int(pads[place + len(along)])
    return widths


def _pad(x: Array, pads: Array, value: Maybe = None, axes: Maybe = None, mode: str = "constant") -> Array:
    widths = widths_of(pads, axes, x.ndim)
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, x.shape, strict=True))
    frame = [(max(a, 0), max(b, 0)) for a, b in widths]
    more = {"constant_values": 0 if value is None else np.ravel(value)[0]} if mode == "constant" else {}
    return np.asarray(np.pad(x[cut], frame, _PADS[mode], **more))  # type: ignore[call-overload]


def _pad_size(x: Array, pads: Array, value: Maybe = None, axes: Maybe = None, mode: str = "constant") -> int:
    widths = widths_of(pads, axes, x.ndim)
    return math.prod(max(n + a + b, 0) for n, (a, b) in zip(x.shape, widths, strict=True))


def _range(start: Array, limit: Array, delta: Array) -> Array:
    first, end, step = (float(each) if start.dtype.kind == "f" else int(each) for each in (start, limit, delta))
    found: Array = np.arange(first, end, step, dtype=start.dtype)
    return found


def _range_size(start: Array, limit: Array, delta: Array) -> int:
    return int(max(0, (float(np.ravel(limit)[0]) - float(np.ravel(start)[0])) // float(np.ravel(delta)[0]) + 1))


def _constant_of_shape(shape: Array, value: Maybe = None) -> Array:
    one = np.zeros(1, np.float32) if value is None else np.ravel(value)
    return np.full(ints(shape), one[0], one.dtype)


def _constant_size(shape: Array, value: Maybe = None) -> int:
    return math.prod(ints(shape))


def _eye_like(x: Array, k: int = 0, dtype: str | None = None) -> Array:
    rows, columns = x.shape
    return np.eye(rows, columns, k, dtype=dtype or x.dtype)


def _one_hot(indices: Array, depth: Array, values: Array, axis: int = -1) -> Array:
    n = int(np.ravel(depth)[0])
    (axis,) = axes_of(axis, indices.ndim + 1)
    numbers = np.arange(n).reshape((n,) + (1,) * (indices.ndim - axis))
    return np.where(
        np.expand_dims(np.where(indices < 0, indices + n, indices), axis) == numbers, values[1], values[0]
    ).astype(values.dtype)


def _one_hot_size(indices: Array, depth: Array, values: Array, axis: int = -1) -> int:
    return int(np.size(indices) * np.ravel(depth)[0])


def _depth_to_space(x: Array, blocksize: int, mode: str = "DCR") -> Array:
    N, C, H, W = x.shape
    b, D = blocksize, C // blocksize**2
    if mode == "DCR":
        parts = x.reshape(N, b, b, D, H, W).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(N, D, b, b, H, W).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(N, D, H * b, W * b)


def _space_to_depth(x: Array, blocksize: int, mode: str = "DCR") -> Array:
    N, C, H, W = x.shape
    b = blocksize
    parts = x.reshape(N, C, H // b, b, W // b, b)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return parts.transpose(order).reshape(N, C * b * b, H // b, W // b)


def _compress(x: Array, condition: Array, axis: int | None = None) -> Array:
    return np.compress(condition, x, axis)


def _dropout(x: Array, ratio: Maybe = None, training_mode: Maybe = None, outputs: int = 1) -> Any:
    if training_mode is not None and np.any(training_mode):
        raise ValueError("Dropout has training_mode=1; expected a model for inference")
    return x if outputs == 1 else (x, np.ones(x.shape, bool))


def _dropout_backward(dy: Any, y: Any, inputs: Any, attributes: Any) -> tuple[Any, ...]:
    return dy[0] if isinstance(dy, tuple) else dy, *(None,) * (len(inputs) - 1)


def _reverse_sequence(x: Array, lengths: Array, batch_axis: int = 1, time_axis: int = 0) -> Array:
    rows = np.moveaxis(x, (batch_axis, time_axis), (0, 1))
    turned = rows.copy()
    for row, out, n in zip(rows, turned, ints(lengths), strict=True):
        out[:n] = row[:n][::-1]
    return np.moveaxis(turned, (0, 1), (batch_axis, time_axis))


OPERATIONS: dict[str, Operation] = {
    "Shape": Operation(_shape, flat),
    "Size": Operation(lambda x: np.array(x.size, np.int64), flat),
    "Reshape": picks(reshape),
    "Flatten": picks(_flatten),
    "Squeeze": picks(_squeeze),
    "Unsqueeze": picks(_unsqueeze),
    "Transpose": picks(_transpose),
    "Concat": picks(_concat, lambda *inputs, axis: sum(each.size for each in inputs), several=True),
    "Split": picks(_split),
    "Slice": picks(_slice),
    "Gather": picks(_gather, _gather_size),
    "GatherElements": picks(_gather_elements),
    "GatherND": picks(_gather_nd, _gather_nd_size),
    "ScatterElements": Operation(_scatter_elements),
    "Scatter": Operation(_scatter_elements),
    "ScatterND": Operation(_scatter_nd),
    "Expand": picks(_expand, _expand_size),
    "Tile": picks(_tile, lambda x, repeats: x.size * math.prod(ints(repeats))),
    "Pad": picks(_pad, _pad_size),
    "Range": Operation(_range, flat, _range_size),
    "ConstantOfShape": Operation(_constant_of_shape, flat, _constant_size),
    "EyeLike": Operation(_eye_like, flat),
    "OneHot": Operation(_one_hot, flat, _one_hot_size),
    "NonZero": Operation(lambda x: np.array(np.nonzero(np.atleast_1d(x)), np.int64), flat, lambda x: x.ndim * x.size),
    "DepthToSpace": picks(_depth_to_space),
    "SpaceToDepth": picks(_space_to_depth),
    "Dropout": Operation(_dropout, _dropout_backward),
    "Compress": picks(_compress),
    "ReverseSequence": picks(_reverse_sequence),
}
