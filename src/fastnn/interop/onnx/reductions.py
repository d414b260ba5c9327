"""Operators over axes: sums, extremes, softmax, normalisations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._validate import Array
from fastnn.interop.onnx.operation import Attributes, Inputs, Operation, axes_of, flat, picks


def _axes(x: Array, axes: Any, noop: int = 0) -> tuple[int, ...]:
    if axes is None or np.size(axes) == 0:
        return () if noop else tuple(range(x.ndim))
    return axes_of(axes, x.ndim)


def reduction(function: Callable[..., Any], slope: Callable[..., Any] | None = None) -> Operation:
    """``function(x, axes)`` keeps the axes, with length 1; ``slope(x, y, n)`` for a mean of n numbers is its slope."""

    def forward(x: Array, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        over = _axes(x, axes, noop_with_empty_axes)
        if not over and x.ndim and noop_with_empty_axes:
            return np.asarray(function(x[None], (0,))[0])
        y = function(x, over)
        return np.asarray(y if keepdims else np.squeeze(y, over), y.dtype)

    def backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
        x, axes = inputs[0], inputs[1] if len(inputs) > 1 else None
        over = _axes(x, axes, attributes.get("noop_with_empty_axes", 0))
        kept = tuple(1 if axis in over else n for axis, n in enumerate(x.shape))
        n = math.prod(x.shape[axis] for axis in over)
        assert slope is not None
        steep = slope(x, np.reshape(y, kept), n)
        dx = np.broadcast_to(np.reshape(dy, kept) * steep, x.shape)
        return (np.asarray(dx, dy.dtype), *(None,) * (len(inputs) - 1))

    return Operation(forward, None if slope is None else backward)


def _typed(function: Callable[..., Any]) -> Callable[[Array, tuple[int, ...]], Array]:
    """A NumPy function that keeps the dtype, which NumPy widens for small integers."""

    def keeping(x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(function(x, axis=axes, keepdims=True)).astype(x.dtype)

    return keeping


def _extreme(function: Any, low: bool) -> Callable[[Array, tuple[int, ...]], Array]:
    def extreme(x: Array, axes: tuple[int, ...]) -> Array:
        if x.size:
            return np.asarray(function.reduce(x, axis=axes, keepdims=True))
        if x.dtype.kind == "f":
            start: Any = -np.inf if low else np.inf
        elif x.dtype.kind == "b":
            start = not low
        else:
            start = np.iinfo(x.dtype).min if low else np.iinfo(x.dtype).max
        return np.asarray(function.reduce(x, axis=axes, keepdims=True, initial=start)).astype(x.dtype)

    return extreme


def _log_sum_exp(x: Array, axes: tuple[int, ...]) -> Array:
    most = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    most = np.where(np.isfinite(most), most, 0)
    return np.asarray(np.log(np.sum(np.exp(x - most), axis=axes, keepdims=True)) + most, x.dtype)


def _l2(x: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.sqrt(np.sum(np.square(x), axis=axes, keepdims=True)), x.dtype)


def _share(x: Array, y: Array, n: int) -> Array:
    """Of an extreme, the numbers that are it."""
    return np.asarray(x == y)


def _arg(function: Any) -> Operation:
    def forward(x: Array, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
        (axis,) = axes_of(axis, x.ndim)
        found = function(np.flip(x, axis) if select_last_index else x, axis=axis, keepdims=bool(keepdims))
        return np.asarray(x.shape[axis] - 1 - found if select_last_index else found, np.int64)

    return Operation(forward, flat)


def _rows(function: Callable[[Array], Array]) -> Callable[..., Array]:
    """A function of rows, along an axis; `flattened` as before opset 13: all axes from there on are one."""

    def forward(x: Array, axis: int = -1, flattened: int = 0) -> Array:
        if flattened:
            first = axis % x.ndim if x.ndim else 0
            return function(x.reshape(math.prod(x.shape[:first]), -1)).reshape(x.shape)
        return np.moveaxis(function(np.moveaxis(x, axis, -1)), -1, axis)

    return forward


def _softmax_rows(x: Array) -> Array:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(-1, keepdims=True), x.dtype)


def _log_softmax_rows(x: Array) -> Array:
    shifted = x - np.max(x, axis=-1, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), x.dtype)


def _hardmax_rows(x: Array) -> Array:
    y = np.zeros_like(x)
    np.put_along_axis(y, np.argmax(x, -1)[..., None], 1, -1)
    return y


def _softmax(rows: Callable[[Array], Array], slope: Callable[[Array, Array], Array]) -> Operation:
    """``slope(dy, y)`` takes rows, as `rows` does."""

    def backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
        axis = attributes.get("axis", -1) % max(y.ndim, 1)
        if attributes.get("flattened"):
            lines = (math.prod(y.shape[:axis]), -1)
            return (slope(dy.reshape(lines), y.reshape(lines)).reshape(y.shape),)
        return (np.moveaxis(slope(np.moveaxis(dy, axis, -1), np.moveaxis(y, axis, -1)), -1, axis),)

    return Operation(_rows(rows), backward)


def _cumulative(function: Any, neutral: int) -> Any:
    def forward(x: Array, axis: Array, exclusive: int = 0, reverse: int = 0) -> Array:
        (along,) = axes_of(axis, x.ndim)
        y = np.flip(x, along) if reverse else x
        y = function(y, axis=along, dtype=x.dtype)
        if exclusive:
            first = np.full_like(np.take(y, [0], along), neutral)
            y = np.concatenate([first, np.delete(y, -1, along)], along)
        return np.flip(y, along) if reverse else y

    return forward


def _cum_sum_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    turned = attributes | {"reverse": not attributes.get("reverse", 0)}
    return _cumulative(np.cumsum, 0)(dy, inputs[1], **turned), None


def _lp_normalization(x: Array, axis: int = -1, p: int = 2) -> Array:
    size = np.abs(x).sum(axis, keepdims=True) if p == 1 else _l2(x, (axis,))
    return np.asarray(np.divide(x, size, out=np.zeros_like(x), where=size != 0), x.dtype)


def _top_k(x: Array, k: Array, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Array, Array]:
    (axis,) = axes_of(axis, x.ndim)
    count = int(np.ravel(k)[0])
    if not 0 <= count <= x.shape[axis]:
        raise ValueError(f"has k={count}, of an axis of length {x.shape[axis]}")
    order = np.argsort(x, axis=axis, kind="stable")
    if largest:  # of equal numbers the first comes first, this way round too
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    where = np.take(order, np.arange(count), axis)
    return np.take_along_axis(x, where, axis), where.astype(np.int64)


def _top_k_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    dx = np.zeros_like(inputs[0])
    if dy[0] is not None:
        np.put_along_axis(dx, y[1], dy[0], attributes.get("axis", -1))
    return dx, None


def trilu(x: Array, k: Any = None, upper: int = 1) -> Array:
    shift = 0 if k is None else int(np.ravel(k)[0])
    return np.triu(x, shift) if upper else np.tril(x, shift)


_SUM, _MEAN = _typed(np.sum), _typed(np.mean)
_SQUARES = _typed(lambda x, **over: np.sum(np.square(x), **over))
_ABSOLUTES = _typed(lambda x, **over: np.sum(np.abs(x), **over))

OPERATIONS: dict[str, Operation] = {
    "ReduceSum": reduction(_SUM, lambda x, y, n: 1),
    "ReduceMean": reduction(_MEAN, lambda x, y, n: 1 / n),
    "ReduceMax": reduction(_extreme(np.maximum, True), _share),
    "ReduceMin": reduction(_extreme(np.minimum, False), _share),
    "ReduceProd": reduction(_typed(np.prod), lambda x, y, n: y / x),
    "ReduceL1": reduction(_ABSOLUTES, lambda x, y, n: np.sign(x)),
    "ReduceL2": reduction(_l2, lambda x, y, n: x / y),
    "ReduceSumSquare": reduction(_SQUARES, lambda x, y, n: 2 * x),
    "ReduceLogSum": reduction(lambda x, axes: np.log(_SUM(x, axes)), lambda x, y, n: np.exp(-y)),
    "ReduceLogSumExp": reduction(_log_sum_exp, lambda x, y, n: np.exp(x - y)),
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "Softmax": _softmax(_softmax_rows, lambda dy, y: y * (dy - (dy * y).sum(-1, keepdims=True))),
    "LogSoftmax": _softmax(_log_softmax_rows, lambda dy, y: dy - np.exp(y) * dy.sum(-1, keepdims=True)),
    "Hardmax": Operation(_rows(_hardmax_rows), flat),
    "CumSum": Operation(_cumulative(np.cumsum, 0), _cum_sum_backward),
    "CumProd": Operation(_cumulative(np.cumprod, 1)),
    "LpNormalization": Operation(_lp_normalization),
    "TopK": Operation(_top_k, _top_k_backward),
    "Trilu": picks(trilu),
}
