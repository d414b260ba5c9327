"""Arrays of another shape with the same elements."""

from __future__ import annotations

import math
from typing import Any

from fastnn._validate._base import Array, axis_index, float_array, has_shape, integer

__all__ = ["flatten", "pixel_shuffle", "reshape_backward", "unflatten", "unflattened_size"]


def flatten(x: Array, start_dim: int, end_dim: int) -> tuple[int, ...]:
    """Return the shape with all axes from `start_dim` to `end_dim` joined."""
    float_array("x", x)
    ndim = max(x.ndim, 1)  # a number is flattened as if it were an array of one
    first, last = axis_index("start_dim", start_dim, ndim), axis_index("end_dim", end_dim, ndim)
    if first > last:
        raise ValueError(f"end_dim: got {end_dim}; expected an axis not before start_dim, {start_dim}")
    return *x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]


def unflattened_size(sizes: Any, name: str = "unflattened_size") -> tuple[int, ...]:
    """`sizes` as a tuple of ints, of which one may be -1."""
    if not isinstance(sizes, tuple | list) or not sizes:
        raise TypeError(f"{name}: got {sizes!r}; expected a tuple of ints")
    lengths = tuple(integer(name, length, -1) for length in sizes)
    if lengths.count(-1) > 1:
        raise ValueError(f"{name}: got {sizes!r}; expected -1 once at most")
    return lengths


def unflatten(x: Array, dim: int, sizes: Any) -> tuple[int, ...]:
    """Return the shape with `dim` split into `sizes`."""
    float_array("x", x)
    lengths = unflattened_size(sizes, "sizes")
    if x.ndim == 0:
        raise ValueError("x: got shape (); expected at least one axis")
    axis = axis_index("dim", dim, x.ndim)
    whole, known = x.shape[axis], math.prod(length for length in lengths if length != -1)
    if -1 in lengths and known:
        lengths = tuple(whole // known if length == -1 else length for length in lengths)
    if -1 in lengths or math.prod(lengths) != whole:
        raise ValueError(f"sizes: got {sizes!r}; expected sizes whose product is {whole}, of axis {dim} of x")
    return *x.shape[:axis], *lengths, *x.shape[axis + 1 :]


def reshape_backward(dy: Array, shape: tuple[int, ...], layer: str) -> None:
    """`dy` has the shape of the output of a layer of that class."""
    float_array("dy", dy)
    has_shape("dy", dy, shape, f"the shape of the output of {layer}")


def pixel_shuffle(x: Array, name: str, factor: int, *, back: bool) -> int:
    """`factor`, which `x` (..., C, H, W) has the channels for, or with `back` the rows and columns."""
    float_array("x", x)
    r = integer(name, factor, 1)
    if x.ndim < 3:
        raise ValueError(f"x: got shape {x.shape}; expected at least 3 axes, (..., C, H, W)")
    if back and (x.shape[-1] % r or x.shape[-2] % r):
        raise ValueError(f"{name}: got {r}; expected a divisor of rows and columns of x {x.shape}")
    if not back and x.shape[-3] % (r * r):
        raise ValueError(f"{name}: got {r}; expected {r * r} to divide the channels of x {x.shape}")
    return r
