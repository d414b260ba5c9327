"""A training step as one call: forward, loss, backward and update.

`TrainingStep` takes the three lines of a training loop together, by a plan of compiled code. Where there is none, it
runs these very lines::

    loss = criterion(net(x), y)
    net.backward(criterion.backward(), needs_dx=False)
    optimizer.step()

A plan must never be stale. Attributes of the layers and of the loss are compared at every step (`Unchanged`);
parameters, the gradients that they want, and the optimiser's state are looked up at every step.
"""

from __future__ import annotations

import math
import sys
import threading
from itertools import pairwise
from typing import Any

import numpy as np

import fastnn._kernels._optim as _optim
import fastnn._kernels._plan_train_learnt as _learnt
import fastnn._kernels._plan_watch as _plan_watch
from fastnn import _validate as check
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous
from fastnn.plan.contract import NoPlan, NotYet
from fastnn.plan.inference import MOST_PLANS, NOT_COMPUTED_WITH
from fastnn.plan.training_parts import InParts, Planned, planned
from fastnn.plan.training_steps import TrainingSteps

# Attributes that may change: no step comes from them.
CHANGING = (*NOT_COMPUTED_WITH, "stream", "step")


class _Bound:
    """A network and a loss as they were found, and the plans for inputs of several shapes."""

    def __init__(self, net: Any, criterion: Any) -> None:
        modules = list(net.modules())
        self.has_loss = hasattr(criterion, "has_plan") and criterion.has_plan()
        self.attributes = [each.__dict__ for each in (*modules, *([criterion] if self.has_loss else []))]
        self.forget()
        self.net, self.criterion = net, criterion
        self.unchanged = _plan_watch.Unchanged([*modules, criterion], CHANGING)
        self.plans: dict[Any, Planned | None] = {}
        self.parameters = list(net.parameters())
        self.held = [*self.parameters, *(b for _, b in net.named_buffers() if b.dtype.kind == "f")]
        arrays = [p._keeper[0] for p in self.held]
        plain = all(type(a) is np.ndarray and a.flags.carray and a.dtype == arrays[0].dtype for a in arrays)
        self.learns = plain and not _share_memory(arrays) and any(p.requires_grad for p in self.parameters)
        self.learning = frozenset(p for p in self.parameters if p.requires_grad)
        self.can_run = self.has_loss and all(m.training and not m._hooks for m in modules)
        if self.learns:
            self._owns = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
            self.learnt = _learnt.Learnt(self.held, arrays[0].dtype == check.FLOAT64, self._owns)
            self.no_update = _learnt.Update(self.learnt, [])
            self._parts: dict[Any, InParts | None] = {}

    def is_of(self, net: Any, criterion: Any) -> bool:
        """Whether these are the network and the loss, and are as they were."""
        return net is self.net and criterion is self.criterion and bool(self.unchanged)

    def forget(self) -> None:
        """Leave nothing for another backward, as a backward does."""
        for attributes in self.attributes:
            attributes["_kept"] = None

    def plan_for(self, x: Array, y: Array) -> Planned | None:
        """A plan for inputs and targets like these, or None."""
        if not self.can_run:
            return None
        key = x.shape, x.dtype, y.shape, y.dtype
        plan = self.plans.get(key)
        if (plan is None and key not in self.plans) or (plan is not None and not plan.steps.holds()):
            for old in list(self.plans)[: max(0, len(self.plans) + 1 - MOST_PLANS)]:
                del self.plans[old]
            try:
                plan = self.plans[key] = self._make(x, y)
            except NotYet:
                return None
        return plan

    def parts_for(self, x: Array) -> InParts | None:
        """The layers that run one after the other, some by themselves, or None where nothing can be planned."""
        key = (x.shape, x.dtype) if self.net.is_traced else None
        if key not in self._parts:
            try:
                layers = _layers(self.net, x)
            except NotYet:
                return None
            parts = InParts(layers, self.criterion, self.held, self._owns)
            if len(self._parts) == MOST_PLANS:
                self._parts.clear()
            of_use = parts.possible and parts.have_plan() and self.net.training and not self.net._hooks
            self._parts[key] = parts if of_use else None
        return self._parts[key]

    def _make(self, x: Array, y: Array) -> Planned | None:
        places = {id(p): place for place, p in enumerate(self.held)}
        try:
            steps = TrainingSteps(x, y, places, [p._keeper[0] for p in self.held])
            steps.write(self.net)
            scores = steps.shape
            self.criterion.plan(steps)
        except NotYet:
            raise
        except (NoPlan, TypeError, ValueError):
            return None  # what does not fit, the layer or the loss will say
        return planned(steps, scores, self.learnt, False) if len(steps.used) == len(self.held) else None


