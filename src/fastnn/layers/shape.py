"""Layers that change the shape or the places of elements, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.plan.steps import Steps


class Flatten(Module):
    """Join the axes from `start_dim` to `end_dim` into one: by default ``(N, C, H, W)`` to ``(N, C*H*W)``.

    Parameters
    ----------
    start_dim, end_dim : int

    Examples
    --------
    >>> fnn.Flatten()(np.ones((8, 3, 4, 4), np.float32)).shape
    (8, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = check.integer("start_dim", start_dim), check.integer("end_dim", end_dim)

    def forward(self, x: Array) -> Array:
        y = functional.flatten(x, self.start_dim, self.end_dim)
        self._keep((x.shape, y.shape))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        shape, flattened = check.kept(self, self._kept)
        check.reshape_backward(dy, flattened, "Flatten")
        return dy.reshape(shape)

    def plan(self, steps: Steps) -> None:
        steps.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split the axis `dim` into several, as ``(N, C*H*W)`` into ``(N, C, H, W)``.

    Parameters
    ----------
    dim : int
    unflattened_size : tuple of int
        The lengths of the axes; one of them may be -1: what is left.

    Examples
    --------
    >>> fnn.Unflatten(1, (3, 4, 4))(np.ones((8, 48), np.float32)).shape
    (8, 3, 4, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = check.integer("dim", dim), check.unflattened_size(unflattened_size)

    def forward(self, x: Array) -> Array:
        y = functional.unflatten(x, self.dim, self.unflattened_size)
        self._keep((x.shape, y.shape))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        shape, unflattened = check.kept(self, self._kept)
        check.reshape_backward(dy, unflattened, "Unflatten")
        return dy.reshape(shape)

    def plan(self, steps: Steps) -> None:
        steps.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class PixelShuffle(Module):
    """Make squares of pixels of every r*r channels, ``(..., C*r*r, H, W)`` to ``(..., C, H*r, W*r)``.

    Parameters
    ----------
    upscale_factor : int
        r.

    Examples
    --------
    >>> fnn.PixelShuffle(2)(np.ones((1, 12, 4, 5), np.float32)).shape
    (1, 3, 8, 10)
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = check.integer("upscale_factor", upscale_factor, 1)

    def forward(self, x: Array) -> Array:
        y = functional.pixel_shuffle(x, self.upscale_factor)
        self._keep(y.shape)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        check.reshape_backward(dy, check.kept(self, self._kept), "PixelShuffle")
        return functional.pixel_unshuffle(dy, self.upscale_factor)

    def plan(self, steps: Steps) -> None:
        r = check.pixel_shuffle(steps.y, "upscale_factor", self.upscale_factor, back=False)
        at = steps.y.ndim - 3  # the channels' axis
        steps.unflatten(at, (-1, r, r))
        steps.pick(lambda x: np.moveaxis(x, (at + 1, at + 2), (at + 2, at + 4)))
        steps.flatten(at + 1, at + 2)
        steps.flatten(at + 2, at + 3)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Make r*r channels of the squares of pixels of each, ``(..., C, H*r, W*r)`` to ``(..., C*r*r, H, W)``.

    Parameters
    ----------
    downscale_factor : int
        r.

    Examples
    --------
    >>> fnn.PixelUnshuffle(2)(np.ones((1, 3, 8, 10), np.float32)).shape
    (1, 12, 4, 5)
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = check.integer("downscale_factor", downscale_factor, 1)

    def forward(self, x: Array) -> Array:
        y = functional.pixel_unshuffle(x, self.downscale_factor)
        self._keep(y.shape)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        check.reshape_backward(dy, check.kept(self, self._kept), "PixelUnshuffle")
        return functional.pixel_shuffle(dy, self.downscale_factor)

    def plan(self, steps: Steps) -> None:
        r = check.pixel_shuffle(steps.y, "downscale_factor", self.downscale_factor, back=True)
        at = steps.y.ndim - 3
        steps.unflatten(at + 2, (-1, r))
        steps.unflatten(at + 1, (-1, r))
        steps.pick(lambda x: np.moveaxis(x, (at + 2, at + 4), (at + 1, at + 2)))
        steps.flatten(at, at + 2)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class Identity(Module):
    """The input itself, whatever arguments the layer is made with: a place for another layer.

    Examples
    --------
    >>> fnn.Identity()(np.array([1, 2], np.float32)).tolist()
    [1.0, 2.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return dy

    def plan(self, steps: Steps) -> None:
        """Nothing is done."""
