"""Functions element by element.

A backward takes the gradient `dy` of the output and, for relu, sigmoid and tanh, the output `y` itself: their
derivatives can be written in terms of it, so that a network need not keep the input. Those of all others take the
input `x`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.reference._windows import quiet

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hardswish",
    "hardswish_backward",
    "hardtanh",
    "hardtanh_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]

# Klambauer et al., "Self-normalizing neural networks", 2017
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805

_erf = np.frompyfunc(math.erf, 1, 1)


def _like(x: Array, values: Any) -> Array:
    """`values` as an array of the dtype of `x`, in C order."""
    return np.array(values, x.dtype, order="C")


def relu(x: Array) -> Array:
    """``max(x, 0)`` of every element; NaN stays NaN.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.relu(np.array([-2, 3], np.float32)).round(3))
    [0. 3.]
    """
    check.elementwise(x)
    return np.maximum(x, 0, out=np.empty(x.shape, x.dtype))


def relu_backward(dy: Array, y: Array) -> Array:
    """Gradient of `relu`: `dy` where ``y > 0``, else 0.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.

    Returns
    -------
    array of the shape of `y`

    Examples
    --------
    >>> y = F.relu(np.array([-2, 3], np.float32))
    >>> F.relu_backward(np.ones_like(y), y).tolist()
    [0.0, 1.0]
    """
    check.elementwise_backward(dy, y)
    dx = np.zeros(y.shape, y.dtype)
    np.copyto(dx, dy, where=y > 0)
    return dx


@quiet
def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))`` of every element, from the exponential that cannot overflow, ``exp(-|x|)``.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.sigmoid(np.array([-2, 1, 2], np.float32)).round(3))
    [0.119 0.731 0.881]
    """
    check.elementwise(x)
    e = np.exp(-np.abs(x))
    return np.divide(np.where(x >= 0, 1, e), 1 + e, out=np.empty(x.shape, x.dtype))


