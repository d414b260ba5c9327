"""Affine layer, ReLU, dropout and losses: the first part of the course's layers.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn._validate import Array
from fastnn.interop.cs231n._arrays import Cache, float64


def affine_forward(x: Any, w: Any, b: Any) -> tuple[Array, Cache]:
    """``x.reshape(N, D) @ w + b``; x (N, d1, ..., dk), w (D, M), b (M,). The cache is (x, w, b)."""
    rows = float64(x).reshape(len(x), -1)
    out = F.matmul(rows, float64(w))
    out += b
    return out, (x, w, b)


def affine_backward(dout: Any, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients dx, dw and db."""
    x, w, _ = (float64(a) for a in cache)
    dout, rows = float64(dout), x.reshape(len(x), -1)
    return F.matmul(dout, w.T).reshape(x.shape), F.matmul(rows.T, dout), dout.sum(axis=0)


def relu_forward(x: Any) -> tuple[Array, Cache]:
    """``maximum(x, 0)``. The cache is x."""
    return F.relu(float64(x)), x


def relu_backward(dout: Any, cache: Cache) -> Array:
    """The gradient where x > 0, else 0."""
    return F.relu_backward(float64(dout), float64(cache))


def dropout_forward(x: Any, dropout_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Inverted dropout that keeps with probability p; mode "train" or "test", and perhaps a seed for `numpy.random`.

    The numbers are drawn as the course draws them, from `numpy.random`, for its seeds to mean the same. The cache is
    (dropout_param, mask).
    """
    p, mode, mask = dropout_param["p"], dropout_param["mode"], None
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])  # noqa: NPY002
    x = float64(x)
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p  # noqa: NPY002
        x = x * mask
    return x, (dropout_param, mask)


def dropout_backward(dout: Any, cache: Cache) -> Array:
    """The gradient where x was kept."""
    dropout_param, mask = cache
    return float64(dout) * mask if dropout_param["mode"] == "train" else float64(dout)


def softmax_loss(x: Any, y: Any) -> tuple[float, Array]:
    """Mean softmax cross-entropy of the scores x (N, C) for the labels y (N,), and its gradient."""
    x, y = float64(x), np.asarray(y)
    return float(F.cross_entropy(x, y)), F.cross_entropy_backward(x, y)


def svm_loss(x: Any, y: Any) -> tuple[float, Array]:
    """Mean multiclass hinge loss with margin 1 of the scores x (N, C) for the labels y (N,), and its gradient."""
    x, y = float64(x), np.asarray(y)
    rows = np.arange(len(x))
    margins = F.relu(x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(np.float64)
    dx[rows, y] -= dx.sum(axis=1)
    return float(margins.sum() / len(x)), dx / len(x)
