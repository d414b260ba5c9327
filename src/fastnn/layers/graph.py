"""Networks of any acyclic form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.layers.containers import fed_with_features
from fastnn.layers.module import Module
from fastnn.layers.naming import naming_layers
from fastnn.layers.parameter import one_backward
from fastnn.layers.summary import Row
from fastnn.layers.symbol import traced_call
from fastnn.layers.traces import rows_of, tracer
from fastnn.plan.steps import Steps
from fastnn.plan.wiring import Node, Source, Wiring


class Graph(Module):
    """A network of any acyclic form: named nodes, each a layer and the values that go into it.

    A node is named in the graph, and takes inputs and other nodes by their names. `Add`, `Sub`, `Mul`, `Div` and `Cat`
    take several. Of a node that gives several values, as `Split`, ``"split[0]"`` is the first. One layer may be at
    several nodes: its gradients are summed. Nodes may be written in any order.

    In eval mode the nodes run in as few calls of compiled code as they can, as the layers of a `Sequential` do.

    Parameters
    ----------
    nodes : dict from names to (layer, input, ...)
        The names are those in the state dict, and may have points.
    inputs : names of the inputs, one or several
    outputs : names of the outputs, by default the last node
        With several of them `forward` returns a tuple, and `backward` takes one. So do inputs: `backward` then returns
        a tuple.

    Raises
    ------
    TypeError, ValueError
        Names are not known, or there twice; nodes wait for one another; nobody takes what a node gives.

    Examples
    --------
    >>> net = fnn.Graph({
    ...     "conv": (fnn.Conv2d(3, 8, 3, padding=1), "x"),
    ...     "gate": (fnn.Sigmoid(), "conv"),
    ...     "swish": (fnn.Mul(), "conv", "gate"),
    ... })
    >>> net(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 8, 8, 8)
    >>> dx = net.backward(np.ones((2, 8, 8, 8), np.float32))  # "conv" has the sum of both ways
    """

    joins = True
    _wiring: Wiring | None = None

    def __init__(
        self,
        nodes: Mapping[str, Any],
        inputs: str | Iterable[str] = "x",
        outputs: str | Iterable[str] | None = None,
    ) -> None:
        names = check.graph_names(nodes, "nodes")
        self.inputs = check.graph_names(inputs, "inputs")
        check.graph_names((*self.inputs, *names), "inputs and nodes")
        given = {name: check.graph_node(name, nodes[name], Module) for name in names}
        known = dict.fromkeys((*self.inputs, *names))
        sources = {name: check.graph_sources(f"node {name!r}", given[name][1], known) for name in names}
        order = check.graph_order(self.inputs, {name: [base for base, _ in sources[name]] for name in names})
        self.outputs = check.graph_outputs(order[-1:] if outputs is None else outputs)
        leaves = check.graph_sources("outputs", self.outputs, known)
        taken = {base for each in (*sources.values(), leaves) for base, _ in each}
        check.graph_uses([name for name in known if name not in taken], self.inputs)
        number = {name: place for place, name in enumerate((*self.inputs, *order))}

        def numbered(those: Iterable[tuple[str, int | None]]) -> tuple[Source, ...]:
            return tuple(Source(number[base], part) for base, part in those)

        self._nodes = tuple(Node(name, given[name][0], numbered(sources[name])) for name in order)
        self._leaves = numbered(leaves)
        for module in self.children():
            fed_with_features(module)

    def __call__(self, *inputs: Any) -> Any:
        arrays = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], tuple | list) else inputs
        y = traced_call(self, arrays)
        if y is not None:
            return y
        return super().__call__(arrays[0] if len(arrays) == 1 else tuple(arrays))

    def _wired(self) -> Wiring:
        wiring = self._wiring
        if wiring is None:
            wiring = self._wiring = Wiring(len(self.inputs), self._nodes, self._leaves)
        return wiring

    def forward(self, x: Any) -> Any:
        """Compute the output, or a tuple of several.

        Parameters
        ----------
        x : array, or a tuple of as many as there are inputs
        """
        inputs = tuple(x) if isinstance(x, tuple | list) else (x,)
        check.graph_inputs(inputs, self.inputs)
        if self.training:
            outputs, kept = self._wired().forward(inputs)
            self._keep(kept)
        else:
            outputs = self._wired().infer(inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    @one_backward
    @naming_layers
    def backward(self, dy: Any, accumulate: bool = False, needs_dx: bool = True) -> Any:
        """As `Module.backward`.

        Parameters
        ----------
        dy : array, or a tuple of as many as there are outputs
            None stands for an output that nothing was made of.

        Returns
        -------
        array, or a tuple of as many as there are inputs, or None without `needs_dx`
        """
        kept = check.kept(self, self._kept)
        gradients = check.graph_gradients(dy, len(self.outputs))
        dx = self._wired().backward(gradients, kept, accumulate, needs_dx)
        self._keep(None)
        if not needs_dx:
            return None
        return dx[0] if len(dx) == 1 else dx

    def plan(self, steps: Steps) -> None:
        self._wired().plan(steps)

    def _chain(self, x: Any) -> tuple[Any, ...] | None:
        return self._wired().chain()

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The layers, each under the name of the first node that it is at."""
        seen: set[int] = set()
        for node in self._nodes:
            if id(node.module) not in seen:
                seen.add(id(node.module))
                yield node.name, node.module

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, name: str) -> Module:
        """The layer at the node of that name."""
        for node in self._nodes:
            if node.name == name:
                return node.module
        raise KeyError(check.graph_no_node(name, [node.name for node in self._nodes]))

    def nodes(self) -> dict[str, tuple[Any, ...]]:
        """The nodes as they were given: a dict from names to (layer, input, ...)."""
        names = (*self.inputs, *(node.name for node in self._nodes))
        return {node.name: (node.module, *(_written(names, each) for each in node.sources)) for node in self._nodes}

    def _trace(self, x: Any, name: str) -> tuple[Any, list[Row]]:
        inputs = x if isinstance(x, tuple) else (x,)
        check.graph_inputs(inputs, self.inputs)
        outputs, rows = rows_of(self._wired(), inputs, name)
        return outputs[0] if len(outputs) == 1 else outputs, rows

    def __repr__(self) -> str:
        lines = [f"({', '.join(self.inputs)})"]
        for name, (module, *sources) in self.nodes().items():
            lines.append(f"({name}): {module!r} of {', '.join(sources) or 'nothing'}".replace("\n", "\n  "))
        return "Graph(\n  " + "\n  ".join([*lines[1:], f"{lines[0]} to ({', '.join(self.outputs)})"]) + "\n)"


