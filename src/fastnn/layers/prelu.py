"""The activation whose slopes are learnt."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional, init
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.parameter import Parameter, needed
from fastnn.plan.steps import Steps


class PReLU(Module):
    """`x` where it is above 0, elsewhere `weight` times `x`, with slopes that are learnt.

    Parameters
    ----------
    num_parameters : int
        One slope for each channel of ``(N, C, ...)``, or 1: one for all.
    init : float
        What all slopes begin with.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight : Parameter, (num_parameters,)

    Examples
    --------
    >>> fnn.PReLU()(np.array([[-2, 3]], np.float32)).tolist()
    [[-0.5, 3.0]]
    """

    _required = ("weight",)

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, dtype: Any = np.float32, device: Any = None
    ) -> None:
        check.no_effect(device=device)
        self.num_parameters, self.init = check.integer("num_parameters", num_parameters, 1), check.number("init", init)
        self.weight = Parameter(np.empty(self.num_parameters, check.float_dtype(dtype)), "weight")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All slopes as in the beginning."""
        init.constant_(self.weight, self.init)

    def forward(self, x: Array) -> Array:
        y = functional.prelu(x, self.weight.data)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x = check.kept(self, self._kept)
        dx, dw = functional.prelu_backward(dy, x, self.weight.data, needs=needed(needs_dx, self.weight, None))
        self.weight.receive(dw, accumulate)
        return dx

    def plan(self, steps: Steps) -> None:
        steps.prelu(self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
