"""ONNX models as graphs.

A model's nodes are gone through in their order. Each is one of::

    Identity, Constant          another name for a value, an array
    all inputs are constants    computed right away, if the result is not larger than the file justifies
    a layer of fastnn's         layers_of_weights.py, layers_of_values.py
    anything else               a `Function`, which NumPy computes

Nodes of the graph that no output needs are left out at the end: most that work out shapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import _runtime
from fastnn import layers as nn
from fastnn._extras import require
from fastnn._validate import Array
from fastnn.interop.onnx import files, windows
from fastnn.interop.onnx.dims import dims_of, dtypes_of
from fastnn.interop.onnx.forms import canonical
from fastnn.interop.onnx.function import OPERATIONS, Function, unknown_attributes
from fastnn.interop.onnx.layers_of_values import LAYERS as OF_VALUES
from fastnn.interop.onnx.layers_of_weights import LAYERS as OF_WEIGHTS
from fastnn.interop.onnx.sketches import sketched
from fastnn.interop.onnx.values import Building, Node, Refused, Value

LAYERS = OF_VALUES | OF_WEIGHTS
TUPLES = ("Split", "TopK")  # that give a tuple, whatever the number of outputs
COUNTED = ("Split", "MaxPool", "LayerNormalization", "Dropout")  # whose functions want to know that number
LEARNING = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "PRelu", "BatchNormalization")
LATER = (*windows.OPERATIONS, "Einsum", "LRN")  # not computed here: their attributes may ask for any memory
FREE = 1 << 26  # bytes of arrays that any file may make


def load(path: str | Path, max_bytes: int | None = None) -> nn.Graph:
    """Read an ONNX model as a `Graph`, for inference and further training.

    The graph is in eval mode. Its inputs and outputs have the model's names, with points for other signs. Convolutions,
    linear layers, normalisations and so on become fastnn's layers, with the model's weights as their parameters;
    operators that are no layer become a `Function`. A batch may have any size, unless the model itself fixes it in
    a shape.

    Parameters
    ----------
    path : str or Path
        A file of one of the opsets 6 to 28. It may come from anybody: nothing in it is run. Weights in files beside it
        are read from its folder alone.
    max_bytes : int, optional
        How many bytes of arrays the file may have made, besides those that it holds. By default 64 MiB and four times
        the size of the file.

    Returns
    -------
    Graph

    Raises
    ------
    ImportError
        The package onnx is not installed: ``pip install "fastnn-kernels[onnx]"``.
    ValueError
        The file is truncated or corrupt, or has an operator that fastnn has not; names the file and the node.
    OSError
        It cannot be read.

    Examples
    --------
    >>> import fastnn as fnn
    >>> from fastnn.interop import onnx
    >>> net = onnx.load("lenet.onnx")  # doctest: +SKIP
    >>> scores = net(np.zeros((5, 1, 28, 28), np.float32))  # doctest: +SKIP
    """
    onnx = require("onnx", "reading ONNX models", "onnx")
    path = Path(path)
    content = path.read_bytes()
    state = _runtime.generator().bit_generator.state
    try:
        model = files.parse(onnx, content)
        return _Reading(onnx, model, path.parent, FREE + 4 * len(content) if max_bytes is None else max_bytes).graph()
    except MemoryError:
        raise
    except Refused as reason:
        raise ValueError(f"{path}: {reason}") from None
    except Exception as error:  # a broken file shows in whatever it stumbles over
        raise ValueError(f"{path}: holds no ONNX model, or a damaged one ({_first_line(error)})") from error
    finally:
        _runtime.generator().bit_generator.state = state  # weights were drawn in vain


class _Reading:
    """A model on its way to a graph."""

    def __init__(self, onnx: Any, model: Any, folder: Path, most: int) -> None:
        self.onnx, self.model, self.folder = onnx, model, folder
        self.opset = files.opset_of(model)
        self.values: dict[str, Value] = {}
        uses: dict[str, int] = {}
        for name in (*(n for node in model.graph.node for n in node.input), *(o.name for o in model.graph.output)):
            uses[name] = uses.get(name, 0) + 1
        self.build = Building(most, uses)

    def graph(self) -> nn.Graph:
        for tensor in self.model.graph.initializer:
            array = files.array_of(self.onnx, tensor, self.folder, self.build)
            self._give(tensor.name, array=array, learnt=array.size > 1)
        inputs = {}
        for info in self.model.graph.input:
            if info.name not in self.values:
                inputs[info.name] = self.build.name(info.name)
                kind = files.dtype_of(self.onnx, info.type.tensor_type.elem_type)
                self._give(info.name, source=inputs[info.name], dims=files.dims_of_input(info), dtype=kind)
        for place, proto in enumerate(self.model.graph.node):
            label = f"node {proto.name[:80] or place!r} ({proto.op_type[:40]})"
            try:
                self._read(proto)
            except Refused as reason:
                raise Refused(f"{label}: {reason}") from None
            except MemoryError:
                raise
            except Exception as error:
                raise ValueError(f"{label}: {_first_line(error)}") from error
        outputs = [self._output(info.name) for info in self.model.graph.output]
        nodes = _needed(self.build.nodes, outputs)
        taken = {_base(source) for _, *sources in nodes.values() for source in sources} | set(map(_base, outputs))
        graph = nn.Graph(nodes, [name for name in inputs.values() if name in taken], outputs)
        return graph.eval()

    def _give(self, name: str, **what: Any) -> None:
        """A value of the model has been found."""
        value = Value(name, **what)
        if value.array is not None:
            value.dims, value.dtype = value.array.shape, value.array.dtype
        self.values[name] = value

    def _output(self, name: str) -> str:
        """The name of an output in the graph, which is that of the model."""
        value = self.values[name]
        source = self.build.source(value)
        name = self.build.name(name)
        self.build.nodes[name] = (nn.Identity(), source)
        return name

    def _read(self, proto: Any) -> None:
        if proto.domain not in ("", "ai.onnx"):
            raise Refused(f"is an operator of {proto.domain[:40]!r}, which fastnn has not")
        for name in proto.input:
            if name and name not in self.values:
                raise Refused(f"takes {name[:60]!r}, which nothing before it gives")
        attributes = {
            each.name: files.attribute_of(self.onnx, each, self.folder, self.build) for each in proto.attribute
        }
        node = Node(
            proto.op_type,
            proto.name or proto.op_type,
            [self.values[name] if name else None for name in proto.input],
            [name if self.build.uses.get(name) else "" for name in proto.output],
            attributes,
            self.opset,
        )
        if node.kind == "Constant":
            self._give(node.outputs[0], array=_constant(attributes))
            return
        canonical(node, self.build, self.onnx)
        layer = LAYERS.get(node.kind)
        if layer is None and node.kind not in OPERATIONS:
            raise Refused("is an operator that fastnn has not")
        if not self._computed(node):
            sketch, dims, dtypes = sketched(node, self.build), dims_of(node, self.build), dtypes_of(node)
            source = layer(node, self.build) if layer is not None else None
            several = source is None and (node.kind in TUPLES or node.used > 1)
            source = self._function(node) if source is None else source
            for place, name in enumerate(node.outputs):
                if name:
                    part = f"{source}[{place}]" if several or node.kind == "Split" else source
                    self._give(name, source=part, dims=dims[place], dtype=dtypes[place], sketch=sketch)

    def _computed(self, node: Node) -> bool:
        """Whether the node was, because all of its inputs are constants."""
        arrays = [None if value is None else value.array for value in node.inputs]
        sketch = sketched(node, self.build)
        if sketch is not None and np.all(sketch >= -1):
            self._give(node.outputs[0], array=sketch)
            return True
        missing = any(array is None for value, array in zip(node.inputs, arrays, strict=True) if value is not None)
        if missing or node.kind not in OPERATIONS or node.kind in LATER:
            return False
        operation = OPERATIONS[node.kind]
        settings = self._attributes(node)
        size = max((array.size for array in arrays if array is not None), default=1)
        if operation.size is not None:
            size = operation.size(*arrays, **{k: v for k, v in settings.items() if k != "outputs"})
        self.build.claim(size, np.float64)
        with np.errstate(all="ignore"):
            y = operation.forward(*arrays, **settings)
        learnt = any(value is not None and value.learnt for value in node.inputs)
        for name, array in zip(node.outputs, y if isinstance(y, tuple) else (y,), strict=False):
            if name:
                self._give(name, array=np.asarray(array), learnt=learnt)
        return True

    def _attributes(self, node: Node) -> dict[str, Any]:
        settings = dict(node.attributes)
        if node.kind in COUNTED:
            settings["outputs"] = len(node.outputs) if node.kind == "Split" else node.used
        unknown = unknown_attributes(node.kind, settings)
        if unknown:
            raise Refused(f"has the attribute {unknown[0][:40]!r}, which fastnn does not know")
        return settings

    def _function(self, node: Node) -> str:
        """The node as a `Function`."""
        if node.kind not in OPERATIONS:
            raise Refused("is of a form that fastnn has not: its inputs or attributes")
        constants: dict[int, Array | None] = {}
        sources = []
        for place, value in enumerate(node.inputs):
            if value is None or (value.array is not None and not (value.learnt and node.kind in LEARNING)):
                constants[place] = None if value is None else value.array
            else:
                sources.append(self.build.source(value, learnt=True))
        module = Function(node.kind, self._attributes(node), constants)
        return self.build.put_from(node, module, *sources)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _constant(attributes: dict[str, Any]) -> Array:
    found = [value for name, value in attributes.items() if name in _CONSTANTS]
    if len(found) != 1:
        raise Refused("is a constant of a kind that fastnn has not")
    (name,) = attributes
    return np.asarray(found[0], _CONSTANTS[name])


_CONSTANTS: dict[str, Any] = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _base(source: str) -> str:
    return source.partition("[")[0]


def _needed(nodes: dict[str, tuple[Any, ...]], outputs: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """The nodes that the outputs need."""
    wanted, left = set(), [_base(output) for output in outputs]
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += [_base(source) for source in nodes.get(name, (None,))[1:]]
    return {name: node for name, node in nodes.items() if name in wanted}
