"""What the rules of all families share: the types, and the rules about arrays, numbers and names."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn._validate import hints

__all__ = [
    "FLOAT32",
    "FLOAT64",
    "GRADIENTS",
    "Array",
    "Frame",
    "IntPair",
    "IntSingle",
    "MaybeArray",
    "Padding",
    "all_below",
    "array",
    "axis_index",
    "choice",
    "float_array",
    "float_dtype",
    "gradient_names",
    "integer",
    "number",
    "pair",
    "positive",
    "single",
    "true_or_false",
]

Array = np.ndarray[Any, np.dtype[Any]]
IntPair = int | tuple[int, int]
IntSingle = int | tuple[int]
Frame = int | tuple[int, ...]  # left, right, top, bottom, and so on: the last axis first
Padding = IntPair | str  # "same" or "valid"
MaybeArray = Array | Any  # None where the caller asked for none, which type checkers need not ask about

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)
UINT64 = np.dtype(np.uint64)
GRADIENTS = ("dx", "dw", "db")
NEEDED = (GRADIENTS, ("dw", "db"), ("dx", "dw"), ("dw",), ("dx",))  # by layers, which need no look at the names
LARGEST = 2**31 - 1  # window, stride or padding: kernels multiply them by sizes of arrays


def array(name: str, a: Array) -> None:
    """`a` is a NumPy array."""
    if not isinstance(a, np.ndarray):
        raise TypeError(f"{name}: got {hints.kind_of(a)}; expected a NumPy array{hints.to_array(name, a)}")


def float_array(name: str, a: Array) -> None:
    """`a` is a NumPy array of float32 or float64."""
    if type(a) is not np.ndarray and (not isinstance(a, np.ndarray) or isinstance(a, np.ma.MaskedArray | np.matrix)):
        raise TypeError(
            f"{name}: got {hints.kind_of(a)}; expected a NumPy array of float32 or float64{hints.to_array(name, a)}"
        )
    dtype = a.dtype
    if dtype is not FLOAT32 and dtype is not FLOAT64 and dtype != FLOAT32 and dtype != FLOAT64:
        raise TypeError(f"{name}: got an array of {dtype}; expected float32 or float64: {hints.to_float(name, a)}")


def same_dtype(first: str, a: Array, second: str, b: Array, of_layer: bool = False) -> None:
    """`b`, perhaps a parameter of a layer, is a float array of the dtype of `a`, which has been checked."""
    float_array(second, b)
    if a.dtype != b.dtype:
        raise TypeError(
            f"{first} and {second}: got {a.dtype} and {b.dtype}; expected one dtype: "
            f"{hints.to_one_dtype(first, a, second, of_layer)}"
        )


def has_axes(name: str, a: Array, count: int, axes: str) -> None:
    """`a` has `count` axes; `axes` says what they are."""
    if a.ndim != count:
        raise ValueError(f"{name}: got shape {a.shape}; expected {count} axes, {axes}")


def all_below(a: Array, bound: int) -> bool:
    """All integers in `a` are 0 to `bound` - 1. Read without a sign, negative ones are the largest: one pass tells."""
    unsigned = UINT64 if a.dtype == INT64 else a.dtype.str.replace("i", "u")
    return a.size == 0 or int(np.maximum.reduce(a.view(unsigned), axis=None)) < bound


def has_shape(name: str, a: Array, expected: tuple[int, ...], why: str) -> None:
    """`a` is of the shape `expected`; `why` says whose shape that is."""
    if a.shape != expected:
        raise ValueError(f"{name}: got shape {a.shape}; expected {expected}, {why}")


def images(name: str, x: Array) -> None:
    """`x` is (N, C, H, W); only the batch may be empty."""
    if type(x) is not np.ndarray or x.dtype is not FLOAT32:
        float_array(name, x)
    if x.ndim != 4:
        has_axes(name, x, 4, "(N, C, H, W)" + (hints.axis_of_channels(x) if name == "x" else ""))
    if x.size == 0 and 0 in x.shape[1:]:
        raise ValueError(f"{name}: got shape {x.shape}; expected at least one channel, row and column")


def sequences(name: str, x: Array) -> None:
    """`x` is (N, C, L); only the batch may be empty."""
    float_array(name, x)
    if x.ndim != 3:
        has_axes(name, x, 3, "(N, C, L)" + (hints.axis_of_sequences(x) if name == "x" else ""))
    if x.size == 0 and 0 in x.shape[1:]:
        raise ValueError(f"{name}: got shape {x.shape}; expected at least one channel and element")


def windows_fit(H: int, W: int, KH: int, KW: int, PH: int, PW: int, DH: int = 1, DW: int = 1) -> None:
    """At least one window fits into the padded input."""
    if DH * (KH - 1) + 1 > H + 2 * PH or DW * (KW - 1) + 1 > W + 2 * PW:
        dilated = f" with dilation {(DH, DW)}" if (DH, DW) != (1, 1) else ""
        raise ValueError(
            f"kernel_size: got {(KH, KW)}{dilated}; expected at most the padded input, "
            f"{(H + 2 * PH, W + 2 * PW)} (input {(H, W)}, padding {(PH, PW)})"
        )


def integer(name: str, value: int, least: int | None = None) -> int:
    """`value` as an int, of at least `least`."""
    if type(value) is int and (least is None or value >= least):
        return value
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: got {value!r}; expected an int")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}; expected an int") from None
    if least is not None and number < least:
        raise ValueError(f"{name}: got {value!r}; expected at least {least}")
    return number


def pair(name: str, value: IntPair, least: int) -> tuple[int, int]:
    """`value`, an int or two of them (rows, columns), as two ints of at least `least`."""
    if type(value) is int:
        first = second = value
    elif type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        first, second = value
    else:
        first, second = _pair_of_other(name, value)
    if first < least or second < least:
        raise ValueError(f"{name}: got {value!r}; expected at least {least}")
    if first > LARGEST or second > LARGEST:
        raise ValueError(f"{name}: got {value!r}; expected at most {LARGEST}")
    return first, second


def bounded(name: str, value: int, least: int) -> int:
    """`value` as an int of at least `least` that kernels can multiply by sizes."""
    number = integer(name, value, least)
    if number > LARGEST:
        raise ValueError(f"{name}: got {value!r}; expected at most {LARGEST}")
    return number


def single(name: str, value: IntSingle, least: int) -> int:
    """`value`, an int or a tuple of one, as an int of at least `least`."""
    if isinstance(value, tuple | list) and len(value) != 1:
        raise ValueError(f"{name}: got {value!r}; expected an int")
    number = integer(name, value[0] if isinstance(value, tuple | list) else value)
    if not least <= number <= LARGEST:
        raise ValueError(f"{name}: got {value!r}; expected at least {least} and at most {LARGEST}")
    return number


def _pair_of_other(name: str, value: Any) -> tuple[int, int]:
    items = tuple(value) if isinstance(value, tuple | list | np.ndarray) else (value, value)
    try:
        if any(isinstance(item, bool | np.bool_) for item in items):
            raise TypeError
        numbers = tuple(operator.index(item) for item in items)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}; expected an int or a pair of ints") from None
    if len(numbers) != 2:
        raise ValueError(f"{name}: got {value!r}; expected an int or a pair of ints")
    return numbers


def number(name: str, value: float, least: float = -math.inf) -> float:
    """`value` as a finite float of at least `least`."""
    if type(value) is float and least <= value < math.inf:
        return value
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        result = float(value)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}; expected a number") from None
    if not least <= result < math.inf:
        wanted = "a finite number" if least == -math.inf else f"a finite number of at least {least:g}"
        raise ValueError(f"{name}: got {value!r}; expected {wanted}")
    return result


def positive(name: str, value: float) -> float:
    """`value` as a finite float above 0."""
    result = number(name, value, 0.0)
    if result == 0.0:
        raise ValueError(f"{name}: got {value!r}; expected a finite number above 0")
    return result


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """`dtype` as np.dtype, float32 or float64; None is float32, as in PyTorch."""
    if dtype is None:
        return FLOAT32
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}; expected float32 or float64") from None
    if found not in (FLOAT32, FLOAT64):
        raise TypeError(f"dtype: got {dtype!r}; expected float32 or float64")
    return found


def true_or_false(name: str, value: bool) -> bool:
    """`value` as a bool, which it is."""
    if type(value) is bool:
        return value
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: got {value!r}; expected True or False")
    return bool(value)


def choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """`value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: got {value!r}; expected one of {', '.join(map(repr, choices))}")


def fused_activation(value: str | None) -> None:
    """`value` names an activation that a kernel can apply in its store, or none."""
    choice("activation", value, (None, "relu"))


def gradient_names(needs: Iterable[str], names: tuple[str, ...] = GRADIENTS) -> tuple[str, ...]:
    """`needs` as a tuple of some of `names`, of gradients that a backward can be asked for."""
    if names is GRADIENTS and type(needs) is tuple and needs in NEEDED:
        return needs
    if type(needs) is not tuple and (isinstance(needs, str) or not isinstance(needs, Iterable)):
        raise TypeError(f"needs: got {needs!r}; expected a tuple of names, as in needs={names[:1]!r}")
    found = tuple(needs)
    for name in found:
        choice("needs", name, names)
    return found


def axis_index(name: str, value: int, ndim: int) -> int:
    """`value` as an axis of an array with `ndim` of them, counted from the front."""
    axis = integer(name, value)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: got {value}; expected {-ndim} to {ndim - 1} for an array of {ndim} axes")
    return axis + ndim if axis < 0 else axis
