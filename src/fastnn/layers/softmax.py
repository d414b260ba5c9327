"""Softmax and its logarithm. Each keeps its output, which is all that its gradient needs."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.plan.steps import Steps


class Softmax(Module):
    """``exp(x) / sum(exp(x))`` along the axis `dim`.

    Examples
    --------
    >>> print(fnn.Softmax()(np.array([[1, 1, 3]], np.float32)).round(3))
    [[0.107 0.107 0.787]]
    """

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
    """Logarithm of the softmax along the axis `dim`.

    Examples
    --------
    >>> print(fnn.LogSoftmax()(np.array([[1, 1, 3]], np.float32)).round(3))
    [[-2.24 -2.24 -0.24]]
    """

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