@quiet
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Gradient of `sigmoid`, ``dy * y * (1 - y)``.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.

    Returns
    -------
    array of the shape of `y`

    Examples
    --------
    >>> y = F.sigmoid(np.array([-2, 1, 2], np.float32))
    >>> print(F.sigmoid_backward(np.ones_like(y), y).round(3))
    [0.105 0.197 0.105]
    """
    check.elementwise_backward(dy, y)
    return np.multiply(dy, y * (1 - y), out=np.empty(y.shape, y.dtype))


def tanh(x: Array) -> Array:
    """Hyperbolic tangent of every element.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.tanh(np.array([-2, 1, 2], np.float32)).round(3))
    [-0.964  0.762  0.964]
    """
    check.elementwise(x)
    return np.tanh(x, out=np.empty(x.shape, x.dtype))


@quiet
def tanh_backward(dy: Array, y: Array) -> Array:
    """Gradient of `tanh`, ``dy * (1 - y**2)``.

    Parameters
    ----------
    dy, y : arrays of one shape
        Gradient of the output, and the output.

    Returns
    -------
    array of the shape of `y`

    Examples
    --------
    >>> y = F.tanh(np.array([-2, 1, 2], np.float32))
    >>> print(F.tanh_backward(np.ones_like(y), y).round(3))
    [0.071 0.42  0.071]
    """
    check.elementwise_backward(dy, y)
    return np.multiply(dy, 1 - y * y, out=np.empty(y.shape, y.dtype))


@quiet
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """`x` where it is above 0, elsewhere ``negative_slope * x``.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    negative_slope : float

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.leaky_relu(np.array([-2, 3], np.float32), 0.1).round(3))
    [-0.2  3. ]
    """
    check.elementwise(x)
    slope = check.number("negative_slope", negative_slope)
    return _like(x, np.where(x > 0, x, x * x.dtype.type(slope)))


@quiet
def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    """Gradient of `leaky_relu`: `dy` where ``x > 0``, elsewhere ``negative_slope * dy``.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.
    negative_slope : float

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-2, 3], np.float32)
    >>> print(F.leaky_relu_backward(np.ones_like(x), x, 0.1))
    [0.1 1. ]
    """
    check.elementwise_backward(dy, x, "x")
    slope = check.number("negative_slope", negative_slope)
    return _like(x, np.where(x > 0, dy, dy * x.dtype.type(slope)))


@quiet
def elu(x: Array, alpha: float = 1.0) -> Array:
    """`x` where it is above 0, elsewhere ``alpha * (exp(x) - 1)``.

    After Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    2016.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    alpha : float

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.elu(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.632  1.     2.   ]
    """
    check.elementwise(x)
    return _elu(x, check.number("alpha", alpha), 1.0)


@quiet
def elu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """Gradient of `elu`: `dy` where ``x > 0``, elsewhere ``dy * alpha * exp(x)``.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.
    alpha : float

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 1, 2], np.float32)
    >>> print(F.elu_backward(np.ones_like(x), x).round(3))
    [0.368 1.    1.   ]
    """
    check.elementwise_backward(dy, x, "x")
    return _elu_backward(dy, x, check.number("alpha", alpha), 1.0)


@quiet
def selu(x: Array) -> Array:
    """``scale * x`` where `x` is above 0, elsewhere ``scale * alpha * (exp(x) - 1)``.

    alpha = 1.6733 and scale = 1.0507 keep mean and variance, after Klambauer, Unterthiner, Mayr and Hochreiter,
    "Self-normalizing neural networks", 2017.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.selu(np.array([-1, 1, 2], np.float32)).round(3))
    [-1.111  1.051  2.101]
    """
    check.elementwise(x)
    return _elu(x, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


@quiet
def selu_backward(dy: Array, x: Array) -> Array:
    """Gradient of `selu`: ``scale * dy`` where ``x > 0``, elsewhere ``dy * scale * alpha * exp(x)``.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 1, 2], np.float32)
    >>> print(F.selu_backward(np.ones_like(x), x).round(3))
    [0.647 1.051 1.051]
    """
    check.elementwise_backward(dy, x, "x")
    return _elu_backward(dy, x, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


def _elu(x: Array, below: float, above: float) -> Array:
    number = x.dtype.type
    return _like(x, np.where(x > 0, x * number(above), np.expm1(np.minimum(x, 0)) * number(below)))


def _elu_backward(dy: Array, x: Array, below: float, above: float) -> Array:
    number = x.dtype.type
    return _like(x, dy * np.where(x > 0, number(above), np.exp(np.minimum(x, 0)) * number(below)))


@quiet
def gelu(x: Array, *, approximate: str = "none") -> Array:
    """`x` times the probability that a standard normal variable is below it, ``x * (1 + erf(x / sqrt(2))) / 2``.

    After Hendrycks and Gimpel, "Gaussian error linear units", 2016; their approximation "tanh" is
    ``x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3))) / 2``.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    approximate : {"none", "tanh"}

    Returns
    -------
    array of the shape of `x`; at minus infinity the limit, 0, where PyTorch has NaN without approximation

    Examples
    --------
    >>> print(F.gelu(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.159  0.841  1.954]
    """
    check.elementwise(x)
    if check.approximation(approximate) == "gelu_tanh":
        return _like(x, 0.5 * x * (1 + np.tanh(_gelu_argument(x))))
    return _like(x, np.where(np.isneginf(x), 0, x * _normal_cdf(x)))


@quiet
def gelu_backward(dy: Array, x: Array, *, approximate: str = "none") -> Array:
    """Gradient of `gelu`: without approximation, `dy` times ``cdf(x) + x * density(x)`` of the normal distribution.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.
    approximate : {"none", "tanh"}

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 1, 2], np.float32)
    >>> print(F.gelu_backward(np.ones_like(x), x).round(3))
    [-0.083  1.083  1.085]
    """
    check.elementwise_backward(dy, x, "x")
    if check.approximation(approximate) == "gelu_tanh":
        t = np.tanh(_gelu_argument(x))
        inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return _like(x, dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner))
    bounded = np.clip(x, -50, 50)  # where the density is 0, lest it be multiplied with infinity
    density = np.exp(-0.5 * bounded * bounded) / math.sqrt(2 * math.pi)
    return _like(x, dy * (_normal_cdf(x) + bounded * density))


def _normal_cdf(x: Array) -> Array:
    """In float64."""
    return 0.5 * (1 + np.asarray(_erf(x / math.sqrt(2)), np.float64))


def _gelu_argument(x: Array) -> Array:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


@quiet
def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish.

    After Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", 2018.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.silu(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.269  0.731  1.762]
    """
    check.elementwise(x)
    return _like(x, x * sigmoid(x))


