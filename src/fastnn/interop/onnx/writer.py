"""Networks as files of ONNX's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastnn import _validate as check
from fastnn import layers as nn
from fastnn._extras import require
from fastnn._files import atomic_file
from fastnn._validate import Array
from fastnn._version import __version__
from fastnn.interop.onnx.function import Function
from fastnn.interop.onnx.operators import PREVIOUS, Operator, Refused, operators_of
from fastnn.interop.onnx.operators_of_shapes import operators_of_shapes
from fastnn.layers.module import copied

INPUT, OUTPUT, BATCH = "x", "y", "N"  # the names in the file; no layer's tensor has one of these: theirs have a point
OPSET, IR_VERSION = 20, 9  # of 2023: the first with GELU


def save(net: nn.Module, path: str | Path, input_shape: Any, dtype: Any = None) -> None:
    """Write a network as an ONNX model, for other packages to run.

    It is the network in eval mode, for batches of any size: dropout is left out, and batch normalisation uses its
    running statistics. Containers, graphs, and modules with a `forward` of their own can be written, of all layers
    that ONNX has operators for. The input is called ``x``, the output ``y``; several have the names that they have in
    the `Graph`.

    Parameters
    ----------
    net : Module
    path : str or Path
        The file, which appears whole or not at all.
    input_shape : tuple of int, or a list of these
        Shape of `x`, batch included, as in ``(1, 1, 28, 28)``; of a network with several inputs, a list of shapes. The
        batch may be another when the model is run.
    dtype : dtype, or a list of these, optional
        Of the inputs, as ``np.int64`` for a network that begins with an `Embedding`. By default the parameters'.

    Raises
    ------
    ImportError
        The package onnx is not installed: ``pip install "fastnn-kernels[onnx]"``.
    TypeError, ValueError
        The shape does not fit the network, or a layer cannot be written; names the layer.

    Examples
    --------
    >>> import fastnn as fnn
    >>> from fastnn.interop import onnx
    >>> onnx.save(fnn.networks.lenet(), "lenet.onnx", (1, 1, 28, 28))  # doctest: +SKIP
    """
    onnx = require("onnx", "writing ONNX models", "onnx")
    several = isinstance(input_shape, list) and all(isinstance(each, tuple | list) for each in input_shape)
    shapes = [check.input_shape(shape) for shape in (input_shape if several else [input_shape])]
    net = copied(net).eval()
    first = next(net.parameters(), None)
    default = np.float32 if first is None else first.dtype
    kinds = dtype if isinstance(dtype, tuple | list) else [dtype] * len(shapes)
    inputs = [np.zeros((0, *shape[1:]), kind or default) for shape, kind in zip(shapes, kinds, strict=True)]
    y = net(*inputs)  # the network's own errors, if the shape does not fit
    outputs = list(y) if isinstance(y, tuple) else [y]
    names = (
        list(net.inputs)
        if isinstance(net, nn.Graph) and several
        else [INPUT, *(f"{INPUT}{i}" for i in range(1, len(inputs)))]
    )
    given = dict(zip(names, inputs, strict=True))
    made = dict(zip([OUTPUT] if len(outputs) == 1 else _names_of_outputs(net, len(outputs)), outputs, strict=True))
    graph = _Graph(onnx)
    last = graph.write(net, "", [_Tensor(name, x) for name, x in given.items()])
    taken = {node.name for node in graph.nodes}
    for name, tensor in zip(made, last, strict=True):
        graph.node("Identity", [tensor.name], [name], f"{name}.Identity" if name in taken else name, {})
    model = graph.model(given, made)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # of whatever kind: a `Function` need not be what opset 20 has
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"net: makes a model that ONNX's checker does not take: {reason}") from None
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


def _names_of_outputs(net: nn.Module, count: int) -> list[str]:
    if isinstance(net, nn.Graph):
        return [name.replace("[", ".").rstrip("]") for name in net.outputs]
    return [f"{OUTPUT}{place}" for place in range(count)]


class _Tensor(NamedTuple):
    """A tensor of the model, and what the network has in its place for an empty batch."""

    name: str
    value: Array


class _Graph:
    """The nodes and the arrays that have been written so far."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.arrays: dict[str, Any] = {}
        self.held: dict[int, tuple[str, Array]] = {}  # by the identity of the arrays, which live as long
        self.batch: str | None = BATCH  # the first length of the outputs; None: a reshape has made another of it

    def write(self, layer: nn.Module, name: str, inputs: Sequence[_Tensor]) -> list[_Tensor]:
        """Write a layer that the network knows by this name; returns its outputs."""
        if type(layer) is nn.Sequential:
            for part, inner in layer.named_children():
                inputs = self.write(inner, _joined(name, part), inputs)
            return list(inputs)
        if type(layer) is nn.Graph:
            return self._graph(layer, name, inputs)
        if layer.is_traced:
            return self._graph(nn.trace(layer, *(each.value for each in inputs)), name, inputs)
        y = _joined(name or type(layer).__name__, "output")
        if type(layer) in (nn.Residual, nn.Concat):
            (x,) = inputs
            branches = [self.write(inner, _joined(name, part), inputs)[0] for part, inner in layer.named_children()]
            if isinstance(layer, nn.Concat):
                self._add([Operator("Concat", attributes={"axis": layer.dim})], branches, y)
            else:
                self._add([Operator("Add")], (*branches, x)[:2], y)
            return [_Tensor(y, layer(x.value))]
        if type(layer) is nn.Constant:
            return [_Tensor(self._array(_joined(name, "value"), layer.value.data), layer.value.data)]
        return self._layer(layer, name, inputs, y)

    def _graph(self, graph: nn.Graph, name: str, inputs: Sequence[_Tensor]) -> list[_Tensor]:
        values = dict(zip(graph.inputs, ([each] for each in inputs), strict=True))

        def named(source: str) -> _Tensor:
            base, _, part = source.partition("[")
            return values[base][int(part.rstrip("]") or 0)]

        for node, (module, *sources) in graph.nodes().items():
            values[node] = self.write(module, _joined(name, node), [named(source) for source in sources])
        return [named(source) for source in graph.outputs]

    def _layer(self, layer: nn.Module, name: str, inputs: Sequence[_Tensor], y: str) -> list[_Tensor]:
        """Write a layer as its operators; an error names the layer as those of the network do."""
        place = f"layer {name} ({type(layer).__name__})" if name else type(layer).__name__
        if getattr(nn, type(layer).__name__, None) is not type(layer) and type(layer) is not Function:
            raise TypeError(f"{place}: is no layer of fastnn's, so it cannot be written as ONNX")
        if isinstance(layer, nn.Identity | nn.Dropout | nn.Dropout2d):
            return list(inputs)
        x = inputs[0].value if inputs else np.zeros(0, np.float32)
        try:
            chain = operators_of_shapes(layer, x, len(inputs)) or operators_of(layer, x, len(inputs))
            if not chain:
                raise Refused("is a layer that cannot be written yet")
            names = self._add(chain, inputs, y)
        except Refused as reason:
            raise ValueError(f"{place}: {reason}") from None
        made = layer(*(each.value for each in inputs))
        return [_Tensor(*each) for each in zip(names, made if isinstance(made, tuple) else [made], strict=True)]

    def _add(self, chain: list[Operator], inputs: Sequence[_Tensor], y: str) -> list[str]:
        """Nodes one after the other, of which the last gives `y`; their arrays are called after the layer."""
        owner = y.removesuffix(".output")
        before = [each.name for each in inputs]
        for place, operator in enumerate(chain):
            arrays = {key: self._array(f"{owner}.{key}", array) for key, array in operator.arrays.items()}
            if operator.kind == "Reshape" and operator.arrays and next(iter(operator.arrays.values()))[0]:
                self.batch = None
            if operator.takes is None:
                taken = [*before, *arrays.values()]
            else:
                named: dict[Any, str] = {PREVIOUS: before[0] if before else "", None: "", **arrays}
                named |= {i: each.name for i, each in enumerate(inputs)}
                taken = [named[each] for each in operator.takes]
            label = owner if place == len(chain) - 1 else f"{owner}.{operator.kind}.{place}"
            names = [f"{label}.output" if i == 0 else f"{label}.output{i}" for i in range(operator.outputs)]
            self.node(operator.kind, taken, names, label, operator.attributes)
            before = names
        return before

    def _array(self, name: str, array: Array) -> str:
        """The name of an array in the file, which has an array of several layers once."""
        name, _ = self.held.setdefault(id(array), (name, array))
        if name not in self.arrays:
            self.arrays[name] = self.onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], outputs: list[str], name: str, attributes: dict[str, Any]) -> None:
        try:
            self.onnx.defs.get_schema(kind, OPSET, "")
        except Exception:
            raise Refused(f"is a {kind}, which ONNX has not in opset {OPSET}") from None
        if isinstance(attributes.get("to"), np.dtype):
            attributes = attributes | {"to": self.onnx.helper.np_dtype_to_tensor_dtype(attributes["to"])}
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, outputs, name, **attributes))

    def model(self, inputs: dict[str, Array], outputs: dict[str, Array]) -> Any:
        """The model from these inputs to these outputs."""
        make = self.onnx.helper
        taken = [self._info(name, value, BATCH) for name, value in inputs.items()]
        given = [self._info(name, value, self.batch) for name, value in outputs.items()]
        graph = make.make_graph(self.nodes, "network", taken, given, list(self.arrays.values()))
        opsets = [make.make_opsetid("", OPSET)]
        producer = {"producer_name": "fastnn", "producer_version": __version__}
        return make.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, **producer)

    def _info(self, name: str, value: Array, batch: str | None) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        shape = [n or (None if axis else batch) for axis, n in enumerate(value.shape)]  # 0: it follows from the batch
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}".lstrip(".")
