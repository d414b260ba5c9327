"""Networks as files of ONNX's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastnn import _validate as check
from fastnn import layers as nn
from fastnn._extras import require
from fastnn._files import atomic_file
from fastnn._validate import Array
from fastnn._version import __version__
from fastnn.interop.onnx.operators import Operator, Refused, operator_of
from fastnn.layers.module import copied

INPUT, OUTPUT, BATCH = "x", "y", "N"  # the names in the file; no layer's tensor has one of these: theirs have a point
OPSET, IR_VERSION = 17, 8  # of 2022: everything since reads them


def save(net: nn.Module, path: str | Path, input_shape: tuple[int, ...]) -> None:
    """Write a network as an ONNX model, for other packages to run.

    It is the network in eval mode, for batches of any size: dropout is left out, and batch normalisation uses its
    running statistics. The input is called ``x``, the output ``y``. The layers of `fastnn.networks` can be written.

    Parameters
    ----------
    net : Module
    path : str or Path
        The file, which appears whole or not at all.
    input_shape : tuple of int
        Shape of `x`, batch included, as in ``(1, 1, 28, 28)``. The batch may be another when the model is run.

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
    _, *shape = check.input_shape(input_shape)
    net = copied(net).eval()
    first = next(net.parameters(), None)
    x = np.zeros((0, *shape), np.float32 if first is None else first.dtype)
    y = net(x)  # the network's own errors, if the shape does not fit
    graph = _Graph(onnx)
    last = graph.write(net, "", _Tensor(INPUT, x))
    graph.add(Operator("Identity", {}, {}), [last.name], OUTPUT)
    model = graph.model({INPUT: x}, {OUTPUT: y})
    onnx.checker.check_model(model, full_check=True)
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


class _Tensor(NamedTuple):
    """A tensor of the model, and what the network has in its place for an empty batch."""

    name: str
    value: Array


class _Graph:
    """The nodes and the arrays that have been written so far."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def write(self, layer: nn.Module, name: str, x: _Tensor) -> _Tensor:
        """Write a layer that the network knows by this name; returns its output."""
        if type(layer) is nn.Sequential:
            for part, inner in layer.named_children():
                x = self.write(inner, _joined(name, part), x)
            return x
        y = _joined(name or type(layer).__name__, "output")
        if type(layer) in (nn.Residual, nn.Concat):
            branches = [self.write(inner, _joined(name, part), x) for part, inner in layer.named_children()]
            if isinstance(layer, nn.Concat):
                self.add(Operator("Concat", {}, {"axis": layer.dim}), [b.name for b in branches], y)
            else:
                self.add(Operator("Add", {}, {}), [b.name for b in (*branches, x)[:2]], y)
            return _Tensor(y, layer(x.value))
        operator = self._operator(layer, name, x.value)
        if operator is None:
            return x
        self.add(operator, [x.name], y)
        return _Tensor(y, layer(x.value))

    def _operator(self, layer: nn.Module, name: str, x: Array) -> Operator | None:
        """The operator of a layer; an error names the layer as those of the network do."""
        place = f"layer {name} ({type(layer).__name__})" if name else type(layer).__name__
        if getattr(nn, type(layer).__name__, None) is not type(layer):
            raise TypeError(f"{place}: is no layer of fastnn's, so it cannot be written as ONNX")
        try:
            return operator_of(layer, x)
        except Refused as reason:
            raise ValueError(f"{place}: {reason}") from None

    def add(self, operator: Operator, inputs: list[str], output: str) -> None:
        """A node; its arrays are called after its layer."""
        owner = output.removesuffix(".output")
        names = [f"{owner}.{name}" for name in operator.arrays]
        arrays = (np.asarray(array, order="C") for array in operator.arrays.values())
        self.arrays += map(self.onnx.numpy_helper.from_array, arrays, names)
        node = self.onnx.helper.make_node(operator.kind, [*inputs, *names], [output], owner, **operator.attributes)
        self.nodes.append(node)

    def model(self, inputs: dict[str, Array], outputs: dict[str, Array]) -> Any:
        """The model from these inputs to these outputs."""
        make = self.onnx.helper
        infos = ([self._info(*each) for each in tensors.items()] for tensors in (inputs, outputs))
        graph = make.make_graph(self.nodes, "network", *infos, self.arrays)
        opsets = [make.make_opsetid("", OPSET)]
        producer = {"producer_name": "fastnn", "producer_version": __version__}
        return make.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, **producer)

    def _info(self, name: str, value: Array) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        return self.onnx.helper.make_tensor_value_info(name, kind, [BATCH, *value.shape[1:]])


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}".lstrip(".")
