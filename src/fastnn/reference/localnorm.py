"""Local response normalisation."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet, unit

__all__ = ["local_response_norm", "local_response_norm_backward"]


def _neighbours(a: Array, before: int, after: int) -> Array:
    """For each channel of (N, C, P) the sum over it, `before` channels before it and `after` after it."""
    padded = np.pad(a, ((0, 0), (before, after), (0, 0)))
    return sliding_window_view(padded, before + after + 1, axis=1).sum(axis=-1)


@quiet
def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """Divide every pixel by what its neighbours in other channels have, ``x / (k + alpha/size * sum(x^2))^beta``.

    After Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012; the
    window, and that `alpha` is divided by its `size`, as in PyTorch. The sum is over `size` channels: size//2 before
    the pixel's own, and (size - 1)//2 after it.

    Parameters
    ----------
    x : (N, C, ...) array of float32 or float64, of at least 3 axes
    size : int
        Channels of a window.
    alpha, beta, k : float

    Returns
    -------
    y : array of the shape of `x`

    Raises
    ------
    ValueError
        `x` has not the axes; `size` is below 1.

    Examples
    --------
    >>> print(F.local_response_norm(np.ones((1, 3, 1, 1), np.float32), 3, alpha=3.0, beta=1.0).ravel().round(3))
    [0.333 0.25  0.333]
    """
    shape, size, alpha, beta, k = check.local_response_norm(x, size, alpha, beta, k)
    one = unit(x.reshape(shape), 1)
    planes = x.reshape(shape) * one
    d = k * one * one + alpha / size * _neighbours(planes * planes, size // 2, (size - 1) // 2)
    return (planes / d**beta * one ** (2 * beta - 1)).astype(x.dtype).reshape(x.shape)


@quiet
def local_response_norm_backward(
    dy: Array, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Gradient of `local_response_norm`.

    With d = k + alpha/size*sum(x^2): ``dx = dy/d^beta - 2*alpha*beta/size * x * sum(dy*x/d^(beta + 1))``, the sum over
    the channels in whose windows the pixel is.

    Parameters
    ----------
    dy : array of the shape of `x`
        Gradient of the output.
    x, size, alpha, beta, k
        As given to `local_response_norm`.

    Returns
    -------
    dx : array of the shape of `x`

    Examples
    --------
    >>> x = np.ones((1, 3, 1, 1), np.float32)
    >>> F.local_response_norm_backward(np.ones_like(x), x, 3).shape
    (1, 3, 1, 1)
    """
    shape, size, alpha, beta, k = check.local_response_norm_backward(dy, x, size, alpha, beta, k)
    one = unit(x.reshape(shape), 1)
    planes, g = x.reshape(shape) * one, dy.reshape(shape)
    before, after = size // 2, (size - 1) // 2
    d = k * one * one + alpha / size * _neighbours(planes * planes, before, after)
    apart = g / d**beta * one ** (2 * beta)
    dx = apart - 2 * alpha / size * beta * planes * _neighbours(apart * planes / d, after, before)
    return dx.astype(x.dtype).reshape(x.shape)
