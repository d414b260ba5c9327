"""Batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from fastnn._validate._base import (
    Array,
    float_array,
    fused_activation,
    gradient_names,
    has_shape,
    integer,
    number,
    same_dtype,
)


def _channels(x: Array) -> tuple[int, int, int]:
    """Return N, C and P, the number of elements of a plane: `x` is (N, C, ...), and only the batch may be empty."""
    float_array("x", x)
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ValueError(f"x: got shape {x.shape}; expected (N, C, ...), with at least one channel and element")
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])


def _for_each_channel(name: str, a: Array, x: Array) -> None:
    if type(a) is not np.ndarray or a.dtype is not x.dtype or a.shape != x.shape[1:2]:
        same_dtype("x", x, name, a)
        has_shape(name, a, x.shape[1:2], f"one number for each channel of x {x.shape}")


def _like_input(name: str, a: Array, x: Array) -> None:
    if type(a) is not np.ndarray or a.dtype is not x.dtype or a.shape != x.shape:
        same_dtype("x", x, name, a)
        has_shape(name, a, x.shape, "the shape of x")


def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    w: Array | None,
    b: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    activation: str | None,
) -> tuple[int, int, int, float, float]:
    """Return N, C, P, momentum and eps."""
    N, C, P = _channels(x)
    momentum, eps = number("momentum", momentum, 0.0), number("eps", eps, 0.0)
    if (running_mean is None) != (running_var is None):
        given, missing = ("running_var", "running_mean")[:: 1 if running_mean is None else -1]
        raise ValueError(f"{missing}: got None, but {given} is given; expected both or none")
    if running_mean is None and not training:
        raise ValueError("running_mean: got None; expected running statistics, or training=True to use those of x")
    for name, a in (("running_mean", running_mean), ("running_var", running_var), ("w", w), ("b", b)):
        if a is not None:
            _for_each_channel(name, a, x)
    if training:
        if N * P == 1:
            raise ValueError(
                f"x: got shape {x.shape}, one value for each channel; expected more in train mode: "
                "one value has no variance to be normalised by"
            )
        if running_mean is not None and running_var is not None:
            if running_mean is running_var:
                raise ValueError("running_mean, running_var: got one array twice; expected two that share no memory")
            for name, a in (("running_mean", running_mean), ("running_var", running_var)):
                if not a.flags.writeable:
                    raise ValueError(f"{name}: got a read-only array; expected a writable one, it is updated in place")
    fused_activation(activation)
    return N, C, P, momentum, eps


def batch_norm_backward(
    dy: Array, x: Array, w: Array | None, mean: Array, invstd: Array, y: Array | None, needs: Iterable[str]
) -> tuple[int, int, int]:
    """Return N, C and P."""
    sizes = _channels(x)
    _like_input("dy", dy, x)
    if y is not None:
        _like_input("y", y, x)
    if w is not None:
        _for_each_channel("w", w, x)
    _for_each_channel("mean", mean, x)
    _for_each_channel("invstd", invstd, x)
    gradient_names(needs)
    return sizes


def batch_norm_settings(num_features: int, eps: float, momentum: float | None) -> tuple[int, float, float | None]:
    """Return num_features, eps and momentum as numbers."""
    features, eps = integer("num_features", num_features, 1), number("eps", eps, 0.0)
    return features, eps, None if momentum is None else number("momentum", momentum, 0.0)


def batch_norm_input(x: Array, num_features: int, axes: dict[int, str]) -> None:
    """`x` has `num_features` channels, and one of the numbers of `axes` that the layer knows."""
    float_array("x", x)
    if x.ndim not in axes or x.shape[1] != num_features:
        wanted = " or ".join(axes.values()).replace("C", str(num_features))
        raise ValueError(f"x: got shape {x.shape}; expected {wanted}")
