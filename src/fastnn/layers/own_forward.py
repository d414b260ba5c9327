"""Modules that somebody has written a `forward` for, and no backward: the forward is traced to a graph, which has one.

Here is what `Module` knows of it. Who traces, `fastnn.layers.tracing`, knows all layers, and so stands above them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from fastnn.layers.naming import naming_layers
from fastnn.layers.parameter import one_backward
from fastnn.layers.symbol import Traced


class OwnForward:
    """What a `Module` is asked for whose class has a forward, and no backward.

    Attributes
    ----------
    is_traced : bool
        Whether this is one.
    tracer : what traces
    """

    _traces: tuple[Any, ...] = ()
    is_traced: ClassVar[bool] = False
    tracer: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        forward = vars(cls).get("forward")
        of_others = not cls.__module__.startswith(f"{__package__}.")
        cls.is_traced = of_others and _inherits(cls, "forward") and not _inherits(cls, "backward")
        if cls.is_traced and callable(forward):
            cls.forward = traced(forward)  # type: ignore[attr-defined]

    def _chain(self, x: Any) -> tuple[Any, ...] | None:
        """The modules, in train mode, that are called one after the other for the input `x`; None: itself alone.

        Raises
        ------
        NotYet
            The forward has not been traced for inputs like `x`.
        """
        return self.tracer.chain(self, x) if self.is_traced and x is not None else None

    @one_backward
    @naming_layers
    def _backward_of_trace(self, dy: Any, accumulate: bool, needs_dx: bool) -> Any:
        return self.tracer.backward(self, dy, accumulate, needs_dx)


def traced(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward`, run as the graph that it is traced to; itself while it is traced, or where there is a backward."""

    @functools.wraps(forward)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        inside = any(each.__class__ is Traced for each in (*args, *kwargs.values()))
        if inside or not self.is_traced or "backward" in vars(self):
            return forward(self, *args, **kwargs)
        return self.tracer.forward(self, args, kwargs)

    return run


def _inherits(kind: type, name: str) -> bool:
    """Whether a class, or one below `Module` that it inherits from, has a method of this name."""
    for each in kind.__mro__:
        if each.__module__.startswith(f"{__package__}.module"):
            return False
        if name in vars(each):
            return True
    return False
