"""What a case is about: shapes and options, one class for each kind of operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn import _runtime
from fastnn.layers import Sequential

Shape = tuple[int, ...]
DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _windows(setting: Any) -> str:
    """The kernel, and what is not as it is by default: "5", or "3 s2 p1"."""
    settings = {name: getattr(setting, name, usual) for name, usual in DEFAULTS.items()}
    more = [f"{name[0]}{value}" for name, value in settings.items() if value != DEFAULTS[name]]
    return " ".join([str(setting.kernel), *more])


@dataclass(frozen=True)
class Conv:
    """Images `x`, `filters` of size `kernel` x `kernel`."""

    x: tuple[int, int, int, int]
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def __str__(self) -> str:
        return f"{_sizes(self.x)}, {self.filters} of {_windows(self)}"

    @property
    def w(self) -> Shape:
        return self.filters, self.x[1] // self.groups, self.kernel, self.kernel

    @property
    def y(self) -> Shape:
        span = self.dilation * (self.kernel - 1) + 1
        oh, ow = ((n + 2 * self.padding - span) // self.stride + 1 for n in self.x[2:])
        return self.x[0], self.filters, oh, ow


@dataclass(frozen=True)
class ConvTranspose:
    """As `Conv`, of which it is the reverse."""

    x: tuple[int, int, int, int]
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def __str__(self) -> str:
        return f"{_sizes(self.x)}, {self.filters} of {_windows(self)}"

    @property
    def w(self) -> Shape:
        return self.x[1], self.filters, self.kernel, self.kernel

    @property
    def y(self) -> Shape:
        oh, ow = ((n - 1) * self.stride - 2 * self.padding + self.kernel for n in self.x[2:])
        return self.x[0], self.filters, oh, ow


@dataclass(frozen=True)
class Signal:
    """Signals `x` of one dimension, `filters` of length `kernel`; pooling has as many filters as channels."""

    x: tuple[int, int, int]
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def __str__(self) -> str:
        return f"{_sizes(self.x)}, {self.filters} of {_windows(self)}"

    @property
    def w(self) -> Shape:
        return self.filters, self.x[1], self.kernel

    @property
    def y(self) -> Shape:
        return self.x[0], self.filters, (self.x[2] + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Patches:
    """Images `x` of which patches of `kernel` x `kernel` become columns, after `padding`."""

    x: tuple[int, int, int, int]
    kernel: int
    padding: int

    def __str__(self) -> str:
        return f"{_sizes(self.x)}, {_windows(self)}"

    @property
    def y(self) -> Shape:
        pixels = math.prod(n + 2 * self.padding - self.kernel + 1 for n in self.x[2:])
        return self.x[0], self.x[1] * self.kernel**2, pixels


@dataclass(frozen=True)
class Frame:
    """Images `x` with `padding` all around."""

    x: tuple[int, int, int, int]
    padding: int
    mode: str

    def __str__(self) -> str:
        return f"{_sizes(self.x)}, p{self.padding}"

    @property
    def y(self) -> Shape:
        return *self.x[:2], *(n + 2 * self.padding for n in self.x[2:])


@dataclass(frozen=True)
class Pool:
    """Windows of `kernel` x `kernel`."""

    x: tuple[int, int, int, int]
    kernel: int
    stride: int

    def __str__(self) -> str:
        return f"{_sizes(self.x)}, {_windows(self)}"

    @property
    def y(self) -> Shape:
        return *self.x[:2], *((n - self.kernel) // self.stride + 1 for n in self.x[2:])


@dataclass(frozen=True)
class Resample:
    """Planes of another size; `mode` of interpolation."""

    x: tuple[int, int, int, int]
    size: tuple[int, int]
    mode: str = ""

    def __str__(self) -> str:
        return f"{_sizes(self.x)} to {_sizes(self.size)}"

    @property
    def y(self) -> Shape:
        return *self.x[:2], *self.size


@dataclass(frozen=True)
class Table:
    """Indices of the shape `x` into a table of `rows` x `columns`."""

    x: Shape
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{_sizes(self.x)} of {_sizes((self.rows, self.columns))}"


@dataclass(frozen=True)
class Linear:
    rows: int
    inputs: int
    outputs: int

    def __str__(self) -> str:
        return f"{_sizes((self.rows, self.inputs))} to {self.outputs}"


@dataclass(frozen=True)
class Elementwise:
    """An operation on an array of one shape; softmax and the loss work on its rows."""

    x: Shape

    def __str__(self) -> str:
        return _sizes(self.x)


@dataclass(frozen=True)
class Pairs:
    """Outputs and targets of one shape. Targets are 0 to 1; outputs are "scores", "probabilities" or "logarithms"."""

    x: Shape
    outputs: str = "scores"

    def __str__(self) -> str:
        return _sizes(self.x)


@dataclass(frozen=True)
class Network:
    """A function that makes a network, the shape of a minibatch, and the number of parameters.

    The loss is softmax cross-entropy of `classes`; without classes it is the summed squared difference to the input.
    """

    title: str
    make: Callable[[], Sequential]
    x: Shape
    parameters: int
    classes: int | None = 10
    lr: float = 1e-3
    optimizer: str = "sgd"  # with momentum; or "adam"

    def __str__(self) -> str:
        return _sizes(self.x)

    def module(self) -> Sequential:
        """The network, with the same weights and statistics at every call."""
        _runtime.manual_seed(1)
        net = self.make()
        net(_runtime.generator().random((4, *self.x[1:]), dtype=np.float32))  # the statistics of batch normalisation
        return net

    def batch(self, n: int) -> Network:
        """The same for minibatches of `n`."""
        return replace(self, x=(n, *self.x[1:]))
