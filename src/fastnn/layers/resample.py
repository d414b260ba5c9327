"""Planes of another size: adaptive pooling and upsampling."""

from __future__ import annotations

from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, IntPair, OutputSize, Scale
from fastnn.layers.module import Module
from fastnn.layers.shape import takes_one
from fastnn.plan.contract import NoPlan
from fastnn.plan.steps import Steps


@takes_one(4)
class AdaptiveAvgPool2d(Module):
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

    def __init__(self, output_size: OutputSize) -> None:
        check.adaptive_settings(output_size)
        self.output_size = output_size

    def forward(self, x: Array) -> Array:
        y = functional.adaptive_avg_pool2d(x, self.output_size)
        self._keep(x.shape[2:])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.adaptive_avg_pool2d_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.adaptive_avg_pool2d(self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


@takes_one(4)
class AdaptiveMaxPool2d(Module):
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

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        check.adaptive_settings(output_size)
        self.output_size = output_size
        self.return_indices = check.true_or_false("return_indices", return_indices)

    def forward(self, x: Array) -> Any:
        if not self.training and not self.return_indices:
            return functional.adaptive_max_pool2d(x, self.output_size)
        y, indices = functional.adaptive_max_pool2d(x, self.output_size, return_indices=True)
        self._keep((indices, x.shape[2:]))
        return (y, indices) if self.return_indices else y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        indices, size = check.kept(self, self._kept)
        return functional.adaptive_max_pool2d_backward(dy, indices, size)

    def plan(self, steps: Steps) -> None:
        if self.return_indices:
            raise NoPlan("two outputs")
        steps.adaptive_max_pool2d(self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class Upsample(Module):
    """Planes of another size, larger or smaller, made of their nearest pixels or of the four around.

    Parameters
    ----------
    size : int or (int, int), optional
        Size of the output.
    scale_factor : float or (float, float), optional
        Instead of `size`.
    mode : "nearest" or "bilinear"
    align_corners : bool, optional
        Of "bilinear": the corner pixels of input and output have the same centres.
    recompute_scale_factor : bool, optional
        PyTorch's; with True the result would be another, so it is refused.

    Examples
    --------
    >>> x = np.array([[[[1, 2]]]], np.float32)
    >>> print(fnn.Upsample(scale_factor=2)(x)[0, 0])
    [[1. 1. 2. 2.]
     [1. 1. 2. 2.]]
    """

    def __init__(
        self,
        size: IntPair | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        check.only("recompute_scale_factor", recompute_scale_factor, (None, False))
        check.interpolation_settings(size, scale_factor, mode, align_corners)
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, x: Array) -> Array:
        y = functional.interpolate(x, self.size, self.scale_factor, mode=self.mode, align_corners=self.align_corners)
        self._keep(x.shape[2:])
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        size = check.kept(self, self._kept)
        return functional.interpolate_backward(
            dy, size, self.size, self.scale_factor, mode=self.mode, align_corners=self.align_corners
        )

    def plan(self, steps: Steps) -> None:
        steps.interpolate(self.size, self.scale_factor, mode=self.mode, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        wanted = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        corners = "" if self.align_corners is None else f", align_corners={self.align_corners}"
        return f"{wanted}, mode={self.mode!r}{corners}"
