"""Several nodes that mean one layer. The nodes before the last are left out if nobody else needs them."""

from __future__ import annotations

import math

import numpy as np

from fastnn import layers as nn
from fastnn.interop.onnx.function import Function
from fastnn.interop.onnx.values import Building, Node, Value


def pattern_of(node: Node, build: Building, values: list[Value]) -> str | None:
    """The layer that an Add or a Mul of two values completes; None if it is none."""
    if node.kind not in ("Add", "Mul"):
        return None
    for first, second in (values, values[::-1]):
        if node.kind == "Add":
            found = _linear(build, first, second)
        else:
            found = _silu(node, build, first, second) or _gelu(node, build, first, second)
        if found is not None:
            return found
    return None


def _linear(build: Building, product: Value, bias: Value) -> str | None:
    """A product with a weight, and a constant: a linear layer and its bias."""
    name = product.source
    if name not in build.nodes or build.uses.get(product.name) != 1 or bias.array is None or not bias.is_float:
        return None
    layer = build.nodes[name][0]
    if type(layer) is not nn.Linear or layer.bias is not None or bias.array.shape != (layer.out_features,):
        return None
    layer.bias = build.parameter(bias)
    return name


def _silu(node: Node, build: Building, x: Value, gate: Value) -> str | None:
    """``x * sigmoid(x)``."""
    module, *sources = build.nodes.get(gate.source or "", (None,))
    return build.put(node, nn.SiLU(), x) if type(module) is nn.Sigmoid and sources == [x.source] else None


def _gelu(node: Node, build: Building, x: Value, half: Value) -> str | None:
    """``x * (1 + erf(x / sqrt(2))) * 0.5``, as exporters write GELU before opset 20."""
    if half.array is None or half.array.size != 1 or float(np.ravel(half.array)[0]) != 0.5:
        return None
    module, *sources = build.nodes.get(x.source or "", (None,))
    if type(module) is not nn.Mul:
        return None
    for inner, sum_of in (sources, sources[::-1]):
        erf = _function_of(build, sum_of, "Add", 1.0)
        scaled = _function_of(build, erf, "Erf")
        if scaled is None:
            continue
        if inner in (_function_of(build, scaled, "Div", math.sqrt(2)), _function_of(build, scaled, "Mul", 0.5**0.5)):
            return build.put_from(node, nn.GELU(), inner)
    return None


def _function_of(build: Building, source: str | None, kind: str, number: float | None = None) -> str | None:
    """The only input of a node that is this `Function`, with this number as its constant."""
    module, *sources = build.nodes.get(source or "", (None,))
    if not isinstance(module, Function) or module.kind != kind or len(sources) != 1:
        return None
    constants = [each for each in module.constants.values() if each is not None]
    if number is None:
        return None if constants else sources[0]
    fits = len(constants) == 1 and constants[0].size == 1 and abs(float(np.ravel(constants[0])[0]) - number) < 1e-6
    return sources[0] if fits else None
