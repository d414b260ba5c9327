"""Operators with weights, as layers: each returns the name of its node in the graph, or None if no layer does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import functional
from fastnn import layers as nn
from fastnn._validate import Array
from fastnn.interop.onnx.values import Building, Node, Refused, Value
from fastnn.interop.onnx.windows import Pairs, transposed_frame, window_of
from fastnn.layers.functions import layer_of

Layer = Callable[[Node, Building], str | None]


def weight_at(node: Node, place: int) -> Value | None:
    """An input that is a constant of floats."""
    value = node.input(place)
    return value if value is not None and value.array is not None and value.is_float else None


def _plane(value: Value) -> tuple[int, ...] | None:
    """The lengths behind the channels, if they are always the same."""
    lengths = [value.length(axis) for axis in range(2, value.ndim or 2)]
    return tuple(n for n in lengths if n is not None) if lengths and None not in lengths else None


def _bias(node: Node, build: Building, place: int, channels: int) -> tuple[bool, nn.Parameter | None]:
    """Whether a layer can have the input as its bias, and the bias."""
    if not node.has(place):
        return True, None
    value = weight_at(node, place)
    if value is None or value.array is None or value.array.shape != (channels,):
        return False, None
    return True, build.parameter(value)


def _conv(node: Node, build: Building) -> str | None:
    weight = weight_at(node, 1)
    if weight is None or weight.array is None or weight.array.ndim not in (3, 4):
        return None
    x, array, group = node.x(), weight.array, node.attributes.get("group", 1)
    window = window_of(node.attributes, array.shape[2:], _plane(x))
    fits, bias = _bias(node, build, 2, array.shape[0])
    if window is None or not fits:
        return None
    source = build.source(x)
    padding: Any = tuple(a for a, _ in window.pads)
    if any(a != b for a, b in window.pads):
        source, padding = build.put_from(node, _frame(window.pads, 0.0), source, after=".pad"), 0
    function = functional.conv1d if array.ndim == 3 else functional.conv2d
    settings = (window.stride, padding, window.dilation, group)
    layer, _, _ = layer_of(function, (None, build.parameter(weight), bias, *settings), {})
    return build.put_from(node, layer, source)


def _frame(pads: Pairs, value: float) -> nn.Module:
    """A layer that adds a frame to planes of one or two axes; widths below 0 cut off."""
    widths = tuple(width for pair in reversed(pads) for width in pair)
    return nn.ConstantPad1d(widths, value) if len(pads) == 1 else nn.ConstantPad2d(widths, value)


def _conv_transpose(node: Node, build: Building) -> str | None:
    weight = weight_at(node, 1)
    kind: Any = {3: nn.ConvTranspose1d, 4: nn.ConvTranspose2d}
    if weight is None or weight.array is None or weight.array.ndim not in kind:
        return None
    x, array, group = node.x(), weight.array, node.attributes.get("group", 1)
    window = window_of({**node.attributes, "auto_pad": "NOTSET"}, array.shape[2:], None)
    plane = _plane(x)
    depends = "output_shape" in node.attributes or node.attributes.get("auto_pad", "NOTSET").startswith("SAME")
    fits, bias = _bias(node, build, 2, array.shape[1] * group)
    if window is None or not fits or (depends and plane is None):
        return None
    more, pads = transposed_frame(window, node.attributes, plane or (1,) * (array.ndim - 2))
    even = all(a == b >= 0 for a, b in pads)
    padding = tuple(a for a, _ in pads) if even else (0,) * len(pads)
    build.claim(array.size, array.dtype)
    if any(m >= max(s, d) for m, s, d in zip(more, window.stride, window.dilation, strict=True)):
        return None
    layer = kind[array.ndim](
        array.shape[0],
        array.shape[1] * group,
        window.kernel,
        window.stride,
        padding,
        tuple(more),
        group,
        bias is not None,
        window.dilation,
        dtype=array.dtype,
    )
    layer.weight, layer.bias = build.parameter(weight), bias
    source = build.put(node, layer, x)
    if even:
        return source
    return build.put_from(node, _frame([(-a, -b) for a, b in pads], 0.0), source, after=".cut")


def _linear(node: Node, build: Building, weight: Value, form: str, bias: nn.Parameter | None) -> str:
    """A linear layer; `form` "T" turns the weight, which ONNX mostly has the other way round."""
    assert weight.array is not None
    array = weight.array.T if form else weight.array
    layer, _, _ = layer_of(functional.linear, (None, build.parameter(weight, form, array), bias), {})
    return build.put(node, layer, node.x())


def _gemm(node: Node, build: Building) -> str | None:
    weight, get = weight_at(node, 1), node.attributes.get
    if weight is None or weight.array is None or weight.array.ndim != 2 or node.x().array is not None:
        return None
    if get("alpha", 1.0) != 1 or get("transA", 0) or (node.has(2) and get("beta", 1.0) != 1):
        return None
    turned = bool(get("transB", 0))
    fits, bias = _bias(node, build, 2, weight.array.shape[0 if turned else 1])
    return _linear(node, build, weight, "" if turned else "T", bias) if fits else None


def _matmul(node: Node, build: Building) -> str | None:
    weight = weight_at(node, 1)
    if weight is None or weight.array is None or weight.array.ndim != 2 or node.x().array is not None:
        return None
    return _linear(node, build, weight, "T", None)


def _batch_norm(node: Node, build: Building) -> str | None:
    x, values = node.x(), [weight_at(node, place) for place in range(1, 5)]
    kinds: dict[int | None, Any] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    if node.used > 1:
        raise Refused("gives the statistics of a batch; expected a model for inference")
    if x.ndim not in kinds or any(value is None for value in values):
        node.attributes.pop("momentum", None)
        return None
    arrays: list[Array] = [value.array for value in values if value is not None and value.array is not None]
    if any(each.shape != arrays[0].shape or each.dtype != arrays[0].dtype for each in arrays) or arrays[0].ndim != 1:
        raise Refused(f"has arrays of the shapes {[each.shape for each in arrays]}; expected four alike of one axis")
    layer = kinds[x.ndim](
        arrays[0].size,
        node.attributes.get("epsilon", 1e-5),
        1 - node.attributes.get("momentum", 0.9),
        dtype=arrays[0].dtype,
    )
    build.claim(4 * arrays[0].size, arrays[0].dtype)
    layer.weight, layer.bias = (build.parameter(value) for value in values[:2] if value is not None)
    layer.running_mean, layer.running_var = nn.Buffer(arrays[2].copy()), nn.Buffer(arrays[3].copy())
    return build.put(node, layer, x)


def _scaled(node: Node, build: Building, count: int) -> tuple[nn.Parameter, nn.Parameter | None] | None:
    """Scale and bias of a normalisation, if they are constants of that many numbers."""
    scale, bias = weight_at(node, 1), weight_at(node, 2)
    if scale is None or scale.array is None or scale.array.size != count or (node.has(2) and bias is None):
        return None
    if bias is not None and bias.array is not None and bias.array.shape != scale.array.shape:
        return None
    return build.parameter(scale), None if bias is None else build.parameter(bias)


def _layer_norm(node: Node, build: Building) -> str | None:
    scale, x = weight_at(node, 1), node.x()
    axis = node.attributes.get("axis", -1)
    if axis >= 0 and x.ndim is not None:
        axis -= x.ndim
    if scale is None or scale.array is None or axis >= 0 or -axis != scale.array.ndim or node.used > 1:
        return None
    found = _scaled(node, build, scale.array.size)
    lengths = () if x.dims is None else x.dims[axis:]
    if found is None or (lengths and lengths != scale.array.shape):
        return None
    settings = (scale.array.shape, *found, node.attributes.get("epsilon", 1e-5))
    layer, _, _ = layer_of(functional.layer_norm, (None, *settings), {})
    return build.put(node, layer, x)


def _instance_norm(node: Node, build: Building) -> str | None:
    x, scale = node.x(), node.constant(1)
    if x.ndim != 4 or scale is None or (found := _scaled(node, build, scale.size)) is None:
        return None
    eps = node.attributes.get("epsilon", 1e-5)
    layer = nn.InstanceNorm2d(scale.size, eps, affine=True, dtype=scale.dtype)
    layer.weight, layer.bias = found
    return build.put(node, layer, x)


def _group_norm(node: Node, build: Building) -> str | None:
    x, scale = node.x(), node.constant(1)
    if scale is None or x.ndim is None or x.length(1) != scale.size:
        return None
    found = _scaled(node, build, scale.size)
    if found is None:
        return None
    settings = (node.attributes["num_groups"], *found, node.attributes.get("epsilon", 1e-5))
    layer, _, _ = layer_of(functional.group_norm, (None, *settings), {})
    return build.put(node, layer, x)


def _prelu(node: Node, build: Building) -> str | None:
    x, slope = node.x(), weight_at(node, 1)
    if slope is None or slope.array is None or x.ndim is None or x.ndim < 2:
        return None
    shape = slope.array.shape
    if slope.array.size != 1 and shape not in {(n, *(1,) * (x.ndim - 2)) for n in shape}:
        return None
    parameter = build.parameter(slope, "flat", np.ravel(slope.array))
    layer, _, _ = layer_of(functional.prelu, (None, parameter), {})
    return build.put(node, layer, x)


def _gather(node: Node, build: Building) -> str | None:
    """Rows of a table, as an embedding; an element, as a slice."""
    table, indices = node.x(), node.input(1)
    axis = node.attributes.get("axis", 0)
    if table.array is not None and table.learnt and table.is_float and table.array.ndim == 2 and axis == 0:
        assert indices is not None
        layer, _, _ = layer_of(functional.embedding, (None, build.parameter(table)), {})
        return build.put(node, layer, indices)
    if table.is_float and indices is not None and indices.array is not None and indices.array.ndim == 0:
        if axis < 0:
            return None
        return build.put(node, nn.Slice(*(slice(None),) * axis, int(indices.array)), table)
    return None


LAYERS: dict[str, Layer] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "PRelu": _prelu,
    "Gather": _gather,
}
