"""Pooling."""

from __future__ import annotations

from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, IntPair
from fastnn.layers.module import Module
from fastnn.plan.contract import NoPlan
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps


class _MaxPool(Module):
    """What max pooling over one and over two axes share."""

    axes: int

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        check.pool_settings(self.axes, kernel_size, stride, padding, dilation, ceil_mode)
        check.true_or_false("return_indices", return_indices)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _windows(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }

    def forward(self, x: Array) -> Any:
        pool = functional.max_pool2d if self.axes == 2 else functional.max_pool1d
        made: Any = pool(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
            return_positions=self.training,
        )
        if not self.training:
            return made
        size = x.shape[-2:] if self.axes == 2 else x.shape[-1]
        self._keep((made[1], size, made[0]))
        return (made[0], made[2]) if self.return_indices else made[0]

    def backward(self, dy: Any, accumulate: bool = False, needs_dx: bool = True) -> Array:
        if self.return_indices and isinstance(dy, tuple):
            dy = dy[0]  # in a graph: of the output; the indices have none
        positions, size, _ = check.kept(self, self._kept)
        backward = functional.max_pool2d_backward if self.axes == 2 else functional.max_pool1d_backward
        return backward(dy, positions, size, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool2d(_MaxPool):
    """Maximum of every window of (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        `kernel_size` by default.
    padding : int or (int, int)
        At most half of `kernel_size`.
    dilation : int or (int, int)
        Step between the pixels of a window.
    return_indices : bool
        The output is (y, indices), where ``h*W + w`` of each maximum is in the plane, as int64.
    ceil_mode : bool
        Also use windows that hang over the lower and right edge.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> fnn.MaxPool2d(2)(x)[0, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """

    axes = 2
    fusion = Fusion(commutes=True)  # a maximum that is not positive comes from pixels that the ReLU makes 0

    def output(self) -> Array:
        """The output of the last forward."""
        y: Array = check.kept(self, self._kept)[2]
        return y

    def plan(self, steps: Steps) -> None:
        if self.return_indices:
            raise NoPlan("two outputs")
        steps.max_pool2d(self.kernel_size, **self._windows())


class MaxPool1d(_MaxPool):
    """Maximum of every window of (N, C, L) or (C, L).

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        `kernel_size` by default.
    padding : int
        At most half of `kernel_size`.
    dilation : int
        Step between the elements of a window.
    return_indices : bool
        The output is (y, indices), where each maximum is in its row, as int64.
    ceil_mode : bool
        Also use windows that hang over the end.

    Examples
    --------
    >>> x = np.array([[[1, 3, 7, 5]]], np.float32)
    >>> fnn.MaxPool1d(2)(x).tolist()
    [[[3.0, 7.0]]]
    """

    axes = 1

    def plan(self, steps: Steps) -> None:
        if self.return_indices:
            raise NoPlan("two outputs")
        steps.max_pool1d(self.kernel_size, **self._windows())


class _AvgPool(Module):
    """What average pooling over one and over two axes share."""

    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: bool
    count_include_pad: bool

    def _set(
        self, axes: int, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool
    ) -> None:
        check.pool_settings(axes, kernel_size, stride, padding, 1, ceil_mode)
        check.average_settings(count_include_pad, None)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def _windows(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
            "count_include_pad": self.count_include_pad,
        }

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"ceil_mode={self.ceil_mode}, count_include_pad={self.count_include_pad}"
        )


class AvgPool2d(_AvgPool):
    """Average of every window of (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        `kernel_size` by default.
    padding : int or (int, int)
        At most half of `kernel_size`.
    ceil_mode : bool
        Also use windows that hang over the lower and right edge.
    count_include_pad : bool
        Count the pixels of the padding too.
    divisor_override : int, optional
        Divide by this instead of the number of pixels.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> fnn.AvgPool2d(2)(x)[0, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """

    def __init__(
        self,
        kernel_size: IntPair,
        stride: IntPair | None = None,
        padding: IntPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._set(2, kernel_size, stride, padding, ceil_mode, count_include_pad)
        check.average_settings(count_include_pad, divisor_override)
        self.divisor_override = divisor_override

    def _windows(self) -> dict[str, Any]:
        return {**super()._windows(), "divisor_override": self.divisor_override}

    def forward(self, x: Array) -> Array:
        y = functional.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )
        self._keep(x.shape[-2:])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        size = check.kept(self, self._kept)
        return functional.avg_pool2d_backward(
            dy,
            size,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def plan(self, steps: Steps) -> None:
        steps.avg_pool2d(self.kernel_size, **self._windows())

    def extra_repr(self) -> str:
        divisor = "" if self.divisor_override is None else f", divisor_override={self.divisor_override}"
        return super().extra_repr() + divisor


class AvgPool1d(_AvgPool):
    """Average of every window of (N, C, L) or (C, L).

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        `kernel_size` by default.
    padding : int
        At most half of `kernel_size`.
    ceil_mode : bool
        Also use windows that hang over the end.
    count_include_pad : bool
        Count the padding too.

    Examples
    --------
    >>> x = np.array([[[1, 3, 5, 7]]], np.float32)
    >>> fnn.AvgPool1d(2)(x).tolist()
    [[[2.0, 6.0]]]
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._set(1, kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, x: Array) -> Array:
        y = functional.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )
        self._keep(x.shape[-1])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        length = check.kept(self, self._kept)
        return functional.avg_pool1d_backward(
            dy, length, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def plan(self, steps: Steps) -> None:
        steps.avg_pool1d(self.kernel_size, **self._windows())