class _Rules:
    """An optimiser's rules, and the compiled update that they were put into."""

    def __init__(self, learnt: Any, rules: list[Any]) -> None:
        self.learnt = learnt
        self.columns = [columns for _, _, _, columns in rules]
        self.cohorts = [cohort for cohort, _, _, _ in rules]
        places = {p: place for place, p in enumerate(learnt.parameters)}
        self.update: Any = None
        if all(map(self._is_plain, rules)):
            of = [([places[p] for p in cohort.params], columns) for cohort, _, _, columns in rules]
            self.update = _learnt.Update(learnt, of)

    @staticmethod
    def _is_plain(rule: Any) -> bool:
        cohort, kind, _, columns = rule
        p = [each._keeper[0] for each in cohort.params]
        return bool(_optim.plain(kind, (p, [np.empty_like(a) for a in p], *columns)))

    def holds(self, learnt: Any, rules: list[Any]) -> bool:
        """Whether these rules are of the same parameters and of the same arrays."""
        if learnt is not self.learnt or len(rules) != len(self.cohorts):
            return False
        for (cohort, _, _, columns), cohort_then, columns_then in zip(rules, self.cohorts, self.columns, strict=True):
            if cohort is not cohort_then or len(columns) != len(columns_then):
                return False
            if any(a is not b for a, b in zip(columns, columns_then, strict=True)):
                return False
        return True


def _layers(net: Any, x: Array | None = None) -> tuple[Any, ...]:
    """The layers that a network calls one after the other, and those inside of them: of a list, of a graph, and of a
    module that is traced for `x`; of another module, itself."""
    if not hasattr(net, "_chain") or not net.has_plan_of_training():
        return (net,)
    layers: list[Any] = []
    for layer in net._chain(x) or ():
        layers += _layers(layer) if not layer._hooks and layer.training else [layer]
    return tuple(layers) or (net,)


def _share_memory(arrays: list[Array]) -> bool:
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays)
    return any(first[1] > second[0] for first, second in pairwise(spans))


