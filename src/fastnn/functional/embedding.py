"""Rows of a table, and parts of any array, picked by index."""

from __future__ import annotations

import math

import numpy as np

import fastnn._kernels._embedding as _embedding
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous, pick

__all__ = ["embedding", "embedding_backward", "index_select"]


def embedding(x: Array, weight: Array, padding_idx: int | None = None) -> Array:
    check.embedding(x, weight, padding_idx)
    if use_reference():
        return reference.embedding(x, weight, padding_idx=padding_idx)
    y: Array = empty((*x.shape, weight.shape[1]), weight.dtype)
    if x.size:
        pick(_embedding.embedding_forward, weight.dtype)(
            _flat_int64(x), contiguous(weight), y.reshape(-1, weight.shape[1])
        )
    return y


def embedding_backward(dy: Array, x: Array, num_embeddings: int, padding_idx: int | None = None) -> Array:
    row = check.embedding_backward(dy, x, num_embeddings, padding_idx)
    if use_reference():
        return reference.embedding_backward(dy, x, num_embeddings, padding_idx=padding_idx)
    dw: Array = empty((num_embeddings, dy.shape[-1]), dy.dtype)
    backward = pick(_embedding.embedding_backward, dy.dtype)
    backward(contiguous(dy).reshape(-1, dy.shape[-1]), _flat_int64(x), dw, row)
    return dw


def index_select(x: Array, dim: int, index: Array) -> Array:
    axis = check.index_select(x, dim, index)
    # A copy of all of `x`, which may be larger than memory, is no way to have some of it.
    if use_reference() or not x.flags.c_contiguous:
        return reference.index_select(x, dim, index)
    y: Array = empty((*x.shape[:axis], len(index), *x.shape[axis + 1 :]), x.dtype)
    if y.size:
        outer, rows = math.prod(x.shape[:axis]), x.shape[axis]
        _embedding.index_select(_bytes(x), _flat_int64(index), _bytes(y), outer, rows, x.nbytes // (outer * rows))
    return y


def _bytes(x: Array) -> Array:
    return x.reshape(-1).view(np.uint8)


def _flat_int64(x: Array) -> Array:
    return contiguous(x.astype(np.int64, copy=False)).reshape(-1)
