"""Matrix products and linear layers."""

from __future__ import annotations

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    float_array,
    fused_activation,
    has_axes,
    has_shape,
    same_dtype,
)


def matmul(a: Array, b: Array) -> None:
    float_array("a", a)
    same_dtype("a", a, "b", b)
    has_axes("a", a, 2, "(M, K)")
    has_axes("b", b, 2, "(K, N)")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"b: got shape {b.shape}; expected {a.shape[1]} rows, as many as a {a.shape} has columns")


def _linear_arrays(x: Array, w: Array) -> None:
    float_array("x", x)
    same_dtype("x", x, "w", w)
    has_axes("w", w, 2, "(O, I)")
    if 0 in w.shape:
        raise ValueError(f"w: got shape {w.shape}; expected no empty axis")
    if x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"x: got shape {x.shape}; expected (..., {w.shape[1]}), as many features as w {w.shape} takes"
            + hints.to_features(x, w.shape[1])
        )


def linear(x: Array, w: Array, b: Array | None, activation: str | None) -> None:
    _linear_arrays(x, w)
    if b is not None:
        same_dtype("x", x, "b", b)
        has_shape("b", b, (w.shape[0],), "one number for each output feature of w")
    fused_activation(activation)


def linear_backward(dy: Array, x: Array, w: Array) -> None:
    _linear_arrays(x, w)
    same_dtype("x", x, "dy", dy)
    has_shape("dy", dy, (*x.shape[:-1], w.shape[0]), "the shape of the output of linear")
