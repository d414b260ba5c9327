"""Normalisation: the middle part of the course's layers.py, and its spatial versions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn._validate import Array
from fastnn.interop.cs231n._arrays import Cache, float64

Gradients = tuple[Array, Array, Array]


def batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Normalise the columns of x (N, D); mode "train" or "test".

    bn_param may have eps (1e-5) and momentum (0.9), which is what is kept of the running statistics; running_mean and
    running_var, of biased variances, are written to it.
    """
    return _batchnorm(float64(x), gamma, beta, bn_param)


def _batchnorm(x: Array, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    mode, eps, momentum = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    if mode not in ("train", "test"):
        raise ValueError(f"bn_param: got mode {mode!r}; expected 'train' or 'test'")
    C = x.shape[1]
    mean, var = (float64(bn_param.get(name, np.zeros(C))) for name in ("running_mean", "running_var"))
    gamma, beta = float64(gamma), float64(beta)
    cache = None
    if mode == "train":
        now_mean, now_var = np.zeros(C), np.zeros(C)  # with a momentum of 1, those of this batch
        out, *statistics = F.batch_norm(
            x, now_mean, now_var, gamma, beta, training=True, momentum=1.0, eps=eps, return_statistics=True
        )
        n = x.size // C
        mean = momentum * mean + (1 - momentum) * now_mean
        var = momentum * var + (1 - momentum) * now_var * ((n - 1) / n)
        cache = x, gamma, *statistics
    else:
        out = F.batch_norm(x, mean, var, gamma, beta, eps=eps)
    bn_param["running_mean"], bn_param["running_var"] = mean, var
    return out, cache


def batchnorm_backward(dout: Any, cache: Cache) -> Gradients:
    """Gradients dx, dgamma and dbeta."""
    return F.batch_norm_backward(float64(dout), *cache)


batchnorm_backward_alt = batchnorm_backward


def layernorm_forward(x: Any, gamma: Any, beta: Any, ln_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Normalise the rows of x (N, D); ln_param may have eps (1e-5)."""
    x, gamma = float64(x), float64(gamma)
    options = {"eps": ln_param.get("eps", 1e-5)}
    out, *statistics = F.layer_norm(x, x.shape[1], gamma, float64(beta), **options, return_statistics=True)
    return out, (x, x.shape[1], gamma, *statistics)


def layernorm_backward(dout: Any, cache: Cache) -> Gradients:
    """Gradients dx, dgamma and dbeta."""
    return F.layer_norm_backward(float64(dout), *cache)


def spatial_batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """As `batchnorm_forward`, each channel of x (N, C, H, W) over all images and pixels."""
    return _batchnorm(float64(x), gamma, beta, bn_param)


def spatial_batchnorm_backward(dout: Any, cache: Cache) -> Gradients:
    """Gradients dx, dgamma and dbeta."""
    return batchnorm_backward(dout, cache)


def spatial_groupnorm_forward(x: Any, gamma: Any, beta: Any, G: int, gn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Normalise the channels of each image of x (N, C, H, W) in G groups; gamma, beta (1, C, 1, 1) or (C,)."""
    x, gamma = float64(x), float64(gamma)
    w, b, options = gamma.reshape(-1), float64(beta).reshape(-1), {"eps": gn_param.get("eps", 1e-5)}
    out, *statistics = F.group_norm(x, G, w, b, **options, return_statistics=True)
    return out, (x, G, gamma, *statistics)


def spatial_groupnorm_backward(dout: Any, cache: Cache) -> Gradients:
    """Gradients dx, dgamma and dbeta, these of the shape of gamma."""
    x, G, gamma, *statistics = cache
    dx, dw, db = F.group_norm_backward(float64(dout), x, G, gamma.reshape(-1), *statistics)
    return dx, dw.reshape(gamma.shape), db.reshape(gamma.shape)
