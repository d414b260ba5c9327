"""Rows of a table, and parts of any array, picked by index."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet

__all__ = ["embedding", "embedding_backward", "index_select"]


def embedding(x: Array, weight: Array, padding_idx: int | None = None) -> Array:
    """The rows of `weight` at the indices `x`.

    Parameters
    ----------
    x : array of integers, of any shape
        0 to num_embeddings - 1.
    weight : (num_embeddings, embedding_dim) array of float32 or float64
    padding_idx : int, optional
        A row that gets no gradient; it is read like any other.

    Returns
    -------
    (*x.shape, embedding_dim) array

    Examples
    --------
    >>> table = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    >>> F.embedding(np.array([2, 0]), table).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    check.embedding(x, weight, padding_idx)
    return weight[x]


@quiet
def embedding_backward(dy: Array, x: Array, num_embeddings: int, padding_idx: int | None = None) -> Array:
    """Gradient of `embedding` with respect to its table.

    Parameters
    ----------
    dy : (*x.shape, embedding_dim) array of float32 or float64
    x : array of integers
    num_embeddings : int
        Rows of the table.
    padding_idx : int, optional
        The row whose gradient is 0; counted from the end if it is negative.

    Returns
    -------
    (num_embeddings, embedding_dim) array
        Of each row the sum of what `dy` has at the places where it was picked, added in their order.

    Examples
    --------
    >>> dy = np.ones((3, 2), np.float32)
    >>> F.embedding_backward(dy, np.array([2, 0, 2]), 3).tolist()
    [[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]
    """
    row = check.embedding_backward(dy, x, num_embeddings, padding_idx)
    dw = np.zeros((num_embeddings, dy.shape[-1]))
    np.add.at(dw, x.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    if row >= 0:
        dw[row] = 0
    return dw.astype(dy.dtype)


def index_select(x: Array, dim: int, index: Array) -> Array:
    """The parts of `x` at some indices along an axis.

    Parameters
    ----------
    x : array of any dtype but object, with at least one axis
    dim : int
        The axis.
    index : (count,) array of integers
        0 to ``x.shape[dim] - 1``.

    Returns
    -------
    array like `x`
        A copy, with `count` parts along the axis.

    Examples
    --------
    >>> x = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    >>> F.index_select(x, 0, np.array([2, 0])).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    axis = check.index_select(x, dim, index)
    return np.take(x, index, axis)
