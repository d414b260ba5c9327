"""A training step of a network of which some layers, or the loss, have no steps of training.

Neighbouring layers that have steps are a *stretch*, which is planned; the others run by themselves in between. A layer
runs by itself if it raises `NoPlan`, has a hook, is in eval mode, or is not one of fastnn's::

    Conv2d  ReLU  MaxPool2d | Yours | Flatten  Linear  CrossEntropyLoss
    ------- stretch ------   itself  ----------- stretch -------------

    forward    the first stretch, Yours, and both ways of the last stretch, with the gradient of its input
    backward   Yours, and the first stretch from the gradient of its scores
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fastnn._kernels._plan_train_learnt as _learnt
from fastnn import _validate as check
from fastnn._runtime import empty
from fastnn._validate import Array
from fastnn.functional._door import contiguous
from fastnn.plan.contract import NoPlan, NotYet
from fastnn.plan.inference import MOST_PLANS
from fastnn.plan.training_steps import TrainingSteps


class Planned(NamedTuple):
    """A plan of training for inputs, and perhaps targets, of one shape."""

    steps: Any
    scores: tuple[int, ...]  # their shape
    dtype: np.dtype[Any]
    rows: int  # of the table that an input of integers picks from; 0: of floats
    counts: list[Any]  # buffers that count steps
    dropped: list[tuple[int, Any]]  # steps that need a key, and the layers that it is of

    def taken(self, x: Array) -> Array | None:
        """`x` as the plan takes it, or None where it has an index that no row has, as the layer will say."""
        if not self.rows:
            return contiguous(x)
        return contiguous(x.astype(np.int64, copy=False)) if check.all_below(x, self.rows) else None

    def set_keys(self) -> None:
        for place, layer in self.dropped:
            self.steps.set_key(place, *layer.next_key())

    def take_keys_back(self) -> None:
        """As if there had been no step."""
        for _, layer in self.dropped:
            layer.step -= 1

    def count_step(self) -> None:
        for buffer in self.counts:
            buffer.data[...] += 1


def planned(steps: TrainingSteps, scores: tuple[int, ...], learnt: Any, needs_dx: bool) -> Planned | None:
    """The plan of steps that are written down, or None where there is nothing to plan."""
    if not steps.can_run() or not steps.plan.settle(learnt, needs_dx):
        return None
    return Planned(steps.plan, scores, steps.y.dtype, steps.rows, steps.counts, steps.dropped)


class _Stretch(NamedTuple):
    plan: Planned
    learnt: Any
    first: int  # places of layers
    end: int
    has_loss: bool
    needs_dx: bool

    def forward(self, x: Array) -> Array | None:
        """The scores, or None where nothing has been done."""
        y = empty(self.plan.scores, self.plan.dtype)
        self.plan.set_keys()
        if not self.plan.steps.forward(x, y, self.learnt):
            self.plan.take_keys_back()
            return None
        self.plan.count_step()
        return y

    def backward(self, dy: Array, x: Array) -> Array | None:
        dx = empty(x.shape, x.dtype) if self.needs_dx else None
        self.plan.steps.backward(contiguous(dy), dx, self.learnt)
        return dx


class InParts:
    """The layers of a network, one after the other, and its loss.

    Parameters
    ----------
    layers : tuple of Module
    criterion : a loss
    parameters : list of Parameter and Buffer
        Of all layers.
    owns : bool
        Counts of references tell who else has an array.
    """

    def __init__(self, layers: tuple[Any, ...], criterion: Any, parameters: list[Any], owns: bool) -> None:
        self.layers, self.criterion, self._owns = layers, criterion, owns
        held = [id(each) for layer in layers for each in _held(layer)]
        # Gradients of shared ones would have to be added up. Numbers that stand in a forward are there besides.
        self.possible = len(set(held)) == len(held) and {id(each) for each in parameters} <= set(held)
        self._apart = {place for place, layer in enumerate(layers) if _is_held_apart(layer)}
        self._loss_apart = not (hasattr(criterion, "has_plan") and criterion.has_plan())
        self._stretches: dict[Any, _Stretch | None] = {}

    def have_plan(self) -> bool:
        """Whether there may be layers to plan."""
        return len(self._apart) < len(self.layers)

    def step(self, x: Array, y: Array) -> tuple[Any, Array]:
        """Forward, loss and backward. Returns the loss and the scores."""
        done: list[tuple[Any, Array]] = []  # stretches or places, with their inputs
        learns_from = next((i for i, layer in enumerate(self.layers) if layer.learns()), len(self.layers))
        place, dy = 0, None
        loss: Any = None
        while place < len(self.layers):
            stretch = self._stretch(place, x, y, place > learns_from)
            taken = None if stretch is None else stretch.plan.taken(x)
            out = None
            if stretch is not None and taken is not None and stretch.has_loss:
                last = self._last(stretch, taken, y)
                if last is not None:
                    loss, x, dy = last
                    break
            elif stretch is not None and taken is not None:
                out = stretch.forward(taken)
            if out is None or stretch is None or taken is None:
                out = self.layers[place](x)
                done.append((place, x))
                place += 1
            else:
                done.append((stretch, taken))
                place = stretch.end
            x = out
        if loss is None:
            loss = self.criterion(x, y)
            dy = self.criterion.backward()
        self._back(done, dy, learns_from)
        return loss, x

    def _last(self, stretch: _Stretch, x: Array, y: Array) -> tuple[Any, Array, Array | None] | None:
        """The loss, the scores and the gradient of x, or None where nothing has been done."""
        plan = stretch.plan
        scores = empty(plan.scores, plan.dtype)
        dx = empty(x.shape, x.dtype) if stretch.needs_dx else None
        plan.set_keys()
        update = _learnt.Update(stretch.learnt, [])
        loss = plan.steps.run(x, contiguous(y), scores, dx, stretch.learnt, update, False)
        if loss is None:
            plan.take_keys_back()
            return None
        plan.count_step()
        self.criterion._kept = None
        return self.criterion.value(loss), scores, dx

    def _back(self, done: list[tuple[Any, Array]], dy: Any, learns_from: int) -> None:
        for part, x in reversed(done):
            if (part + 1 if isinstance(part, int) else part.end) <= learns_from:
                break
            dy = (
                self.layers[part].backward(dy, False, part > learns_from)
                if isinstance(part, int)
                else part.backward(dy, x)
            )

    def _stretch(self, place: int, x: Any, y: Any, needs_dx: bool) -> _Stretch | None:
        """A plan of the layers from `place` on, or None where the one at `place` is to run by itself."""
        if place in self._apart or type(x) is not np.ndarray:
            return None
        target = getattr(y, "shape", None), getattr(y, "dtype", None)
        key = place, x.shape, x.dtype, target, needs_dx, tuple(p.requires_grad for p in self._parameters_from(place))
        known = self._stretches.get(key)
        if key not in self._stretches or (known is not None and not known.plan.steps.holds()):
            for old in list(self._stretches)[: max(0, len(self._stretches) + 1 - len(self.layers) * MOST_PLANS)]:
                del self._stretches[old]
            try:
                known = self._stretches[key] = self._make(place, x, y, needs_dx)
            except NotYet:
                return None
        return known

    def _parameters_from(self, place: int) -> list[Any]:
        end = min((p for p in self._apart if p > place), default=len(self.layers))
        return [each for layer in self.layers[place:end] for each in layer.parameters()]

    def _make(self, place: int, x: Array, y: Any, needs_dx: bool) -> _Stretch | None:
        while place not in self._apart:
            end = min((p for p in self._apart if p > place), default=len(self.layers))
            held = [each for layer in self.layers[place:end] for each in _held(layer)]
            try:
                steps = self._written(place, end, x, y, held)
                if steps is None:
                    continue  # another layer is to run by itself
                scores = steps.shape
                has_loss = end == len(self.layers) and not self._loss_apart
                if has_loss and not self._write_loss(steps):
                    continue
            except NotYet:
                raise
            except (TypeError, ValueError, NoPlan):
                return None  # the layer that something does not fit will say so
            learnt = _learnt.Learnt(held, steps.y.dtype == np.float64, self._owns)
            plan = planned(steps, scores, learnt, needs_dx) if len(steps.used) == len(held) else None
            return None if plan is None else _Stretch(plan, learnt, place, end, has_loss, needs_dx)
        return None

    def _written(self, place: int, end: int, x: Array, y: Any, held: list[Any]) -> TrainingSteps | None:
        places = {id(p): i for i, p in enumerate(held)}
        steps = TrainingSteps(x, y, places, [p._keeper[0] for p in held])
        for i in range(place, end):
            try:
                steps.write(self.layers[i])
            except NotYet:
                raise
            except NoPlan:
                self._apart.add(i)
                return None
        return steps

    def _write_loss(self, steps: TrainingSteps) -> bool:
        try:
            self.criterion.plan(steps)
        except NoPlan:
            self._loss_apart = True
        return not self._loss_apart


def _is_held_apart(layer: Any) -> bool:
    """Whether the layer or a layer inside it has a hook or is in eval mode."""
    return any(module._hooks or not module.training for module in layer.modules())


def _held(layer: Any) -> list[Any]:
    """The parameters of a layer, and its buffers of floats; one that is shared inside, as often as it is used."""
    return [each for _, each in layer.named_arrays() if each.dtype.kind == "f"]
