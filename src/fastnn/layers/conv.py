"""Convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional, init
from fastnn._validate import Array, IntPair, IntSingle, MaybeArray, Padding
from fastnn.layers.module import Module
from fastnn.layers.parameter import Parameter, data_of, needed
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps


class _Conv(Module):
    """What convolutions share: weights, and how they begin; settings as PyTorch names them."""

    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    padding_mode = "zeros"
    _required = ("weight",)
    _frame: tuple[int, int, int, int]

    def _make_parameters(
        self, in_channels: int, out_channels: int, weight: tuple[int, ...], groups: int, bias: bool, dtype: Any
    ) -> None:
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        dtype = check.float_dtype(dtype)
        self.weight = Parameter(np.empty(weight, dtype), "weight")
        self.bias = Parameter(np.empty(out_channels, dtype), "bias") if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight.data[0].size)
            init.uniform_(self.bias, -bound, bound)

    def _receive(self, dx: MaybeArray, dw: MaybeArray, db: MaybeArray, accumulate: bool) -> MaybeArray:
        """Give the parameters their gradients; returns dx."""
        self.weight.receive(dw, accumulate)
        if self.bias is not None:
            self.bias.receive(db, accumulate)
        return dx

    @property
    def _geometry(self) -> dict[str, Any]:
        """Settings of the function; what is not padded with zeros is padded before."""
        padding = self.padding if self.padding_mode == "zeros" else 0
        return {"stride": self.stride, "padding": padding, "dilation": self.dilation, "groups": self.groups}

    @check.takes_one("x", axes=4)
    def _padded(self, x: Array) -> Array:
        check.input_channels(x, 4, self.in_channels)
        return functional.pad(x, self._frame, mode=self.padding_mode)

    def _unpadded(self, dx: MaybeArray) -> MaybeArray:
        if dx is None or self.padding_mode == "zeros":
            return dx
        return functional.pad_backward(dx, self._frame, mode=self.padding_mode)

    def _plan_frame(self, steps: Steps) -> None:
        if self.padding_mode != "zeros":
            check.input_channels(steps.y, 4, self.in_channels)
            steps.pad(self._frame, mode=self.padding_mode)

    def _more_repr(self) -> str:
        return ""

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        none, ones = (0,) * len(self.stride), (1,) * len(self.stride)
        text += f", padding={self.padding}" if self.padding != none else ""
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        text += self._more_repr()
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text if self.padding_mode == "zeros" else text + f", padding_mode={self.padding_mode}"


class Conv2d(_Conv):
    """Two-dimensional convolution, ``(N, in_channels, H, W)`` to ``(N, out_channels, OH, OW)``, or without N.

    Weights and bias begin uniform in ``±1/sqrt(fan_in)``, as PyTorch's.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride : int or (int, int)
    padding : int or (int, int), "same" or "valid"
    dilation : int or (int, int)
    groups : int
        Divides `in_channels` and `out_channels`.
    bias : bool
    padding_mode : "zeros", "reflect", "replicate" or "circular"
        What is around the input, see `pad`.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels/groups, KH, KW)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> layer = fnn.Conv2d(3, 16, kernel_size=3, stride=2, padding=1)
    >>> layer(np.ones((8, 3, 32, 32), np.float32)).shape
    (8, 16, 16, 16)
    """

    fusion = Fusion(in_forward=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntPair,
        stride: IntPair = 1,
        padding: Padding = 0,
        dilation: IntPair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = np.float32,
        device: Any = None,
    ) -> None:
        check.no_effect(device=device)
        inputs, outputs = check.conv_channels(in_channels, out_channels, groups)
        settings = check.conv2d_settings(kernel_size, stride, padding, dilation, padding_mode)
        self.kernel_size, self.stride, self.padding, self.dilation, self._frame = settings
        self.padding_mode = padding_mode
        self._make_parameters(inputs, outputs, (outputs, inputs // groups, *self.kernel_size), groups, bias, dtype)

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Convolve; with `activation` the caller sees to its part of the backward."""
        x = x if self.padding_mode == "zeros" else self._padded(x)
        b = data_of(self.bias)
        y = functional.conv2d(x, self.weight.data, b, activation=activation, **self._geometry)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x, needs = check.kept(self, self._kept), needed(needs_dx, self.weight, self.bias)
        gradients = functional.conv2d_backward(dy, x, self.weight.data, needs=needs, **self._geometry)
        return self._unpadded(self._receive(*gradients, accumulate))

    def plan(self, steps: Steps) -> None:
        self._plan_frame(steps)
        steps.conv2d(self.weight, self.bias, **self._geometry)


