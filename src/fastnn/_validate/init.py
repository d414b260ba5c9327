"""What an initialiser is given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._validate._base import Array, float_array


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
