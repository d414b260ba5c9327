"""The traces that a module with a forward of its own has, and their use."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn import _validate as check
from fastnn._validate import hints
from fastnn.layers.containers import fed_with_features
from fastnn.layers.module import Module
from fastnn.layers.own_forward import OwnForward
from fastnn.layers.parameter import tracing
from fastnn.layers.summary import Row
from fastnn.layers.symbol import Traced, TraceError
from fastnn.layers.tracing import Trace
from fastnn.plan.contract import NoPlan, NotYet
from fastnn.plan.steps import Steps
from fastnn.plan.wiring import Wiring, watch

MOST_TRACES = 16  # of one module


class Entry(NamedTuple):
    """A trace as it is used later.

    Attributes
    ----------
    sizes : of the batches, if it is for these alone
    is_tuple : whether the forward returns one
    unchanged : false once a module has another attribute
    """

    kind: Any
    wiring: Wiring
    sizes: tuple[int, ...] | None
    is_tuple: bool
    unchanged: Any

    def shaped(self, outputs: tuple[Any, ...]) -> Any:
        return outputs if self.is_tuple else outputs[0]


class Inputs(NamedTuple):
    """The arguments of a call: the arrays, their batches, and what is not theirs alone."""

    arrays: tuple[Any, ...]
    kind: Any
    sizes: tuple[int, ...]


def inputs_of(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
    """Look at the arguments of a call."""
    arrays: list[Any] = []
    kind: list[Any] = [module.training]
    for name, each in (*enumerate(args), *sorted(kwargs.items())):
        if isinstance(each, np.ndarray):
            arrays.append(each)
            kind.append((name, each.ndim, each.shape[1:], each.dtype))
        elif isinstance(each, bool | int | float | str | None):
            kind.append((name, type(each), each))
        else:
            check.array("x", each)
    if not arrays:
        check.array("x", args[0] if args else None)  # type: ignore[arg-type]
    return Inputs(tuple(arrays), tuple(kind), tuple(len(a) if a.ndim else -1 for a in arrays))


class Tracer:
    """What modules with a forward of their own leave to others."""

    def forward(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the forward of a module by its trace, which is made if there is none for such inputs.

        In train mode the run that is traced is the call itself: layers keep what their backward needs, and statistics
        are those of one call. In eval mode the traced run has no effect, and the graph gives the output.
        """
        inputs = inputs_of(module, args, kwargs)
        entry = self._known(module, inputs)
        if entry is None:
            trace, outputs, entry = self._traced(module, args, kwargs, inputs)
            if module.training:
                module._keep((entry, trace.kept_by_links(entry.wiring)))
                return entry.shaped(tuple(each._array for each in outputs))
        if not module.training:
            return entry.shaped(entry.wiring.infer(inputs.arrays))
        results, kept = entry.wiring.forward(inputs.arrays)
        module._keep((entry, kept))
        return entry.shaped(results)

    def _known(self, module: Any, inputs: Inputs) -> Entry | None:
        traces: tuple[Entry, ...] = module._traces
        for entry in traces:
            if entry.kind == inputs.kind and entry.sizes in (None, inputs.sizes) and entry.unchanged:
                return entry
        return None

    def _traced(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: Inputs
    ) -> tuple[Trace, tuple[Traced, ...], Entry]:
        if not module._traces and module.training:
            check.warn_of_bytes(inputs.arrays[0], stacklevel=6)
        fed_with_features(module)
        trace = Trace(module, list(inputs.arrays))
        symbols = iter(trace.inputs)
        given = [next(symbols) if isinstance(each, np.ndarray) else each for each in args]
        named = {
            name: next(symbols) if isinstance(kwargs[name], np.ndarray) else kwargs[name] for name in sorted(kwargs)
        }
        with tracing.by(trace.value_of):
            y = module.forward(*given, **named)
        outputs = tuple(y) if isinstance(y, tuple | list) else (y,)
        for each in outputs:
            if not isinstance(each, Traced):
                raise TraceError(
                    f"forward: returns {hints.kind_of(each)}; expected a value that came in or was made of one, "
                    "or a tuple of such values"
                )
        wiring = trace.wiring(outputs)
        sizes = inputs.sizes if trace.is_of_one_size else None
        is_tuple = isinstance(y, tuple | list)
        vars(module).setdefault("_traces", ())  # it comes below, and would be a change
        entry = Entry(inputs.kind, wiring, sizes, is_tuple, watch(module.modules()))
        others = [each for each in module._traces if each.kind != inputs.kind or each.sizes != sizes]
        vars(module)["_traces"] = (*others, entry)[-MOST_TRACES:]
        return trace, outputs, entry

    def backward(self, module: Any, dy: Any, accumulate: bool, needs_dx: bool) -> Any:
        """The gradients of the inputs: an array for one of them, otherwise a tuple."""
        entry, kept = check.kept(module, module._kept)
        gradients = check.graph_gradients(dy, len(entry.wiring.outputs))
        dx = entry.wiring.backward(gradients, kept, accumulate, needs_dx)
        module._keep(None)
        if not needs_dx:
            return None
        return dx[0] if len(dx) == 1 else dx

    def plan(self, module: Any, steps: Steps) -> None:
        """Write down the steps of a module; in train mode of one that has run, as an empty batch has no statistics."""
        x = steps.y
        inputs = inputs_of(module, (x,), {})
        try:
            entry = self._run_before(module, inputs) if module.training else self._known(module, inputs)
            entry = entry or self._traced(module, (x,), {}, inputs)[2]
        except NoPlan:
            raise
        except (TypeError, ValueError):
            raise
        except Exception as error:
            raise NoPlan(f"cannot be traced for an empty batch: {error}") from error
        if entry.sizes is not None or entry.is_tuple:
            raise NoPlan("its forward is for batches of one size, or gives several arrays")
        entry.wiring.plan(steps)

    def _run_before(self, module: Any, inputs: Inputs) -> Entry:
        """The trace for such inputs, whatever batches it is for."""
        for entry in reversed(module._traces):
            if entry.kind == inputs.kind and entry.unchanged:
                return entry
        raise NotYet(f"{type(module).__name__} has not been traced")

    def chain(self, module: Any, x: Any) -> tuple[Any, ...] | None:
        """What a module in train mode calls one after the other for `x`."""
        entry = self._known(module, inputs_of(module, (x,), {}))
        if entry is None:
            raise NotYet(f"{type(module).__name__} has not been traced")
        return None if entry.is_tuple else entry.wiring.chain()

    def wiring_of(self, module: Any, arrays: tuple[Any, ...]) -> Wiring:
        """The graph of a module for these inputs, which are run through it."""
        check.own_forward(module, getattr(module, "is_traced", False))
        inputs = inputs_of(module, arrays, {})
        entry = self._known(module, inputs) or self._traced(module, arrays, {}, inputs)[2]
        return entry.wiring

    def last_wiring_of(self, module: Any, place: str) -> Wiring:
        """The graph of the last call of a module in its present mode; errors begin with `place`."""
        for entry in reversed(module._traces):
            if entry.unchanged and entry.kind[0] == module.training:
                return entry.wiring
        mode = "train" if module.training else "eval"
        raise TypeError(
            f"{place}{type(module).__name__} has a forward that has not been traced in {mode} mode; expected an "
            "example of the inputs"
        )

    def rows(self, module: Any, x: Any, name: str) -> tuple[Any, list[Row]]:
        """The rows of a summary."""
        arrays = x if isinstance(x, tuple) else (x,)
        inputs = inputs_of(module, arrays, {})
        entry = self._known(module, inputs) or self._traced(module, arrays, {}, inputs)[2]
        outputs, rows = rows_of(entry.wiring, arrays, name)
        return entry.shaped(outputs), rows


def rows_of(wiring: Wiring, inputs: tuple[Any, ...], name: str) -> tuple[tuple[Any, ...], list[Row]]:
    """Run the nodes one by one; return the outputs, and a row for every layer."""
    values = dict(enumerate(inputs))

    def taken(sources: Any) -> tuple[Any, ...]:
        return tuple(values[value] if part is None else values[value][part] for value, part in sources)

    rows: list[Row] = []
    for place, node in enumerate(wiring.nodes):
        given = taken(node.sources)
        label = f"{name}.{node.name}".lstrip(".")
        if len(given) == 1:
            values[wiring.inputs + place], more = node.module._trace(given[0], label)
            rows += more
            continue
        y = node.module(*given)
        values[wiring.inputs + place] = y
        if given:
            first = y[0] if isinstance(y, tuple) else y
            held = tuple(node.module.parameters())
            rows.append(Row(label, type(node.module).__name__, given[0].shape, None, None, first.shape, held))
    return taken(wiring.outputs), rows


tracer = OwnForward.tracer = Tracer()
