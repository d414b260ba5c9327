"""Arrays of another shape with the same elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array

__all__ = ["flatten", "pixel_shuffle", "pixel_unshuffle", "unflatten"]


def flatten(x: Array, start_dim: int = 1, end_dim: int = -1) -> Array:
    """Join the axes from `start_dim` to `end_dim`, both included, into one; a view where `x` allows it.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    start_dim, end_dim : int

    Returns
    -------
    array of ``end_dim - start_dim`` axes less than `x`

    Raises
    ------
    ValueError
        `end_dim` comes before `start_dim`, or `x` has no such axis.

    Examples
    --------
    >>> F.flatten(np.ones((8, 3, 4, 4), np.float32)).shape
    (8, 48)
    """
    shape = check.flatten(x, start_dim, end_dim)
    return x.reshape(shape)


def unflatten(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    """Split the axis `dim` into several, of the lengths `sizes`; a view where `x` allows it.

    Parameters
    ----------
    x : array of float32 or float64, at least one axis
    dim : int
    sizes : tuple of int
        One of them may be -1: what is left.

    Returns
    -------
    array of ``len(sizes) - 1`` axes more than `x`

    Raises
    ------
    ValueError
        The product of `sizes` is not the length of the axis.

    Examples
    --------
    >>> F.unflatten(np.ones((8, 48), np.float32), 1, (3, 4, 4)).shape
    (8, 3, 4, 4)
    """
    shape = check.unflatten(x, dim, sizes)
    return x.reshape(shape)


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """Make squares of pixels of every r*r channels; `pixel_unshuffle` is its gradient, and its inverse.

    Pixel (h*r + i, w*r + j) of channel c is pixel (h, w) of channel ``c*r*r + i*r + j``, for r = `upscale_factor`.

    Parameters
    ----------
    x : (..., C*r*r, H, W) array of float32 or float64
    upscale_factor : int

    Returns
    -------
    (..., C, H*r, W*r) array

    Raises
    ------
    ValueError
        r*r does not divide the channels.

    Examples
    --------
    >>> print(F.pixel_shuffle(np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1), 2)[0, 0])
    [[0. 1.]
     [2. 3.]]
    """
    r = check.pixel_shuffle(x, "upscale_factor", upscale_factor, back=False)
    *first, C, H, W = x.shape
    parts = x.reshape(*first, C // (r * r), r, r, H, W)  # c, i, j, h, w
    y = np.moveaxis(parts, (-4, -3), (-3, -1))  # c, h, i, w, j
    return y.copy().reshape(*first, C // (r * r), H * r, W * r)


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """Make r*r channels of the squares of pixels of each; `pixel_shuffle` is its gradient, and its inverse.

    Parameters
    ----------
    x : (..., C, H*r, W*r) array of float32 or float64
    downscale_factor : int
        r.

    Returns
    -------
    (..., C*r*r, H, W) array

    Raises
    ------
    ValueError
        r does not divide rows and columns.

    Examples
    --------
    >>> x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    >>> F.pixel_unshuffle(x, 2)[0, :, 0, 0].tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    r = check.pixel_shuffle(x, "downscale_factor", downscale_factor, back=True)
    *first, C, H, W = x.shape
    parts = x.reshape(*first, C, H // r, r, W // r, r)  # c, h, i, w, j
    y = np.moveaxis(parts, (-3, -1), (-4, -3))  # c, i, j, h, w
    return y.copy().reshape(*first, C * r * r, H // r, W // r)