class Conv1d(_Conv):
    """One-dimensional convolution, ``(N, in_channels, L)`` to ``(N, out_channels, OL)``, or without N.

    Weights and bias begin as those of `Conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride : int
    padding : int, "same" or "valid"
    dilation : int
    groups : int
        Divides `in_channels` and `out_channels`.
    bias : bool
    padding_mode : "zeros", "reflect", "replicate" or "circular"
        What is around the input, see `pad`.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels/groups, K)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> layer = fnn.Conv1d(2, 16, kernel_size=5, padding=2)
    >>> layer(np.ones((8, 2, 100), np.float32)).shape
    (8, 16, 100)
    """

    fusion = Fusion(in_forward=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntSingle,
        stride: IntSingle = 1,
        padding: IntSingle | str = 0,
        dilation: IntSingle = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = np.float32,
        device: Any = None,
    ) -> None:
        check.no_effect(device=device)
        inputs, outputs = check.conv_channels(in_channels, out_channels, groups)
        settings = check.conv1d_settings(kernel_size, stride, padding, dilation, padding_mode)
        self.kernel_size, self.stride, self.padding, self.dilation, self._frame = settings
        self.padding_mode = padding_mode
        self._make_parameters(inputs, outputs, (outputs, inputs // groups, *self.kernel_size), groups, bias, dtype)

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Convolve; with `activation` the caller sees to its part of the backward."""
        x = x if self.padding_mode == "zeros" else self._padded(x)
        b = data_of(self.bias)
        y = functional.conv1d(x, self.weight.data, b, activation=activation, **self._geometry)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x, needs = check.kept(self, self._kept), needed(needs_dx, self.weight, self.bias)
        gradients = functional.conv1d_backward(dy, x, self.weight.data, needs=needs, **self._geometry)
        return self._unpadded(self._receive(*gradients, accumulate))

    def plan(self, steps: Steps) -> None:
        self._plan_frame(steps)
        steps.conv1d(self.weight, self.bias, **self._geometry)

    def _plan_frame(self, steps: Steps) -> None:
        if self.padding_mode != "zeros":
            check.input_channels(steps.y, 3, self.in_channels)
            steps.unflatten(2, (1, -1))
            steps.pad(self._frame, mode=self.padding_mode)
            steps.flatten(2, 3)

    @check.takes_one("x", axes=3)
    def _padded(self, x: Array) -> Array:
        check.input_channels(x, 3, self.in_channels)
        return functional.pad(x[:, :, None], self._frame, mode=self.padding_mode)[:, :, 0]

    def _unpadded(self, dx: MaybeArray) -> MaybeArray:
        return dx if dx is None or self.padding_mode == "zeros" else super()._unpadded(dx[..., None, :])[..., 0, :]


class _ConvTranspose(_Conv):
    """What transposed convolutions over one and over two axes share."""

    axes: int
    output_padding: tuple[int, ...]
    fusion = Fusion(in_forward=True)

    @property
    def _settings(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Convolve; with `activation` the caller sees to its part of the backward."""
        convolve: Any = functional.conv_transpose2d if self.axes == 2 else functional.conv_transpose1d
        y: Array = convolve(x, self.weight.data, data_of(self.bias), *self._settings, activation=activation)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x, needs = check.kept(self, self._kept), needed(needs_dx, self.weight, self.bias)
        backward: Any = functional.conv_transpose2d_backward if self.axes == 2 else functional.conv_transpose1d_backward
        dx, dw, db = backward(dy, x, self.weight.data, *self._settings, needs=needs)
        return self._receive(dx, dw, db, accumulate)

    def plan(self, steps: Steps) -> None:
        step: Any = steps.conv_transpose2d if self.axes == 2 else steps.conv_transpose1d
        step(self.weight, self.bias, *self._settings)

    def _more_repr(self) -> str:
        return f", output_padding={self.output_padding}" if any(self.output_padding) else ""


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution, ``(N, in_channels, H, W)`` to ``(N, out_channels, OH, OW)``, or without N.

    Weights and bias begin as PyTorch's, uniform in ``±1/sqrt(fan_in)``, ``fan_in = out_channels/groups*KH*KW``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding : int or (int, int)
    output_padding : int or (int, int)
        Rows and columns added below and on the right.
    groups : int
        Divides `in_channels` and `out_channels`.
    bias : bool
    dilation : int or (int, int)
    padding_mode : "zeros"
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels/groups, KH, KW)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> layer = fnn.ConvTranspose2d(16, 3, kernel_size=4, stride=2, padding=1)
    >>> layer(np.ones((8, 16, 16, 16), np.float32)).shape
    (8, 3, 32, 32)
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntPair,
        stride: IntPair = 1,
        padding: IntPair = 0,
        output_padding: IntPair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntPair = 1,
        padding_mode: str = "zeros",
        dtype: Any = np.float32,
        device: Any = None,
    ) -> None:
        check.no_effect(device=device)
        inputs, outputs = check.conv_channels(in_channels, out_channels, groups)
        settings = check.conv_transpose2d_settings(kernel_size, stride, padding, output_padding, dilation, padding_mode)
        self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation = settings
        self._make_parameters(inputs, outputs, (inputs, outputs // groups, *self.kernel_size), groups, bias, dtype)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution, ``(N, in_channels, L)`` to ``(N, out_channels, OL)``, or without N.

    Weights and bias begin as those of `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding : int
    output_padding : int
        Elements added at the end.
    groups : int
        Divides `in_channels` and `out_channels`.
    bias : bool
    dilation : int
    padding_mode : "zeros"
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels/groups, K)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> layer = fnn.ConvTranspose1d(16, 3, kernel_size=4, stride=2, padding=1)
    >>> layer(np.ones((8, 16, 50), np.float32)).shape
    (8, 3, 100)
    """

    axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntSingle,
        stride: IntSingle = 1,
        padding: IntSingle = 0,
        output_padding: IntSingle = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntSingle = 1,
        padding_mode: str = "zeros",
        dtype: Any = np.float32,
        device: Any = None,
    ) -> None:
        check.no_effect(device=device)
        inputs, outputs = check.conv_channels(in_channels, out_channels, groups)
        settings = check.conv_transpose1d_settings(kernel_size, stride, padding, output_padding, dilation, padding_mode)
        self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation = settings
        self._make_parameters(inputs, outputs, (inputs, outputs // groups, *self.kernel_size), groups, bias, dtype)
