"""Batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet, unit

__all__ = ["batch_norm", "batch_norm_backward"]


class Moments(NamedTuple):
    """Of an array along some axes, which stay, with length 1; all in float64."""

    apart: Array  # (x - mean) / sqrt(var + eps)
    mean: Array
    invstd: Array  # 1 / sqrt(var + eps)
    var: Array  # biased, divided by the number of elements


def moments(x: Array, axes: tuple[int, ...], eps: float) -> Moments:
    one = unit(x, axes)
    scaled, n = x * one, max(math.prod(x.shape[axis] for axis in axes), 1)
    mean = scaled.sum(axis=axes, keepdims=True) / n
    scaled -= mean
    var = np.square(scaled).sum(axis=axes, keepdims=True) / n
    invstd = 1 / np.sqrt(var + eps * one * one)
    return Moments(scaled * invstd, mean / one, invstd * one, var / one / one)


@quiet
def batch_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    activation: str | None = None,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    """Normalise every channel, ``(x - mean) / sqrt(var + eps) * weight + bias``.

    After Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015; running statistics by PyTorch's rules.

    Parameters
    ----------
    x : (N, C, ...) array of float32 or float64
    running_mean, running_var : (C,) arrays, optional
        Mean and variance of the channels, used when not `training`. With `training` they are updated in place:
        ``running = (1 - momentum)*running + momentum*batch``, the variance of the batch being the unbiased one
        (divided by n - 1). An empty batch changes nothing.
    weight, bias : (C,) arrays, optional
        Scale and shift, 1 and 0 by default.
    training : bool
        Normalise with the mean and the biased variance (divided by n) of the n values of a channel in this batch.
    momentum, eps : float, at least 0
    activation : {None, "relu"}
        Applied to the result.
    return_statistics : bool
        Also return what `batch_norm_backward` needs.

    Returns
    -------
    y : array of the shape of `x`
    mean, invstd : (C,) arrays
        What was taken off, and ``1 / sqrt(var + eps)``; only with `return_statistics`.

    Raises
    ------
    ValueError
        One value for each channel with `training`, no running statistics without; an array not of the shape (C,).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> print(F.batch_norm(x, training=True).std(axis=(0, 2, 3)).round(3))
    [1. 1. 1. 1.]
    """
    N, C, P, momentum, eps = check.batch_norm(
        x, running_mean, running_var, weight, bias, training, momentum, eps, activation
    )
    planes, n = x.reshape(N, C, P), N * P
    if training:
        apart, *numbers = moments(planes, (0, 2), eps)
        mean, invstd, var = (number.reshape(C) for number in numbers)
        if running_mean is not None and running_var is not None and n:
            running_mean[...] = (1 - momentum) * running_mean + momentum * mean
            running_var[...] = (1 - momentum) * running_var + momentum * var * (n / (n - 1))
    else:
        mean = np.asarray(running_mean, np.float64)
        invstd = 1 / np.sqrt(np.asarray(running_var, np.float64) + eps)
        apart = (planes - mean[:, None]) * invstd[:, None]
    y = apart if weight is None else apart * weight[:, None]
    if bias is not None:
        y += bias[:, None]
    if activation is not None:
        np.maximum(y, 0, out=y)
    y = y.astype(x.dtype).reshape(x.shape)
    return (y, mean.astype(x.dtype), invstd.astype(x.dtype)) if return_statistics else y


@quiet
def batch_norm_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    invstd: Array,
    *,
    training: bool = True,
    y: Array | None = None,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `batch_norm`.

    With g the gradient and h = (x - mean)*invstd: ``dw = sum(g*h)`` and ``db = sum(g)`` over the n values of a channel,
    and ``dx = weight*invstd*(g - db/n - h*dw/n)``.

    Parameters
    ----------
    dy : array of the shape of `x`
        Gradient of the output.
    x, weight : (N, C, ...) and (C,) arrays
        As given to `batch_norm`.
    mean, invstd : (C,) arrays
        From ``batch_norm(..., return_statistics=True)``.
    training : bool
        False: `mean` and `invstd` did not come from `x`, and ``dx = weight*invstd*g``.
    y : array of the shape of `x`, optional
        The output of a ReLU that came after: `dy` is the gradient of that, and counts where ``y > 0``.
    needs : tuple of "dx", "dw", "db"
        Which gradients to compute; the others are None.

    Returns
    -------
    dx : array of the shape of `x`, or None
    dw, db : (C,) arrays, or None

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> y, mean, invstd = F.batch_norm(x, training=True, return_statistics=True)
    >>> dx, _, _ = F.batch_norm_backward(y, x, None, mean, invstd)
    >>> dx.shape
    (8, 4, 6, 6)
    """
    needs = check.gradient_names(needs)
    N, C, P = check.batch_norm_backward(dy, x, weight, mean, invstd, y)
    g = (dy if y is None else np.where(y > 0, dy, 0)).reshape(N, C, P)
    h = (x.reshape(N, C, P) - mean[:, None]) * invstd[:, None]
    db = g.sum(axis=(0, 2), dtype=np.float64).astype(x.dtype)
    dw = (g * h).sum(axis=(0, 2), dtype=np.float64).astype(x.dtype)
    if training:
        n = max(N * P, 1)
        g = g - (db / n)[:, None] - h * (dw / n)[:, None]
    dx = (g * (invstd if weight is None else invstd * weight)[:, None]).reshape(x.shape)
    return dx if "dx" in needs else None, dw if "dw" in needs else None, db if "db" in needs else None
