"""Pooling."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, IntPair
from fastnn.functional._plan import Steps
from fastnn.layers.module import Module


class _Pool2d(Module):
    """The settings that all pooling layers share."""

    def __init__(
        self,
        kernel_size: IntPair,
        stride: IntPair | None = None,
        padding: IntPair = 0,
        ceil_mode: bool = False,
    ) -> None:
        check.pool2d_settings(kernel_size, stride, padding, ceil_mode)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"
        )


class MaxPool2d(_Pool2d):
    """Maximum of every window.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        `kernel_size` by default.
    padding : int or (int, int)
        At most half of `kernel_size`.
    ceil_mode : bool
        Also use windows that hang over the lower and right edge.
    """

    def forward(self, x: Array) -> Array:
        if not self.training:
            return functional.maxpool2d(
                x, self.kernel_size, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode
            )
        y, positions = functional.maxpool2d(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            return_positions=True,
        )
        self._keep((positions, x.shape[2:], y))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True, through_relu: bool = False) -> Array:
        """As `Module.backward`; with `through_relu` also through a ReLU right before this layer.

        A maximum that is not positive comes from pixels that the ReLU made 0, so its part of the gradient can be taken
        out here, where there are fewer numbers.
        """
        positions, size, y = check.kept(self, self._kept)
        return functional.maxpool2d_backward(
            functional.relu_backward(dy, y) if through_relu else dy,
            positions,
            size,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
        )

    def plan(self, steps: Steps) -> None:
        steps.maxpool2d(self.kernel_size, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode)


class AvgPool2d(_Pool2d):
    """Average of every window, padding included.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        `kernel_size` by default.
    padding : int or (int, int)
        At most half of `kernel_size`.
    ceil_mode : bool
        Also use windows that hang over the lower and right edge.
    """

    def forward(self, x: Array) -> Array:
        y = functional.avgpool2d(
            x, self.kernel_size, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode
        )
        self._keep(x.shape[2:])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        size = check.kept(self, self._kept)
        return functional.avgpool2d_backward(
            dy, size, self.kernel_size, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode
        )

    def plan(self, steps: Steps) -> None:
        steps.avgpool2d(self.kernel_size, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode)
