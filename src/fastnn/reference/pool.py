"""Maximum and average pooling."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, IntPair
from fastnn.reference._windows import inside, pad, quiet, windows


def _pool_windows(
    x: Array, value: float, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, ceil_mode: bool
) -> Array:
    """The windows of `x` in a frame of `value`.

    With `ceil_mode` the frame is wider below and on the right, so that one more window may hang over the edge; one
    that would begin beyond the input and its padding is dropped.
    """
    if not ceil_mode:
        return windows(pad(x, PH, PW, value), KH, KW, SH, SW)
    H, W = x.shape[-2:]
    view = windows(pad(x, PH, PW, value, more_h=SH - 1, more_w=SW - 1), KH, KW, SH, SW)
    starts_h, starts_w = np.arange(view.shape[-4]) * SH, np.arange(view.shape[-3]) * SW
    return view[..., : np.count_nonzero(starts_h < PH + H), : np.count_nonzero(starts_w < PW + W), :, :]


@quiet
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: bool = False,
) -> Array | tuple[Array, Array]:
    """Maximum of every window.

    The first maximum in row-major order wins, and the first NaN wins over everything. Padding never wins.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        Step between windows; `kernel_size` by default.
    padding : int or (int, int)
        Width of the frame around `x`, at most half of `kernel_size`.
    ceil_mode : bool
        Also use windows that hang over the lower and right edge, if they begin inside `x` or its left or upper frame
        (PyTorch's rule).
    return_positions : bool
        Also return where in its window each maximum was found.

    Returns
    -------
    y : (N, C, OH, OW) array
    positions : (N, C, OH, OW) array of uint8, or of int32 when KH*KW > 256
        ``kh*KW + kw`` of each maximum; only with `return_positions`.
    """
    KH, KW, SH, SW, PH, PW, *_ = check.pool2d(x, kernel_size, stride, padding, ceil_mode)
    view = _pool_windows(x, -np.inf, KH, KW, SH, SW, PH, PW, ceil_mode)
    y = np.full(view.shape[:4], -np.inf, x.dtype)
    if not return_positions:
        for kh, kw in np.ndindex(KH, KW):
            np.maximum(y, view[..., kh, kw], out=y)
        return y

    # Where nothing is above -inf, the maximum is the first place of the window that is not padding.
    real = _pool_windows(np.ones(x.shape[2:]), 0.0, KH, KW, SH, SW, PH, PW, ceil_mode)
    first_real = real.reshape(*real.shape[:2], KH * KW).argmax(axis=-1)
    positions = np.broadcast_to(first_real.astype(check.positions_dtype(KH, KW)), y.shape)
    for kh, kw in np.ndindex(KH, KW):
        v = view[..., kh, kw]
        wins = ~(v <= y) & ~np.isnan(y)  # greater or NaN, unless a NaN has won
        y = np.where(wins, v, y)
        positions = np.where(wins, positions.dtype.type(kh * KW + kw), positions)
    return y, positions


@quiet
def maxpool2d_backward(
    dy: Array,
    positions: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `maxpool2d`: each element of `dy` goes to the pixel that was its window's maximum.

    Parameters
    ----------
    dy : (N, C, OH, OW) array of float32 or float64
    positions : (N, C, OH, OW) array of uint8 or int32
        From ``maxpool2d(..., return_positions=True)``.
    input_size : int or (int, int)
        Size (H, W) of the input.
    kernel_size, stride, padding, ceil_mode
        As given to `maxpool2d`.

    Returns
    -------
    (N, C, H, W) array
        A pixel that is the maximum of several windows receives their sum, added in row-major order of the windows.
    """
    H, W, KH, KW, SH, SW, PH, PW = check.pool2d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode)
    check.positions(positions, dy, H, W, KH, KW, SH, SW, PH, PW)
    OH, OW = dy.shape[2:]
    padded = _padded_zeros(dy, H, W, SH, SW, PH, PW, ceil_mode)
    view = windows(padded, KH, KW, SH, SW, writeable=True)[..., :OH, :OW, :, :]
    for kh, kw in reversed(list(np.ndindex(KH, KW))):  # the last tap of a pixel belongs to its first window
        view[..., kh, kw] += np.where(positions == kh * KW + kw, dy, 0)
    return inside(padded, H, W, PH, PW).copy()


def _padded_zeros(dy: Array, H: int, W: int, SH: int, SW: int, PH: int, PW: int, ceil_mode: bool) -> Array:
    """Zeros with room for the input, its frame, and the windows that hang over it."""
    more_h, more_w = (SH - 1, SW - 1) if ceil_mode else (0, 0)
    return np.zeros((*dy.shape[:2], H + 2 * PH + more_h, W + 2 * PW + more_w), dy.dtype)


def _window_areas(H: int, W: int, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, ceil_mode: bool) -> Array:
    """How many pixels each window has: those of the input and its padding, not those beyond the padding."""
    padded_ones = np.ones((H + 2 * PH, W + 2 * PW))
    if not ceil_mode:
        return windows(padded_ones, KH, KW, SH, SW).sum(axis=(-2, -1))
    beyond = pad(padded_ones, 0, 0, more_h=SH - 1, more_w=SW - 1)
    return windows(beyond, KH, KW, SH, SW).sum(axis=(-2, -1))


@quiet
def avgpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    """Average of every window, added in row-major order, then divided by the number of its pixels.

    Padding counts as pixels of value 0 (PyTorch's ``count_include_pad=True``); what hangs over the padded input in
    `ceil_mode` does not count.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    kernel_size, stride, padding, ceil_mode
        As for `maxpool2d`.

    Returns
    -------
    (N, C, OH, OW) array
    """
    KH, KW, SH, SW, PH, PW, *_ = check.pool2d(x, kernel_size, stride, padding, ceil_mode)
    view = _pool_windows(x, 0.0, KH, KW, SH, SW, PH, PW, ceil_mode)
    y = np.zeros(view.shape[:4], x.dtype)
    for kh, kw in np.ndindex(KH, KW):
        y += view[..., kh, kw]
    H, W = x.shape[2:]
    OH, OW = view.shape[2:4]
    areas = _window_areas(H, W, KH, KW, SH, SW, PH, PW, ceil_mode)[:OH, :OW]
    return np.divide(y, areas.astype(x.dtype), out=y)


@quiet
def avgpool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `avgpool2d`: each element of `dy` is shared equally among the pixels of its window.

    Parameters
    ----------
    dy : (N, C, OH, OW) array of float32 or float64
    input_size : int or (int, int)
        Size (H, W) of the input.
    kernel_size, stride, padding, ceil_mode
        As given to `avgpool2d`.

    Returns
    -------
    (N, C, H, W) array
        A pixel under several windows receives the sum of its shares, added in row-major order of the windows.
    """
    H, W, KH, KW, SH, SW, PH, PW = check.pool2d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode)
    OH, OW = dy.shape[2:]
    areas = _window_areas(H, W, KH, KW, SH, SW, PH, PW, ceil_mode)[:OH, :OW]
    share = dy / areas.astype(dy.dtype)
    padded = _padded_zeros(dy, H, W, SH, SW, PH, PW, ceil_mode)
    view = windows(padded, KH, KW, SH, SW, writeable=True)[..., :OH, :OW, :, :]
    for kh, kw in reversed(list(np.ndindex(KH, KW))):  # the last tap of a pixel belongs to its first window
        view[..., kh, kw] += share
    return inside(padded, H, W, PH, PW).copy()
