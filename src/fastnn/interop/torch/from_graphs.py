"""The forward of a module of PyTorch's, traced by torch.fx, as a `Graph`."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import layers
from fastnn._extras import require
from fastnn.interop.torch import operations
from fastnn.interop.torch.values import Length, Parts, Shape, Unknown, Value
from fastnn.layers.joints import Constant

# Layers whose output may be the memory of their input in PyTorch: what is written into one shows in the other.
_VIEWS = (
    *(layers.Reshape, layers.Permute, layers.Slice, layers.Split, layers.Flatten, layers.Unflatten, layers.Identity),
    *(layers.Dropout, layers.Dropout2d),
)


class Reader:
    """The graph of one module, which is made node by node.

    Parameters
    ----------
    reading : what makes layers and arrays
    theirs : torch.nn.Module
    name : of the module in the network
    inputs : examples, or none
    """

    def __init__(self, reading: Any, theirs: Any, name: str, inputs: tuple[Any, ...]) -> None:
        self.reading, self.theirs, self.name, self.torch = reading, theirs, name, reading.torch
        self._attributes = set(vars(theirs))
        self.fx = _traced(reading, theirs, name)
        self.inputs: list[str] = []
        self.nodes: dict[str, tuple[Any, ...]] = {}
        self.known: dict[Any, Any] = {}  # what each node of torch.fx's stands for
        self.shapes = self._shapes(inputs) if inputs else {}
        self.dtype = self._dtype(inputs)
        self.now: Any = None  # the node of torch.fx's that is read
        self._taken = {str(node.target) for node in self.fx.nodes if node.op in ("call_module", "get_attr")}
        self._constants: dict[Any, Value] = {}
        self._memory: dict[Any, Any] = {}  # of each node of torch.fx's, the one whose memory its value may be

    def _shapes(self, inputs: tuple[Any, ...]) -> dict[Any, Any]:
        """The shape of each value for the examples, or a tuple of the shapes of its parts."""
        fx = require("torch.fx", "reading a PyTorch module", "torch")
        found: dict[Any, Any] = {}

        class Noting(fx.Interpreter):  # type: ignore[misc,name-defined]
            def run_node(self, node: Any) -> Any:
                result = super().run_node(node)
                if hasattr(result, "shape"):
                    found[node] = tuple(result.shape)
                elif isinstance(result, tuple | list) and all(hasattr(each, "shape") for each in result):
                    found[node] = tuple(tuple(each.shape) for each in result)
                return result

        module = fx.GraphModule(self.theirs, self.fx)
        with self.reading.evaluated(self.theirs):
            try:
                Noting(module, garbage_collect_values=False, graph=self.fx).run(*(each.clone() for each in inputs))
            except Exception as error:
                reason = str(error).splitlines()[0]
                raise TypeError(f"{self._place()}cannot be run with these inputs: {reason}") from error
        return found

    def _dtype(self, inputs: tuple[Any, ...]) -> np.dtype[Any]:
        floats = [each.dtype for each in (*self.theirs.parameters(), *inputs) if each.is_floating_point()]
        found = str((floats or [self.torch.get_default_dtype()])[0]).removeprefix("torch.")
        return np.dtype(found if found in ("float32", "float64") else "float32")

    def graph(self) -> layers.Graph:
        """The graph of all nodes that the outputs are made of."""
        try:
            return self._graph()
        finally:
            for name in vars(self.theirs).keys() - self._attributes:  # torch.fx leaves tensors that a forward makes
                del vars(self.theirs)[name]

    def _graph(self) -> layers.Graph:
        outputs: tuple[str, ...] = ()
        for node in self.fx.nodes:
            self.now = node
            try:
                if self.now.op == "output":
                    outputs = self._outputs(self.now.args[0])
                else:
                    self.known[self.now] = self._read(self.now)
                    self._note_writing(self.now)
            except Unknown as error:
                raise TypeError(f"{self._place()}node {self.now.name}: {error}") from None
            except (TypeError, ValueError) as error:
                what = f"{_called(self.now)}: {error}" if self.now.op != "call_module" else str(error)
                raise TypeError(f"{self._place()}node {self.now.name}: {what}") from error
        graph = layers.Graph(self._needed(outputs), self.inputs, outputs)
        graph.training = self.theirs.training
        return graph

    def _place(self) -> str:
        return f"layer {self.name}: " if self.name else f"{type(self.theirs).__name__}: "

    def _needed(self, outputs: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        waiting, needed = list(outputs), set()
        while waiting:
            name = waiting.pop().partition("[")[0]
            if name not in needed:
                needed.add(name)
                waiting += self.nodes.get(name, (None,))[1:]
        return {name: node for name, node in self.nodes.items() if name in needed}

    def _outputs(self, returned: Any) -> tuple[str, ...]:
        values = self.resolved(returned)
        if isinstance(values, Parts):
            values = values.all()
        found = values if type(values) in (tuple, list) else (values,)
        for each in found:
            if not isinstance(each, Value):
                came = "a shape or length" if isinstance(each, Shape | Length) else type(each).__name__
                raise Unknown(f"returns {came}; expected tensors that come from the inputs, or a tuple of them")
        return tuple(each.name for each in found)

    # One node

    def _read(self, node: Any) -> Any:
        if node.op == "placeholder":
            return self._input(node)
        if node.op == "get_attr":
            return self._array(node)
        args, kwargs = self.resolved(node.args), self.resolved(node.kwargs)
        if node.op == "call_module":
            return self._module(node, args, kwargs)
        if node.op == "call_function" and not _has_values((args, kwargs)):
            return node.target(*args, **kwargs)  # of settings alone
        return operations.done(self, operations.name_of(node), args, kwargs)

    def _input(self, node: Any) -> Any:
        if node.args:  # it has a default, which is used
            return node.args[0]
        name = self._free(str(node.target).removeprefix("*"))
        self.inputs.append(name)
        return self._value(name, True)

    def _array(self, node: Any) -> Any:
        owner, _, leaf = str(node.target).rpartition(".")
        module = self.theirs.get_submodule(owner)
        tensor = getattr(module, leaf)
        if not isinstance(tensor, self.torch.Tensor):
            raise Unknown(f"uses {node.target}, a {type(tensor).__name__}; expected a tensor")
        known = leaf in module._parameters or leaf in module._buffers
        kept = known and leaf not in module._non_persistent_buffers_set
        held = self.reading.array(tensor, str(node.target), kept)
        return Value("", False, tuple(tensor.shape), held, str(node.target))

    def _module(self, node: Any, args: Any, kwargs: Any) -> Any:
        target = str(node.target)
        layer = self.reading.layer(self.theirs.get_submodule(target), f"{self.name}.{target}".lstrip("."))
        if len(args) != 1 or kwargs:
            raise Unknown(f"calls the {type(layer).__name__} with {len(args)} inputs; expected one")
        whole = self.add(layer, args, target, exact=target not in self.nodes)
        return Parts(whole, 2, self.shapes.get(node)) if getattr(layer, "return_indices", False) else whole

    # What operations are made of

    def add(self, layer: layers.Module, inputs: Any, name: str | None = None, exact: bool = False) -> Value:
        """A layer as a node, named as the node of torch.fx's if it has no name of its own."""
        values = [self.value(each) for each in inputs]
        label = name if exact and name else self._free(name or self.now.name)
        if id(layer) not in {id(made) for made in self.reading.made.values()}:
            layer.training = self.theirs.training
        if isinstance(layer, layers.Dropout | layers.Dropout2d) and self.now.op != "call_module":
            layer.training = True  # it is made only where it is to drop
        self.nodes[label] = (layer, *(each.name for each in values))
        batched = any(each.batched for each in values) and operations.keeps_batch(layer)
        return self._value(label, batched)

    def _value(self, name: str, batched: bool) -> Value:
        shape = self.shapes.get(self.now)
        return Value(name, batched, shape if shape is None or not any(isinstance(n, tuple) for n in shape) else None)

    def value(self, each: Any) -> Value:
        """The value that goes into a node: an array or a number becomes a constant."""
        if isinstance(each, Value):
            if each.held is None:
                return each
            return self._constant(id(each.held), each.held, each.target)
        if isinstance(each, Length):
            each = self.number(each)
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise Unknown(f"{_called(self.now)} takes {type(each).__name__}; expected a tensor or number")
        array = np.array(each, self.dtype)
        return self._constant((array.dtype, array.tobytes()), layers.Buffer(array, persistent=False), "constant")

    def _constant(self, key: Any, held: Any, name: str) -> Value:
        if key not in self._constants:
            label = name if name in self._taken and name not in self.nodes else self._free(name)
            constant = Constant(held)
            constant.training = self.theirs.training
            self.nodes[label] = (constant,)
            self._constants[key] = Value(label, False, held.shape)
        return self._constants[key]

    def number(self, each: Any) -> int:
        """A length as a number."""
        if not isinstance(each, Length):
            return int(operator.index(each))
        found = each.number
        if found is None:
            raise Unknown(f"{_called(self.now)} uses {each.text}; {each.remedy}")
        return found

    def numbers(self, values: Any) -> Any:
        """Settings, in which lengths have become numbers."""
        if isinstance(values, Length):
            return self.number(values)
        if isinstance(values, tuple | list):
            return tuple(self.numbers(each) for each in values)
        return values

    def resolved(self, values: Any) -> Any:
        """The arguments of a node, with what we know in the place of torch.fx's nodes."""
        if isinstance(values, tuple | list):
            return tuple(self.resolved(each) for each in values)
        if isinstance(values, dict):
            return {name: self.resolved(each) for name, each in values.items()}
        if isinstance(values, slice):
            return slice(*(self.numbers(self.resolved(each)) for each in (values.start, values.stop, values.step)))
        return self.known[values] if type(values).__name__ == "Node" else values

    def _free(self, name: str) -> str:
        free, number = name, 0
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free

    # Writing in place

    def _note_writing(self, node: Any) -> None:
        """Later readers of a value that is written into read what has been written."""
        first = next((each for each in node.args if type(each).__name__ == "Node"), None)
        writes = first is not None and operations.writes_in_place(node, self.theirs)
        value = self.known[node]
        entry = self.nodes.get(value.name.partition("[")[0]) if isinstance(value, Value) else None
        is_view = isinstance(value, Parts) or self.known.get(first) is value
        is_view = is_view or (entry is not None and isinstance(entry[0], _VIEWS)) or "getitem" in str(node.target)
        self._memory[node] = self._memory[first] if first is not None and (writes or is_view) else node
        if not writes:
            return
        old = self.known[first]
        for other, memory in list(self._memory.items()):
            if memory is not self._memory[first] or other is node or not self._is_read_later(other, node):
                continue
            if self.known[other] is not old:
                raise Unknown(f"{_called(node)} writes into the memory of {other.name}, which is read later")
            self.known[other] = value

    @staticmethod
    def _is_read_later(other: Any, node: Any) -> bool:
        return any(user > node for user in other.users)


