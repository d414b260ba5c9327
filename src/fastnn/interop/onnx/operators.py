"""Which operators of ONNX a layer is in eval mode: layers with weights, functions of each number, pooling.

Those that order, join and resize are in operators_of_shapes.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn import layers as nn
from fastnn._validate import Array
from fastnn.interop.onnx.function import Function

Takes = tuple[int | str | None, ...]
PREVIOUS = -1  # in `takes`: the output of the operator before this one
_NO_ATTRIBUTES: dict[str, Any] = {}


class Operator(NamedTuple):
    """An operator of the one, or of several one after the other, that a layer is.

    Attributes
    ----------
    kind : the operator's name
    arrays : what it takes besides, by names
    attributes : by their names
    takes : its inputs in order: places of the layer's inputs, `PREVIOUS`, names of arrays, None for one left out. By
        default the layer's inputs, or from the second operator on `PREVIOUS`, and then all arrays.
    outputs : how many it has
    """

    kind: str
    arrays: dict[str, Array] = _NO_ATTRIBUTES
    attributes: dict[str, Any] = _NO_ATTRIBUTES
    takes: Takes | None = None
    outputs: int = 1


class Refused(Exception):
    """The reason why a layer cannot be written."""


_ELEMENTWISE = {
    nn.ReLU: "Relu",
    nn.Sigmoid: "Sigmoid",
    nn.Tanh: "Tanh",
    nn.LeakyReLU: "LeakyRelu",
    nn.ELU: "Elu",
    nn.SELU: "Selu",
    nn.Hardswish: "HardSwish",
    nn.GELU: "Gelu",
    nn.Softmax: "Softmax",
    nn.LogSoftmax: "LogSoftmax",
}
_ATTRIBUTES = {"negative_slope": "alpha", "alpha": "alpha", "dim": "axis", "approximate": "approximate"}  # ours, ONNX's


def operators_of(layer: nn.Module, x: Array, count: int) -> list[Operator]:
    """The operators of a layer with weights, a function, or pooling, with `count` inputs, the first like `x`.

    Raises
    ------
    Refused
        There are none.
    """
    if type(layer) in _ELEMENTWISE:
        attributes = {theirs: getattr(layer, ours) for ours, theirs in _ATTRIBUTES.items() if hasattr(layer, ours)}
        return [Operator(_ELEMENTWISE[type(layer)], attributes=attributes)]
    match layer:
        case nn.Hardtanh() | nn.ReLU6():
            least, most = (layer.min_val, layer.max_val) if isinstance(layer, nn.Hardtanh) else (0, 6)
            return [Operator("Clip", {"min": x.dtype.type(least), "max": x.dtype.type(most)})]
        case nn.SiLU():
            return [Operator("Sigmoid"), Operator("Mul", takes=(0, PREVIOUS))]
        case nn.Softplus():
            return _softplus(layer, x)
        case nn.PReLU():
            return [Operator("PRelu", {"weight": _over_planes(layer.weight.data, x)})]
        case nn.Linear():
            return _linear(layer, x)
        case nn.Embedding():
            return [Operator("Gather", _arrays(layer, "weight"), takes=("weight", 0))]
        case Function():
            return [_function(layer, count)]
    return _convolution(layer) or _normalisation(layer, x) or _pooling(layer, x)


def expect(layer: nn.Module, **settings: Any) -> None:
    for name, expected in settings.items():
        if (came := getattr(layer, name, expected)) != expected:
            raise Refused(f"has {name}={came!r}; only {expected!r} can be written")


def _function(layer: Any, count: int) -> Operator:
    """A `Function` of a model that was read; its form is that of the newest version of its operator."""
    attributes = {name: value for name, value in layer.attributes.items() if name != "outputs"}
    outputs = layer.attributes.get("outputs", 2 if layer.kind == "TopK" else 1)
    if attributes.pop("flattened", 0):
        raise Refused(f"is a {layer.kind} of an opset below 13, which cannot be written")
    if layer.kind == "Cast":
        attributes["to"] = np.dtype(attributes["to"])
    takes: list[int | str | None] = []
    arrays = {}
    for place in range(count + len(layer.constants)):
        constant = layer.constants.get(place)
        if constant is not None:
            arrays[f"input{place}"] = constant
            takes.append(f"input{place}")
        else:
            takes.append(None if place in layer.constants else sum(isinstance(each, int) for each in takes))
    return Operator(layer.kind, arrays, attributes, tuple(takes), outputs)


def _softplus(layer: nn.Softplus, x: Array) -> list[Operator]:
    if layer.beta == 1:
        return [Operator("Softplus")]
    beta = np.asarray(layer.beta, x.dtype)
    return [Operator("Mul", {"beta": beta}), Operator("Softplus"), Operator("Div", {"beta": beta})]


def _linear(layer: nn.Linear, x: Array) -> list[Operator]:
    if x.ndim == 2:
        return [Operator("Gemm", _arrays(layer, "weight", "bias"), {"transB": 1})]
    product = Operator("MatMul", {"weight": layer.weight.data.T})
    return [product] if layer.bias is None else [product, Operator("Add", _arrays(layer, "bias"))]


def _convolution(layer: Any) -> list[Operator]:
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
        return []
    kernel, dilation = layer.kernel_size, layer.dilation
    attributes = {"kernel_shape": kernel, "strides": layer.stride, "dilations": dilation, "group": layer.groups}
    arrays = _arrays(layer, "weight", "bias")
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        attributes |= {"pads": 2 * list(layer.padding), "output_padding": layer.output_padding}
        return [Operator("ConvTranspose", arrays, attributes)]
    frame = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]  # what "same" adds, more of it at the end
    if layer.padding == "same":
        pads = [both // 2 for both in frame] + [both - both // 2 for both in frame]
    else:
        pads = 2 * list((0,) * len(kernel) if layer.padding == "valid" else layer.padding)
    if layer.padding_mode == "zeros":
        return [Operator("Conv", arrays, attributes | {"pads": pads})]
    n = len(kernel)
    widths = np.array([0, 0, *pads[:n], 0, 0, *pads[n:]], np.int64)
    framed = Operator("Pad", {"pads": widths}, {"mode": MODES_OF_PADDING[layer.padding_mode]})
    return [framed, Operator("Conv", arrays, attributes)]


MODES_OF_PADDING = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _normalisation(layer: Any, x: Array) -> list[Operator]:
    match layer:
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            if layer.running_mean is None:
                raise Refused("has no running statistics")
            return [_batch_norm(layer)]
        case nn.InstanceNorm2d():
            if layer.running_mean is not None:
                return [_batch_norm(layer)]
            return [Operator("InstanceNormalization", _scales(layer, layer.num_features, x), {"epsilon": layer.eps})]
        case nn.LayerNorm():
            attributes = {"epsilon": layer.eps, "axis": -len(layer.normalized_shape)}
            return [Operator("LayerNormalization", _scales(layer, layer.normalized_shape, x), attributes)]
        case nn.GroupNorm():
            scales = _scales(layer, layer.num_groups, x)
            neutral = {"ones": np.ones_like(scales["weight"]), "zeros": np.zeros_like(scales["weight"])}
            if layer.weight is not None:
                neutral = {name: each[: layer.num_groups] for name, each in neutral.items()}
            chain = [
                Operator("Reshape", {"groups": np.array([0, layer.num_groups, -1], np.int64)}),
                Operator("InstanceNormalization", neutral, {"epsilon": layer.eps}),
                Operator("Reshape", {"shape": np.array([0, *x.shape[1:]], np.int64)}),
            ]
            for kind, held in (("Mul", layer.weight), ("Add", layer.bias)):
                if held is not None:
                    chain.append(Operator(kind, {"weight" if kind == "Mul" else "bias": _over_planes(held.data, x)}))
            return chain
        case nn.LocalResponseNorm():
            if layer.size % 2 == 0:
                raise Refused(f"has size={layer.size}; only odd ones can be written")
            attributes = {"size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "bias": layer.k}
            return [Operator("LRN", attributes=attributes)]
    return []


def _batch_norm(layer: Any) -> Operator:
    mean = layer.running_mean.data
    neutral = {"weight": np.ones_like(mean), "bias": np.zeros_like(mean)}
    arrays = neutral | _arrays(layer, "weight", "bias", "running_mean", "running_var")
    return Operator("BatchNormalization", arrays, {"epsilon": layer.eps})


def _scales(layer: nn.Module, shape: Any, x: Array) -> dict[str, Array]:
    neutral = {"weight": np.ones(shape, x.dtype), "bias": np.zeros(shape, x.dtype)}
    return neutral | _arrays(layer, "weight", "bias")


def _over_planes(array: Array, x: Array) -> Array:
    """A number for each channel, to be broadcast over images like `x`."""
    return array.reshape(-1, *(1,) * (x.ndim - 2))


def _arrays(layer: nn.Module, *names: str) -> dict[str, Array]:
    held = ((name, getattr(layer, name)) for name in names)
    return {name: each.data for name, each in held if each is not None}


def _pooling(layer: Any, x: Array) -> list[Operator]:
    match layer:
        case nn.MaxPool1d() | nn.MaxPool2d():
            expect(layer, return_indices=False)
            return [Operator("MaxPool", attributes=_windows(layer, x) | {"dilations": _all(layer.dilation, x)})]
        case nn.AvgPool1d() | nn.AvgPool2d():
            expect(layer, ceil_mode=False, divisor_override=None)
            counted = {"count_include_pad": int(layer.count_include_pad)}
            return [Operator("AveragePool", attributes=_windows(layer, x) | counted)]
        case nn.AdaptiveAvgPool1d() | nn.AdaptiveAvgPool2d():
            return [adaptive("AveragePool", layer.output_size, x)]
        case nn.AdaptiveMaxPool1d() | nn.AdaptiveMaxPool2d():
            expect(layer, return_indices=False)
            return [adaptive("MaxPool", layer.output_size, x)]
    return []


def adaptive(kind: str, output_size: Any, x: Array) -> Operator:
    """A pool of windows that share out each axis, which they can only if they are of one length."""
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * (x.ndim - 2)
    lengths = [n if m is None else m for n, m in zip(x.shape[2:], wanted, strict=True)]
    if set(lengths) == {1}:
        return Operator(f"Global{kind}")
    if any(n % m for n, m in zip(x.shape[2:], lengths, strict=True)):
        raise Refused(f"has output_size={output_size}; only 1 and what divides the plane can be written")
    window = [n // m for n, m in zip(x.shape[2:], lengths, strict=True)]
    return Operator(kind, attributes={"kernel_shape": window, "strides": window})


def _windows(layer: Any, x: Array) -> dict[str, Any]:
    return {
        "kernel_shape": _all(layer.kernel_size, x),
        "strides": _all(layer.stride, x),
        "pads": 2 * _all(layer.padding, x),
        "ceil_mode": int(layer.ceil_mode),
    }


def _all(value: Any, x: Array) -> list[int]:
    """A setting for every axis behind the channels."""
    return [int(v) for v in np.broadcast_to(value, x.ndim - 2)]
