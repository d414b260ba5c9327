"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._validate._base import Array, float_array, has_shape, images, integer, number, true_or_false

__all__ = ["dropout", "dropout_backward", "kept_bits", "probability"]

Key = tuple[int, int]


def probability(name: str, value: float) -> float:
    """`value` as a float from 0 to 1."""
    result = number(name, value)
    if not 0.0 <= result <= 1.0:
        raise ValueError(f"{name}: got {value!r}; expected a number from 0 to 1")
    return result


def _word(name: str, value: Any) -> int:
    word = integer(name, value, 0)
    if word >= 2**64:
        raise ValueError(f"{name}: got {value!r}; expected less than 2**64")
    return word


def dropout(x: Array, p: float, training: bool, key: Key, planes: bool, name: str = "x") -> tuple[int, float, int, int]:
    """Return what a random word of 32 bits has to reach to keep, the scale of what is kept, and both numbers of `key`.

    With `planes`, `x` is (N, C, H, W).
    """
    if planes:
        images(name, x)
    else:
        float_array(name, x)
    p = probability("p", p)
    true_or_false("training", training)
    if not isinstance(key, tuple | list) or len(key) != 2:
        raise TypeError(f"key: got {key!r}; expected a pair of ints, (stream, step)")
    stream, step = _word("key", key[0]), _word("key", key[1])
    if not training:
        return 0, 1.0, stream, step
    if p == 1.0:
        return 2**32, 0.0, stream, step
    return min(round(p * 2**32), 2**32 - 1), 1 / (1 - p), stream, step


def dropout_backward(dy: Array, shape: tuple[int, ...]) -> None:
    float_array("dy", dy)
    has_shape("dy", dy, shape, "the shape of the output of the dropout")


def kept_bits(kept: Array | None, dy: Array) -> None:
    """`kept`, unless it is None, has a bit for each element of `dy`."""
    if kept is None:
        return
    if not isinstance(kept, np.ndarray) or isinstance(kept, np.ma.MaskedArray) or kept.dtype != np.uint8:
        came = getattr(kept, "dtype", type(kept).__name__)
        raise TypeError(f"kept: got {came}; expected an array of uint8, as dropout returns")
    has_shape("kept", kept, (-(-dy.size // 8),), f"a bit for each of the {dy.size} elements of dy")
