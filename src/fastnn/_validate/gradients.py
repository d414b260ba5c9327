"""What gradients are compared with differences of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastnn._validate._base import Array, float_array

__all__ = ["array_names", "function_inputs", "gradient_count", "gradients_of", "one_input"]


def one_input(inputs: list[Any], has_loss: bool, target: Any) -> None:
    """A layer, network or loss has one input, an array, and a loss has a target."""
    if len(inputs) != 1 or not isinstance(inputs[0], np.ndarray):
        came = type(inputs[0]).__name__ if len(inputs) == 1 else f"{len(inputs)} values"
        raise TypeError(f"inputs: got {came}; expected one array, x")
    if has_loss and target is None:
        raise ValueError("target: got None; expected what the loss compares with")


def function_inputs(inputs: list[Any], function: Any, backward: Any) -> None:
    """`function` and `backward` can be called, and there is something to differentiate by."""
    if not callable(function):
        raise TypeError(f"function: got {type(function).__name__}; expected a layer, network, loss or function")
    if not callable(backward):
        raise TypeError(f"backward: got {type(backward).__name__}; expected a function, backward(dy, *inputs)")
    for a in inputs:
        if not isinstance(a, np.ndarray):
            raise TypeError(f"inputs: got {type(a).__name__}; expected NumPy arrays")


def gradients_of(arrays: Mapping[str, Array], gradients: Mapping[str, Any]) -> None:
    """Each of `arrays`, of floats, has a gradient of its shape."""
    for name, a in arrays.items():
        float_array(name, a)
        came = gradients[name]
        if came is None or np.shape(came) != a.shape:
            what = "no gradient" if came is None else f"a gradient of shape {np.shape(came)}"
            raise ValueError(f"{name}: got {what}; expected one of shape {a.shape}")


def gradient_count(inputs: list[Any], gradients: Any) -> None:
    if len(gradients) != len(inputs):
        raise ValueError(f"backward: got {len(gradients)} gradients; expected {len(inputs)}, one for each input")


def array_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """`names` as a list, all of them among the `known`."""
    known, found = list(known), [names] if isinstance(names, str) else list(names)
    for name in found:
        if name not in known:
            raise ValueError(f"names: got {name!r}; expected some of {', '.join(map(repr, known))}")
    return found
