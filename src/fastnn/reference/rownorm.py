"""Layer, group and instance normalisation: each row of an array is normalised by its own mean and variance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet
from fastnn.reference.norm import moments

__all__ = [
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "layer_norm",
    "layer_norm_backward",
]


def _normalise(x: Array, eps: float) -> tuple[Array, Array, Array, Array]:
    """Of images of groups (N, G, S, P) what is normalised, and each group's mean, 1/sqrt(var + eps) and variance."""
    apart, *numbers = moments(x, (2, 3), eps)
    mean, invstd, var = (number.reshape(x.shape[:2]) for number in numbers)
    return apart, mean.astype(x.dtype), invstd.astype(x.dtype), var


def _scale_and_shift(h: Array, weight: Array | None, bias: Array | None) -> Array:
    """Each segment by its weight and bias."""
    segments = (h.shape[1], h.shape[2], 1)
    y = h if weight is None else h * weight.reshape(segments)
    return y if bias is None else y + bias.reshape(segments)


def _gradients(
    dy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array, rows: tuple[int, int, int, int]
) -> tuple[Array, Array, Array]:
    """dx (N, G, S, P), dw and db (G, S)."""
    dy, x = dy.reshape(rows), x.reshape(rows)
    mean, invstd = mean.reshape(*rows[:2], 1, 1), invstd.reshape(*rows[:2], 1, 1)
    h = (x - mean) * invstd
    g = _scale_and_shift(dy, weight, None)
    n = rows[2] * rows[3]
    dx = invstd * (g - _sum(g, (2, 3), keepdims=True) / n - h * (_sum(g * h, (2, 3), keepdims=True) / n))
    return dx, _sum(dy * h, (0, 3)), _sum(dy, (0, 3))


