"""Functions number by number of PyTorch's that no layer is: operators of ONNX, and what a few others are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import layers
from fastnn.interop.onnx.function import Function
from fastnn.interop.torch.values import EXAMPLE, Unknown, Value

_HARD = {"alpha": 1 / 6, "beta": 0.5}
_UNARY: dict[str, tuple[str, dict[str, Any]]] = {
    "abs": ("Abs", {}),
    "atan": ("Atan", {}),
    "cos": ("Cos", {}),
    "erf": ("Erf", {}),
    "exp": ("Exp", {}),
    "hardsigmoid": ("HardSigmoid", _HARD),
    "log": ("Log", {}),
    "mish": ("Mish", {}),
    "reciprocal": ("Reciprocal", {}),
    "sin": ("Sin", {}),
    "softsign": ("Softsign", {}),
    "sqrt": ("Sqrt", {}),
}
_BINARY = {"maximum": "Max", "minimum": "Min"}
_OF_KIND = {kind: name for name, (kind, _) in _UNARY.items()} | {kind: name for name, kind in _BINARY.items()}
_MODULES = {"Hardsigmoid": "hardsigmoid", "Mish": "mish", "Softsign": "softsign"}


def layer_of_module(name: str) -> Function | None:
    """The layer that does what PyTorch's module of this name does, without settings."""
    return _unary(_MODULES[name]) if name in _MODULES else None


def emitted(torch: Any, fx: Any, layer: Function, inputs: list[Any]) -> Any:
    """The node of torch.fx's for one of these operators.

    Raises
    ------
    TypeError
        PyTorch has no function for it.
    """
    if layer.kind == "Pow" and list(layer.constants) == [1]:
        return fx.call_method("pow", (*inputs, np.asarray(layer.constants[1]).item()))
    name = _OF_KIND.get(layer.kind)
    if name is None or layer.constants or layer.attributes != _UNARY.get(name, ("", {}))[1]:
        raise TypeError(f"Function {layer.kind} has no counterpart in PyTorch")
    where = torch if hasattr(torch, name) else torch.nn.functional
    return fx.call_function(getattr(where, name), tuple(inputs))


def _unary(name: str) -> Function:
    kind, attributes = _UNARY[name]
    return Function(kind, attributes)


def _of_one(name: str) -> Callable[..., Value]:
    def make(reader: Any, x: Value) -> Value:
        y: Value = reader.add(_unary(name), (x,))
        return y

    return make


def _of_two(kind: str) -> Callable[..., Value]:
    def make(reader: Any, a: Any, b: Any) -> Value:
        y: Value = reader.add(Function(kind), (a, b))
        return y

    return make


def power(reader: Any, x: Value, exponent: Any) -> Value:
    """A power with a number."""
    if isinstance(exponent, bool) or not isinstance(exponent, int | float):
        raise Unknown(f"pow() with {type(exponent).__name__}; expected a number")
    y: Value = reader.add(Function("Pow", constants={1: np.asarray(exponent, reader.dtype)}), (x,))
    return y


def _normalize(reader: Any, x: Value, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None) -> Value:
    """x over its length, which is at least `eps`."""
    if p != 2:
        raise Unknown(f"normalize() takes p={p!r}; expected 2.0")
    squares = _with_shape(reader.add(layers.Mul(), (x, x)), x)
    length = reader.add(_unary("sqrt"), (reader.add(layers.Sum(dim, True), (squares,)),))
    y: Value = reader.add(layers.Div(), (x, reader.add(layers.Clamp(min=eps), (length,))))
    return y


def _attention(
    reader: Any, query: Value, key: Value, value: Value, attn_mask: Any = None, *rest: Any, **more: Any
) -> Value:
    """Scaled dot-product attention, whose mask is added."""
    scale = more.pop("scale", None)
    if any((*rest, *more.values())):
        raise Unknown(
            "scaled_dot_product_attention() takes more than a mask that is added, and scale; expected no more"
        )
    if query.shape is None or key.shape is None:
        raise Unknown(f"scaled_dot_product_attention() depends on the number of axes; {EXAMPLE}")
    axes = [*range(len(key.shape) - 2), -1, -2]
    turned = reader.add(layers.Permute(*axes), (key,))
    scores = reader.add(layers.MatMul(), (query, turned))
    scores = reader.add(layers.Mul(), (scores, scale or query.shape[-1] ** -0.5))
    if attn_mask is not None:
        scores = reader.add(layers.Add(), (scores, attn_mask))
    y: Value = reader.add(layers.MatMul(), (reader.add(layers.Softmax(-1), (scores,)), value))
    return y


def _with_shape(y: Value, x: Value) -> Value:
    y.shape = x.shape
    return y


FORMULAS: dict[str, Callable[..., Any]] = {
    **{name: _of_one(name) for name in _UNARY},
    **{name: _of_two(kind) for name, kind in _BINARY.items()},
    "normalize": _normalize,
    "scaled_dot_product_attention": _attention,
}
