"""Functions element by element."""

from __future__ import annotations

from collections.abc import Iterable

import fastnn._kernels._activation as _activation
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, MaybeArray
from fastnn.functional import _map
from fastnn.functional._door import contiguous
from fastnn.reference.activation import SELU_ALPHA, SELU_SCALE

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hardswish",
    "hardswish_backward",
    "hardtanh",
    "hardtanh_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]


def relu(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.relu(x)
    return _map.forward("relu", x)


def relu_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.relu_backward(dy, y)
    return _map.backward("relu", dy, y)


def sigmoid(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.sigmoid(x)
    return _map.forward("sigmoid", x)


def sigmoid_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.sigmoid_backward(dy, y)
    return _map.backward("sigmoid", dy, y)


def tanh(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.tanh(x)
    return _map.forward("tanh", x)


def tanh_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.tanh_backward(dy, y)
    return _map.backward("tanh", dy, y)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    check.elementwise(x)
    slope = check.number("negative_slope", negative_slope)
    if use_reference():
        return reference.leaky_relu(x, negative_slope)
    return _map.forward("leaky_relu", x, slope)


def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    check.elementwise_backward(dy, x, "x")
    slope = check.number("negative_slope", negative_slope)
    if use_reference():
        return reference.leaky_relu_backward(dy, x, negative_slope)
    return _map.backward("leaky_relu", dy, x, slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    check.elementwise(x)
    factor = check.number("alpha", alpha)
    if use_reference():
        return reference.elu(x, alpha)
    return _map.forward("elu", x, factor, 1.0)


def elu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    check.elementwise_backward(dy, x, "x")
    factor = check.number("alpha", alpha)
    if use_reference():
        return reference.elu_backward(dy, x, alpha)
    return _map.backward("elu", dy, x, factor, 1.0)


def selu(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.selu(x)
    return _map.forward("elu", x, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


def selu_backward(dy: Array, x: Array) -> Array:
    check.elementwise_backward(dy, x, "x")
    if use_reference():
        return reference.selu_backward(dy, x)
    return _map.backward("elu", dy, x, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


def gelu(x: Array, *, approximate: str = "none") -> Array:
    check.elementwise(x)
    function = check.approximation(approximate)
    if use_reference():
        return reference.gelu(x, approximate=approximate)
    return _map.forward(function, x)


def gelu_backward(dy: Array, x: Array, *, approximate: str = "none") -> Array:
    check.elementwise_backward(dy, x, "x")
    function = check.approximation(approximate)
    if use_reference():
        return reference.gelu_backward(dy, x, approximate=approximate)
    return _map.backward(function, dy, x)


def silu(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.silu(x)
    return _map.forward("silu", x)


def silu_backward(dy: Array, x: Array) -> Array:
    check.elementwise_backward(dy, x, "x")
    if use_reference():
        return reference.silu_backward(dy, x)
    return _map.backward("silu", dy, x)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    check.elementwise(x)
    settings = check.softplus_settings(beta, threshold)
    if use_reference():
        return reference.softplus(x, beta, threshold)
    return _map.forward("softplus", x, *settings)


def softplus_backward(dy: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    check.elementwise_backward(dy, x, "x")
    settings = check.softplus_settings(beta, threshold)
    if use_reference():
        return reference.softplus_backward(dy, x, beta, threshold)
    return _map.backward("softplus", dy, x, *settings)


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    check.elementwise(x)
    bounds = check.hardtanh_bounds(min_val, max_val)
    if use_reference():
        return reference.hardtanh(x, min_val, max_val)
    return _map.forward("hardtanh", x, *bounds)


def hardtanh_backward(dy: Array, x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    check.elementwise_backward(dy, x, "x")
    bounds = check.hardtanh_bounds(min_val, max_val)
    if use_reference():
        return reference.hardtanh_backward(dy, x, min_val, max_val)
    return _map.backward("hardtanh", dy, x, *bounds)


def hardswish(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.hardswish(x)
    return _map.forward("hardswish", x)


def hardswish_backward(dy: Array, x: Array) -> Array:
    check.elementwise_backward(dy, x, "x")
    if use_reference():
        return reference.hardswish_backward(dy, x)
    return _map.backward("hardswish", dy, x)


def relu6(x: Array) -> Array:
    check.elementwise(x)
    if use_reference():
        return reference.relu6(x)
    return _map.forward("relu6", x)


def relu6_backward(dy: Array, x: Array) -> Array:
    check.elementwise_backward(dy, x, "x")
    if use_reference():
        return reference.relu6_backward(dy, x)
    return _map.backward("relu6", dy, x)


def prelu(x: Array, weight: Array) -> Array:
    planes = check.prelu(x, weight)
    if use_reference():
        return reference.prelu(x, weight)
    y = empty(x.shape, x.dtype)
    _activation.prelu_forward(contiguous(x), contiguous(weight), y, planes)
    return y


def prelu_backward(
    dy: Array, x: Array, weight: Array, *, needs: Iterable[str] = ("dx", "dw")
) -> tuple[MaybeArray, MaybeArray]:
    needs = check.gradient_names(needs, ("dx", "dw"))
    planes = check.prelu_backward(dy, x, weight)
    if use_reference():
        return reference.prelu_backward(dy, x, weight, needs=needs)
    dx = empty(x.shape, x.dtype) if "dx" in needs else None
    dw = empty(weight.shape, weight.dtype) if "dw" in needs else None
    _activation.prelu_backward(contiguous(dy), contiguous(x), contiguous(weight), dx, dw, planes)
    return dx, dw