def _called(node: Any) -> str:
    return f"{operations.name_of(node)}()"


def _has_values(values: Any) -> bool:
    if isinstance(values, tuple | list):
        return any(_has_values(each) for each in values)
    if isinstance(values, dict):
        return any(_has_values(each) for each in values.values())
    if isinstance(values, slice):
        return False
    return isinstance(values, Value | Parts | Shape | Length)


def _traced(reading: Any, theirs: Any, name: str) -> Any:
    """The graph that torch.fx makes of a forward; arguments with a default have it."""
    fx = require("torch.fx", "reading a PyTorch module", "torch")

    class InPlace(fx.Proxy):  # type: ignore[misc,name-defined]
        """A value of torch.fx's, in which ``x += y`` is not noted as ``x = x + y``: it changes x for other readers."""

    def writing(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, other: self.tracer.create_proxy("call_function", function, (self, other), {})

    for name_in_python in ("iadd", "isub", "imul", "itruediv"):
        setattr(InPlace, f"__{name_in_python}__", writing(getattr(operator, name_in_python)))

    class Tracer(fx.Tracer):  # type: ignore[misc,name-defined]
        proxy_buffer_attributes = True  # what is computed of buffers is a part of the graph

        def proxy(self, node: Any) -> Any:
            return InPlace(node, self)

        def is_leaf_module(self, module: Any, path: str) -> bool:
            return bool(reading.is_layer(module))

    place = f"layer {name}: " if name else f"{type(theirs).__name__}: "
    forward: Callable[..., Any] = theirs.forward
    arguments = inspect.signature(forward).parameters.values()
    defaults = {each.name: each.default for each in arguments if each.default is not each.empty}
    try:
        return Tracer().trace(theirs, concrete_args=defaults)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TypeError(f"{place}torch.fx cannot trace its forward: {reason}") from error
