"""Layers that pick, order or average elements of one input, for the nodes of a `Graph`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, Frame
from fastnn.layers.module import Module
from fastnn.plan.contract import NoPlan
from fastnn.plan.steps import Steps


class Reshape(Module):
    """The same elements in another shape, in the order of the memory.

    Parameters
    ----------
    *shape : int
        Of the output, batch included. A 0 is the length that the input has on that axis, as for the batch; one may be
        -1: what is left.

    Examples
    --------
    >>> fnn.Reshape(0, 3, -1)(np.ones((8, 12), np.float32)).shape
    (8, 3, 4)
    """

    def __init__(self, *shape: int | Sequence[int]) -> None:
        lengths = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        self.shape = check.unflattened_size(tuple(lengths), "shape")

    def forward(self, x: Array) -> Array:
        shape = check.reshape(x, self.shape)
        self._keep((x.shape, shape))
        return x.reshape(shape)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        before, after = check.kept(self, self._kept)
        check.reshape_backward(dy, after, "Reshape")
        return dy.reshape(before)

    def plan(self, steps: Steps) -> None:
        """Where the batch stays what it is."""
        if len(self.shape) < 2 or steps.y.ndim < 2 or self.shape[0] > 0:
            raise NoPlan("the axis of the batch changes")
        one = np.broadcast_to(steps.y.dtype.type(0), (1, *steps.y.shape[1:]))
        batch, *rest = check.reshape(one, self.shape)
        if batch != 1:
            raise NoPlan("the axis of the batch changes")
        steps.flatten(1, -1)
        steps.unflatten(1, tuple(rest))

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.shape))


class Permute(Module):
    """The axes in another order, the first of which is mostly the batch's.

    Parameters
    ----------
    *dims : int
        For each axis of the output, the one of the input.

    Examples
    --------
    >>> fnn.Permute(0, 2, 1)(np.ones((8, 3, 4), np.float32)).shape
    (8, 4, 3)
    """

    def __init__(self, *dims: int | Sequence[int]) -> None:
        axes = dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
        self.dims = check.axes_order(tuple(axes))

    def forward(self, x: Array) -> Array:
        check.permute(x, self.dims)
        y = x.transpose(self.dims)
        self._keep(y.shape)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        shape = check.kept(self, self._kept)
        check.reshape_backward(dy, shape, "Permute")
        return dy.transpose(np.argsort(np.array(self.dims) % len(self.dims)))

    def plan(self, steps: Steps) -> None:
        check.permute(steps.y, self.dims)
        steps.pick(lambda x: x.transpose(self.dims))

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.dims))


class Slice(Module):
    """Some of the elements, as ``x[index]`` with whole numbers, slices, ``...`` and None.

    Parameters
    ----------
    *index : int, slice, Ellipsis or None

    Examples
    --------
    >>> fnn.Slice(slice(None), 0)(np.ones((8, 3, 4), np.float32)).shape
    (8, 4)
    >>> fnn.Slice(..., slice(1, None, 2))(np.ones((8, 3, 4), np.float32)).shape
    (8, 3, 2)
    """

    def __init__(self, *index: Any) -> None:
        self.index = check.slices(index)

    def forward(self, x: Array) -> Array:
        y = check.sliced(x, self.index)
        self._keep((x.shape, y.shape))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        before, after = check.kept(self, self._kept)
        check.reshape_backward(dy, after, "Slice")
        dx = np.zeros(before, dy.dtype)
        dx[self.index] = dy
        return dx

    def plan(self, steps: Steps) -> None:
        steps.pick(lambda x: x[self.index])

    def extra_repr(self) -> str:
        return ", ".join("..." if each is ... else _written(each) for each in self.index)


class Pad(Module):
    """A frame around images, as `functional.pad` makes it.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
    mode : "constant" (of zeros), "reflect", "replicate" or "circular"

    Examples
    --------
    >>> fnn.Pad((0, 1, 0, 1), mode="reflect")(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 5, 5)
    """

    def __init__(self, padding: Frame, mode: str = "constant") -> None:
        self.padding = check.frame("padding", padding)
        check.choice("mode", mode, ("constant", "reflect", "replicate", "circular"))
        self.mode = mode

    def forward(self, x: Array) -> Array:
        y = functional.pad(x, self.padding, self.mode)
        self._keep(True)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        check.kept(self, self._kept)
        return functional.pad_backward(dy, self.padding, self.mode)

    def plan(self, steps: Steps) -> None:
        steps.pad(self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}, mode={self.mode!r}"


class _OverAxes(Module):
    """What `Mean` and `Sum` share."""

    def __init__(self, dim: int | Sequence[int], keepdim: bool = False) -> None:
        self.dim = check.axes_order((dim,) if isinstance(dim, int) else tuple(dim), "dim")
        self.keepdim = check.true_or_false("keepdim", keepdim)

    def forward(self, x: Array) -> Array:
        axes = check.over_axes(x, self.dim)
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
        shape = kept if self.keepdim else tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
        self._keep((x.shape, kept, shape))
        return self._made(x, axes).reshape(shape)

    def _made(self, x: Array, axes: tuple[int, ...]) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        before, kept, after = check.kept(self, self._kept)
        check.reshape_backward(dy, after, type(self).__name__)
        count = math.prod(n for n, left in zip(before, kept, strict=True) if n != left)
        return np.array(np.broadcast_to(self._share(dy.reshape(kept), count), before))

    def _share(self, dy: Array, count: int) -> Array:
        """What each of `count` elements has of a gradient."""
        return dy

    def extra_repr(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"


class Mean(_OverAxes):
    """The mean over some axes.

    Parameters
    ----------
    dim : int or tuple of int
    keepdim : bool
        Whether the axes stay, with length 1.

    Examples
    --------
    >>> fnn.Mean((2, 3))(np.ones((2, 8, 5, 5), np.float32)).shape
    (2, 8)
    """

    def _made(self, x: Array, axes: tuple[int, ...]) -> Array:
        return functional.adaptive_avg_pool2d(x, 1) if self._is_of_planes(x.ndim, axes) else np.asarray(x.mean(axes))

    def _share(self, dy: Array, count: int) -> Array:
        return np.asarray(dy / dy.dtype.type(count))

    @staticmethod
    def _is_of_planes(ndim: int, axes: tuple[int, ...]) -> bool:
        return ndim == 4 and axes == (2, 3)

    def plan(self, steps: Steps) -> None:
        if not self._is_of_planes(steps.y.ndim, check.over_axes(steps.y, self.dim)):
            raise NoPlan("a mean that is not of planes")
        steps.adaptive_avg_pool2d(1)
        if not self.keepdim:
            steps.flatten(1, -1)


class Sum(_OverAxes):
    """The sum over some axes.

    Parameters
    ----------
    dim : int or tuple of int
    keepdim : bool
        Whether the axes stay, with length 1.

    Examples
    --------
    >>> fnn.Sum((2, 3))(np.ones((2, 8, 5, 5), np.float32)).shape
    (2, 8)
    """

    def _made(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.sum(axes))


class Clamp(Module):
    """Every element, but at least `min` and at most `max`, as ``torch.clamp``.

    At a bound itself the gradient goes through, that of `Hardtanh` does not.

    Parameters
    ----------
    min, max : float, optional
        At least one of them.

    Examples
    --------
    >>> fnn.Clamp(min=0.5)(np.array([-2, 0.5, 3], np.float32)).tolist()
    [0.5, 0.5, 3.0]
    """

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        self.min, self.max = check.clamp_bounds(min, max)

    def forward(self, x: Array) -> Array:
        check.float_array("x", x)
        self._keep(x)
        bounds: Any = (self.min, self.max)
        return np.asarray(x.clip(*bounds))

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        x = check.kept(self, self._kept)
        check.reshape_backward(dy, x.shape, "Clamp")
        inside = np.ones(x.shape, bool)
        if self.min is not None:
            inside &= x >= self.min
        if self.max is not None:
            inside &= x <= self.max
        return np.where(inside, dy, dy.dtype.type(0))

    def extra_repr(self) -> str:
        bounds = {"min": self.min, "max": self.max}
        return ", ".join(f"{name}={value}" for name, value in bounds.items() if value is not None)


def _written(index: Any) -> str:
    if not isinstance(index, slice):
        return str(index)
    ends = ["" if each is None else str(each) for each in (index.start, index.stop, index.step)]
    return ":".join(ends if ends[2] else ends[:2])
