"""Layer, group and instance normalisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import Array, float_array, has_shape, integer, number, same_dtype
from fastnn._validate.norm import both_running_statistics, channels_of, for_channels, like_input

__all__ = [
    "channels",
    "group_norm",
    "group_norm_backward",
    "group_norm_input",
    "group_norm_settings",
    "instance_norm",
    "layer_norm",
    "layer_norm_backward",
    "normalized_shape",
]

Rows = tuple[int, int, int, int]  # images, groups, segments of a group, elements of a segment


def normalized_shape(value: Any) -> tuple[int, ...]:
    """`value`, an int or some of them, as a tuple of ints of at least 1."""
    if type(value) is tuple and value:
        for length in value:
            if type(length) is not int or length < 1:
                break
        else:
            return value
    if not isinstance(value, tuple | list):
        return (integer("normalized_shape", value, 1),)
    if not value:
        raise ValueError(f"normalized_shape: got {value!r}; expected the length of at least one axis")
    return tuple(integer("normalized_shape", length, 1) for length in value)


def layer_norm(x: Array, shape: Any, weight: Array | None, bias: Array | None, eps: float) -> tuple[Rows, int, float]:
    """Return the rows, how many axes of x stand before the normalised ones, and eps."""
    shape = normalized_shape(shape)
    float_array("x", x)
    before = x.ndim - len(shape)
    if before < 0 or x.shape[before:] != shape:
        wanted = ", ".join(("...", *map(str, shape)))
        raise ValueError(f"x: got shape {x.shape}; expected ({wanted}), to end in normalized_shape")
    dtype = x.dtype
    for name, a in (("weight", weight), ("bias", bias)):
        if a is not None and (type(a) is not np.ndarray or a.dtype is not dtype or a.shape != shape):
            same_dtype("x", x, name, a, of_layer=True)
            has_shape(name, a, shape, "normalized_shape")
    return (math.prod(x.shape[:before]), 1, math.prod(shape), 1), before, number("eps", eps, 0.0)


def layer_norm_backward(dy: Array, x: Array, shape: Any, weight: Array | None, mean: Array, invstd: Array) -> Rows:
    """Return the rows."""
    rows, before, _ = layer_norm(x, shape, weight, None, 0.0)
    like_input("dy", dy, x)
    _for_each_row(mean, invstd, x, x.shape[:before], "one number for each row of x")
    return rows


def group_norm(
    x: Array, num_groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Rows, tuple[int, int], float]:
    """Return the rows, N and the number of groups, and eps."""
    N, C, P = channels_of(x)
    G = integer("num_groups", num_groups, 1)
    if C % G:
        raise ValueError(f"num_groups: got {G}; expected a divisor of the {C} channels of x {x.shape}")
    if N * (C // G) * P == 1:
        raise ValueError(f"x: got shape {x.shape}, one value for each group; expected more: one has no variance")
    for_channels(x, weight=weight, bias=bias)
    return (N, G, C // G, P), (N, G), number("eps", eps, 0.0)


def group_norm_backward(dy: Array, x: Array, num_groups: int, weight: Array | None, mean: Array, invstd: Array) -> Rows:
    """Return the rows."""
    rows, groups, _ = group_norm(x, num_groups, weight, None, 0.0)
    like_input("dy", dy, x)
    _for_each_row(mean, invstd, x, groups, "one number for each group of each image of x")
    return rows


def channels(x: Array) -> int:
    """How many channels `x` (N, C, ...) has: of instance normalisation, each is a group."""
    return channels_of(x)[1]


def instance_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    momentum: float,
    eps: float,
) -> tuple[Rows, float, float]:
    """Return the rows, momentum and eps."""
    N, C, P = channels_of(x)
    if P == 1:
        raise ValueError(f"x: got shape {x.shape}, one value for each channel; expected more: one has no variance")
    for_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    both_running_statistics(running_mean, running_var, updated=True)
    return (N, C, 1, P), number("momentum", momentum, 0.0), number("eps", eps, 0.0)


def _for_each_row(mean: Array, invstd: Array, x: Array, shape: tuple[int, ...], why: str) -> None:
    dtype = x.dtype
    for name, a in (("mean", mean), ("invstd", invstd)):
        if type(a) is not np.ndarray or a.dtype is not dtype or a.shape != shape:
            same_dtype("x", x, name, a)
            has_shape(name, a, shape, why)


def group_norm_settings(num_groups: int, num_channels: int, eps: float) -> tuple[int, int, float]:
    """Return the settings of the layer as numbers."""
    groups, channels = integer("num_groups", num_groups, 1), integer("num_channels", num_channels, 1)
    if channels % groups:
        raise ValueError(f"num_groups: got {groups}; expected a divisor of num_channels, {channels}")
    return groups, channels, number("eps", eps, 0.0)


def group_norm_input(x: Array, num_channels: int) -> None:
    """`x` has `num_channels` channels."""
    if channels_of(x)[1] != num_channels:
        hints.channels_last(x, num_channels)
        raise ValueError(f"x: got shape {x.shape}; expected (N, {num_channels}, ...)")
