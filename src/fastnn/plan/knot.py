"""Several nodes of a graph as one layer of a chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastnn.plan.steps import Steps


class Knot:
    """Nodes between two cuts, as a layer of a chain."""

    _hooks = ()
    _kept: Any = None

    def __init__(self, wiring: Any, training: bool = False) -> None:
        self._wiring, self.training = wiring, training

    def __call__(self, x: Any) -> Any:
        return self.forward(x)

    def forward(self, x: Any) -> Any:
        if not self.training:
            return self._wiring.by_links((x,))[0]
        (y,), self._kept = self._wiring.forward((x,))
        return y

    def backward(self, dy: Any, accumulate: bool, needs_dx: bool) -> Any:
        kept, self._kept = self._kept, None
        return self._wiring.backward((dy,), kept or [], accumulate, needs_dx)[0]

    def learns(self) -> bool:
        return any(node.module.learns() for node in self._wiring.nodes)

    def modules(self) -> Iterator[Any]:
        yield self
        yield from self._wiring.modules()

    def named_arrays(self) -> Iterator[tuple[str, Any]]:
        return (each for node in self._wiring.nodes for each in node.module.named_arrays())

    def parameters(self) -> Iterator[Any]:
        return (each for node in self._wiring.nodes for each in node.module.parameters())

    def has_plan(self) -> bool:
        return True

    has_plan_of_training = has_plan

    def plan(self, steps: Steps) -> None:
        self._wiring.plan(steps)
