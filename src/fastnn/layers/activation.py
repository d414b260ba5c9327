"""Activations. Each keeps its output, which is all that its gradient needs."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.functional._plan import Steps
from fastnn.layers.module import Module


class ReLU(Module):
    """``max(x, 0)`` of every element."""

    def forward(self, x: Array) -> Array:
        y = functional.relu(x)
        self._keep(y)
        return y

    def remember(self, y: Array) -> None:
        """Take `y` for the output of this layer: the layer before has applied the ReLU to what it stored."""
        self._keep(y)

    def output(self) -> Array:
        """What the last forward gave, for a layer before that takes the step back through the ReLU on itself."""
        return check.kept(self, self._kept)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.relu_backward(dy, self.output())

    def plan(self, steps: Steps) -> None:
        steps.relu()


class Sigmoid(Module):
    """``1 / (1 + exp(-x))`` of every element."""

    def forward(self, x: Array) -> Array:
        y = functional.sigmoid(x)
        self._keep(y)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.sigmoid_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.sigmoid()


class Tanh(Module):
    """Hyperbolic tangent of every element."""

    def forward(self, x: Array) -> Array:
        y = functional.tanh(x)
        self._keep(y)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.tanh_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.tanh()


class Softmax(Module):
    """``exp(x) / sum(exp(x))`` along the axis `dim`."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = check.integer("dim", dim)

    def forward(self, x: Array) -> Array:
        y = functional.softmax(x, dim=self.dim)
        self._keep(y)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.softmax_backward(dy, check.kept(self, self._kept), dim=self.dim)

    def plan(self, steps: Steps) -> None:
        steps.softmax(dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """Logarithm of the softmax along the axis `dim`."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = check.integer("dim", dim)

    def forward(self, x: Array) -> Array:
        y = functional.log_softmax(x, dim=self.dim)
        self._keep(y)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.log_softmax_backward(dy, check.kept(self, self._kept), dim=self.dim)

    def plan(self, steps: Steps) -> None:
        steps.log_softmax(dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
