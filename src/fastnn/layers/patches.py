"""Layers that take images apart and put them together: patches, and frames."""

from __future__ import annotations

from typing import ClassVar

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, Frame, IntPair
from fastnn.layers.module import Module
from fastnn.plan.contract import NoPlan
from fastnn.plan.steps import Steps


class Unfold(Module):
    """Write every patch of an image as a column: ``(N, C, H, W)`` to ``(N, C*KH*KW, L)``, or without N.

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
        self._keep(x.shape[-2:])
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
    """Add columns back to the pixels that they are patches of: ``(N, C*KH*KW, L)`` to ``(N, C, H, W)``, or without N.

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


class _Pad(Module):
    """What the layers share: two widths for each of the last `axes`, of which a negative one cuts off."""

    axes: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float | None = None

    def __init__(self, padding: Frame) -> None:
        self.padding = check.pad_layer(padding, self.axes)

    def forward(self, x: Array) -> Array:
        y = functional.pad(x, self.padding, self.mode, self.value)
        self._keep(True)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        check.kept(self, self._kept)
        return functional.pad_backward(dy, self.padding, self.mode)

    def plan(self, steps: Steps) -> None:
        if self.value or min(self.padding) < 0:
            raise NoPlan("a constant that is not 0, or negative widths")
        if self.axes == 2:
            steps.pad(self.padding, mode=self.mode)
            return
        steps.unflatten(2, (1, -1))
        steps.pad((*self.padding, 0, 0), mode=self.mode)
        steps.flatten(2, 3)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Frame, value: float) -> None:
        super().__init__(padding)
        self.value = check.pad_value(value, self.mode)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Put numbers before and after sequences ``(N, C, L)``, or arrays of any axes.

    Parameters
    ----------
    padding : int or (left, right)
        A negative width cuts off.
    value : float

    Examples
    --------
    >>> print(fnn.ConstantPad1d((1, 2), 9.0)(np.ones((1, 1, 2), np.float32))[0, 0])
    [9. 1. 1. 9. 9.]
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Put a frame of one number around images ``(N, C, H, W)``, or arrays of any axes.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        A negative width cuts off.
    value : float

    Examples
    --------
    >>> print(fnn.ConstantPad2d((1, 0, 0, 1), 9.0)(np.ones((1, 1, 1, 2), np.float32))[0, 0])
    [[9. 1. 1.]
     [9. 9. 9.]]
    """

    axes = 2


class ZeroPad1d(_Pad):
    """Put zeros before and after sequences ``(N, C, L)``, or arrays of any axes.

    Parameters
    ----------
    padding : int or (left, right)
        A negative width cuts off.

    Examples
    --------
    >>> print(fnn.ZeroPad1d((1, 2))(np.ones((1, 1, 2), np.float32))[0, 0])
    [0. 1. 1. 0. 0.]
    """

    axes = 1


class ZeroPad2d(_Pad):
    """Put a frame of zeros around images ``(N, C, H, W)``, or arrays of any axes.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        A negative width cuts off.

    Examples
    --------
    >>> print(fnn.ZeroPad2d(1)(np.ones((1, 1, 1, 2), np.float32))[0, 0])
    [[0. 0. 0. 0.]
     [0. 1. 1. 0.]
     [0. 0. 0. 0.]]
    """

    axes = 2


class ReflectionPad1d(_Pad):
    """Put the mirror image of its elements before and after a sequence ``(N, C, L)`` or ``(C, L)``.

    Parameters
    ----------
    padding : int or (left, right)
        Below L; a negative width cuts off.

    Examples
    --------
    >>> print(fnn.ReflectionPad1d((1, 2))(np.array([[[1, 2, 3]]], np.float32))[0, 0])
    [2. 1. 2. 3. 2. 1.]
    """

    axes, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Put the mirror image of its pixels around an image ``(N, C, H, W)`` or ``(C, H, W)``.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        Below W and H; a negative width cuts off.

    Examples
    --------
    >>> print(fnn.ReflectionPad2d((1, 1, 1, 0))(np.array([[[[1, 2], [3, 4]]]], np.float32))[0, 0])
    [[4. 3. 4. 3.]
     [2. 1. 2. 1.]
     [4. 3. 4. 3.]]
    """

    axes, mode = 2, "reflect"


class ReplicationPad1d(_Pad):
    """Repeat the first and the last element of a sequence ``(N, C, L)`` or ``(C, L)``.

    Parameters
    ----------
    padding : int or (left, right)
        A negative width cuts off.

    Examples
    --------
    >>> print(fnn.ReplicationPad1d((1, 2))(np.array([[[1, 2, 3]]], np.float32))[0, 0])
    [1. 1. 2. 3. 3. 3.]
    """

    axes, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Repeat the border of an image ``(N, C, H, W)`` or ``(C, H, W)``.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        A negative width cuts off.

    Examples
    --------
    >>> print(fnn.ReplicationPad2d((1, 0, 1, 0))(np.array([[[[1, 2]]]], np.float32))[0, 0])
    [[1. 1. 2.]
     [1. 1. 2.]]
    """

    axes, mode = 2, "replicate"


class CircularPad1d(_Pad):
    """Go on with a sequence ``(N, C, L)`` or ``(C, L)`` from its other end.

    Parameters
    ----------
    padding : int or (left, right)
        At most L; a negative width cuts off.

    Examples
    --------
    >>> print(fnn.CircularPad1d((1, 2))(np.array([[[1, 2, 3]]], np.float32))[0, 0])
    [3. 1. 2. 3. 1. 2.]
    """

    axes, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Go on with an image ``(N, C, H, W)`` or ``(C, H, W)`` from its opposite border.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        At most W and H; a negative width cuts off.

    Examples
    --------
    >>> print(fnn.CircularPad2d((1, 0, 0, 1))(np.array([[[[1, 2], [3, 4]]]], np.float32))[0, 0])
    [[2. 1. 2.]
     [4. 3. 4.]
     [2. 1. 2.]]
    """

    axes, mode = 2, "circular"
