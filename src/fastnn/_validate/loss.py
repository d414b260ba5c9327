"""Scores, targets, and how a loss is reduced."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._validate._base import Array, choice, float_array, has_axes, has_shape, same_dtype

REDUCTIONS = ("mean", "sum", "none")


def reduction(value: str) -> None:
    choice("reduction", value, REDUCTIONS)


def cross_entropy(x: Array, target: Array, reduction_name: str) -> bool:
    """Return whether `target` holds labels (True) or probabilities (False)."""
    float_array("x", x)
    has_axes("x", x, 2, "(N, K)")
    if x.shape[1] == 0:
        raise ValueError(f"x: got shape {x.shape}; expected at least one class")
    reduction(reduction_name)
    if not isinstance(target, np.ndarray):
        raise TypeError(
            f"target: got {type(target).__name__}; expected an array of integer labels (N,) or of probabilities (N, K)"
        )
    if target.ndim == 2 and target.dtype.kind == "f":
        same_dtype("x", x, "target", target)
        has_shape("target", target, x.shape, "the shape of x")
        if target.size and math.isnan(target.min()):
            raise ValueError("target: got NaN among the probabilities; expected numbers")
        return False
    _labels(target, *x.shape)
    return True


def _labels(target: Array, N: int, K: int) -> None:
    if isinstance(target, np.ma.MaskedArray | np.matrix):
        raise TypeError(f"target: got {type(target).__name__}; expected a plain NumPy array of labels")
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"target: got labels of {target.dtype}{_nan_note(target)}; expected integers 0 to {K - 1}, shape ({N},)"
        )
    if target.shape != (N,):
        raise ValueError(f"target: got shape {target.shape}; expected ({N},), one label for each row of x")
    if N and not 0 <= target.min() <= target.max() < K:
        place = int(np.argmax((target < 0) | (target >= K)))
        raise ValueError(f"target: got label {target[place]} at place {place}; expected 0 to {K - 1}")


def _nan_note(target: Array) -> str:
    return ", NaN among them" if target.dtype.kind == "f" and np.isnan(target).any() else ""


def cross_entropy_backward(x: Array, target: Array, reduction_name: str, dloss: Any) -> bool:
    """Return whether `target` holds labels (True) or probabilities (False)."""
    labels = cross_entropy(x, target, reduction_name)
    _gradient_of_loss(dloss, x.shape[:1], reduction_name)
    return labels


def _gradient_of_loss(dloss: Any, each: tuple[int, ...], reduction_name: str) -> None:
    """`dloss` is a number, or, where nothing was reduced, of the shape `each` of the losses."""
    shape = () if type(dloss) is float else np.shape(dloss)
    if shape != () and (reduction_name != "none" or shape != each):
        wanted = f"a number or shape {each}" if reduction_name == "none" else "a number"
        raise ValueError(f"dloss: got shape {shape}; expected {wanted} with reduction {reduction_name!r}")


def mse_loss(x: Array, target: Array, reduction_name: str) -> None:
    float_array("x", x)
    same_dtype("x", x, "target", target)
    has_shape("target", target, x.shape, "the shape of x")
    reduction(reduction_name)


def mse_loss_backward(x: Array, target: Array, reduction_name: str, dloss: Any) -> None:
    mse_loss(x, target, reduction_name)
    _gradient_of_loss(dloss, x.shape, reduction_name)
