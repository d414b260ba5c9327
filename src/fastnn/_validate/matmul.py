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

__all__ = ["linear", "linear_backward", "matmul"]


def matmul(a: Array, b: Array) -> None:
    float_array("a", a)
    same_dtype("a", a, "b", b)
    has_axes("a", a, 2, "(M, K)")
    has_axes("b", b, 2, "(K, N)")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"b: got shape {b.shape}; expected {a.shape[1]} rows, as many as a {a.shape} has columns")


def _linear_arrays(x: Array, weight: Array) -> None:
    float_array("x", x)
    same_dtype("x", x, "weight", weight, of_layer=True)
    has_axes("weight", weight, 2, "(O, I)")
    if 0 in weight.shape:
        raise ValueError(f"weight: got shape {weight.shape}; expected no empty axis")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"x: got shape {x.shape}; expected (..., {weight.shape[1]}), "
            f"as many features as weight {weight.shape} takes" + hints.to_features(x, weight.shape[1])
        )


def linear(x: Array, weight: Array, bias: Array | None, activation: str | None) -> None:
    _linear_arrays(x, weight)
    if bias is not None:
        same_dtype("x", x, "bias", bias, of_layer=True)
        has_shape("bias", bias, (weight.shape[0],), "one number for each output feature of weight")
    fused_activation(activation)


def linear_backward(dy: Array, x: Array, weight: Array) -> None:
    _linear_arrays(x, weight)
    same_dtype("x", x, "dy", dy)
    has_shape("dy", dy, (*x.shape[:-1], weight.shape[0]), "the shape of the output of linear")
