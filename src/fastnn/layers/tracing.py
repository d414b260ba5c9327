"""From a `forward` that somebody has written to a graph.

The first call for a kind of input runs the forward once, with the real layers and values that note what is done with
them (`Traced`). What was noted is a `Wiring`, which is run from then on::

    class Block(fnn.Module):                       0  Conv2d      value 1, of 0
        def forward(self, x):              ─▶      1  ReLU        value 2, of 1
            y = self.conv(x).relu()                2  Add         value 3, of 2 and 0
            return y + x

Modules that are traced themselves, and plain `Sequential`s, become a part of the graph around them; every other module
is a node. A trace holds for inputs of the same axes, lengths (but for the batch) and dtypes, and as long as all modules
have the attributes that they had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastnn._validate import hints
from fastnn.layers import joints, rearrange
from fastnn.layers.activation import ReLU
from fastnn.layers.containers import Sequential
from fastnn.layers.dropout import Dropout, Dropout2d
from fastnn.layers.functions import NAMED, layer_of
from fastnn.layers.module import Module
from fastnn.layers.parameter import Buffer, Held, Parameter, tracing
from fastnn.layers.shape import Flatten, Unflatten
from fastnn.layers.softmax import LogSoftmax, Softmax
from fastnn.layers.symbol import Length, Traced, TraceError
from fastnn.plan.wiring import Kept, Node, Source, Wiring


class Trace:
    """One run of a forward."""

    def __init__(self, root: Module, arrays: list[Any]) -> None:
        self.root, self.arrays = root, arrays
        self.names = {id(module): name for name, module in root.named_modules()}
        self.held = {id(held): name for name, held in root.named_arrays()}
        self.nodes: list[Node] = []
        self.kept: list[list[tuple[Any, Any]]] = []  # for each node, what its modules kept for a backward
        self.is_of_one_size = len({len(a) for a in arrays if a.ndim}) > 1
        self.inputs = [Traced(self, Source(place), a, a.ndim > 0) for place, a in enumerate(arrays)]
        self._constants: dict[Any, Traced] = {}
        self._taken: dict[str, int] = {}  # names of nodes, and the last number behind each

    def call(self, module: Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What stands for the output of a module, which becomes a part of the graph, or a node."""
        if not module._hooks and id(module) in self.names:
            if module.is_traced:
                return module.forward(*inputs, **named)
            if isinstance(module, Sequential) and type(module).forward is Sequential.forward and len(inputs) == 1:
                x = inputs[0]
                for layer in module.layers:
                    x = layer(x)
                return x
        if named:
            raise TraceError(
                f"forward: calls a {type(module).__name__} with {', '.join(named)}=; expected inputs alone"
            )
        return self.node(module, inputs, self.names.get(id(module)))

    def node(self, module: Module, inputs: Iterable[Any], name: str | None = None) -> Any:
        """A module as a node, run with the values that are there."""
        taken = [self._value(each, inputs) for each in inputs]
        if id(module) not in self.names:
            self._must_be_nameless(module)
            if not self.root.training and not isinstance(module, Dropout | Dropout2d):
                module.training = False  # nobody else tells it; a dropout is made only where it is to drop
        with tracing.by(None):  # a module runs with arrays, and its parameters are arrays
            y = module(*(each._array for each in taken))
        number = len(self.arrays) + len(self.nodes)
        name = self._free(name or type(module).__name__.lower())
        self.nodes.append(Node(name, module, tuple(each._source for each in taken)))
        self.kept.append([(inner, inner._kept) for inner in module.modules()])
        if isinstance(y, tuple):
            batch = _keeps_batch(module, taken, y[0])
            return tuple(Traced(self, Source(number, part), each, batch) for part, each in enumerate(y))
        return Traced(self, Source(number), y, _keeps_batch(module, taken, y))

    def _must_be_nameless(self, module: Module) -> None:
        """A module that is nowhere in the network has nothing to learn, or it would not be learnt."""
        if next(module.named_arrays(), None) is not None and not all(
            id(held) in self.held for _, held in module.named_arrays()
        ):
            raise TraceError(
                f"forward: calls a {type(module).__name__} that is no part of the network, so it would not be learnt; "
                f"expected an attribute of the module, or in a list or dict a ModuleList or ModuleDict"
                f"{_found_in(self.root, module)}"
            )

    def _free(self, name: str) -> str:
        number, free = self._taken.get(name, 0), name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken[name] = number
        self._taken.setdefault(free, 0)
        return free

    def _value(self, each: Any, others: Iterable[Any]) -> Traced:
        """The value that stands for an input of a node, which may be a parameter, an array or a number."""
        if isinstance(each, Traced):
            if each._trace is not self:
                raise TraceError("forward: uses a value of another call; expected those that came in")
            return each
        if isinstance(each, Length):
            each = int(each)
        if isinstance(each, Held):
            return self.value_of(each)
        if not isinstance(each, int | float | np.ndarray | np.number):
            raise TypeError(f"forward: got {hints.kind_of(each)} beside a value; expected a value, array or number")
        like = next(other for other in others if isinstance(other, Traced))
        array = np.array(each, like.dtype)
        return self._constant((array.shape, array.dtype, array.tobytes()), array, "constant")

    def value_of(self, held: Held) -> Traced:
        """The value that stands for a parameter or buffer."""
        if id(held) not in self.held:
            raise TraceError("forward: uses a Parameter that is no attribute of a module; expected one that is")
        return self._constant(id(held), held, self.held[id(held)])

    def _constant(self, key: Any, value: Any, name: str) -> Traced:
        if key not in self._constants:
            is_held = isinstance(value, Parameter | Buffer)
            module = joints.Constant(value if is_held else Buffer(value, persistent=False))
            module.training = self.root.training
            number = len(self.arrays) + len(self.nodes)
            self.nodes.append(Node(self._free(name), module, ()))
            self.kept.append([])
            self._constants[key] = Traced(self, Source(number), module.value.data, False)
        return self._constants[key]

    def wiring(self, outputs: Iterable[Traced]) -> Wiring:
        """The nodes that the outputs are made of."""
        inputs, sources = len(self.arrays), [each._source for each in outputs]
        needed = {source.value for source in sources}
        for place in reversed(range(len(self.nodes))):
            if inputs + place in needed:
                needed |= {source.value for source in self.nodes[place].sources}
        self.places = [place for place in range(len(self.nodes)) if inputs + place in needed]
        number = {value: value for value in range(inputs)}
        number |= {inputs + place: inputs + new for new, place in enumerate(self.places)}

        def moved(old: Iterable[Source]) -> tuple[Source, ...]:
            return tuple(Source(number[value], part) for value, part in old)

        nodes = [self.nodes[place] for place in self.places]
        return Wiring(inputs, [node._replace(sources=moved(node.sources)) for node in nodes], moved(sources))

    def kept_by_links(self, wiring: Wiring) -> Kept:
        """What the shared modules of each link kept when this was run."""
        kept: Kept = []
        for link in wiring.links:
            shared = {id(module) for module in link.shared}
            stored = (each for place in link.places for each in self.kept[self.places[place]])
            kept.append([each for each in stored if id(each[0]) in shared] or None)
        return kept

    def joined(self, function: str, a: Any, b: Any) -> Any:
        """An operator between values."""
        return self.node(joints.ARITHMETIC[function](), (a, b), function)

    def layer(self, name: str, x: Traced, *settings: Any) -> Any:
        """A layer of that name, of `x`."""
        numbers = [int(each) if isinstance(each, Length) else each for each in settings]
        return self.node(NAMED[name](*numbers), (x,), name.lower())

    def reshape(self, x: Traced, shape: Iterable[Any]) -> Any:
        """A reshape, for batches of any size where the first length is the batch's."""
        lengths = list(shape)
        is_batch = bool(lengths) and isinstance(lengths[0], Length) and (x._has_batch or -1 not in lengths[1:])
        if is_batch:
            lengths[0] = 0 if x._has_batch else -1
        y = self.layer("Reshape", x, *lengths)
        y._has_batch |= is_batch
        return y

    def expanded(self, x: Traced, sizes: Iterable[Any], like: Any = None) -> Any:
        """An expand, for batches of any size where the first length is the batch's."""
        lengths = list(sizes)
        if lengths and isinstance(lengths[0], Length):
            like = None if x._has_batch else next((each for each in self.inputs if each._has_batch), None)
            lengths[0] = -1 if like is None else 0
        inputs = (x,) if like is None else (x, like)
        return self.node(joints.Expand(*map(int, lengths)), inputs, "expand")

    def function(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a function of `fastnn.functional`."""
        module, inputs, activation = layer_of(function, args, kwargs)
        y = self.node(module, inputs, function.__name__)
        return y if activation is None else self.node(ReLU(), (y,), activation)


def _keeps_batch(module: Module, taken: list[Traced], y: Any) -> bool:
    """Whether the first axis of an output is the batch, and the others are no longer or shorter for its size."""
    if not any(each._has_batch for each in taken) or not y.ndim:
        return False
    x = next(each for each in taken if each._has_batch)._array
    match module:
        case rearrange.Reshape():
            rest = np.prod(module.shape[1:]) if len(module.shape) > 1 else 1
            return module.shape[0] == 0 or (module.shape[0] == -1 and rest == np.prod(x.shape[1:]))
        case rearrange.Permute():
            return module.dims[0] in (0, -x.ndim)
        case rearrange.Slice():
            return module.index[0] == slice(None) or (module.index[0] is ... and len(module.index) <= x.ndim)
        case rearrange.Mean() | rearrange.Sum():
            return not {0, -x.ndim} & set(module.dim)
        case joints.Cat() | joints.Split():
            return module.dim not in (0, -x.ndim)
        case Flatten():
            return module.start_dim not in (0, -x.ndim)
        case Unflatten() | Softmax() | LogSoftmax():
            return module.dim not in (0, -x.ndim)
        case joints.MatMul():
            first, second = taken
            if second.ndim == 1:
                return first._has_batch and first.ndim > 1
            return (first._has_batch or y.ndim > 2) and any(
                each._has_batch and each.ndim == y.ndim for each in (first, second)
            )
        case joints.Expand() if module.sizes:
            return module.sizes[0] == 0 or (module.sizes[0] == -1 and taken[0]._has_batch)
        case joints.Expand():
            return taken[1]._has_batch
        case joints.Joint():
            return y.shape[0] == x.shape[0] and y.ndim == x.ndim
    return y.shape[0] == x.shape[0]


def _found_in(root: Module, module: Module) -> str:
    """In which list or dict of which attribute a module is that is no part of the network."""
    for name, owner in root.named_modules():
        for attribute, value in vars(owner).items():
            inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
            if any(each is module for each in inside):
                return f": it is in the {type(value).__name__} {f'{name}.{attribute}'.lstrip('.')}"
    return ""
