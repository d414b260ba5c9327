"""Arrays of another shape with the same elements."""

from __future__ import annotations

from collections.abc import Sequence

from fastnn import _validate as check
from fastnn._validate import Array

__all__ = ["flatten", "unflatten"]


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
