"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, IntPair, MaybeArray
from fastnn.reference._windows import inside, pad, quiet, windows


@quiet
def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
    activation: str | None = None,
) -> Array:
    """Two-dimensional transposed convolution: the gradient of `conv2d` with respect to its input, as an operation.

    Every pixel of `x` adds a multiple of the kernel to the output: where `conv2d` of the output would read (o, oh, ow)
    for its own output (c, h, w) by way of ``w[c, o, kh, kw]``, here ``x[n, c, h, w] * w[c, o, kh, kw]`` is added, so
    ``oh = h*SH + kh*DH - PH``, and ow alike.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    w : (C, O/groups, KH, KW) array
    b : (O,) array, optional
    stride, padding, dilation : int or (int, int)
        Those of the convolution whose input the result is; `padding` is taken away from it on each side.
    output_padding : int or (int, int)
        Rows and columns added below and on the right, fewer than `stride` or `dilation` says: which one of the inputs
        that a convolution of this stride makes of one size.
    groups : int
        Divides C and O.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    (N, O, OH, OW) array
        ``OH = (H - 1)*SH - 2*PH + DH*(KH - 1) + output_padding + 1``, and OW alike.

    Raises
    ------
    TypeError
        An array that is not float32 or float64, or not of the dtype of `x`.
    ValueError
        Shapes that do not fit together, an output without pixels, more output padding than there can be.
    """
    geometry, OH, OW = check.conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation, activation)
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    N, C, H, W = x.shape
    filters = w.shape[1] * groups
    padded = np.zeros((N, filters, OH + 2 * PH, OW + 2 * PW), x.dtype)
    patches = windows(padded, KH, KW, SH, SW, DH, DW, writeable=True)[:, :, :H, :W]
    matrix = w.reshape(groups, C // groups, w[0].size).transpose(0, 2, 1)
    taps = (matrix @ x.reshape(N, groups, C // groups, H * W)).reshape(N, filters, KH, KW, H, W)
    for kh, kw in np.ndindex(KH, KW):
        patches[..., kh, kw] += taps[:, :, kh, kw]
    y = inside(padded, OH, OW, PH, PW).copy()
    if b is not None:
        y += b[:, None, None]
    return np.maximum(y, 0, out=y) if activation == "relu" else y


@quiet
def conv_transpose2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `conv_transpose2d` (without activation): ``dx`` is the convolution of `dy` with `w`.

    Parameters
    ----------
    dy : (N, O, OH, OW) array
        Gradient of the output.
    x, w, stride, padding, output_padding, groups, dilation
        As given to `conv_transpose2d`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : (N, C, H, W), (C, O/groups, KH, KW) and (O,) arrays
        None in the place of one that is not wanted.
    """
    needs = check.gradient_names(needs)
    geometry = check.conv_transpose2d_backward(dy, x, w, stride, padding, output_padding, groups, dilation)
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    N, C, H, W = x.shape
    patches = windows(pad(dy, PH, PW), KH, KW, SH, SW, DH, DW)[:, :, :H, :W]
    cols = patches.transpose(0, 1, 4, 5, 2, 3).reshape(N, groups, w[0].size, H * W)
    dx = dw = db = None
    if "dx" in needs:
        dx = (w.reshape(groups, C // groups, w[0].size) @ cols).reshape(x.shape)
    if "dw" in needs:
        rows = x.reshape(N, groups, C // groups, H * W)
        dw = (rows @ cols.transpose(0, 1, 3, 2)).sum(axis=0).reshape(w.shape)
    if "db" in needs:
        db = dy.sum(axis=(0, 2, 3), dtype=np.float64).astype(dy.dtype)
    return dx, dw, db
