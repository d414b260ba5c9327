"""Layers that only change the shape."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.functional._plan import Steps
from fastnn.layers.module import Module


class Flatten(Module):
    """Join all axes from `start_dim` on: ``(N, C, H, W)`` to ``(N, C*H*W)``."""

    def __init__(self, start_dim: int = 1) -> None:
        self.start_dim = check.integer("start_dim", start_dim)

    def forward(self, x: Array) -> Array:
        y = functional.flatten(x, self.start_dim)
        self._keep((x.shape, y.shape))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        shape, flattened = check.kept(self, self._kept)
        check.flatten_backward(dy, flattened)
        return dy.reshape(shape)

    def plan(self, steps: Steps) -> None:
        steps.flatten(self.start_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}"
