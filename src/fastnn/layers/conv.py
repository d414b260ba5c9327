"""Convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional, init
from fastnn._validate import Array, IntPair
from fastnn.functional._plan import Steps
from fastnn.layers.module import Module, Parameter, needed


class Conv2d(Module):
    """Two-dimensional convolution, ``(N, in_channels, H, W)`` to ``(N, out_channels, OH, OW)``.

    Weights and bias begin uniform in ``±1/sqrt(fan_in)``, as PyTorch's.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding : int or (int, int)
    dilation, groups : int
        Only 1 so far.
    bias : bool
    dtype : float32 or float64

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels, KH, KW)
    bias : Parameter, (out_channels,), or None
    """

    fuses_activation = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntPair,
        stride: IntPair = 1,
        padding: IntPair = 0,
        dilation: IntPair = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        self.in_channels = check.integer("in_channels", in_channels, 1)
        self.out_channels = check.integer("out_channels", out_channels, 1)
        self.kernel_size, self.stride, self.padding = check.conv2d_settings(
            kernel_size, stride, padding, dilation, groups
        )
        dtype = check.float_dtype(dtype)
        self.weight = Parameter(np.empty((self.out_channels, self.in_channels, *self.kernel_size), dtype), "weight")
        self.bias = Parameter(np.empty(self.out_channels, dtype), "bias") if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight.data[0].size)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Convolve; with `activation` the caller sees to its part of the backward."""
        b = None if self.bias is None else self.bias.data
        y = functional.conv2d(x, self.weight.data, b, stride=self.stride, padding=self.padding, activation=activation)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x = check.kept(self, self._kept)
        needs = needed(needs_dx, self.weight, self.bias)
        dx, dw, db = functional.conv2d_backward(
            dy, x, self.weight.data, stride=self.stride, padding=self.padding, needs=needs
        )
        self.weight.receive(dw, accumulate)
        if self.bias is not None:
            self.bias.receive(db, accumulate)
        return dx

    def plan(self, steps: Steps) -> None:
        steps.conv2d(self.weight, self.bias, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        return text if self.bias is not None else text + ", bias=False"
