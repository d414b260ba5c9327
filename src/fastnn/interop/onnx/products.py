"""Products of matrices, and normalisations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._validate import Array
from fastnn.interop.onnx.operation import Attributes, Inputs, Operation
from fastnn.layers.joints import summed_to

Maybe = Array | None


def _matmul_size(a: Array, b: Array) -> int:
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return math.prod(lead) * (a.shape[-2] if a.ndim > 1 else 1) * (b.shape[-1] if b.ndim > 1 else 1)


def _matmul_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    a, b = inputs
    left, right = (a if a.ndim > 1 else a[None]), (b if b.ndim > 1 else b[:, None])
    dy = dy if a.ndim > 1 else np.expand_dims(dy, -1 if b.ndim == 1 else -2)
    dy = dy if b.ndim > 1 else np.expand_dims(dy, -1)
    da, db = dy @ np.swapaxes(right, -1, -2), np.swapaxes(left, -1, -2) @ dy
    return summed_to(da, left.shape).reshape(a.shape), summed_to(db, right.shape).reshape(b.shape)


def _gemm(
    a: Array, b: Array, c: Maybe = None, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0
) -> Array:
    y = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return np.asarray(y if c is None else y + beta * c, a.dtype)


def _gemm_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    a, b, *c = inputs
    get = attributes.get
    scaled = dy * get("alpha", 1.0)
    left, right = (a.T if get("transA") else a), (b.T if get("transB") else b)
    da, db = scaled @ right.T, left.T @ scaled
    rest = [None if each is None else summed_to(dy * get("beta", 1.0), each.shape).astype(dy.dtype) for each in c]
    return (da.T if get("transA") else da).astype(dy.dtype), (db.T if get("transB") else db).astype(dy.dtype), *rest


def _einsum(*inputs: Array, equation: str) -> Array:
    return np.asarray(np.einsum(equation, *inputs))


def _normal(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Array, Array]:
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    inverse = 1 / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + epsilon)
    return centred * inverse, mean, inverse


def _normal_backward(dn: Array, n: Array, inverse: Array, axes: tuple[int, ...]) -> Array:
    along = dn.mean(axes, keepdims=True) + n * (dn * n).mean(axes, keepdims=True)
    return np.asarray((dn - along) * inverse, dn.dtype)


def _layer_norm(
    x: Array,
    scale: Maybe = None,
    bias: Maybe = None,
    axis: int = -1,
    epsilon: float = 1e-5,
    outputs: int = 1,
) -> Any:
    y, mean, inverse = _normal(x, tuple(range(axis % x.ndim, x.ndim)), epsilon)
    y = y if scale is None else y * scale
    y = np.asarray(y if bias is None else y + bias, x.dtype)
    return (y, mean, inverse)[:outputs] if outputs > 1 else y


def _layer_norm_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x, scale, bias = (*inputs, None, None)[:3]
    dy = dy[0] if isinstance(dy, tuple) else dy
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    n, _, inverse = _normal(x, axes, attributes.get("epsilon", 1e-5))
    dx = _normal_backward(dy if scale is None else dy * scale, n, inverse, axes)
    rest = [
        None if scale is None else summed_to(dy * n, scale.shape),
        None if bias is None else summed_to(dy, bias.shape),
    ]
    return (dx, *rest)[: len(inputs)]


def _rms(x: Array, axis: int, epsilon: float) -> tuple[Array, tuple[int, ...]]:
    axes = tuple(range(axis % x.ndim, x.ndim))
    return 1 / np.sqrt(np.mean(x * x, axes, keepdims=True) + epsilon), axes


def _rms_norm(x: Array, scale: Array, axis: int = -1, epsilon: float = 1e-5) -> Array:
    return np.asarray(x * _rms(x, axis, epsilon)[0] * scale, x.dtype)


def _rms_norm_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x, scale = inputs
    inverse, axes = _rms(x, attributes.get("axis", -1), attributes.get("epsilon", 1e-5))
    n, dn = x * inverse, dy * scale
    return (dn - n * np.mean(dn * n, axes, keepdims=True)) * inverse, summed_to(dy * n, scale.shape)


def _per_channel(each: Array, ndim: int) -> Array:
    return each.reshape(-1, *(1,) * (ndim - 2))


def _group_norm(x: Array, scale: Array, bias: Array, num_groups: int, epsilon: float = 1e-5) -> Array:
    n = _normal(x.reshape(x.shape[0], num_groups, -1), (2,), epsilon)[0].reshape(x.shape)
    scale, bias = (_for_channels(each, num_groups, x) for each in (scale, bias))
    return np.asarray(n * scale + bias, x.dtype)


def _for_channels(each: Array, num_groups: int, x: Array) -> Array:
    """A number for each channel, of one for each group as before opset 21."""
    if each.size == num_groups != x.shape[1]:
        each = np.repeat(each, x.shape[1] // num_groups)
    return _per_channel(each, x.ndim)


def _group_norm_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x, scale, _ = inputs
    groups = attributes.get("num_groups") or x.shape[1]
    parts = (x.shape[0], groups, -1)
    n, _, inverse = _normal(x.reshape(parts), (2,), attributes.get("epsilon", 1e-5))
    dn = (dy * _for_channels(scale, groups, x)).reshape(parts)
    dx = _normal_backward(dn, n, inverse, (2,)).reshape(x.shape)
    over = (0, *range(2, x.ndim))
    sums = (dy * n.reshape(x.shape)).sum(over), dy.sum(over)
    return dx, *(each.reshape(scale.size, -1).sum(1).astype(dy.dtype) for each in sums)


def _instance_norm(x: Array, scale: Array, bias: Array, epsilon: float = 1e-5) -> Array:
    return _group_norm(x, scale, bias, x.shape[1], epsilon)


def _batch_norm(
    x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float = 1e-5, momentum: float = 0.9
) -> Array:
    factor = scale / np.sqrt(var + epsilon)
    return np.asarray(x * _per_channel(factor, x.ndim) + _per_channel(bias - mean * factor, x.ndim), x.dtype)


def _batch_norm_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x, scale, _, mean, var = inputs
    inverse = 1 / np.sqrt(var + attributes.get("epsilon", 1e-5))
    over = (0, *range(2, x.ndim))
    n = (x - _per_channel(mean, x.ndim)) * _per_channel(inverse, x.ndim)
    return dy * _per_channel(scale * inverse, x.ndim), (dy * n).sum(over), dy.sum(over), None, None


def _lrn(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Array:
    before = (size - 1) // 2
    frame = [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)]
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(x * x, frame), size, 1)
    return np.asarray(x / (bias + alpha / size * seen.sum(-1)) ** beta, x.dtype)


def _mean_variance(x: Array, axes: Any = (0, 2, 3)) -> Array:
    centred = x - x.mean(tuple(axes), keepdims=True)
    return np.asarray(centred / (np.sqrt((centred * centred).mean(tuple(axes), keepdims=True)) + 1e-9), x.dtype)


OPERATIONS: dict[str, Operation] = {
    "MatMul": Operation(np.matmul, _matmul_backward, _matmul_size),
    "Gemm": Operation(_gemm, _gemm_backward, lambda a, b, c=None, **_: a.size * b.size),
    "Einsum": Operation(_einsum, None, lambda *inputs, equation: math.prod(each.size for each in inputs)),
    "BatchNormalization": Operation(_batch_norm, _batch_norm_backward),
    "InstanceNormalization": Operation(_instance_norm, _group_norm_backward),
    "GroupNormalization": Operation(_group_norm, _group_norm_backward),
    "LayerNormalization": Operation(_layer_norm, _layer_norm_backward),
    "RMSNormalization": Operation(_rms_norm, _rms_norm_backward),
    "LRN": Operation(_lrn),
    "MeanVarianceNormalization": Operation(_mean_variance),
}
