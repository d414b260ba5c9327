"""Rows of a table picked by index."""

from __future__ import annotations

import numpy as np

import fastnn._kernels._embedding as _embedding
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array
from fastnn.functional._door import contiguous, pick


def embedding(x: Array, w: Array, *, padding_idx: int | None = None) -> Array:
    check.embedding(x, w, padding_idx)
    if use_reference():
        return reference.embedding(x, w, padding_idx=padding_idx)
    y: Array = empty((*x.shape, w.shape[1]), w.dtype)
    if x.size:
        pick(_embedding.embedding_forward, w.dtype)(_flat_int64(x), contiguous(w), y.reshape(-1, w.shape[1]))
    return y


def embedding_backward(dy: Array, x: Array, num_embeddings: int, *, padding_idx: int | None = None) -> Array:
    row = check.embedding_backward(dy, x, num_embeddings, padding_idx)
    if use_reference():
        return reference.embedding_backward(dy, x, num_embeddings, padding_idx=padding_idx)
    dw: Array = empty((num_embeddings, dy.shape[-1]), dy.dtype)
    backward = pick(_embedding.embedding_backward, dy.dtype)
    backward(contiguous(dy).reshape(-1, dy.shape[-1]), _flat_int64(x), dw, row)
    return dw


def _flat_int64(x: Array) -> Array:
    return contiguous(x.astype(np.int64, copy=False)).reshape(-1)
