"""The fully connected layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional, init
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.parameter import Parameter, data_of, needed
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps


class Linear(Module):
    """Linear map of the last axis, ``(..., in_features)`` to ``(..., out_features)``.

    Weights and bias begin uniform in ``±1/sqrt(in_features)``, as PyTorch's.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
    bias : Parameter, (out_features,), or None

    Examples
    --------
    >>> layer = fnn.Linear(784, 10)
    >>> layer(np.ones((64, 784), np.float32)).shape
    (64, 10)
    """

    fusion = Fusion(in_forward=True)
    _required = ("weight",)

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = np.float32, device: Any = None
    ) -> None:
        check.no_effect(device=device)
        self.in_features = check.integer("in_features", in_features, 1)
        self.out_features = check.integer("out_features", out_features, 1)
        dtype = check.float_dtype(dtype)
        self.weight = Parameter(np.empty((self.out_features, self.in_features), dtype), "weight")
        self.bias = Parameter(np.empty(self.out_features, dtype), "bias") if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Map; with `activation` the caller sees to its part of the backward."""
        b = data_of(self.bias)
        y = functional.linear(x, self.weight.data, b, activation=activation)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x = check.kept(self, self._kept)
        needs = needed(needs_dx, self.weight, self.bias)
        dx, dw, db = functional.linear_backward(dy, x, self.weight.data, needs=needs)
        self.weight.receive(dw, accumulate)
        if self.bias is not None:
            self.bias.receive(db, accumulate)
        return dx

    def plan(self, steps: Steps) -> None:
        steps.linear(self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
