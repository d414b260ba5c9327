"""Indices of rows of a table, and of parts of any array."""

from __future__ import annotations

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import Array, all_below, axis_index, float_array, has_axes, integer

__all__ = ["embedding", "embedding_backward", "index_select", "padding_row"]


def padding_row(padding_idx: int | None, rows: int) -> int:
    """The row without a gradient, or -1; negative ones are counted from the end, as PyTorch does."""
    if padding_idx is None:
        return -1
    row = integer("padding_idx", padding_idx)
    if not -rows <= row < rows:
        raise ValueError(f"padding_idx: got {padding_idx}; expected {-rows} to {rows - 1}, a row of the table")
    return row % rows


def embedding(x: Array, weight: Array, padding_idx: int | None) -> None:
    float_array("weight", weight)
    has_axes("weight", weight, 2, "(num_embeddings, embedding_dim)")
    if 0 in weight.shape:
        raise ValueError(f"weight: got shape {weight.shape}; expected at least one row and one column")
    _indices(x, weight.shape[0])
    padding_row(padding_idx, weight.shape[0])


def embedding_backward(dy: Array, x: Array, num_embeddings: int, padding_idx: int | None) -> int:
    """Return the row without a gradient, or -1."""
    float_array("dy", dy)
    rows = integer("num_embeddings", num_embeddings, 1)
    _indices(x, rows)
    if dy.ndim != x.ndim + 1 or dy.shape[:-1] != x.shape or dy.shape[-1] == 0:
        D = dy.shape[-1] if dy.ndim and dy.shape[-1] else "embedding_dim"
        expected = f"({', '.join(map(str, (*x.shape, D)))})"
        raise ValueError(f"dy: got shape {dy.shape}; expected {expected}, the shape of the output")
    return padding_row(padding_idx, rows)


def index_select(x: Array, dim: int, index: Array) -> int:
    """Return the axis, counted from the front."""
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray) or x.dtype.hasobject:
        came = f"an array of {x.dtype}" if type(x) is np.ndarray else type(x).__name__
        raise TypeError(f"x: got {came}; expected a NumPy array of numbers")
    axis = axis_index("dim", dim, x.ndim)
    _indices(index, x.shape[axis], "index", f"parts along axis {axis}")
    has_axes("index", index, 1, "(count,)")
    return axis


def _indices(x: Array, rows: int, name: str = "x", of: str = "rows of the table") -> None:
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        hint = hints.to_array(name, x, "")
        raise TypeError(f"{name}: got {hints.kind_of(x)}; expected a NumPy array of integers 0 to {rows - 1}{hint}")
    if x.dtype.kind not in "iu":
        hint = f": convert it, as in {name}.astype(np.int64)"
        raise TypeError(f"{name}: got an array of {x.dtype}; expected integers 0 to {rows - 1}{hint}")
    if not all_below(x, rows):
        place = tuple(int(i) for i in np.argwhere((x < 0) | (x >= rows))[0])
        raise ValueError(f"{name}: got index {x[place]} at place {place}; expected 0 to {rows - 1}, {of}")
