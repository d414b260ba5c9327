"""Batch normalisation."""

from __future__ import annotations

import math

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    float_array,
    fused_activation,
    has_shape,
    integer,
    number,
    same_dtype,
)

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_input", "batch_norm_settings"]


def channels_of(x: Array) -> tuple[int, int, int]:
    """Return N, C and P, the number of elements of a plane: `x` is (N, C, ...), and only the batch may be empty."""
    float_array("x", x)
    shape = x.shape
    if len(shape) < 2 or 0 in shape[1:]:
        raise ValueError(f"x: got shape {shape}; expected (N, C, ...), with at least one channel and element")
    return shape[0], shape[1], math.prod(shape[2:])


def _for_each_channel(name: str, a: Array, x: Array) -> None:
    """`a` has one number for each channel of `x`."""
    same_dtype("x", x, name, a, of_layer=True)
    has_shape(name, a, x.shape[1:2], f"one number for each channel of x {x.shape}")


def for_channels(x: Array, **arrays: Array | None) -> None:
    """Each of `arrays` that is not None has one number for each channel of `x`."""
    dtype, shape = x.dtype, x.shape[1:2]
    for name, a in arrays.items():
        if a is not None and (type(a) is not np.ndarray or a.dtype is not dtype or a.shape != shape):
            _for_each_channel(name, a, x)


def like_input(name: str, a: Array, x: Array) -> None:
    """`a` has the shape and dtype of `x`."""
    if type(a) is not np.ndarray or a.dtype is not x.dtype or a.shape != x.shape:
        same_dtype("x", x, name, a)
        has_shape(name, a, x.shape, "the shape of x")


def both_running_statistics(running_mean: Array | None, running_var: Array | None, updated: bool) -> None:
    """There are both or none; if they are `updated`, they can be."""
    if running_mean is None or running_var is None:
        if running_mean is not running_var:
            given, missing = ("running_var", "running_mean")[:: 1 if running_mean is None else -1]
            raise ValueError(f"{missing}: got None, but {given} is given; expected both or none")
        return
    if updated and running_mean is running_var:
        raise ValueError("running_mean, running_var: got one array twice; expected two that share no memory")
    if updated and not (running_mean.flags.writeable and running_var.flags.writeable):
        name = "running_var" if running_mean.flags.writeable else "running_mean"
        raise ValueError(f"{name}: got a read-only array; expected a writable one, it is updated in place")


def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str | None,
) -> tuple[int, int, int, float, float]:
    """Return N, C, P, momentum and eps."""
    N, C, P = channels_of(x)
    momentum, eps = number("momentum", momentum, 0.0), number("eps", eps, 0.0)
    for_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    both_running_statistics(running_mean, running_var, updated=training)
    if running_mean is None and not training:
        raise ValueError("running_mean: got None; expected running statistics, or training=True to use those of x")
    if training and N * P == 1:
        raise ValueError(
            f"x: got shape {x.shape}, one value for each channel; expected more in train mode: "
            "one value has no variance to be normalised by"
        )
    if activation is not None:
        fused_activation(activation)
    return N, C, P, momentum, eps


def batch_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array, y: Array | None
) -> tuple[int, int, int]:
    """Return N, C and P."""
    sizes = channels_of(x)
    like_input("dy", dy, x)
    if y is not None:
        like_input("y", y, x)
    for_channels(x, weight=weight)
    shape = x.shape[1:2]
    if type(mean) is not np.ndarray or mean.dtype is not x.dtype or mean.shape != shape:
        _for_each_channel("mean", mean, x)
    if type(invstd) is not np.ndarray or invstd.dtype is not x.dtype or invstd.shape != shape:
        _for_each_channel("invstd", invstd, x)
    return sizes


def batch_norm_settings(num_features: int, eps: float, momentum: float | None) -> tuple[int, float, float | None]:
    """Return num_features, eps and momentum as numbers."""
    features, eps = integer("num_features", num_features, 1), number("eps", eps, 0.0)
    return features, eps, None if momentum is None else number("momentum", momentum, 0.0)


def batch_norm_input(x: Array, num_features: int, axes: dict[int, str]) -> None:
    """`x` has `num_features` channels, and one of the numbers of `axes` that the layer knows."""
    float_array("x", x)
    if x.ndim not in axes or x.shape[1] != num_features:
        if x.ndim in axes:
            hints.channels_last(x, num_features)
        wanted = " or ".join(axes.values()).replace("C", str(num_features))
        raise ValueError(f"x: got shape {x.shape}; expected {wanted}")
