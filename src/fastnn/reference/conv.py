"""Convolution, and the patches that it multiplies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, IntPair, MaybeArray
from fastnn.reference._windows import inside, pad, quiet, windows


def im2col(
    x: Array, kernel_size: IntPair, *, stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1
) -> Array:
    """Write every patch of an image as a column (PyTorch's ``unfold``).

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    kernel_size, stride, padding, dilation : int or (int, int)
        Size of a patch, step between patches, frame of zeros around `x`, step between the elements of a patch.

    Returns
    -------
    (N, C*KH*KW, OH*OW) array
        Column ``oh*OW + ow`` holds the patch that output pixel (oh, ow) of a convolution sees, its elements in the
        order (channel, kernel row, kernel column).
    """
    KH, KW, SH, SW, PH, PW, DH, DW, *_ = check.im2col(x, kernel_size, stride, padding, dilation)
    patches = windows(pad(x, PH, PW), KH, KW, SH, SW, DH, DW)
    N, C, OH, OW, _, _ = patches.shape
    cols = np.empty((N, C, KH, KW, OH, OW), x.dtype)
    cols[...] = patches.transpose(0, 1, 4, 5, 2, 3)
    return cols.reshape(N, C * KH * KW, OH * OW)


@quiet
def col2im(
    cols: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
) -> Array:
    """Add columns back to the pixels they were taken from (PyTorch's ``fold``), the backward of `im2col`.

    Parameters
    ----------
    cols : (N, C*KH*KW, OH*OW) array of float32 or float64
    output_size : int or (int, int)
        Size (H, W) of the images.
    kernel_size, stride, padding, dilation : int or (int, int)
        As for `im2col`.

    Returns
    -------
    (N, C, H, W) array
        A pixel under several patches receives their sum, added in the order of the rows of `cols`; a pixel under
        none is 0.
    """
    C, H, W, KH, KW, SH, SW, PH, PW, DH, DW = check.col2im(cols, output_size, kernel_size, stride, padding, dilation)
    N = cols.shape[0]
    padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), cols.dtype)
    patches = windows(padded, KH, KW, SH, SW, DH, DW, writeable=True)
    OH, OW = patches.shape[2:4]
    taps = cols.reshape(N, C, KH, KW, OH, OW)
    for kh, kw in np.ndindex(KH, KW):
        patches[..., kh, kw] += taps[:, :, kh, kw]
    return inside(padded, H, W, PH, PW).copy()


@quiet
def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """Two-dimensional convolution (cross-correlation: the kernel is not flipped).

    ``y[n, o, oh, ow] = b[o] + sum over c, kh, kw of w[o, c, kh, kw] * x[n, c, oh*SH + kh - PH, ow*SW + kw - PW]``,
    where `x` is 0 outside its borders: one product of the matrix of weights with the patches of each image.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    w : (O, C, KH, KW) array
    b : (O,) array, optional
    stride, padding : int or (int, int)
        Step between windows; rows and columns of zeros added on each side of `x`.
    dilation, groups : int
        Only 1 so far.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    (N, O, OH, OW) array
        ``OH = (H + 2*PH - KH) // SH + 1``, and OW alike.

    Raises
    ------
    TypeError
        An array that is not float32 or float64, or not of the dtype of `x`.
    ValueError
        Shapes that do not fit together, a kernel larger than the padded input, a stride below 1.
    """
    SH, SW, PH, PW, *_ = check.conv2d(x, w, b, stride, padding, dilation, groups, activation)
    _, C, KH, KW = w.shape
    patches = windows(pad(x, PH, PW), KH, KW, SH, SW)
    N, _, OH, OW, _, _ = patches.shape
    cols = patches.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * KH * KW, OH * OW)
    y = w.reshape(len(w), C * KH * KW) @ cols
    if b is not None:
        y += b[:, None]
    if activation == "relu":
        np.maximum(y, 0, out=y)
    return y.reshape(N, len(w), OH, OW)


@quiet
def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `conv2d` (without activation).

    With `cols` the patches of an image and W the weights as a matrix, the output is ``W @ cols + b``, so
    ``dW = dy @ cols.T`` summed over the batch, ``dcols = W.T @ dy``, and ``dx`` adds each element of ``dcols`` to the
    pixel it was taken from. ``db`` sums `dy` over the batch and the pixels.

    Parameters
    ----------
    dy : (N, O, OH, OW) array
        Gradient of the output.
    x, w, stride, padding, dilation, groups
        As given to `conv2d`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : (N, C, H, W), (O, C, KH, KW) and (O,) arrays
        None in the place of one that is not wanted.
    """
    SH, SW, PH, PW = check.conv2d_backward(dy, x, w, stride, padding, dilation, groups, needs)
    N, C, H, W = x.shape
    KH, KW = w.shape[2:]
    OH, OW = dy.shape[2:]
    dy_rows = dy.reshape(N, len(w), OH * OW)
    dx = dw = db = None
    if "dx" in needs:
        padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), x.dtype)
        patches = windows(padded, KH, KW, SH, SW, writeable=True)
        dcols = w.reshape(len(w), C * KH * KW).T @ dy_rows
        taps = dcols.reshape(N, C, KH, KW, OH, OW)
        for kh, kw in np.ndindex(KH, KW):
            patches[..., kh, kw] += taps[:, :, kh, kw]
        dx = inside(padded, H, W, PH, PW).copy()
    if "dw" in needs:
        patches = windows(pad(x, PH, PW), KH, KW, SH, SW)
        cols = patches.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * KH * KW, OH * OW)
        dw = (dy_rows @ cols.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    if "db" in needs:
        db = dy.sum(axis=(0, 2, 3))
    return dx, dw, db