class TrainingStep:
    """Forward, loss, backward and update of one minibatch, as one call.

    The result is that of the three lines of a training loop, ``criterion(net(x), y)``,
    ``net.backward(criterion.backward(), needs_dx=False)`` and ``optimizer.step()``: loss, weights, gradients, state of
    the optimiser, running statistics and masks; with a plan, within the rounding of sums in another order. So are the
    errors.

    There is a plan for most layers, with `CrossEntropyLoss` of labels or `MSELoss`: one call of compiled code, whose
    memory is laid out once. With `SGD`, `Adam` or `AdamW` the update is in it. Other layers and losses run by
    themselves, between neighbours that are planned. Layers, parameters and settings may be changed at any time.

    Two things differ from the loop. The loss keeps nothing for another backward. And ``p.grad`` is the same array at
    every step, written anew, unless somebody else has it.

    Parameters
    ----------
    net : Module
        In train mode when it is called.
    criterion : a loss
        As `CrossEntropyLoss`.
    optimizer : Optimizer
        Made with parameters of `net`.

    Examples
    --------
    >>> import numpy as np, fastnn as fnn
    >>> net = fnn.Sequential(fnn.Linear(4, 8), fnn.Tanh(), fnn.Linear(8, 3))
    >>> step = fnn.TrainingStep(net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters(), lr=0.1))
    >>> losses = [step(np.eye(4, dtype=np.float32)[:3], np.arange(3)) for _ in range(50)]
    >>> losses[-1] < losses[0]
    True
    """

    def __init__(self, net: Any, criterion: Any, optimizer: Any) -> None:
        self.net, self.criterion, self.optimizer = net, criterion, optimizer
        self._bound: _Bound | None = None
        self._rules: _Rules | None = None
        self._turn = threading.Lock()

    def __call__(self, x: Array, y: Array, sample_weight: Any = None) -> Any:
        """Take one step with the examples `x` and targets `y`, and return the loss before it.

        For a network of several inputs `x` is a tuple. Of several outputs the loss gets a tuple, and its backward
        returns one. With `sample_weight`, one number for each example, which the loss is given too, there is no plan.

        Returns
        -------
        float, or array for the reduction "none"
        """
        taken = self._take(x, y, wants_scores=False, changes=True) if sample_weight is None else None
        if taken is not None:
            return taken[0]
        loss = self._loss(output_of(self.net, x), y, sample_weight)
        self.net.backward(self.criterion.backward(), needs_dx=False)
        self.optimizer.step()
        return loss

    def of(self, net: Any, criterion: Any, optimizer: Any) -> TrainingStep:
        """Return this step if it has these parts, or a new one of them."""
        same = net is self.net and criterion is self.criterion and optimizer is self.optimizer
        return self if same else TrainingStep(net, criterion, optimizer)

    def gradients(self, x: Array, y: Array, sample_weight: Any = None) -> tuple[Any, Array]:
        """The first half of a step: forward, loss and backward.

        Where the loss is NaN or infinite the parameters may be left without gradients.

        Returns
        -------
        loss, scores : the loss, and the output of the network
        """
        taken = self._take(x, y, wants_scores=True, changes=False) if sample_weight is None else None
        if taken is not None:
            return taken
        scores = output_of(self.net, x)
        loss = self._loss(scores, y, sample_weight)
        if math.isfinite(loss):
            self.net.backward(self.criterion.backward(), needs_dx=False)
        return loss, scores

    def update(self) -> None:
        """The second half of a step: change the parameters by their gradients."""
        bound = self._bound
        if bound is not None and bound.is_of(self.net, self.criterion) and not use_reference():
            with self._turn:
                rules = self._update_of(bound)
                if rules is not None and rules.update.run(bound.learnt):
                    _count(rules)
                    return
        self.optimizer.step()

    def _loss(self, scores: Any, y: Array, sample_weight: Any) -> Any:
        """The loss; one that knows no weights is called without them."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.criterion(scores, y, **weights)

    def _take(self, x: Any, y: Any, wants_scores: bool, changes: bool) -> tuple[Any, Any] | None:
        """The loss and the scores, or None where there is no plan and nothing has been done."""
        if type(x) is not np.ndarray or use_reference():
            return None
        with self._turn:
            for _ in range(2):  # parameters may be others than those that are bound
                bound = self._bound
                if bound is None or not bound.is_of(self.net, self.criterion):
                    bound = self._bind()
                if bound is None:
                    return None
                plan = bound.plan_for(x, y) if type(y) is np.ndarray else None
                taken = self._in_parts(bound, x, y, changes) if plan is None else None
                if plan is not None:
                    taken = self._at_once(bound, plan, x, y, wants_scores, changes)
                if plan is None or taken is not None:
                    break
                self._bound = None
            else:
                return None
        if taken is not None and self.net.__dict__.get("_looked_at_input") is False:
            self.net._looked_at_input = True
            check.warn_of_bytes(x, stacklevel=3)
        return taken

    def _at_once(
        self, bound: _Bound, plan: Planned, x: Array, y: Array, wants_scores: bool, changes: bool
    ) -> tuple[Any, Any] | None:
        """All of a step by one plan; None where nothing has been done."""
        rules = self._update_of(bound) if changes else None
        scores = empty(plan.scores, plan.dtype) if wants_scores else None
        update = bound.no_update if rules is None else rules.update
        images, targets = plan.taken(x), contiguous(y)
        if images is None:
            return None
        plan.set_keys()
        loss = plan.steps.run(images, targets, scores, None, bound.learnt, update, rules is not None)
        if loss is None:
            plan.take_keys_back()
            return None
        bound.forget()
        plan.count_step()
        if rules is not None:
            _count(rules)
        elif changes:
            self.optimizer.step()
        return self.criterion.value(loss), scores

    def _in_parts(self, bound: _Bound, x: Array, y: Any, changes: bool) -> tuple[Any, Any] | None:
        """A step in which some layers, or the loss, run by themselves; None where none has steps of training."""
        parts = bound.parts_for(x)
        if parts is None:
            return None
        try:
            loss, scores = parts.step(x, y)
        except Exception as error:
            self.net._name_layer(error)
            raise
        bound.forget()
        if changes:
            self.optimizer.step()
        return loss, scores

    def _bind(self) -> _Bound | None:
        """Look at the network and the loss anew; None where parameters have to change before there can be a plan."""
        if not hasattr(self.net, "has_plan_of_training") or not hasattr(self.criterion, "__dict__"):
            return None
        bound = _Bound(self.net, self.criterion)
        self._bound = bound if bound.learns else None
        return self._bound

    def _update_of(self, bound: _Bound) -> _Rules | None:
        """The optimiser's step for compiled code, with the factors of this step; None where only itself can do it."""
        find = getattr(self.optimizer, "rules", None)
        rules = None if find is None else find(bound.learning)
        if rules is None:
            return None
        known = self._rules
        if known is None or not known.holds(bound.learnt, rules):
            known = self._rules = _Rules(bound.learnt, rules)
        if known.update is None:
            return None
        for number, (_, kind, factors, _) in enumerate(rules):
            known.update.set(number, kind, factors)
        return known

    def __reduce__(self) -> tuple[Any, ...]:
        return TrainingStep, (self.net, self.criterion, self.optimizer)

    def __repr__(self) -> str:
        return f"TrainingStep({type(self.net).__name__}, {self.criterion!r}, {self.optimizer!r})"


def output_of(net: Any, x: Any) -> Any:
    """The output of a network, which is called with each of several inputs."""
    return net(*x) if isinstance(x, tuple | list) and getattr(net, "is_traced", False) else net(x)


def _count(rules: _Rules) -> None:
    for cohort in rules.cohorts:
        cohort.numbers["step"] += 1
