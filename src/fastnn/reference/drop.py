"""Dropout, and the generator that decides what is dropped."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet

__all__ = ["dropout", "dropout2d", "dropout2d_backward", "dropout_backward"]


def _philox(counter: Array, step: int, stream: int) -> list[Array]:
    """The four words of Philox4x32-10 at each counter (counter, step) under the key `stream`, all 64-bit numbers.

    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11. Words of 32 bits are kept in
    64, so that no product overflows.
    """
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c0, c1 = counter & low, counter >> half
    c2, c3 = (np.full_like(counter, word) for word in (step & 0xFFFFFFFF, step >> 32))
    k0, k1 = stream & 0xFFFFFFFF, stream >> 32
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (p1 >> half) ^ c1 ^ np.uint64(k0), p1 & low
        c2, c3 = (p0 >> half) ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def _words(n: int, stream: int, step: int) -> Array:
    """Random words 0 to n - 1: by 64, the first words of sixteen counters, then their second words, and so on."""
    groups = -(-n // 64)
    words = np.stack(_philox(np.arange(16 * groups, dtype=np.uint64), step, stream))
    return words.reshape(4, groups, 16).swapaxes(0, 1).reshape(-1)[:n]


@quiet
def _drop(x: Array, p: float, training: bool, key: tuple[int, int], planes: bool, name: str) -> tuple[Array, Array]:
    threshold, scale, stream, step = check.dropout(x, p, training, key, planes, name)
    kept = _words(x.shape[0] * x.shape[1] if planes else x.size, stream, step) >= np.uint64(threshold)
    return _where(kept, x, scale, planes), kept


@quiet
def _where(kept: Array, x: Array, scale: float, planes: bool) -> Array:
    shape = (*x.shape[:2], 1, 1) if planes else x.shape
    return np.where(kept.reshape(shape), x * x.dtype.type(scale), np.zeros((), x.dtype))


@overload
def dropout(
    x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], return_kept: Literal[False] = False
) -> Array: ...
@overload
def dropout(
    x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], return_kept: bool = False
) -> Array | tuple[Array, Array]: ...
def dropout(
    x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], return_kept: bool = False
) -> Array | tuple[Array, Array]:
    """Set elements to 0, each with probability `p`, and divide the others by ``1 - p``.

    After Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks
    from overfitting", JMLR 15, 2014. Which elements are dropped follows from `key` and their index in C order, by
    Philox4x32-10: an element is kept where its random word of 32 bits is at least ``p * 2**32``.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    p : float, from 0 to 1
    training : bool
        False: nothing is dropped or scaled.
    key : (int, int)
        Stream and step, each from 0 to 2**64 - 1: the same key drops the same elements.
    return_kept : bool
        Also return `kept`, which saves `dropout_backward` the making of the random words.

    Returns
    -------
    array of the shape of `x`
        0 where an element is dropped, even one that is NaN or inf.
    kept : array of uint8, one for each 8 elements
        Bit ``i % 8`` of ``kept[i // 8]`` says whether element i in C order is kept.

    Examples
    --------
    >>> x = np.ones((1, 1000), np.float32)
    >>> y = F.dropout(x, 0.5, key=(7, 0))
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """
    y, kept = _drop(x, p, training, key, False, "x")
    return (y, np.packbits(kept, bitorder="little")) if return_kept else y


def dropout_backward(
    dy: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int], kept: Array | None = None
) -> Array:
    """Gradient of `dropout`: what it drops and scales, this drops and scales in `dy`.

    Parameters
    ----------
    dy : array of the shape of `x`
        Gradient of the output.
    p, training, key
        As given to `dropout`.
    kept : array of uint8, optional
        What `dropout` returned with `return_kept`.

    Returns
    -------
    array of the shape of `dy`

    Examples
    --------
    >>> x = np.ones((1, 1000), np.float32)
    >>> dx = F.dropout_backward(x, 0.5, key=(7, 0))
    >>> bool((dx == F.dropout(x, 0.5, key=(7, 0))).all())
    True
    """
    check.kept_bits(kept, dy)
    if kept is None:
        return _drop(dy, p, training, key, False, "dy")[0]
    scale = check.dropout(dy, p, training, key, False, "dy")[1]
    return _where(np.unpackbits(kept, count=dy.size, bitorder="little").astype(bool), dy, scale, False)


def dropout2d(x: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    """Set whole channels of images to 0, each with probability `p`, and divide the others by ``1 - p``.

    After Tompson et al., "Efficient object localization using convolutional networks", 2015. As `dropout` of an array
    (N, C), with what it does to each element done to a plane.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    p : float, from 0 to 1
    training, key
        As for `dropout`.

    Returns
    -------
    (N, C, H, W) array

    Examples
    --------
    >>> y = F.dropout2d(np.ones((1, 100, 2, 2), np.float32), 0.5, key=(7, 0))
    >>> all(channel.min() == channel.max() for channel in y[0])
    True
    """
    return _drop(x, p, training, key, True, "x")[0]


def dropout2d_backward(dy: Array, p: float = 0.5, training: bool = True, *, key: tuple[int, int]) -> Array:
    """Gradient of `dropout2d`: what it drops and scales, this drops and scales in `dy`.

    Parameters
    ----------
    dy : (N, C, H, W) array of float32 or float64
        Gradient of the output.
    p, training, key
        As given to `dropout2d`.

    Returns
    -------
    (N, C, H, W) array

    Examples
    --------
    >>> x = np.ones((1, 100, 2, 2), np.float32)
    >>> dx = F.dropout2d_backward(x, 0.5, key=(7, 0))
    >>> bool((dx == F.dropout2d(x, 0.5, key=(7, 0))).all())
    True
    """
    return _drop(dy, p, training, key, True, "dy")[0]
