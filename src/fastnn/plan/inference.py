"""A network in eval mode: neighbouring layers that have steps as one call, and the others by themselves in between.

Layers that are one call are a `Run`. It plans its steps when an input of a new shape comes, and keeps the plan. A plan
must never be stale. What it is made from changes in two ways:

- Layers: their modules must have the attributes that they had, the same objects; they are compared at every call
  (`Unchanged`). After a change the network is cut into runs anew.
- Values: an array can be written to by whoever has it, without a trace. So `Parameter.sealed` gives a token for it that
  is good for as long as nobody has had the array since; without one, everything is looked up anew at every call.

A layer is run by itself if it raises `NoPlan`, has a hook, or is in train mode. So a network is cut like this::

    Conv2d  ReLU  MaxPool2d | Yours | Flatten  Linear
    -------- one Run ------   itself  --- one Run ---
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fastnn._kernels._plan as _plan
import fastnn._kernels._plan_watch as _plan_watch
from fastnn import _validate as check
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous
from fastnn.plan.contract import NoPlan
from fastnn.plan.fusion import Pairs, fusion_of
from fastnn.plan.steps import Steps

MOST_PLANS = 16  # of one run: batches of so many sizes
INT64 = np.dtype(np.int64)

# Attributes of modules that may change: no step comes from them.
NOT_COMPUTED_WITH = ("_kept", "_looked_at_input", "_inference", "_pairs", "_traces", "_wiring")


class _Plan(NamedTuple):
    steps: Any
    shape: tuple[int, ...]  # of the output
    dtype: np.dtype[Any]
    rows: int  # of the table that an input of integers picks from; 0: of floats


class _Bound(NamedTuple):
    """Parameters as they were found, and the plans for their shapes."""

    weights: Any
    keepers: list[list[Array]]
    shapes: list[Any]
    plans: dict[Any, _Plan]


class Run:
    """Neighbouring layers as one call; it is to be used only while `unchanged` is true.

    Parameters
    ----------
    first : int
        Place of the first layer in the network.
    layers : tuple of Module
    """

    def __init__(self, first: int, layers: tuple[Any, ...]) -> None:
        self.first, self.layers = first, layers
        modules = _modules(layers)
        self.unchanged = _plan_watch.Unchanged(modules, NOT_COMPUTED_WITH)
        held = {id(each): each for layer in layers for _, each in layer.named_arrays()}
        self._parameters = list(held.values())
        self._bound: _Bound | None = None
        self._call: _plan.Call | None = None
        self._pairs = Pairs(layers)
        # Looked at once changes are noticed: other threads may make some meanwhile.
        self.ready = _modules(layers) == modules and not any(map(is_held_apart, layers))

    def __call__(self, x: Array) -> Any:
        """The output for `x`.

        Raises
        ------
        NoPlan
            Layers are to be run by themselves, whatever the input: those at the places ``places`` of the network.
        """
        call = self._call
        if call is not None and not use_reference():
            y = call.repeat(x)
            if y is not None:
                return y
        if type(x) is not np.ndarray or use_reference():
            return self._pairs.forward(x)
        bound = self._bound
        if bound is None or not bound.weights:
            bound = self._bound = self._bind(bound)
        planned = bound.plans.get((x.shape, x.dtype))
        if planned is None or not planned.steps.holds():
            planned = self._make(x, bound)
            if planned is None:
                return self._pairs.forward(x)
        if planned.rows:
            if not check.all_below(x, planned.rows):
                return self._pairs.forward(x)  # the layer will say so
            x = x.astype(INT64, copy=False)
        else:
            self._call = _plan.Call(planned.steps, bound.weights, x, planned.shape, planned.dtype)
        y = empty(planned.shape, planned.dtype)
        planned.steps.run(contiguous(x), y, bound.weights)
        return y

    def _bind(self, before: _Bound | None) -> _Bound:
        sealed = [p.sealed() for p in self._parameters]
        keepers = [keeper for keeper, _ in sealed]
        shapes = [(keeper[0].shape, keeper[0].dtype) for keeper in keepers]
        weights = _plan_watch.Weights(self._parameters, sealed, [contiguous(keeper[0]) for keeper in keepers])
        plans = before.plans if before and before.shapes == shapes else {}
        for plan in list(plans.values()):
            plan.steps.forget_weights()
        return _Bound(weights, keepers, shapes, plans)

    def _make(self, x: Array, bound: _Bound) -> _Plan | None:
        """A plan for inputs like `x`, or None if the layers are to be run one by one."""
        floats = x.dtype in (check.FLOAT32, check.FLOAT64)
        if not (x.ndim > 1 if floats else x.ndim and x.dtype.kind in "iu") or x.size == 0:
            return None
        places = {id(p): place for place, p in enumerate(self._parameters)}
        steps = Steps(x, places, [keeper[0] for keeper in bound.keepers])
        try:
            self._write(steps)
            made = steps.finished()
        except (TypeError, ValueError):
            return None  # the layer that something does not fit will say so
        if not self.unchanged:
            return None  # another thread has changed a layer, before its steps were written down or after
        for key in list(bound.plans)[: max(0, len(bound.plans) + 1 - MOST_PLANS)]:
            bound.plans.pop(key, None)
        plan = bound.plans[x.shape, x.dtype] = _Plan(made, steps.shape, steps.y.dtype, steps.rows)
        return plan

    def _write(self, steps: Steps) -> None:
        for place, layer in enumerate(self.layers, self.first):
            try:
                steps.write(layer)
            except NoPlan as error:
                error.places = (place,)
                raise
        if not steps.can_run():
            raise NoPlan("nothing is computed", tuple(range(self.first, self.first + len(self.layers))))


class Inference:
    """Layers called one after the other in eval mode."""

    def __init__(self, layers: tuple[Any, ...]) -> None:
        self.layers = layers
        self._without_steps: frozenset[int] = frozenset()  # places
        self._held_apart: tuple[Any, ...] = ()  # layers that are run by themselves for now
        self.parts = self._cut(0)

    def __call__(self, x: Any) -> Any:
        parts, place = self.parts, 0
        if self._held_apart and not all(map(is_held_apart, self._held_apart)):
            parts = self.parts = self._cut(0)
        while place < len(parts):
            part = parts[place]
            if part.__class__ is not Run:
                x = part(x)
                place += 1
            elif part.unchanged and part.ready:
                try:
                    x = part(x)
                    place += 1
                except NoPlan as error:
                    self._without_steps |= frozenset(error.places)
                    parts = self._cut_again(parts, place)
            else:
                parts = self._cut_again(parts, place)
        return x

    def _cut_again(self, parts: tuple[Any, ...], place: int) -> tuple[Any, ...]:
        """Other parts from the run at `place` on."""
        parts = self.parts = (*parts[:place], *self._cut(parts[place].first))
        return parts

    def _cut(self, first: int) -> tuple[Any, ...]:
        """The layers from `first` on as runs, and functions where a layer is run by itself.

        A ReLU that such a layer can do goes with it.
        """
        parts: list[Any] = []
        place, begin, end = first, first, len(self.layers)
        while place < end:
            layer = self.layers[place]
            if place not in self._without_steps and not is_held_apart(layer):
                place += 1
                continue
            if begin < place:
                parts.append(Run(begin, self.layers[begin:place]))
            begin = place + 1
            if begin < end and fusion_of(layer).in_forward and fusion_of(self.layers[begin]).is_relu:
                begin += 1
            parts.append(Pairs(self.layers[place:begin]).forward)
            place = begin
        if begin < end:
            parts.append(Run(begin, self.layers[begin:end]))
        self._held_apart = tuple(layer for layer in self.layers if is_held_apart(layer))
        return tuple(parts)


def is_held_apart(layer: Any) -> bool:
    """Whether the layer or a layer inside it has a hook or is in train mode: it is run by itself for so long."""
    return any(module.training or module._hooks for module in layer.modules())


def _modules(layers: tuple[Any, ...]) -> list[Any]:
    return [module for layer in layers for module in layer.modules()]
