"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, IntPair, IntSingle, MaybeArray
from fastnn.reference._windows import inside, pad, quiet, windows

__all__ = ["conv_transpose1d", "conv_transpose1d_backward", "conv_transpose2d", "conv_transpose2d_backward"]


@check.takes_one("x", axes=4)
@quiet
def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
    *,
    activation: str | None = None,
) -> Array:
    """Two-dimensional transposed convolution: the gradient of `conv2d` with respect to its input, as an operation.

    Every pixel of `x` adds a multiple of the kernel to the output: where `conv2d` of the output would read (o, oh, ow)
    for its own output (c, h, w) by way of ``weight[c, o, kh, kw]``, here ``x[n, c, h, w] * weight[c, o, kh, kw]`` is
    added, so ``oh = h*SH + kh*DH - PH``, and ow alike.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    weight : (C, O/groups, KH, KW) array
    bias : (O,) array, optional
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
    (N, O, OH, OW) or (O, OH, OW) array
        ``OH = (H - 1)*SH - 2*PH + DH*(KH - 1) + output_padding + 1``, and OW alike.

    Raises
    ------
    TypeError
        An array that is not float32 or float64, or not of the dtype of `x`.
    ValueError
        Shapes that do not fit together, an output without pixels, more output padding than there can be.

    Examples
    --------
    >>> x, weight = np.ones((8, 16, 8, 8), np.float32), np.ones((16, 3, 4, 4), np.float32)
    >>> F.conv_transpose2d(x, weight, stride=2, padding=1).shape
    (8, 3, 16, 16)
    """
    geometry, OH, OW = check.conv_transpose2d(
        x, weight, bias, stride, padding, output_padding, groups, dilation, activation
    )
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    N, C, H, W = x.shape
    filters = weight.shape[1] * groups
    padded = np.zeros((N, filters, OH + 2 * PH, OW + 2 * PW), x.dtype)
    patches = windows(padded, KH, KW, SH, SW, DH, DW, writeable=True)[:, :, :H, :W]
    matrix = weight.reshape(groups, C // groups, weight[0].size).transpose(0, 2, 1)
    taps = (matrix @ x.reshape(N, groups, C // groups, H * W)).reshape(N, filters, KH, KW, H, W)
    for kh, kw in np.ndindex(KH, KW):
        patches[..., kh, kw] += taps[:, :, kh, kw]
    y = inside(padded, OH, OW, PH, PW).copy()
    if bias is not None:
        y += bias[:, None, None]
    return np.maximum(y, 0, out=y) if activation == "relu" else y


@check.takes_one("dy", "x", axes=4, results=1)
@quiet
def conv_transpose2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `conv_transpose2d` (without activation): ``dx`` is the convolution of `dy` with `weight`.

    Parameters
    ----------
    dy : (N, O, OH, OW) or (O, OH, OW) array
        Gradient of the output.
    x, weight, stride, padding, output_padding, groups, dilation
        As given to `conv_transpose2d`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : arrays of the shapes of `x`, `weight` and (O,)
        None in the place of one that is not wanted.

    Examples
    --------
    >>> x, weight = np.ones((8, 16, 8, 8), np.float32), np.ones((16, 3, 4, 4), np.float32)
    >>> y = F.conv_transpose2d(x, weight, stride=2)
    >>> dx, dw, db = F.conv_transpose2d_backward(np.ones_like(y), x, weight, stride=2)
    >>> dx.shape, dw.shape, db.shape
    ((8, 16, 8, 8), (16, 3, 4, 4), (3,))
    """
    needs = check.gradient_names(needs)
    geometry = check.conv_transpose2d_backward(dy, x, weight, stride, padding, output_padding, groups, dilation)
    KH, KW, SH, SW, PH, PW, DH, DW, _ = geometry
    N, C, H, W = x.shape
    patches = windows(pad(dy, PH, PW), KH, KW, SH, SW, DH, DW)[:, :, :H, :W]
    cols = patches.transpose(0, 1, 4, 5, 2, 3).reshape(N, groups, weight[0].size, H * W)
    dx = dw = db = None
    if "dx" in needs:
        dx = (weight.reshape(groups, C // groups, weight[0].size) @ cols).reshape(x.shape)
    if "dw" in needs:
        rows = x.reshape(N, groups, C // groups, H * W)
        dw = (rows @ cols.transpose(0, 1, 3, 2)).sum(axis=0).reshape(weight.shape)
    if "db" in needs:
        db = dy.sum(axis=(0, 2, 3), dtype=np.float64).astype(dy.dtype)
    return dx, dw, db


@check.takes_one("x", axes=3)
def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: IntSingle = 1,
    padding: IntSingle = 0,
    output_padding: IntSingle = 0,
    groups: int = 1,
    dilation: IntSingle = 1,
    *,
    activation: str | None = None,
) -> Array:
    """One-dimensional transposed convolution: `conv_transpose2d` of maps of one row.

    Parameters
    ----------
    x : (N, C, L) or (C, L) array of float32 or float64
    weight : (C, O/groups, K) array
    bias : (O,) array, optional
    stride, padding, dilation : int
        As for `conv_transpose2d`.
    output_padding : int
        Elements added at the end.
    groups : int
        Divides C and O.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    (N, O, OL) or (O, OL) array
        ``OL = (L - 1)*S - 2*P + D*(K - 1) + output_padding + 1``.

    Raises
    ------
    TypeError, ValueError
        As `conv_transpose2d`.

    Examples
    --------
    >>> x, weight = np.ones((8, 16, 50), np.float32), np.ones((16, 2, 4), np.float32)
    >>> F.conv_transpose1d(x, weight, stride=2, padding=1).shape
    (8, 2, 100)
    """
    geometry, _ = check.conv_transpose1d(x, weight, bias, stride, padding, output_padding, groups, dilation, activation)
    options = _as_rows(geometry, output_padding) | {"activation": activation}
    return conv_transpose2d(x[:, :, None], weight[:, :, None], bias, **options)[:, :, 0]


@check.takes_one("dy", "x", axes=3, results=1)
def conv_transpose1d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntSingle = 1,
    padding: IntSingle = 0,
    output_padding: IntSingle = 0,
    groups: int = 1,
    dilation: IntSingle = 1,
    *,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    """Gradients of `conv_transpose1d` (without activation), as `conv_transpose2d_backward` has them.

    Parameters
    ----------
    dy : (N, O, OL) or (O, OL) array
        Gradient of the output.
    x, weight, stride, padding, output_padding, groups, dilation
        As given to `conv_transpose1d`.
    needs : tuple of "dx", "dw", "db"
        The gradients wanted; the others are not computed.

    Returns
    -------
    dx, dw, db : arrays of the shapes of `x`, `weight` and (O,)
        None in the place of one that is not wanted.

    Examples
    --------
    >>> x, weight = np.ones((8, 16, 50), np.float32), np.ones((16, 2, 4), np.float32)
    >>> y = F.conv_transpose1d(x, weight, stride=2)
    >>> dx, dw, db = F.conv_transpose1d_backward(np.ones_like(y), x, weight, stride=2)
    >>> dx.shape, dw.shape, db.shape
    ((8, 16, 50), (16, 2, 4), (2,))
    """
    needs = check.gradient_names(needs)
    geometry = check.conv_transpose1d_backward(dy, x, weight, stride, padding, output_padding, groups, dilation)
    options = _as_rows(geometry, output_padding) | {"needs": needs}
    dx, dw, db = conv_transpose2d_backward(dy[:, :, None], x[:, :, None], weight[:, :, None], **options)
    return None if dx is None else dx[:, :, 0], None if dw is None else dw[:, :, 0], db


def _as_rows(geometry: check.ConvGeometry, output_padding: IntSingle) -> dict[str, Any]:
    """The settings of a transposed convolution of maps of one row."""
    more = output_padding[0] if isinstance(output_padding, tuple | list) else output_padding
    return {
        "stride": (1, geometry.SW),
        "padding": (0, geometry.PW),
        "output_padding": (0, more),
        "groups": geometry.G,
        "dilation": (1, geometry.DW),
    }
