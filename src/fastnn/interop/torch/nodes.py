"""Graphs, and layers that PyTorch has as functions only, as modules of torch.fx."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from fastnn import layers
from fastnn._extras import require
from fastnn.interop.onnx.function import Function
from fastnn.interop.torch import formulas
from fastnn.layers.joints import Constant

Emit = Callable[[Any, Any, Any, list[Any]], Any]


def _joined(function: Callable[..., Any]) -> Emit:
    def emit(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
        y = inputs[0]
        for each in inputs[1:]:
            y = fx.call_function(function, (y, each))
        return y

    return emit


def _cat(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    return fx.call_function(torch.cat, (inputs, layer.dim))


def _split(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    sizes = list(layer.sizes) if isinstance(layer.sizes, tuple) else layer.sizes
    return fx.call_function(torch.split, (*inputs, sizes, layer.dim))


def _slice(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    if any(isinstance(each, slice) and (each.step or 1) < 0 for each in layer.index):
        raise TypeError(f"Slice({layer.extra_repr()}) has no counterpart in PyTorch, whose slices have steps above 0")
    return fx.call_function(operator.getitem, (*inputs, layer.index))


def _reshape(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    (x,) = inputs
    lengths = [fx.call_method("size", (x, axis)) if n == 0 else n for axis, n in enumerate(layer.shape)]
    return fx.call_method("reshape", (x, *lengths))


def _permute(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    return fx.call_method("permute", (*inputs, *layer.dims))


def _pad(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    return fx.call_function(torch.nn.functional.pad, (*inputs, list(layer.padding), layer.mode))


def _over_axes(name: str) -> Emit:
    def emit(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
        return fx.call_method(name, (*inputs, list(layer.dim), layer.keepdim))

    return emit


def _clamp(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    return fx.call_method("clamp", (*inputs, layer.min, layer.max))


def _expand(torch: Any, fx: Any, layer: Any, inputs: list[Any]) -> Any:
    x, *like = inputs
    if not layer.sizes:
        return fx.call_method("expand_as", (x, *like))
    lengths = [fx.call_method("size", (like[0], axis)) if n == 0 else n for axis, n in enumerate(layer.sizes)]
    return fx.call_method("expand", (x, *lengths))


_EMITTED: dict[type[layers.Module], Emit] = {
    layers.Add: _joined(operator.add),
    layers.Sub: _joined(operator.sub),
    layers.Mul: _joined(operator.mul),
    layers.Div: _joined(operator.truediv),
    layers.MatMul: _joined(operator.matmul),
    layers.Cat: _cat,
    layers.Expand: _expand,
    layers.Split: _split,
    layers.Slice: _slice,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
    layers.Pad: _pad,
    layers.Mean: _over_axes("mean"),
    layers.Sum: _over_axes("sum"),
    layers.Clamp: _clamp,
    Function: formulas.emitted,
}


def is_operation(layer: layers.Module) -> bool:
    """Whether PyTorch has a layer as a function, and not as a module."""
    return type(layer) in _EMITTED


def graph_module(conversion: Any, ours: layers.Module, name: str) -> Any:
    """A GraphModule that does what a `Graph` does, or one operation.

    Parameters
    ----------
    conversion : what makes modules and tensors of PyTorch's
    ours : Graph, or a layer that `is_operation`
    name : by which the network knows it
    """
    torch, fx = conversion.torch, require("torch.fx", "making a PyTorch module of a network", "torch")
    graph, root = fx.Graph(), torch.nn.Module()
    if not isinstance(ours, layers.Graph):
        count = getattr(ours, "least", 1)
        inputs = [graph.placeholder("x" if place == 0 else f"x{place}") for place in range(count)]
        graph.output(_emitted(torch, graph, ours, inputs, name))
        return fx.GraphModule(root, graph, type(ours).__name__)
    made: dict[str, Any] = {each: graph.placeholder(re.sub(r"\W|^(?=\d)", "_", each)) for each in ours.inputs}
    first: dict[int, str] = {}
    for node, (layer, *sources) in ours.nodes().items():
        inputs = [_taken(graph, made, source) for source in sources]
        label = f"{name}.{node}".lstrip(".")
        if isinstance(layer, Constant):
            _put(root, node, conversion.held(layer.value))
            made[node] = graph.get_attr(node)
        elif is_operation(layer):
            made[node] = _emitted(torch, graph, layer, inputs, label)
        else:
            target = first.setdefault(id(layer), node)
            if target == node:
                _put(root, node, conversion.module(layer, label))
            made[node] = graph.call_module(target, tuple(inputs))
    outputs = tuple(_taken(graph, made, each) for each in ours.outputs)
    graph.output(outputs if len(outputs) > 1 else outputs[0])
    module = fx.GraphModule(root, graph, "Graph")
    constants = ((node, layer) for node, (layer, *_) in ours.nodes().items() if isinstance(layer, Constant))
    for node, each in constants:
        if not each.value.persistent:  # which GraphModule does not look at
            owner, _, leaf = node.rpartition(".")
            module.get_submodule(owner)._non_persistent_buffers_set.add(leaf)
    for inner in module.modules():
        if type(inner) is torch.nn.Module:  # what stands for the points in names
            inner.training = ours.training
    return module


def _emitted(torch: Any, graph: Any, layer: layers.Module, inputs: list[Any], label: str) -> Any:
    try:
        return _EMITTED[type(layer)](torch, graph, layer, inputs)
    except TypeError as error:
        raise TypeError(f"layer {label}: {error}" if label else str(error)) from None


def _taken(graph: Any, made: dict[str, Any], source: str) -> Any:
    """The node for a name, or for a part as ``"split[1]"``."""
    if source in made:
        return made[source]
    base, _, part = source.partition("[")
    return graph.call_function(operator.getitem, (made[base], int(part[:-1])))


def _put(root: Any, name: str, value: Any) -> None:
    """Make a module, parameter or buffer known to `root` under a name with points."""
    *path, leaf = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, type(root)())
        root = getattr(root, part)
    if hasattr(value, "named_modules"):
        root.add_module(leaf, value)
    elif type(value).__name__ == "Parameter":
        root.register_parameter(leaf, value)
    else:
        root.register_buffer(leaf, value)
