"""Modules whose layers all get the same input: what they give is added or joined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.containers import LayerList, fed_with_features
from fastnn.layers.module import Module
from fastnn.layers.naming import naming_layers
from fastnn.layers.parameter import one_backward
from fastnn.layers.summary import Row
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps


class Residual(Module):
    """``body(x) + shortcut(x)``, or ``body(x) + x``.

    After He et al., "Deep residual learning for image recognition", 2015. The ReLU that often follows is a layer of its
    own; in a `Sequential` it is applied while the sum is stored.

    Parameters
    ----------
    body : Module
    shortcut : Module, optional
        As a `Conv2d` of kernel 1, where the body changes the shape.

    Examples
    --------
    >>> body = fnn.Sequential(fnn.Conv2d(4, 4, 3, padding=1), fnn.BatchNorm2d(4))
    >>> fnn.Residual(body)(np.ones((2, 4, 8, 8), np.float32)).shape
    (2, 4, 8, 8)
    """

    fusion = Fusion(in_forward=True)

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        check.layers((body,) if shortcut is None else (body, shortcut), Module, self)
        self.body, self.shortcut = body, shortcut
        fed_with_features(self)

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Add up; with `activation` the caller sees to its part of the backward."""
        y = self.body(x)
        return functional.add(y, x if self.shortcut is None else self.shortcut(x), activation=activation)

    @one_backward
    @naming_layers
    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        """As `Module.backward`; a branch that has nothing to learn is left out where `needs_dx` is False."""
        if not needs_dx:
            for branch in (self.body, self.shortcut):
                if branch is not None and branch.learns():
                    branch.backward(dy, accumulate, needs_dx=False)
            return None
        dx: Any = self.body.backward(dy, accumulate)
        also: Any = dy if self.shortcut is None else self.shortcut.backward(dy, accumulate)
        return functional.add(dx, also)

    def plan(self, steps: Steps) -> None:
        x = steps.here()
        steps.write(self.body)
        y = steps.here()
        steps.go_back(x)
        if self.shortcut is not None:
            steps.write(self.shortcut)
        steps.add(y)

    def _trace(self, x: Array, name: str) -> tuple[Array, list[Row]]:
        y, rows = self.body._trace(x, f"{name}.body".lstrip("."))
        if self.shortcut is not None:
            rows += self.shortcut._trace(x, f"{name}.shortcut".lstrip("."))[1]
        return y, [*rows, Row(name, "Residual", x.shape, None, None, self.forward(x).shape, ())]


class Concat(LayerList):
    """What all branches make of the input, joined along the axis `dim`, as in ``torch.cat``.

    It is a list of its branches, as a `Sequential` is one of its layers.

    Parameters
    ----------
    branches : iterable of Module
    dim : int

    Examples
    --------
    >>> net = fnn.Concat([fnn.Conv2d(3, 4, 1), fnn.Conv2d(3, 6, 3, padding=1)])
    >>> net(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 10, 8, 8)
    """

    def __init__(self, branches: Iterable[Module], dim: int = 1) -> None:
        self._take(check.branches(branches))
        self.dim = check.integer("dim", dim)

    def _part(self, layers: tuple[Module, ...]) -> Concat:
        return Concat(layers, self.dim)

    def forward(self, x: Array) -> Array:
        outputs = [branch(x) for branch in self.layers]
        y = functional.cat(outputs, self.dim)
        self._keep(([output.shape[self.dim] for output in outputs], y.shape))
        return y

    @one_backward
    @naming_layers
    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        """As `Module.backward`; a branch that has nothing to learn is left out where `needs_dx` is False."""
        lengths, shape = check.kept(self, self._kept)
        check.concat_backward(dy, shape)
        axis, start = self.dim % dy.ndim, 0
        dx: Any = None
        for branch, length in zip(self.layers, lengths, strict=True):
            part = dy[(slice(None),) * axis + (slice(start, start + length),)]
            start += length
            if needs_dx or branch.learns():
                gradient: Any = branch.backward(part, accumulate, needs_dx)
                dx = gradient if dx is None or not needs_dx else functional.add(dx, gradient)
        return dx

    def plan(self, steps: Steps) -> None:
        x, joined = steps.here(), None
        for branch in self.layers:
            steps.go_back(x)
            steps.write(branch)
            if joined is not None:
                steps.cat(joined, dim=self.dim)
            joined = steps.here()

    def _trace(self, x: Array, name: str) -> tuple[Array, list[Row]]:
        rows = []
        for place, branch in self.named_children():
            rows += branch._trace(x, f"{name}.{place}".lstrip("."))[1]
        return (y := self.forward(x)), [*rows, Row(name, "Concat", x.shape, None, None, y.shape, ())]
