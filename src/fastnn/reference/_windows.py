"""What the reference is built on: views of all windows of an array, silence about inf and NaN, units that keep squares
in range."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastnn._validate import Array

P = ParamSpec("P")
R = TypeVar("R")


def quiet(function: Callable[P, R]) -> Callable[P, R]:
    """Let inf and NaN flow through `function` without NumPy's warnings, as they do through a kernel."""

    @wraps(function)
    def without_warnings(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return without_warnings


def unit(x: Array, axes: int | tuple[int, ...]) -> Array:
    """Powers of two that bring the largest elements of `x` along some axes, which stay with length 1, near 1.

    The squares of ``x * unit`` do not leave the range of float64, nor does the square of a unit times an ordinary eps.
    """
    most = np.abs(x).max(axis=axes, keepdims=True, initial=0).astype(np.float64)
    exponent = np.clip(-np.frexp(most)[1], -1000, 500)
    return np.ldexp(1.0, np.where(np.isfinite(most) & (most > 0), exponent, 0))


def pad(x: Array, PH: int, PW: int, value: float = 0.0, more_h: int = 0, more_w: int = 0) -> Array:
    """Put a frame of `value` around the last two axes, `more_h` and `more_w` wider below and on the right.

    Returns `x` itself when there is nothing to add.

    Examples
    --------
    >>> print(F.pad(np.ones((1, 1, 1, 2), np.float32), (1, 1, 1, 0))[0, 0])
    [[0. 0. 0. 0.]
     [0. 1. 1. 0.]]
    """
    if not (PH or PW or more_h or more_w):
        return x
    H, W = x.shape[-2:]
    padded = np.full((*x.shape[:-2], H + 2 * PH + more_h, W + 2 * PW + more_w), value, x.dtype)
    inside(padded, H, W, PH, PW)[...] = x
    return padded


def inside(padded: Array, H: int, W: int, PH: int, PW: int) -> Array:
    """The view of `padded` without its frame."""
    return padded[..., PH : PH + H, PW : PW + W]


def windows(
    padded: Array, KH: int, KW: int, SH: int, SW: int, DH: int = 1, DW: int = 1, *, writeable: bool = False
) -> Array:
    """All windows of the last two axes, as a view of shape (..., OH, OW, KH, KW).

    ``windows(...)[..., kh, kw]`` is the strided slice of what lies under one place of the kernel, a *tap*. One tap
    never meets an element twice, so a writeable view may be added to tap by tap.
    """
    spans = (DH * (KH - 1) + 1, DW * (KW - 1) + 1)
    view = sliding_window_view(padded, spans, axis=(-2, -1), writeable=writeable)
    return view[..., ::SH, ::SW, ::DH, ::DW]