def _sum(a: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    return a.sum(axis=axes, keepdims=keepdims, dtype=np.float64).astype(a.dtype)


@quiet
def layer_norm(
    x: Array,
    normalized_shape: int | tuple[int, ...],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    """Normalise over the last axes, ``(x - mean) / sqrt(var + eps) * weight + bias``.

    After Ba, Kiros and Hinton, "Layer normalization", 2016. Mean and biased variance are those of each row, the
    elements that have the indices of all other axes in common.

    Parameters
    ----------
    x : (..., *normalized_shape) array of float32 or float64
    normalized_shape : int or tuple of int
        Lengths of the axes to normalise over.
    weight, bias : arrays of the shape `normalized_shape`, optional
        Scale and shift of each element, 1 and 0 by default.
    eps : float, at least 0
    return_statistics : bool
        Also return what `layer_norm_backward` needs.

    Returns
    -------
    y : array of the shape of `x`
    mean, invstd : arrays of the shape of the other axes
        The mean of each row, and ``1 / sqrt(var + eps)``; only with `return_statistics`.

    Raises
    ------
    ValueError
        `x` does not end in `normalized_shape`; `weight` or `bias` is not of that shape.

    Examples
    --------
    >>> x = np.array([[1, 2, 3, 4], [10, 20, 30, 40]], np.float32)
    >>> print(F.layer_norm(x, 4).round(2))
    [[-1.34 -0.45  0.45  1.34]
     [-1.34 -0.45  0.45  1.34]]
    """
    rows, before, eps = check.layer_norm(x, normalized_shape, weight, bias, eps)
    h, mean, invstd, _ = _normalise(x.reshape(rows), eps)
    y = _scale_and_shift(h, weight, bias).astype(x.dtype).reshape(x.shape)
    return (y, mean.reshape(x.shape[:before]), invstd.reshape(x.shape[:before])) if return_statistics else y


@quiet
def layer_norm_backward(
    dy: Array,
    x: Array,
    normalized_shape: int | tuple[int, ...],
    weight: Array | None,
    mean: Array,
    invstd: Array,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `layer_norm`.

    With h = (x - mean)*invstd and g = weight*dy: ``dx = invstd*(g - mean(g) - h*mean(g*h))``, means over the n elements
    of a row; ``dw = sum(dy*h)`` and ``db = sum(dy)`` over the rows.

    Parameters
    ----------
    dy : array of the shape of `x`
        Gradient of the output.
    x, normalized_shape, weight
        As given to `layer_norm`.
    mean, invstd : arrays
        From ``layer_norm(..., return_statistics=True)``.
    needs : tuple of "dx", "dw", "db"
        Which gradients to compute; the others are None.

    Returns
    -------
    dx : array of the shape of `x`, or None
    dw, db : arrays of the shape `normalized_shape`, or None

    Examples
    --------
    >>> x = np.array([[1, 2, 3, 4], [10, 20, 30, 40]], np.float32)
    >>> y, mean, invstd = F.layer_norm(x, 4, return_statistics=True)
    >>> F.layer_norm_backward(y, x, 4, None, mean, invstd)[0].shape
    (2, 4)
    """
    needs = check.gradient_names(needs)
    rows = check.layer_norm_backward(dy, x, normalized_shape, weight, mean, invstd)
    dx, dw, db = _gradients(dy, x, weight, mean, invstd, rows)
    shape = x.shape[mean.ndim :]
    return (
        dx.reshape(x.shape) if "dx" in needs else None,
        dw.reshape(shape) if "dw" in needs else None,
        db.reshape(shape) if "db" in needs else None,
    )


@quiet
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    """Normalise the channels of each image in groups, ``(x - mean) / sqrt(var + eps) * weight + bias``.

    After Wu and He, "Group normalization", 2018. Mean and biased variance are those of the ``C / num_groups`` channels
    of a group in one image.

    Parameters
    ----------
    x : (N, C, ...) array of float32 or float64
    num_groups : int
        A divisor of C.
    weight, bias : (C,) arrays, optional
        Scale and shift of each channel, 1 and 0 by default.
    eps : float, at least 0
    return_statistics : bool
        Also return what `group_norm_backward` needs.

    Returns
    -------
    y : array of the shape of `x`
    mean, invstd : (N, num_groups) arrays
        The mean of each group, and ``1 / sqrt(var + eps)``; only with `return_statistics`.

    Raises
    ------
    ValueError
        `num_groups` does not divide C; there is one value in all of each group; `weight` or `bias` is not (C,).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> y = F.group_norm(x, 2)
    >>> print(y.reshape(8, 2, -1).std(axis=2)[0].round(3))
    [1. 1.]
    """
    rows, groups, eps = check.group_norm(x, num_groups, weight, bias, eps)
    h, mean, invstd, _ = _normalise(x.reshape(rows), eps)
    y = _scale_and_shift(h, weight, bias).astype(x.dtype).reshape(x.shape)
    return (y, mean.reshape(groups), invstd.reshape(groups)) if return_statistics else y


@quiet
def group_norm_backward(
    dy: Array,
    x: Array,
    num_groups: int,
    weight: Array | None,
    mean: Array,
    invstd: Array,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `group_norm`.

    With h = (x - mean)*invstd and g = weight*dy: ``dx = invstd*(g - mean(g) - h*mean(g*h))``, means over a group
    of an image; ``dw = sum(dy*h)`` and ``db = sum(dy)`` over each channel of all images.

    Parameters
    ----------
    dy : array of the shape of `x`
        Gradient of the output.
    x, num_groups, weight
        As given to `group_norm`.
    mean, invstd : (N, num_groups) arrays
        From ``group_norm(..., return_statistics=True)``.
    needs : tuple of "dx", "dw", "db"
        Which gradients to compute; the others are None.

    Returns
    -------
    dx : array of the shape of `x`, or None
    dw, db : (C,) arrays, or None

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> y, mean, invstd = F.group_norm(x, 2, return_statistics=True)
    >>> F.group_norm_backward(y, x, 2, None, mean, invstd)[0].shape
    (8, 4, 6, 6)
    """
    needs = check.gradient_names(needs)
    rows = check.group_norm_backward(dy, x, num_groups, weight, mean, invstd)
    dx, dw, db = _gradients(dy, x, weight, mean, invstd, rows)
    return (
        dx.reshape(x.shape) if "dx" in needs else None,
        dw.reshape(-1) if "dw" in needs else None,
        db.reshape(-1) if "db" in needs else None,
    )


@quiet
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_statistics: bool = False,
) -> Array | tuple[Array, Array, Array]:
    """Normalise every channel of every image by itself, ``(x - mean) / sqrt(var + eps) * weight + bias``.

    After Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast stylization", 2016;
    running statistics by PyTorch's rules. To normalise by those, call `batch_norm`.

    Parameters
    ----------
    x : (N, C, ...) array of float32 or float64
        With more than one element in a channel of an image.
    running_mean, running_var : (C,) arrays, optional
        Updated in place: ``running = (1 - momentum)*running + momentum*now``, where now is the mean over the images of
        their means, or of their unbiased variances (divided by n - 1). An empty batch changes nothing.
    weight, bias : (C,) arrays, optional
        Scale and shift of each channel, 1 and 0 by default.
    momentum, eps : float, at least 0
    return_statistics : bool
        Also return what `instance_norm_backward` needs.

    Returns
    -------
    y : array of the shape of `x`
    mean, invstd : (N, C) arrays
        The mean of each channel of each image, and ``1 / sqrt(var + eps)``; only with `return_statistics`.

    Raises
    ------
    ValueError
        One value for each channel of an image; an array not of the shape (C,).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> print(F.instance_norm(x).std(axis=(2, 3))[0].round(3))
    [1. 1. 1. 1.]
    """
    rows, momentum, eps = check.instance_norm(x, running_mean, running_var, weight, bias, momentum, eps)
    h, mean, invstd, var = _normalise(x.reshape(rows), eps)
    if running_mean is not None and running_var is not None and rows[0]:
        n = rows[3]
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean.mean(axis=0, dtype=np.float64)
        running_var[...] = (1 - momentum) * running_var + momentum * var.mean(axis=0) * (n / (n - 1))
    y = _scale_and_shift(h, weight, bias).astype(x.dtype).reshape(x.shape)
    return (y, mean, invstd) if return_statistics else y


def instance_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, invstd: Array, *, needs: Iterable[str] = check.GRADIENTS
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `instance_norm`: those of `group_norm` with a group for each channel.

    Parameters
    ----------
    dy : array of the shape of `x`
        Gradient of the output.
    x, weight
        As given to `instance_norm`.
    mean, invstd : (N, C) arrays
        From ``instance_norm(..., return_statistics=True)``.
    needs : tuple of "dx", "dw", "db"
        Which gradients to compute; the others are None.

    Returns
    -------
    dx : array of the shape of `x`, or None
    dw, db : (C,) arrays, or None

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> y, mean, invstd = F.instance_norm(x, return_statistics=True)
    >>> F.instance_norm_backward(y, x, None, mean, invstd)[0].shape
    (8, 4, 6, 6)
    """
    return group_norm_backward(dy, x, check.channels(x), weight, mean, invstd, needs=needs)
