"""Operators that work number by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import functional
from fastnn._validate import Array
from fastnn.interop.onnx.operation import Operation, joint, joint_size, unary


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def _softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def _erf(x: Array) -> Array:
    """By the kernel of GELU, whose slope at s is P(s) + s p(s) of the normal distribution."""
    s = np.asarray(x, np.float64) * np.sqrt(2)
    density = np.exp(-0.5 * s * s) / np.sqrt(2 * np.pi)
    normal = functional.gelu_backward(np.ones_like(s), s) - s * density if s.size else s
    return np.asarray(2 * normal - 1, x.dtype)


def _gelu(x: Array, approximate: str = "none") -> Array:
    return functional.gelu(x, approximate=approximate) if x.size else x


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))).astype(x.dtype)


SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


def _selu(x: Array, alpha: float = SELU["alpha"], gamma: float = SELU["gamma"]) -> Array:
    return np.asarray(gamma * _elu(x, alpha), x.dtype)


def _selu_slope(x: Array, y: Array, alpha: float = SELU["alpha"], gamma: float = SELU["gamma"]) -> Array:
    return np.where(x > 0, gamma, y + gamma * alpha)


def _celu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)).astype(x.dtype)


def _hard_sigmoid(x: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.asarray(np.clip(alpha * x + beta, 0, 1), x.dtype)


def _hard_sigmoid_slope(x: Array, y: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.where((y > 0) & (y < 1), alpha, 0)


def _mish(x: Array) -> Array:
    return np.asarray(x * np.tanh(_softplus(x)))


def _mish_slope(x: Array, y: Array) -> Array:
    t = np.tanh(_softplus(x))
    return np.asarray(t + x * (1 - t * t) * _sigmoid(x))


def _swish(x: Array, alpha: float = 1.0) -> Array:
    return np.asarray(x * _sigmoid(alpha * x))


def _swish_slope(x: Array, y: Array, alpha: float = 1.0) -> Array:
    s = _sigmoid(alpha * x)
    return np.asarray(s + alpha * x * s * (1 - s))


def _shrink(x: Array, lambd: float = 0.5, bias: float = 0.0) -> Array:
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0)).astype(x.dtype)


def _is_inf(x: Array, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    return np.asarray(np.isinf(x) & np.where(x > 0, bool(detect_positive), bool(detect_negative)))


def _div(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if a.dtype.kind == "u":
        return np.asarray(a // b)
    whole = np.abs(a) // np.abs(b)  # towards zero, as in C
    return np.where((a < 0) == (b < 0), whole, -whole).astype(a.dtype)


def _pow(a: Array, b: Array) -> Array:
    return np.asarray(np.power(a, b), a.dtype)


def _mod(a: Array, b: Array, fmod: int = 0) -> Array:
    return np.asarray(np.fmod(a, b) if fmod else np.mod(a, b))


def _bit_shift(a: Array, b: Array, direction: str) -> Array:
    return np.asarray(np.left_shift(a, b) if direction == "LEFT" else np.right_shift(a, b))


def _prelu(x: Array, slope: Array) -> Array:
    return np.where(x > 0, x, x * slope).astype(x.dtype)


def _clip(x: Array, least: Any = None, most: Any = None) -> Array:
    y = x if least is None else np.maximum(x, least)
    return np.asarray(y if most is None else np.minimum(y, most), x.dtype)


def _clip_backward(dy: Any, y: Any, inputs: Any, attributes: Any) -> tuple[Any, ...]:
    return (np.where(y == inputs[0], dy, 0).astype(dy.dtype), *(None,) * (len(inputs) - 1))


def _reduced(function: Any) -> Any:
    def forward(*inputs: Array) -> Array:
        y = inputs[0]
        for each in inputs[1:]:
            y = function(y, each)
        return np.asarray(y)

    return forward


def _where(condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


def _cast(x: Array, to: str) -> Array:
    return np.asarray(x).astype(to)


def _cast_backward(dy: Any, y: Any, inputs: Any, attributes: Any) -> tuple[Any, ...]:
    x = inputs[0]
    return (dy.astype(x.dtype) if x.dtype.kind == y.dtype.kind == "f" else None, *(None,) * (len(inputs) - 1))


_TESTS: dict[str, Any] = {
    "Equal": np.equal,
    "Less": np.less,
    "Greater": np.greater,
    "And": np.logical_and,
    "Or": np.logical_or,
}
_TESTS |= {"Or": np.logical_or, "Xor": np.logical_xor, "LessOrEqual": np.less_equal, "GreaterOrEqual": np.greater_equal}
_TESTS |= {"BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor}

OPERATIONS: dict[str, Operation] = {
    "Identity": unary(lambda x: x, lambda x, y: 1),
    "Abs": unary(np.abs, lambda x, y: np.sign(x)),
    "Neg": unary(np.negative, lambda x, y: -1),
    "Exp": unary(np.exp, lambda x, y: y),
    "Log": unary(np.log, lambda x, y: 1 / x),
    "Sqrt": unary(np.sqrt, lambda x, y: 0.5 / y),
    "Reciprocal": unary(lambda x: 1 / x, lambda x, y: -y * y),
    "Sin": unary(np.sin, lambda x, y: np.cos(x)),
    "Cos": unary(np.cos, lambda x, y: -np.sin(x)),
    "Tan": unary(np.tan, lambda x, y: 1 + y * y),
    "Asin": unary(np.arcsin, lambda x, y: 1 / np.sqrt(1 - x * x)),
    "Acos": unary(np.arccos, lambda x, y: -1 / np.sqrt(1 - x * x)),
    "Atan": unary(np.arctan, lambda x, y: 1 / (1 + x * x)),
    "Sinh": unary(np.sinh, lambda x, y: np.cosh(x)),
    "Cosh": unary(np.cosh, lambda x, y: np.sinh(x)),
    "Tanh": unary(np.tanh, lambda x, y: 1 - y * y),
    "Asinh": unary(np.arcsinh, lambda x, y: 1 / np.sqrt(x * x + 1)),
    "Acosh": unary(np.arccosh, lambda x, y: 1 / np.sqrt(x * x - 1)),
    "Atanh": unary(np.arctanh, lambda x, y: 1 / (1 - x * x)),
    "Erf": unary(_erf, lambda x, y: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    "Sigmoid": unary(_sigmoid, lambda x, y: y * (1 - y)),
    "Relu": unary(lambda x: np.maximum(x, 0), lambda x, y: x > 0),
    "LeakyRelu": unary(
        lambda x, alpha=0.01: np.where(x < 0, alpha * x, x).astype(x.dtype),
        lambda x, y, alpha=0.01: np.where(x < 0, alpha, 1),
    ),
    "ThresholdedRelu": unary(
        lambda x, alpha=1.0: np.where(x > alpha, x, 0).astype(x.dtype), lambda x, y, alpha=1.0: x > alpha
    ),
    "Elu": unary(_elu, lambda x, y, alpha=1.0: np.where(x > 0, 1, y + alpha)),
    "Selu": unary(_selu, _selu_slope),
    "Celu": unary(_celu, lambda x, y, alpha=1.0: np.where(x > 0, 1, y / alpha + 1)),
    "HardSigmoid": unary(_hard_sigmoid, _hard_sigmoid_slope),
    "HardSwish": unary(lambda x: x * _hard_sigmoid(x, 1 / 6), lambda x, y: np.clip((2 * x + 3) / 6, x > 3, x > -3)),
    "Softplus": unary(_softplus, lambda x, y: _sigmoid(x)),
    "Softsign": unary(lambda x: x / (1 + np.abs(x)), lambda x, y: 1 / (1 + np.abs(x)) ** 2),
    "Mish": unary(_mish, _mish_slope),
    "Swish": unary(_swish, _swish_slope),
    "Gelu": Operation(
        _gelu, lambda dy, y, inputs, attributes: (functional.gelu_backward(dy, inputs[0], **attributes),)
    ),
    "Shrink": unary(_shrink, lambda x, y, lambd=0.5, bias=0.0: np.abs(x) > lambd),
    "Floor": unary(np.floor),
    "Ceil": unary(np.ceil),
    "Round": unary(np.rint),
    "Sign": unary(np.sign),
    "Not": unary(np.logical_not),
    "IsNaN": unary(np.isnan),
    "IsInf": unary(_is_inf),
    "BitwiseNot": unary(np.bitwise_not),
    "Cast": Operation(_cast, _cast_backward),
    "CastLike": Operation(lambda x, like, saturate=1: np.asarray(x).astype(like.dtype), _cast_backward),
    "Add": joint(np.add, lambda a, b, y: 1, lambda a, b, y: 1),
    "Sub": joint(np.subtract, lambda a, b, y: 1, lambda a, b, y: -1),
    "Mul": joint(np.multiply, lambda a, b, y: b, lambda a, b, y: a),
    "Div": joint(_div, lambda a, b, y: 1 / b, lambda a, b, y: -y / b),
    "Pow": joint(_pow, lambda a, b, y: b * np.power(a, b - 1), lambda a, b, y: y * np.log(a)),
    "Mod": joint(_mod, lambda a, b, y, fmod=0: 1, lambda a, b, y, fmod=0: (y - a) / b),
    "PRelu": joint(_prelu, lambda x, s, y: np.where(x > 0, 1, s), lambda x, s, y: np.minimum(x, 0)),
    "BitShift": joint(_bit_shift),
    "Max": joint(_reduced(np.maximum), lambda mine, y, n: mine == y),
    "Min": joint(_reduced(np.minimum), lambda mine, y, n: mine == y),
    "Sum": joint(_reduced(np.add), lambda mine, y, n: 1),
    "Mean": joint(
        lambda *inputs: np.asarray(_reduced(np.add)(*inputs) / len(inputs), inputs[0].dtype), lambda mine, y, n: 1 / n
    ),
    "Where": joint(_where, lambda c, a, b, y: c, lambda c, a, b, y: c, lambda c, a, b, y: ~c),
    "Clip": Operation(_clip, _clip_backward, joint_size),
    **{name: joint(function) for name, function in _TESTS.items()},
}
