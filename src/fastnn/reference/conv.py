"""Convolution, and the patches that it multiplies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, IntPair, IntSingle, MaybeArray, Padding
from fastnn.reference._windows import inside, pad, quiet, windows

__all__ = ["conv1d", "conv1d_backward", "conv2d", "conv2d_backward", "fold", "unfold"]


@check.takes_one("x", axes=4)
def unfold(x: Array, kernel_size: IntPair, dilation: IntPair = 1, padding: IntPair = 0, stride: IntPair = 1) -> Array:
    """Write every patch of an image as a column (im2col).

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    kernel_size, dilation, padding, stride : int or (int, int)
        Size of a patch, step between its elements, frame of zeros around `x`, step between patches.

    Returns
    -------
    (N, C*KH*KW, OH*OW) or (C*KH*KW, OH*OW) array
        Column ``oh*OW + ow`` holds the patch that output pixel (oh, ow) of a convolution sees, its elements in the
        order (channel, kernel row, kernel column).

    Examples
    --------
    >>> F.unfold(np.ones((1, 3, 4, 4), np.float32), 2).shape  # 9 patches of 3 x 2 x 2
    (1, 12, 9)
    """
    (KH, KW, SH, SW, PH, PW, DH, DW, _), *_ = check.unfold(x, kernel_size, stride, padding, dilation)
    patches = windows(pad(x, PH, PW), KH, KW, SH, SW, DH, DW)
    N, C, OH, OW, _, _ = patches.shape
    cols = np.empty((N, C, KH, KW, OH, OW), x.dtype)
    cols[...] = patches.transpose(0, 1, 4, 5, 2, 3)
    return cols.reshape(N, C * KH * KW, OH * OW)


@check.takes_one("x", axes=3)
@quiet
def fold(
    x: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Array:
    """Add columns back to the pixels they were taken from the backward of `unfold`.

    Parameters
    ----------
    x : (N, C*KH*KW, OH*OW) or (C*KH*KW, OH*OW) array of float32 or float64
    output_size : int or (int, int)
        Size (H, W) of the images.
    kernel_size, dilation, padding, stride : int or (int, int)
        As for `unfold`.

    Returns
    -------
    (N, C, H, W) or (C, H, W) array
        A pixel under several patches receives their sum, added in the order of the rows of `x`; a pixel under
        none is 0.

    Examples
    --------
    >>> x = np.ones((1, 4, 9), np.float32)  # 9 patches of 2 x 2
    >>> print(F.fold(x, output_size=4, kernel_size=2)[0, 0])
    [[1. 2. 2. 1.]
     [2. 4. 4. 2.]
     [2. 4. 4. 2.]
     [1. 2. 2. 1.]]
    """
    C, H, W, geometry = check.fold(x, output_size, kernel_size, stride, padding, dilation)
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    N = x.shape[0]
    padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), x.dtype)
    patches = windows(padded, KH, KW, SH, SW, DH, DW, writeable=True)
    OH, OW = patches.shape[2:4]
    taps = x.reshape(N, C, KH, KW, OH, OW)
    for kh, kw in np.ndindex(KH, KW):
        patches[..., kh, kw] += taps[:, :, kh, kw]
    return inside(padded, H, W, PH, PW).copy()


@check.takes_one("x", axes=4)
@quiet
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntPair = 1,
    padding: Padding = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Array:
    """Two-dimensional convolution (cross-correlation: the kernel is not flipped).

    ``y[n, o, oh, ow] = bias[o] + sum over c, kh, kw of weight[o, c, kh, kw] * x[n, c, ih, iw]``, where
    ``ih = oh*SH + kh*DH - PH``, ``iw = ow*SW + kw*DW - PW``, and `x` is 0 outside its borders: one product of the
    matrix of weights with the patches of each image. With `groups`, the channels on both sides are cut into as many
    parts, each a convolution of its own.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    weight : (O, C/groups, KH, KW) array
    bias : (O,) array, optional
    stride : int or (int, int)
        Step between windows.
    padding : int or (int, int), "valid" or "same"
        Rows and columns of zeros added on each side of `x`; "valid" is 0. "same" keeps the size of the map, at stride
        1: of an odd number of rows or columns, one more is added below or on the right.
    dilation : int or (int, int)
        Step between the elements of a window.
    groups : int
        Divides C and O; with C groups every channel is convolved for itself (depthwise).
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    (N, O, OH, OW) or (O, OH, OW) array
        ``OH = (H + 2*PH - DH*(KH - 1) - 1) // SH + 1``, and OW alike.

    Raises
    ------
    TypeError
        An array that is not float32 or float64, or not of the dtype of `x`.
    ValueError
        Shapes that do not fit together, a kernel larger than the padded input, a stride below 1, "same" with a stride.

    Examples
    --------
    >>> x, weight = np.ones((8, 3, 32, 32), np.float32), np.ones((16, 3, 3, 3), np.float32)
    >>> F.conv2d(x, weight, stride=2, padding=1).shape
    (8, 16, 16, 16)
    """
    geometry, *_ = check.conv2d(x, weight, bias, stride, padding, dilation, groups, activation)
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    filters, C = weight.shape[:2]
    more_h, more_w = _more(padding, KH, KW, DH, DW)
    patches = windows(pad(x, PH, PW, more_h=more_h, more_w=more_w), KH, KW, SH, SW, DH, DW)
    N, _, OH, OW, _, _ = patches.shape
    y = weight.reshape(groups, filters // groups, C * KH * KW) @ _columns(patches, groups)
    y = y.reshape(N, filters, OH, OW)
    if bias is not None:
        y += bias[:, None, None]
    if activation == "relu":
        np.maximum(y, 0, out=y)
    return y


@check.takes_one("dy", "x", axes=4, results=1)
@quiet
def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntPair = 1,
    padding: Padding = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `conv2d` (without activation).

    With `cols` the patches of an image and W the weights as a matrix, the output is ``W @ cols + bias``, so
    ``dW = dy @ cols.T`` summed over the batch, ``dcols = W.T @ dy``, and ``dx`` adds each element of ``dcols`` to the
    pixel it was taken from. ``db`` sums `dy` over the batch and the pixels.

    Parameters
    ----------
    dy : (N, O, OH, OW) or (O, OH, OW) array
        Gradient of the output.
    x, weight, stride, padding, dilation, groups
        As given to `conv2d`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : arrays of the shapes of `x`, `weight` and (O,)
        None in the place of one that is not wanted.

    Examples
    --------
    >>> x, weight = np.ones((8, 3, 32, 32), np.float32), np.ones((16, 3, 3, 3), np.float32)
    >>> y = F.conv2d(x, weight)
    >>> dx, dw, db = F.conv2d_backward(np.ones_like(y), x, weight)
    >>> dx.shape, dw.shape, db.shape
    ((8, 3, 32, 32), (16, 3, 3, 3), (16,))
    """
    needs = check.gradient_names(needs)
    geometry = check.conv2d_backward(dy, x, weight, stride, padding, dilation, groups)
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    N, _, H, W = x.shape
    filters, C = weight.shape[:2]
    more_h, more_w = _more(padding, KH, KW, DH, DW)
    dy_rows = dy.reshape(N, groups, filters // groups, dy.shape[2] * dy.shape[3])
    dx = dw = db = None
    if "dx" in needs:
        padded = np.zeros((N, groups * C, H + 2 * PH + more_h, W + 2 * PW + more_w), x.dtype)
        patches = windows(padded, KH, KW, SH, SW, DH, DW, writeable=True)
        dcols = weight.reshape(groups, filters // groups, C * KH * KW).transpose(0, 2, 1) @ dy_rows
        taps = dcols.reshape(N, groups * C, KH, KW, *dy.shape[2:])
        for kh, kw in np.ndindex(KH, KW):
            patches[..., kh, kw] += taps[:, :, kh, kw]
        dx = inside(padded, H, W, PH, PW).copy()
    if "dw" in needs:
        patches = windows(pad(x, PH, PW, more_h=more_h, more_w=more_w), KH, KW, SH, SW, DH, DW)
        dw = (dy_rows @ _columns(patches, groups).transpose(0, 1, 3, 2)).sum(axis=0).reshape(weight.shape)
    if "db" in needs:
        db = dy.sum(axis=(0, 2, 3), dtype=np.float64).astype(dy.dtype)
    return dx, dw, db


def _more(padding: Padding, KH: int, KW: int, DH: int, DW: int) -> tuple[int, int]:
    """What is added below and on the right over what is added above and on the left."""
    return (DH * (KH - 1) % 2, DW * (KW - 1) % 2) if padding == "same" else (0, 0)


def _columns(patches: Array, groups: int) -> Array:
    """Patches (N, C, OH, OW, KH, KW) as matrices (N, groups, C/groups*KH*KW, OH*OW)."""
    N, C, OH, OW, KH, KW = patches.shape
    return patches.transpose(0, 1, 4, 5, 2, 3).reshape(N, groups, C // groups * KH * KW, OH * OW)


@check.takes_one("x", axes=3)
def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntSingle = 1,
    padding: IntSingle | str = 0,
    dilation: IntSingle = 1,
    groups: int = 1,
    *,
    activation: str | None = None,
) -> Array:
    """One-dimensional convolution: `conv2d` of maps of one row.

    Parameters
    ----------
    x : (N, C, L) or (C, L) array of float32 or float64
    weight : (O, C/groups, K) array
    bias : (O,) array, optional
    stride, padding, dilation : int
        As for `conv2d`, `padding` "same" and "valid" too.
    groups : int
        Divides C and O.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    (N, O, OL) or (O, OL) array
        ``OL = (L + 2*P - D*(K - 1) - 1) // S + 1``.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`.

    Examples
    --------
    >>> x, weight = np.ones((8, 2, 100), np.float32), np.ones((16, 2, 5), np.float32)
    >>> F.conv1d(x, weight, padding=2).shape
    (8, 16, 100)
    """
    geometry, _ = check.conv1d(x, weight, bias, stride, padding, dilation, groups, activation)
    options = _as_rows(geometry, padding) | {"groups": groups, "activation": activation}
    return conv2d(x[:, :, None], weight[:, :, None], bias, **options)[:, :, 0]


@check.takes_one("dy", "x", axes=3, results=1)
def conv1d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntSingle = 1,
    padding: IntSingle | str = 0,
    dilation: IntSingle = 1,
    groups: int = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `conv1d` (without activation), as `conv2d_backward` has them.

    Parameters
    ----------
    dy : (N, O, OL) or (O, OL) array
        Gradient of the output.
    x, weight, stride, padding, dilation, groups
        As given to `conv1d`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : arrays of the shapes of `x`, `weight` and (O,)
        None in the place of one that is not wanted.

    Examples
    --------
    >>> x, weight = np.ones((8, 2, 100), np.float32), np.ones((16, 2, 5), np.float32)
    >>> y = F.conv1d(x, weight)
    >>> dx, dw, db = F.conv1d_backward(np.ones_like(y), x, weight)
    >>> dx.shape, dw.shape, db.shape
    ((8, 2, 100), (16, 2, 5), (16,))
    """
    needs = check.gradient_names(needs)
    geometry = check.conv1d_backward(dy, x, weight, stride, padding, dilation, groups)
    options = _as_rows(geometry, padding) | {"groups": groups, "needs": needs}
    dx, dw, db = conv2d_backward(dy[:, :, None], x[:, :, None], weight[:, :, None], **options)
    return None if dx is None else dx[:, :, 0], None if dw is None else dw[:, :, 0], db


def _as_rows(geometry: check.ConvGeometry, padding: IntSingle | str) -> dict[str, Any]:
    """The settings of a convolution of maps of one row."""
    frame = padding if padding == "same" else (0, geometry.PW)
    return {"stride": (1, geometry.SW), "padding": frame, "dilation": (1, geometry.DW)}
