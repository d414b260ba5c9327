"""Losses of scores of classes, and their gradients."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet
from fastnn.reference.softmax import log_softmax, softmax

__all__ = ["cross_entropy", "cross_entropy_backward", "nll_loss", "nll_loss_backward"]


@check.takes_one("x", "target", axes=2)
@quiet
def cross_entropy(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> float | Array:
    """Cross-entropy between targets and the softmax of scores.

    The loss of a row is ``-weight[label] * log softmax(x)[label]``, or ``-sum(weight * target * log softmax(x))`` for
    probabilities. With smoothing s, targets become ``(1 - s) * target + s / K`` (a label is the probability 1 of its
    class), and a label's own part keeps ``weight[label]``: Szegedy et al., "Rethinking the Inception Architecture",
    2016, as in PyTorch.

    Parameters
    ----------
    x : (N, K), (N, K, d1, ...) or (K,) array of float32 or float64
        Scores (logits) for K classes.
    target : (N,), (N, d1, ...) or () array of integers, or array of the shape and dtype of `x`
        Labels 0 to K-1, or probabilities of the classes (used as they are, not scaled to sum to 1).
    weight : (K,) array, optional
        Of the classes.
    ignore_index : int
        A label that is left out: its loss and its gradient are 0, and the mean does not count it.
    reduction : "mean", "sum" or "none"
        The mean is the sum divided by the weights of the labels, or by the number of rows for probabilities.
    label_smoothing : float, 0 to 1

    Returns
    -------
    float, or array of the shape of the labels for "none"
        Rows are added in float64. The mean over no rows is NaN.

    Raises
    ------
    TypeError
        Labels that are not integers, probabilities or weights not of the dtype of `x`.
    ValueError
        A label outside 0 to K-1, another shape than expected, NaN among the probabilities.

    Examples
    --------
    >>> x, target = np.array([[2, 1, 0], [0, 0, 0]], np.float32), np.array([0, 2])
    >>> print(round(float(F.cross_entropy(x, target)), 4))
    0.7531
    """
    labels = check.cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)
    log_p, w = log_softmax(_rows(x)), _weights(weight, x)
    if not labels:
        smooth = _rows(target) * x.dtype.type(1 - label_smoothing) + x.dtype.type(label_smoothing / x.shape[1])
        losses = -(w * smooth * log_p).sum(axis=1, dtype=np.float64).astype(x.dtype)
        return _reduced(losses, float(len(log_p)), x, reduction)
    label, kept = _labels(target, x, ignore_index)
    losses = -w[label] * log_p[np.arange(len(log_p)), label]
    if label_smoothing:
        even = (-(w * log_p).sum(axis=1, dtype=np.float64) / x.shape[1]).astype(x.dtype)
        losses = x.dtype.type(1 - label_smoothing) * losses + x.dtype.type(label_smoothing) * even
    return _reduced(np.where(kept, losses, x.dtype.type(0)), _mass(w, label, kept), x, reduction)


@check.takes_one("x", "target", axes=2)
@quiet
def cross_entropy_backward(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    dloss: float | Array = 1.0,
) -> Array:
    """Gradient of `cross_entropy`: ``softmax(x) * sum(t) - t``, t being the weighted targets of a row, scaled.

    Parameters
    ----------
    x, target, weight, ignore_index, reduction, label_smoothing
        As given to `cross_entropy`.
    dloss : float, or array of the shape of the labels with reduction "none"
        Gradient of the loss.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x, target = np.array([[2, 1, 0], [0, 0, 0]], np.float32), np.array([0, 2])
    >>> print(F.cross_entropy_backward(x, target).round(3))
    [[-0.167  0.122  0.045]
     [ 0.167  0.167 -0.333]]
    """
    labels = check.cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)
    check.gradient_of_loss(dloss, x.shape[:1] + x.shape[2:], reduction)
    w, each = _weights(weight, x), np.arange(x.size // x.shape[1])
    kept_share, even = x.dtype.type(1 - label_smoothing), x.dtype.type(label_smoothing / x.shape[1])
    if not labels:
        wanted = w * (_rows(target) * kept_share + even)
        mass = wanted.sum(axis=1, keepdims=True, dtype=np.float64).astype(x.dtype)
        scale = _scale(dloss, float(len(each)), reduction)
        return _like(softmax(_rows(x)) * (mass * scale) - wanted * scale, x)
    label, kept = _labels(target, x, ignore_index)
    scale = _scale(dloss, _mass(w, label, kept), reduction)
    own = (w[label] * kept_share)[:, None]
    mass = own + x.dtype.type((w * even).sum(dtype=np.float64)) if label_smoothing else own
    nothing, kept = x.dtype.type(0), kept[:, None]
    dx = softmax(_rows(x)) * np.where(kept, mass * scale, nothing)
    dx[each, label] -= np.where(kept, own * scale, nothing)[:, 0]
    return _like(dx - np.where(kept, w * even * scale, nothing) if label_smoothing else dx, x)


@check.takes_one("x", "target", axes=2)
@quiet
def nll_loss(
    x: Array, target: Array, weight: MaybeArray = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> float | Array:
    """Negative log-likelihood of labels, ``-weight[label] * x[label]``: `cross_entropy` behind a `log_softmax`.

    Parameters
    ----------
    x : (N, K), (N, K, d1, ...) or (K,) array of float32 or float64
        Logarithms of the probabilities of K classes.
    target : (N,), (N, d1, ...) or () array of integers
        Labels 0 to K-1.
    weight, ignore_index, reduction
        As of `cross_entropy`.

    Returns
    -------
    float, or array of the shape of the labels for "none"

    Examples
    --------
    >>> x = np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32))
    >>> print(round(float(F.nll_loss(x, np.array([0, 1]))), 4))
    0.3993
    """
    check.nll_loss(x, target, weight, ignore_index, reduction)
    rows, w = _rows(x), _weights(weight, x)
    label, kept = _labels(target, x, ignore_index)
    losses = np.where(kept, -w[label] * rows[np.arange(len(rows)), label], x.dtype.type(0))
    return _reduced(losses, _mass(w, label, kept), x, reduction)


@check.takes_one("x", "target", axes=2)
@quiet
def nll_loss_backward(
    x: Array,
    target: Array,
    weight: MaybeArray = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    dloss: float | Array = 1.0,
) -> Array:
    """Gradient of `nll_loss`: ``-weight[label]`` at the label, scaled, and 0 elsewhere.

    Parameters
    ----------
    x, target, weight, ignore_index, reduction
        As given to `nll_loss`.
    dloss : float, or array of the shape of the labels with reduction "none"
        Gradient of the loss.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32))
    >>> F.nll_loss_backward(x, np.array([0, 1])).tolist()
    [[-0.5, 0.0], [0.0, -0.5]]
    """
    check.nll_loss(x, target, weight, ignore_index, reduction)
    check.gradient_of_loss(dloss, x.shape[:1] + x.shape[2:], reduction)
    w = _weights(weight, x)
    label, kept = _labels(target, x, ignore_index)
    own = (-w[label])[:, None] * _scale(dloss, _mass(w, label, kept), reduction)
    dx = np.zeros((len(label), x.shape[1]), x.dtype)
    dx[kept, label[kept]] = np.broadcast_to(own, (len(label), 1))[kept, 0]
    return _like(dx, x)


def _rows(a: Array) -> Array:
    """`a` (N, K, d1, ...) with a row of K for each of its places."""
    return np.moveaxis(a, 1, -1).reshape(-1, a.shape[1])


def _like(rows: Array, x: Array) -> Array:
    """The reverse of `_rows`: `rows` as an array of the shape and dtype of `x`."""
    images = rows.astype(x.dtype, copy=False).reshape(x.shape[:1] + x.shape[2:] + x.shape[1:2])
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def _weights(weight: MaybeArray, x: Array) -> Array:
    return np.ones(x.shape[1], x.dtype) if weight is None else weight


def _labels(target: Array, x: Array, ignore_index: int) -> tuple[Array, Array]:
    """The labels of all rows, 0 where they are left out, and where they are not."""
    check.label_values(target, x.shape[1], ignore_index)
    kept = target.reshape(-1) != ignore_index
    return np.where(kept, target.reshape(-1), 0), kept


def _mass(w: Array, label: Array, kept: Array) -> float:
    return float(w[label][kept].sum(dtype=np.float64))


def _reduced(losses: Array, mass: float, x: Array, reduction: str) -> float | Array:
    if reduction == "none":
        return losses.reshape(x.shape[:1] + x.shape[2:])
    total = losses.sum(dtype=np.float64)
    return float(total / mass if reduction == "mean" else total)


def _scale(dloss: float | Array, mass: float, reduction: str) -> Array:
    """What the gradients of the rows are multiplied with, as a column in float64: it may be below any float32."""
    scale: Array = np.asarray(dloss, np.float64) / (np.float64(mass) if reduction == "mean" else 1)
    return scale.reshape(-1, 1)
