"""Maximum and average pooling over two axes, and over one, which is a plane of height 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, IntPair, Windows
from fastnn.reference._windows import inside, pad, quiet, windows

__all__ = [
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
]


def _pool_windows(x: Array, value: float, geometry: Windows, ceil_mode: bool) -> Array:
    """The windows of `x` in a frame of `value`.

    With `ceil_mode` the frame is wider below and on the right, so that one more window may hang over the edge; one
    that would begin beyond the input and its padding is dropped.
    """
    KH, KW, SH, SW, PH, PW, DH, DW = geometry
    if not ceil_mode:
        return windows(pad(x, PH, PW, value), KH, KW, SH, SW, DH, DW)
    H, W = x.shape[-2:]
    view = windows(pad(x, PH, PW, value, more_h=SH - 1, more_w=SW - 1), KH, KW, SH, SW, DH, DW)
    starts_h, starts_w = np.arange(view.shape[-4]) * SH, np.arange(view.shape[-3]) * SW
    return view[..., : np.count_nonzero(starts_h < PH + H), : np.count_nonzero(starts_w < PW + W), :, :]


@check.takes_one("x", axes=4)
@quiet
def max_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    return_positions: bool = False,
) -> Array | tuple[Array, ...]:
    """Maximum of every window.

    The first maximum in row-major order wins, and the first NaN wins over everything. Padding never wins.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        Step between windows; `kernel_size` by default.
    padding : int or (int, int)
        Width of the frame around `x`, at most half of `kernel_size`.
    dilation : int or (int, int)
        Step between the pixels of a window.
    ceil_mode : bool
        Also use windows that hang over the lower and right edge, if they begin inside `x` or its left or upper frame
        (PyTorch's rule).
    return_positions : bool
        Also return where in its window each maximum was found, which is what `max_pool2d_backward` takes.
    return_indices : bool
        Also return where in its plane each maximum was found, as PyTorch does.

    Returns
    -------
    y : (N, C, OH, OW) or (C, OH, OW) array
    positions : (N, C, OH, OW) or (C, OH, OW) array of uint8, or of int32 when KH*KW > 256
        ``kh*KW + kw`` of each maximum; only with `return_positions`.
    indices : (N, C, OH, OW) or (C, OH, OW) array of int64
        ``h*W + w`` of each maximum; only with `return_indices`.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> F.max_pool2d(x, 2)[0, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    geometry, *_ = check.pool(2, x, kernel_size, stride, padding, dilation, ceil_mode)
    KH, KW, *_ = geometry
    view = _pool_windows(x, -np.inf, geometry, ceil_mode)
    y = np.full(view.shape[:4], -np.inf, x.dtype)
    if not return_positions and not return_indices:
        for kh, kw in np.ndindex(KH, KW):
            np.maximum(y, view[..., kh, kw], out=y)
        return y

    # Where nothing is above -inf, the maximum is the first place of the window that is not padding.
    real = _pool_windows(np.ones(x.shape[2:]), 0.0, geometry, ceil_mode)
    first_real = real.reshape(*real.shape[:2], KH * KW).argmax(axis=-1)
    positions = np.broadcast_to(first_real.astype(check.positions_dtype(KH, KW)), y.shape)
    for kh, kw in np.ndindex(KH, KW):
        v = view[..., kh, kw]
        wins = ~(v <= y) & ~np.isnan(y)  # greater or NaN, unless a NaN has won
        y = np.where(wins, v, y)
        positions = np.where(wins, positions.dtype.type(kh * KW + kw), positions)
    if not return_indices:
        return y, positions
    indices = _indices_in_plane(positions, x.shape[-1], geometry)
    return (y, positions, indices) if return_positions else (y, indices)


def _indices_in_plane(positions: Array, W: int, geometry: Windows) -> Array:
    _, KW, SH, SW, PH, PW, DH, DW = geometry
    kh, kw = np.divmod(positions.astype(np.int64), KW)
    oh, ow = np.indices(positions.shape[2:])
    return (oh * SH - PH + kh * DH) * W + ow * SW - PW + kw * DW


@check.takes_one("dy", "positions", axes=4)
@quiet
def max_pool2d_backward(
    dy: Array,
    positions: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `max_pool2d`: each element of `dy` goes to the pixel that was its window's maximum.

    Parameters
    ----------
    dy : (N, C, OH, OW) or (C, OH, OW) array of float32 or float64
    positions : (N, C, OH, OW) or (C, OH, OW) array of uint8 or int32
        From ``max_pool2d(..., return_positions=True)``.
    input_size : int or (int, int)
        Size (H, W) of the input.
    kernel_size, stride, padding, dilation, ceil_mode
        As given to `max_pool2d`.

    Returns
    -------
    (N, C, H, W) or (C, H, W) array
        A pixel that is the maximum of several windows receives their sum, added in row-major order of the windows.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> y, positions = F.max_pool2d(x, 2, return_positions=True)
    >>> print(F.max_pool2d_backward(y, positions, (4, 4), 2)[0, 0])
    [[ 0.  0.  0.  0.]
     [ 0.  5.  0.  7.]
     [ 0.  0.  0.  0.]
     [ 0. 13.  0. 15.]]
    """
    geometry, H, W = check.pool_backward(2, dy, input_size, kernel_size, stride, padding, dilation, ceil_mode)
    check.positions(positions, dy, geometry)
    check.positions_inside(positions, H, W, geometry)
    padded, view = _zeros_to_add_to(dy, H, W, geometry, ceil_mode)
    for kh, kw in reversed(list(np.ndindex(view.shape[4:]))):  # the last tap of a pixel belongs to its first window
        view[..., kh, kw] += np.where(positions == kh * geometry.KW + kw, dy, 0)
    return inside(padded, H, W, geometry.PH, geometry.PW).copy()


def _zeros_to_add_to(dy: Array, H: int, W: int, geometry: Windows, ceil_mode: bool) -> tuple[Array, Array]:
    """Zeros with room for the input, its frame, and the windows that hang over it; and the view of their windows."""
    KH, KW, SH, SW, PH, PW, DH, DW = geometry
    more_h, more_w = (SH - 1, SW - 1) if ceil_mode else (0, 0)
    padded = np.zeros((*dy.shape[:2], H + 2 * PH + more_h, W + 2 * PW + more_w), dy.dtype)
    OH, OW = dy.shape[2:]
    return padded, windows(padded, KH, KW, SH, SW, DH, DW, writeable=True)[..., :OH, :OW, :, :]


def _divisors(H: int, W: int, geometry: Windows, ceil_mode: bool, with_padding: bool, divisor: int) -> Array:
    """What the sum of each window is divided by: `divisor`, or, if that is 0, the number of its pixels.

    Those of the input and perhaps its padding count, not those beyond the padding.
    """
    _, _, _, _, PH, PW, *_ = geometry
    counted = pad(np.ones((H, W)), PH, PW, 1.0 if with_padding else 0.0)
    areas = _pool_windows(counted, 0.0, geometry._replace(PH=0, PW=0), ceil_mode).sum(axis=(-2, -1))
    return np.full_like(areas, divisor) if divisor else areas


@check.takes_one("x", axes=4)
@quiet
def avg_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Average of every window, added, then divided by the number of its pixels.

    What hangs over the padded input in `ceil_mode` does not count.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    kernel_size, stride, ceil_mode
        As for `max_pool2d`.
    padding : int or (int, int)
        Width of the frame of zeros around `x`, at most half of `kernel_size`.
    count_include_pad : bool
        Count the pixels of the padding too.
    divisor_override : int, optional
        Divide by this instead, at least 1.

    Returns
    -------
    (N, C, OH, OW) or (C, OH, OW) array

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> F.avg_pool2d(x, 2)[0, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    geometry, OH, OW = check.pool(2, x, kernel_size, stride, padding, 1, ceil_mode)
    divisor = check.average_settings(count_include_pad, divisor_override)
    view = _pool_windows(x, 0.0, geometry, ceil_mode)
    y = np.zeros(view.shape[:4])
    for kh, kw in np.ndindex(view.shape[4:]):
        y += view[..., kh, kw]
    H, W = x.shape[2:]
    divisors = _divisors(H, W, geometry, ceil_mode, count_include_pad, divisor)[:OH, :OW]
    return np.divide(y, divisors, out=y).astype(x.dtype)


@check.takes_one("dy", axes=4)
@quiet
def avg_pool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Gradient of `avg_pool2d`: each element of `dy` is shared equally among the pixels of its window.

    Parameters
    ----------
    dy : (N, C, OH, OW) or (C, OH, OW) array of float32 or float64
    input_size : int or (int, int)
        Size (H, W) of the input.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As given to `avg_pool2d`.

    Returns
    -------
    (N, C, H, W) or (C, H, W) array
        A pixel under several windows receives the sum of its shares.

    Examples
    --------
    >>> dy = np.ones((1, 1, 2, 2), np.float32)
    >>> print(F.avg_pool2d_backward(dy, (4, 4), 2)[0, 0])
    [[0.25 0.25 0.25 0.25]
     [0.25 0.25 0.25 0.25]
     [0.25 0.25 0.25 0.25]
     [0.25 0.25 0.25 0.25]]
    """
    geometry, H, W = check.pool_backward(2, dy, input_size, kernel_size, stride, padding, 1, ceil_mode)
    divisor = check.average_settings(count_include_pad, divisor_override)
    OH, OW = dy.shape[2:]
    share = dy / _divisors(H, W, geometry, ceil_mode, count_include_pad, divisor)[:OH, :OW]
    padded, view = _zeros_to_add_to(share, H, W, geometry, ceil_mode)
    for kh, kw in np.ndindex(view.shape[4:]):
        view[..., kh, kw] += share
    return inside(padded, H, W, geometry.PH, geometry.PW).astype(dy.dtype, order="C")


def _of_rows(geometry: Windows) -> dict[str, Any]:
    """The windows along the one axis as those of planes of height 1."""
    _, KW, _, SW, _, PW, _, DW = geometry
    dilation = {} if DW == 1 else {"dilation": (1, DW)}
    return {"kernel_size": (1, KW), "stride": (1, SW), "padding": (0, PW), **dilation}


@check.takes_one("x", axes=3)
def max_pool1d(
    x: Array,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    return_positions: bool = False,
) -> Array | tuple[Array, ...]:
    """Maximum of every window along one axis: `max_pool2d` of planes of height 1.

    Parameters
    ----------
    x : (N, C, L) or (C, L) array of float32 or float64
    kernel_size, stride, padding, dilation : int
    ceil_mode, return_positions, return_indices : bool
        As for `max_pool2d`.

    Returns
    -------
    y : (N, C, OL) or (C, OL) array
    positions : (N, C, OL) or (C, OL) array of uint8, or of int32 when kernel_size > 256
        The place of each maximum in its window; only with `return_positions`.
    indices : (N, C, OL) or (C, OL) array of int64
        The place of each maximum in its row; only with `return_indices`.

    Examples
    --------
    >>> x = np.array([[[1, 3, 7, 5]]], np.float32)
    >>> F.max_pool1d(x, 2).tolist()
    [[[3.0, 7.0]]]
    """
    geometry, *_ = check.pool(1, x, kernel_size, stride, padding, dilation, ceil_mode)
    wanted = {"return_positions": return_positions, "return_indices": return_indices}
    results = max_pool2d(x[:, :, None], **_of_rows(geometry), ceil_mode=ceil_mode, **wanted)
    return tuple(r[:, :, 0] for r in results) if isinstance(results, tuple) else results[:, :, 0]


@check.takes_one("dy", "positions", axes=3)
def max_pool1d_backward(
    dy: Array,
    positions: Array,
    input_size: int,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `max_pool1d`: each element of `dy` goes to the element that was its window's maximum.

    Parameters
    ----------
    dy : (N, C, OL) or (C, OL) array of float32 or float64
    positions : (N, C, OL) or (C, OL) array of uint8 or int32
        From ``max_pool1d(..., return_positions=True)``.
    input_size : int
        Length L of the input.
    kernel_size, stride, padding, dilation, ceil_mode
        As given to `max_pool1d`.

    Returns
    -------
    (N, C, L) or (C, L) array

    Examples
    --------
    >>> x = np.array([[[1, 3, 7, 5]]], np.float32)
    >>> y, positions = F.max_pool1d(x, 2, return_positions=True)
    >>> F.max_pool1d_backward(y, positions, 4, 2).tolist()
    [[[0.0, 3.0, 7.0, 0.0]]]
    """
    geometry, _, L = check.pool_backward(1, dy, input_size, kernel_size, stride, padding, dilation, ceil_mode)
    check.positions(positions, dy, geometry)
    check.positions_inside(positions, 1, L, geometry)
    rows = dy[:, :, None], positions[:, :, None]
    return max_pool2d_backward(*rows, (1, L), **_of_rows(geometry), ceil_mode=ceil_mode)[:, :, 0]


@check.takes_one("x", axes=3)
def avg_pool1d(
    x: Array,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Average of every window along one axis: `avg_pool2d` of planes of height 1.

    Parameters
    ----------
    x : (N, C, L) or (C, L) array of float32 or float64
    kernel_size, stride, padding : int
    ceil_mode, count_include_pad : bool
        As for `avg_pool2d`.

    Returns
    -------
    (N, C, OL) or (C, OL) array

    Examples
    --------
    >>> x = np.array([[[1, 3, 7, 5]]], np.float32)
    >>> F.avg_pool1d(x, 2).tolist()
    [[[2.0, 6.0]]]
    """
    geometry, *_ = check.pool(1, x, kernel_size, stride, padding, 1, ceil_mode)
    options = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return avg_pool2d(x[:, :, None], **_of_rows(geometry), **options)[:, :, 0]


@check.takes_one("dy", axes=3)
def avg_pool1d_backward(
    dy: Array,
    input_size: int,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Gradient of `avg_pool1d`: each element of `dy` is shared equally among the elements of its window.

    Parameters
    ----------
    dy : (N, C, OL) or (C, OL) array of float32 or float64
    input_size : int
        Length L of the input.
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As given to `avg_pool1d`.

    Returns
    -------
    (N, C, L) or (C, L) array

    Examples
    --------
    >>> F.avg_pool1d_backward(np.ones((1, 1, 2), np.float32), 4, 2).tolist()
    [[[0.5, 0.5, 0.5, 0.5]]]
    """
    geometry, _, L = check.pool_backward(1, dy, input_size, kernel_size, stride, padding, 1, ceil_mode)
    options = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return avg_pool2d_backward(dy[:, :, None], (1, L), **_of_rows(geometry), **options)[:, :, 0]
