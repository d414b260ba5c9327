"""Planes and rows of another size: adaptive pooling and upsampling."""

from __future__ import annotations

from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, OutputSize, Scale, Sizes
from fastnn.layers.module import Module
from fastnn.plan.contract import NoPlan
from fastnn.plan.steps import Steps


class _AdaptiveAvgPool(Module):
    """What adaptive average pooling over one and over two axes share."""

    axes: int

    def __init__(self, output_size: Any) -> None:
        check.adaptive_settings(self.axes, output_size)
        self.output_size = output_size

    def forward(self, x: Array) -> Array:
        pool = functional.adaptive_avg_pool2d if self.axes == 2 else functional.adaptive_avg_pool1d
        y = pool(x, self.output_size)
        self._keep(x.shape[-self.axes :])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        size = check.kept(self, self._kept)
        if self.axes == 2:
            return functional.adaptive_avg_pool2d_backward(dy, size)
        return functional.adaptive_avg_pool1d_backward(dy, size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Average of windows that share out the plane; with an output of 1, of the whole plane.

    Parameters
    ----------
    output_size : int, None or a pair of these
        Rows and columns of the output; None: as many as there are.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> fnn.AdaptiveAvgPool2d(1)(x).item()
    7.5
    """

    axes = 2

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__(output_size)

    def plan(self, steps: Steps) -> None:
        steps.adaptive_avg_pool2d(self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Average of windows that share out each row; with an output of 1, of the whole row.

    Parameters
    ----------
    output_size : int or None
        Length of the output; None: that of the input.

    Examples
    --------
    >>> fnn.AdaptiveAvgPool1d(2)(np.array([[[1, 3, 5, 7]]], np.float32)).tolist()
    [[[2.0, 6.0]]]
    """

    axes = 1

    def __init__(self, output_size: int | tuple[int] | None) -> None:
        super().__init__(output_size)

    def plan(self, steps: Steps) -> None:
        steps.adaptive_avg_pool1d(self.output_size)


class _AdaptiveMaxPool(Module):
    """What adaptive max pooling over one and over two axes share."""

    axes: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        check.adaptive_settings(self.axes, output_size)
        self.output_size = output_size
        self.return_indices = check.true_or_false("return_indices", return_indices)

    def forward(self, x: Array) -> Any:
        pool: Any = functional.adaptive_max_pool2d if self.axes == 2 else functional.adaptive_max_pool1d
        if not self.training and not self.return_indices:
            return pool(x, self.output_size)
        y, indices = pool(x, self.output_size, return_indices=True)
        self._keep((indices, x.shape[-self.axes :]))
        return (y, indices) if self.return_indices else y

    def backward(self, dy: Any, accumulate: bool = False, needs_dx: bool = True) -> Array:
        if self.return_indices and isinstance(dy, tuple):
            dy = dy[0]  # in a graph: of the output; the indices have none
        indices, size = check.kept(self, self._kept)
        if self.axes == 2:
            return functional.adaptive_max_pool2d_backward(dy, indices, size)
        return functional.adaptive_max_pool1d_backward(dy, indices, size)

    def plan(self, steps: Steps) -> None:
        if self.return_indices:
            raise NoPlan("two outputs")
        (steps.adaptive_max_pool2d if self.axes == 2 else steps.adaptive_max_pool1d)(self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maximum of windows that share out the plane; with an output of 1, of the whole plane.

    Parameters
    ----------
    output_size : int, None or a pair of these
        Rows and columns of the output; None: as many as there are.
    return_indices : bool
        The output is (y, indices), where ``h*W + w`` of each maximum is in the plane, as int64.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> fnn.AdaptiveMaxPool2d(2)(x)[0, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """

    axes = 2

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size, return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maximum of windows that share out each row; with an output of 1, of the whole row.

    Parameters
    ----------
    output_size : int or None
        Length of the output; None: that of the input.
    return_indices : bool
        The output is (y, indices), where each maximum is in its row, as int64.

    Examples
    --------
    >>> fnn.AdaptiveMaxPool1d(2)(np.array([[[1, 3, 7, 5]]], np.float32)).tolist()
    [[[3.0, 7.0]]]
    """

    axes = 1

    def __init__(self, output_size: int | tuple[int] | None, return_indices: bool = False) -> None:
        super().__init__(output_size, return_indices)


class Upsample(Module):
    """Planes or rows of another size, larger or smaller, made of the pixels around, as `interpolate` does.

    Parameters
    ----------
    size : int or (int, int), optional
        Size of the output.
    scale_factor : float or (float, float), optional
        Instead of `size`.
    mode : "nearest", "nearest-exact", "area"; "linear" of (N, C, L); "bilinear" or "bicubic" of (N, C, H, W)
    align_corners : bool, optional
        Of "linear", "bilinear" and "bicubic": the corner pixels of input and output have the same centres.
    recompute_scale_factor : bool, optional
        With True the scale is the ratio of the sizes, not the `scale_factor`.

    Examples
    --------
    >>> x = np.array([[[[1, 2]]]], np.float32)
    >>> print(fnn.Upsample(scale_factor=2)(x)[0, 0])
    [[1. 1. 2. 2.]
     [1. 1. 2. 2.]]
    """

    recompute_scale_factor: bool | None = None  # of networks that were pickled without it

    def __init__(
        self,
        size: Sizes | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        check.interpolation_settings(size, scale_factor, mode, align_corners, recompute_scale_factor)
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def _settings(self) -> tuple[Any, ...]:
        return self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor

    def forward(self, x: Array) -> Array:
        y = functional.interpolate(x, *self._settings())
        self._keep(x.shape[2:])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.interpolate_backward(dy, check.kept(self, self._kept), *self._settings())

    def plan(self, steps: Steps) -> None:
        steps.interpolate(*self._settings())

    def extra_repr(self) -> str:
        wanted = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        corners = "" if self.align_corners is None else f", align_corners={self.align_corners}"
        return f"{wanted}, mode={self.mode!r}{corners}"