@quiet
def silu_backward(dy: Array, x: Array) -> Array:
    """Gradient of `silu`, ``dy * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 1, 2], np.float32)
    >>> print(F.silu_backward(np.ones_like(x), x).round(3))
    [0.072 0.928 1.091]
    """
    check.elementwise_backward(dy, x, "x")
    s = sigmoid(x)
    return _like(x, dy * (s * (1 + x * (1 - s))))


@quiet
def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """``log(1 + exp(beta * x)) / beta``, a smooth `relu`, from the exponential that cannot overflow.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    beta : float other than 0
    threshold : float
        `x` itself where ``beta * x`` is above it.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.softplus(np.array([-2, 1, 2], np.float32)).round(3))
    [0.127 1.313 2.127]
    """
    check.elementwise(x)
    factor, linear_above = map(x.dtype.type, check.softplus_settings(beta, threshold))
    z = factor * x
    return _like(x, np.where(z > linear_above, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / factor))


@quiet
def softplus_backward(dy: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Gradient of `softplus`, ``dy * sigmoid(beta * x)``; `dy` above the threshold.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.
    beta : float other than 0
    threshold : float
        `x` itself where ``beta * x`` is above it.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 1, 2], np.float32)
    >>> print(F.softplus_backward(np.ones_like(x), x).round(3))
    [0.269 0.731 0.881]
    """
    check.elementwise_backward(dy, x, "x")
    factor, linear_above = map(x.dtype.type, check.softplus_settings(beta, threshold))
    z = factor * x
    return _like(x, np.where(z > linear_above, dy, dy * sigmoid(z)))


@quiet
def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """`x`, but at least `min_val` and at most `max_val`; NaN stays NaN.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    min_val, max_val : float
        Infinite ones are bounds too.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.hardtanh(np.array([-2, 0.5, 3], np.float32)).round(3))
    [-1.   0.5  1. ]
    """
    check.elementwise(x)
    least, most = map(x.dtype.type, check.hardtanh_bounds(min_val, max_val))
    return _like(x, np.where(x < least, least, np.where(x > most, most, x)))


@quiet
def hardtanh_backward(dy: Array, x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """Gradient of `hardtanh`: `dy` where ``min_val < x < max_val``, else 0.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.
    min_val, max_val : float
        Infinite ones are bounds too.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-2, 0.5, 3], np.float32)
    >>> F.hardtanh_backward(np.ones_like(x), x).tolist()
    [0.0, 1.0, 0.0]
    """
    check.elementwise_backward(dy, x, "x")
    least, most = map(x.dtype.type, check.hardtanh_bounds(min_val, max_val))
    return _like(x, np.where((x > least) & (x < most), dy, x.dtype.type(0)))


@quiet
def hardswish(x: Array) -> Array:
    """``x * clip(x + 3, 0, 6) / 6``, a `silu` of straight lines.

    After Howard et al., "Searching for MobileNetV3", 2019.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.hardswish(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.333  0.667  1.667]
    """
    check.elementwise(x)
    return _like(x, x * (np.clip(x + 3, 0, 6) / 6))


@quiet
def hardswish_backward(dy: Array, x: Array) -> Array:
    """Gradient of `hardswish`: 0 up to -3, `dy` from 3 on, ``dy * (x/3 + 1/2)`` between.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 1, 2], np.float32)
    >>> print(F.hardswish_backward(np.ones_like(x), x).round(3))
    [0.167 0.833 1.167]
    """
    check.elementwise_backward(dy, x, "x")
    return _like(x, np.where(x >= 3, dy, np.where(x <= -3, x.dtype.type(0), dy * (x / 3 + x.dtype.type(0.5)))))


@quiet
def relu6(x: Array) -> Array:
    """``clip(x, 0, 6)``, a `relu` that stops at 6.

    After Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> print(F.relu6(np.array([-1, 2, 7], np.float32)))
    [0. 2. 6.]
    """
    check.elementwise(x)
    return _like(x, np.clip(x, 0, 6))


@quiet
def relu6_backward(dy: Array, x: Array) -> Array:
    """Gradient of `relu6`: `dy` where `x` is between 0 and 6, elsewhere 0.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.

    Returns
    -------
    array of the shape of `x`

    Examples
    --------
    >>> x = np.array([-1, 2, 7], np.float32)
    >>> print(F.relu6_backward(np.ones_like(x), x))
    [0. 1. 0.]
    """
    check.elementwise_backward(dy, x, "x")
    return _like(x, np.where((x > 0) & (x < 6), dy, x.dtype.type(0)))


@quiet
def prelu(x: Array, weight: Array) -> Array:
    """`x` where it is above 0, elsewhere ``weight * x``: `leaky_relu` with slopes that are learnt.

    After He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    weight : (C,) or (1,) array
        A slope for each channel of x (N, C, ...), or one for all elements.

    Returns
    -------
    array of the shape of `x`

    Raises
    ------
    ValueError
        The number of slopes is neither 1 nor that of channels.

    Examples
    --------
    >>> x, weight = np.array([[-2, 3]], np.float32), np.array([0.25], np.float32)
    >>> F.prelu(x, weight).tolist()
    [[-0.5, 3.0]]
    """
    planes = x.reshape(check.prelu(x, weight))
    return _like(x, np.where(planes > 0, planes, weight[:, None] * planes).reshape(x.shape))


@quiet
def prelu_backward(
    dy: Array, x: Array, weight: Array, *, needs: Iterable[str] = ("dx", "dw")
) -> tuple[MaybeArray, MaybeArray]:
    """Gradients of `prelu`: `dy` where ``x > 0``, elsewhere ``weight * dy``; and sums of ``x * dy`` where ``x <= 0``.

    Parameters
    ----------
    dy, x : arrays of one shape
        Gradient of the output, and the input.
    weight : (C,) or (1,) array
        As given to `prelu`.
    needs : tuple of "dx", "dw"
        Which gradients to compute; the others are None.

    Returns
    -------
    dx : array of the shape of `x`, or None
    dw : array of the shape of `weight`, or None

    Examples
    --------
    >>> x, weight = np.array([[-2, 3]], np.float32), np.array([0.25], np.float32)
    >>> dx, dw = F.prelu_backward(np.ones_like(x), x, weight)
    >>> dx.tolist(), dw.tolist()
    ([[0.25, 1.0]], [-2.0])
    """
    needs = check.gradient_names(needs, ("dx", "dw"))
    shape = check.prelu_backward(dy, x, weight)
    planes, slopes = x.reshape(shape), dy.reshape(shape)
    dx = _like(x, np.where(planes > 0, slopes, weight[:, None] * slopes).reshape(x.shape))
    dw = np.where(planes > 0, 0, planes * slopes).sum(axis=(0, 2), dtype=np.float64).astype(x.dtype)
    return dx if "dx" in needs else None, dw if "dw" in needs else None