def _written(names: tuple[str, ...], source: Source) -> str:
    return names[source.value] if source.part is None else f"{names[source.value]}[{source.part}]"


def trace(module: Module, *inputs: Array) -> Graph:
    """The graph of a module whose class has a forward, and no backward: the same layers, under the same names.

    It is what the module runs as. A graph can be saved, cut and looked at without the class.

    Parameters
    ----------
    module : Module
        Of its forward is run once, in eval mode or in train mode, as it is.
    *inputs : array
        Examples of what it will get. A forward that uses the number of examples, other than in the first place of a
        `view`, gives a graph for that number.

    Returns
    -------
    Graph
        With the inputs ``x``, ``x1``, ...

    Raises
    ------
    TypeError
        The forward does something that no graph can do again.

    Examples
    --------
    >>> class Block(fnn.Module):
    ...     def __init__(self):
    ...         self.conv = fnn.Conv2d(3, 3, 3, padding=1)
    ...
    ...     def forward(self, x):
    ...         return x + self.conv(x).relu()
    >>> graph = fnn.trace(Block(), np.ones((1, 3, 8, 8), np.float32))
    >>> list(graph.nodes())
    ['conv', 'relu', 'add']
    """
    return _graph_of(module, tracer.wiring_of(module, inputs))


def traced_graph(module: Module, place: str = "") -> Graph:
    """The graph that a module with a forward of its own has been traced to at its last call in its present mode.

    Raises
    ------
    TypeError
        There is none; begins with `place`.
    """
    return _graph_of(module, tracer.last_wiring_of(module, place))


def _graph_of(module: Module, wiring: Wiring) -> Graph:
    names = tuple("x" if place == 0 else f"x{place}" for place in range(wiring.inputs))
    taken = {node.name for node in wiring.nodes}
    inputs_named = tuple(f"{name}_in" if name in taken else name for name in names)
    graph = Graph.__new__(Graph)
    graph.inputs, graph._nodes, graph._leaves = inputs_named, wiring.nodes, wiring.outputs
    every = (*graph.inputs, *(node.name for node in wiring.nodes))
    graph.outputs = tuple(_written(every, each) for each in wiring.outputs)
    graph.training = module.training
    return graph
