"""What an initialiser is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastnn._validate._base import Array, float_array

__all__ = ["fans", "initialised", "modules", "rule_applies", "rules"]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan_in and fan_out: how many inputs an output of a weight has, and how many outputs an input has."""
    if len(shape) < 2:
        raise ValueError(f"p: got shape {shape}; expected at least 2 axes, (outputs, inputs, ...)")
    receptive_field = math.prod(shape[2:])
    return shape[1] * receptive_field, shape[0] * receptive_field


def initialised(p: Any) -> Array:
    """The array of a parameter, or `p` itself, to be written in place."""
    array = p if isinstance(p, np.ndarray) else getattr(p, "data", p)
    float_array("p", array)
    if not array.flags.writeable:
        raise ValueError("p: got a read-only array; expected a writable one, it is written in place")
    return array


def modules(net: Any) -> list[Any]:
    """The layers of `net`, itself included."""
    if not hasattr(net, "modules"):
        raise TypeError(f"net: got {type(net).__name__}; expected a layer or a network of layers")
    return list(net.modules())


def rules(values: Any) -> Mapping[str, Any]:
    """`values`, a dict from names of classes to names of initialisers or functions."""
    if not isinstance(values, Mapping):
        raise TypeError(f"rules: got {type(values).__name__}; expected a dict, as in {{'Conv2d': 'kaiming_normal'}}")
    for key, rule in values.items():
        if not isinstance(key, str):
            raise TypeError(f"rules: got the key {key!r}; expected the name of a class, as 'Conv2d' or 'Conv2d.bias'")
        if not isinstance(rule, str) and not callable(rule):
            raise TypeError(f"rules[{key!r}]: got {rule!r}; expected the name of an initialiser, or a function")
    return values


def rule_applies(key: str, found: Sequence[Any], layers: Sequence[Any]) -> None:
    """The rule for `key` has found parameters in a network of these `layers`."""
    if not found:
        kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in layers))
        raise ValueError(f"rules: got {key!r}, which no parameter of the network goes by; expected one of its {kinds}")
