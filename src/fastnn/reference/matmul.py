"""The matrix product and the linear layer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet

__all__ = ["linear", "linear_backward", "matmul"]


@quiet
def matmul(a: Array, b: Array) -> Array:
    """Product of two matrices.

    Parameters
    ----------
    a : (M, K) array of float32 or float64
    b : (K, N) array of the same dtype

    Returns
    -------
    (M, N) array

    Examples
    --------
    >>> F.matmul(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)).shape
    (2, 4)
    """
    check.matmul(a, b)
    return a @ b


@quiet
def linear(x: Array, weight: Array, bias: Array | None = None, *, activation: str | None = None) -> Array:
    """Linear map of the last axis, ``y = x @ weight.T + bias``.

    Parameters
    ----------
    x : (..., I) array of float32 or float64
    weight : (O, I) array
    bias : (O,) array, optional
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    (..., O) array

    Examples
    --------
    >>> x, weight, bias = np.ones((64, 784), np.float32), np.ones((10, 784), np.float32), np.zeros(10, np.float32)
    >>> F.linear(x, weight, bias).shape
    (64, 10)
    """
    check.linear(x, weight, bias, activation)
    y = x.reshape(_rows(x), weight.shape[1]) @ weight.T
    if bias is not None:
        y += bias
    if activation == "relu":
        np.maximum(y, 0, out=y)
    return y.reshape(*x.shape[:-1], weight.shape[0])


@quiet
def linear_backward(
    dy: Array, x: Array, weight: Array, *, needs: Iterable[str] = check.GRADIENTS
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `linear` (without activation): ``dx = dy @ weight``, ``dw = dy.T @ x``, ``db`` the sum of the rows.

    Parameters
    ----------
    dy : (..., O) array
        Gradient of the output.
    x, weight
        As given to `linear`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : (..., I), (O, I) and (O,) arrays
        None in the place of one that is not wanted.

    Examples
    --------
    >>> x, weight = np.ones((64, 784), np.float32), np.ones((10, 784), np.float32)
    >>> dx, dw, db = F.linear_backward(np.ones((64, 10), np.float32), x, weight)
    >>> dx.shape, dw.shape, db.shape
    ((64, 784), (10, 784), (10,))
    """
    needs = check.gradient_names(needs)
    check.linear_backward(dy, x, weight)
    dy_rows, x_rows = dy.reshape(_rows(x), weight.shape[0]), x.reshape(_rows(x), weight.shape[1])
    dx = (dy_rows @ weight).reshape(x.shape) if "dx" in needs else None
    dw = dy_rows.T @ x_rows if "dw" in needs else None
    db = dy_rows.sum(axis=0, dtype=np.float64).astype(dy.dtype) if "db" in needs else None
    return dx, dw, db


def _rows(x: Array) -> int:
    return x.size // x.shape[-1]
