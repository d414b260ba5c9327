"""Layers that take images apart and put them together: patches, and frames."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, Frame, IntPair
from fastnn.layers.module import Module
from fastnn.plan.steps import Steps


class Unfold(Module):
    """Write every patch of an image as a column: ``(N, C, H, W)`` to ``(N, C*KH*KW, L)``.

    Parameters
    ----------
    kernel_size, dilation, padding, stride : int or (int, int)
        In PyTorch's order.

    Examples
    --------
    >>> fnn.Unfold(kernel_size=2)(np.ones((1, 3, 4, 4), np.float32)).shape  # 9 patches of 3 x 2 x 2
    (1, 12, 9)
    """

    def __init__(self, kernel_size: IntPair, dilation: IntPair = 1, padding: IntPair = 0, stride: IntPair = 1) -> None:
        check.patch_settings(kernel_size, dilation, padding, stride)
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, x: Array) -> Array:
        y = functional.unfold(x, self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation)
        self._keep(x.shape[2:])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        size = check.kept(self, self._kept)
        return functional.fold(
            dy, size, self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation
        )

    def plan(self, steps: Steps) -> None:
        steps.unfold(self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Add columns back to the pixels that they are patches of: ``(N, C*KH*KW, L)`` to ``(N, C, H, W)``.

    Parameters
    ----------
    output_size : int or (int, int)
        H and W.
    kernel_size, dilation, padding, stride : int or (int, int)
        In PyTorch's order.

    Examples
    --------
    >>> x = np.ones((1, 4, 9), np.float32)  # 9 patches of 2 x 2
    >>> print(fnn.Fold(output_size=4, kernel_size=2)(x)[0, 0])
    [[1. 2. 2. 1.]
     [2. 4. 4. 2.]
     [2. 4. 4. 2.]
     [1. 2. 2. 1.]]
    """

    def __init__(
        self,
        output_size: IntPair,
        kernel_size: IntPair,
        dilation: IntPair = 1,
        padding: IntPair = 0,
        stride: IntPair = 1,
    ) -> None:
        check.pair("output_size", output_size, 1)
        check.patch_settings(kernel_size, dilation, padding, stride)
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, x: Array) -> Array:
        y = functional.fold(
            x,
            self.output_size,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        self._keep(True)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        check.kept(self, self._kept)
        return functional.unfold(dy, self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def plan(self, steps: Steps) -> None:
        steps.fold(self.output_size, self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class ZeroPad2d(Module):
    """Put a frame of zeros around images.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)

    Examples
    --------
    >>> print(fnn.ZeroPad2d(1)(np.ones((1, 1, 1, 2), np.float32))[0, 0])
    [[0. 0. 0. 0.]
     [0. 1. 1. 0.]
     [0. 0. 0. 0.]]
    """

    def __init__(self, padding: Frame) -> None:
        self.padding = check.frame("padding", padding)

    def forward(self, x: Array) -> Array:
        y = functional.pad(x, self.padding)
        self._keep(True)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        check.kept(self, self._kept)
        return functional.pad_backward(dy, self.padding)

    def plan(self, steps: Steps) -> None:
        steps.pad(self.padding, mode="constant")

    def extra_repr(self) -> str:
        return f"{self.padding}"
