"""Scores of classes and their targets, and how a loss is reduced."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    MaybeArray,
    choice,
    float_array,
    has_axes,
    has_shape,
    integer,
    number,
    same_dtype,
)

__all__ = [
    "INT64",
    "class_losses",
    "cross_entropy",
    "gradient_of_loss",
    "label_values",
    "nll_loss",
    "reduction",
    "smoothing",
]

REDUCTIONS = ("mean", "sum", "none")
INT64 = np.dtype(np.int64)
AXES = "(N, K) or (N, K, d1, ...), or (K,) of one example"


def reduction(value: str) -> None:
    if value not in REDUCTIONS:
        choice("reduction", value, REDUCTIONS)


def cross_entropy(
    x: Array, target: Array, weight: MaybeArray, ignore_index: int, reduction_name: str, label_smoothing: float
) -> bool:
    """Return whether `target` holds labels (True) or probabilities (False); `label_values` looks at the labels."""
    _scores(x, target, weight, ignore_index)
    reduction(reduction_name)
    if label_smoothing:
        smoothing(label_smoothing)
    if isinstance(target, np.ndarray) and target.ndim == x.ndim and target.dtype.kind == "f":
        _probabilities(x, target, ignore_index)
        return False
    _labels(x, target, ", or of probabilities of the shape of x")
    return True


def nll_loss(x: Array, target: Array, weight: MaybeArray, ignore_index: int, reduction_name: str) -> None:
    _scores(x, target, weight, ignore_index)
    reduction(reduction_name)
    _labels(x, target, "")


def outputs(x: Array, target: Array) -> None:
    """`x` is a float array; if it is not, `target` may tell that they have changed places."""
    try:
        float_array("x", x)
    except TypeError:
        kinds = [getattr(getattr(a, "dtype", None), "kind", "") for a in (x, target)]
        if kinds[0] in ("i", "u") and kinds[1] == "f":
            raise TypeError(
                f"x: got an array of {x.dtype}, and target one of {target.dtype}; expected the outputs of the network "
                "first, as in criterion(outputs, targets)"
            ) from None
        raise


def _scores(x: Array, target: Array, weight: MaybeArray, ignore_index: int) -> None:
    outputs(x, target)
    shape = x.shape
    if len(shape) < 2:
        raise ValueError(f"x: got shape {shape}; expected {AXES}")
    if shape[1] == 0:
        raise ValueError(f"x: got shape {shape}; expected at least one class")
    if weight is not None:
        same_dtype("x", x, "weight", weight)
        has_shape("weight", weight, (shape[1],), "one for each class")
    _ignored(ignore_index)


def _ignored(ignore_index: int) -> None:
    number = ignore_index if type(ignore_index) is int else integer("ignore_index", ignore_index)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"ignore_index: got {ignore_index}; expected an integer of 64 bits")


def class_losses(weight: MaybeArray, ignore_index: int, reduction_name: str) -> None:
    """The settings that losses of scores of classes share."""
    if weight is not None:
        float_array("weight", weight)
        has_axes("weight", weight, 1, "(K,), one number for each class")
    _ignored(ignore_index)
    reduction(reduction_name)


def smoothing(value: float) -> None:
    """`value` is a number from 0 to 1."""
    if not 0 <= number("label_smoothing", value) <= 1:
        raise ValueError(f"label_smoothing: got {value!r}; expected 0 to 1")


def _probabilities(x: Array, target: Array, ignore_index: int) -> None:
    if target.shape != x.shape:
        hint = hints.to_labels(target, x.shape[:1] + x.shape[2:], x.shape)
        has_shape("target", target, x.shape, f"the shape of x, of probabilities{hint and ', or integer labels'}{hint}")
    same_dtype("x", x, "target", target)
    if ignore_index >= 0:
        raise ValueError(f"ignore_index: got {ignore_index} with probabilities; expected labels, which it is one of")
    if target.size and math.isnan(target.min()):
        raise ValueError("target: got NaN among the probabilities; expected numbers")


def _labels(x: Array, target: Array, else_expected: str) -> None:
    shape = x.shape[:1] + x.shape[2:]
    if type(target) is np.ndarray and target.dtype is INT64 and target.shape == shape:
        return
    if not isinstance(target, np.ndarray) or isinstance(target, np.ma.MaskedArray | np.matrix):
        wanted = f"a NumPy array of integer labels, shape {shape}{else_expected}"
        raise TypeError(f"target: got {hints.kind_of(target)}; expected {wanted}{hints.to_array('target', target, '')}")
    hint = hints.to_labels(target, shape, x.shape)
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"target: got labels of {target.dtype}{_nan_note(target)}, shape {target.shape}; "
            f"expected integers 0 to {x.shape[1] - 1}, shape {shape}{hint}"
        )
    has_shape("target", target, shape, f"one label for each place of x{hint}")


def _nan_note(target: Array) -> str:
    return ", NaN among them" if target.dtype.kind == "f" and np.isnan(target).any() else ""


def label_values(target: Array, K: int, ignore_index: int) -> None:
    """All labels are 0 to K-1, or `ignore_index`."""
    wrong = ((target < 0) | (target >= K)) & (target != ignore_index)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = place[0] if len(place) == 1 else place
        raise ValueError(
            f"target: got label {target[place]} at place {where}; expected 0 to {K - 1}, "
            f"or ignore_index, {ignore_index}, to leave it out"
        )


def gradient_of_loss(dloss: Any, each: tuple[int, ...], reduction_name: str) -> None:
    """`dloss` is a number, or, where nothing was reduced, of the shape `each` of the losses."""
    shape = () if type(dloss) is float else np.shape(dloss)
    if type(dloss) is not float and np.asarray(dloss).dtype.kind not in "fiu":
        raise TypeError(f"dloss: got {hints.kind_of(dloss)}; expected a number, or an array of numbers")
    if shape != () and (reduction_name != "none" or shape != each):
        wanted = f"a number or shape {each}" if reduction_name == "none" else "a number"
        raise ValueError(f"dloss: got shape {shape}; expected {wanted} with reduction {reduction_name!r}")
