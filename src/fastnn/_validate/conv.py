"""Convolution and the patches it works on."""

from __future__ import annotations

from collections.abc import Iterable

from fastnn._validate._base import (
    Array,
    IntPair,
    float_array,
    fused_activation,
    gradient_names,
    has_axes,
    has_shape,
    images,
    integer,
    pair,
    same_dtype,
    windows_fit,
)


def _undilated_and_ungrouped(dilation: IntPair, groups: int) -> None:
    if pair("dilation", dilation, 1) != (1, 1):
        raise ValueError(f"dilation: got {dilation!r}; only 1 is supported so far")
    if integer("groups", groups, 1) != 1:
        raise ValueError(f"groups: got {groups!r}; only 1 is supported so far")


def conv2d_settings(
    kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair, groups: int
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return kernel_size, stride and padding as pairs."""
    _undilated_and_ungrouped(dilation, groups)
    return pair("kernel_size", kernel_size, 1), pair("stride", stride, 1), pair("padding", padding, 0)


def _conv_geometry(
    x: Array, w: Array, stride: IntPair, padding: IntPair, dilation: IntPair, groups: int
) -> tuple[int, int, int, int, int, int]:
    images("x", x)
    same_dtype("x", x, "w", w)
    has_axes("w", w, 4, "(O, C, KH, KW)")
    SH, SW = pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    if dilation != 1 or groups != 1:
        _undilated_and_ungrouped(dilation, groups)
    _, C, H, W = x.shape
    _, WC, KH, KW = w.shape
    if WC != C:
        raise ValueError(f"w: got shape {w.shape}, for {WC} input channels; expected {C}, the channels of x {x.shape}")
    if 0 in w.shape:
        raise ValueError(f"w: got shape {w.shape}; expected no empty axis")
    windows_fit(H, W, KH, KW, PH, PW)
    return SH, SW, PH, PW, (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1


def conv2d(
    x: Array,
    w: Array,
    b: Array | None,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
    groups: int,
    activation: str | None,
) -> tuple[int, int, int, int, int, int]:
    """Return SH, SW, PH, PW, OH, OW."""
    geometry = _conv_geometry(x, w, stride, padding, dilation, groups)
    if b is not None:
        same_dtype("x", x, "b", b)
        has_shape("b", b, (w.shape[0],), "one number for each output channel of w")
    fused_activation(activation)
    return geometry


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
    groups: int,
    needs: Iterable[str],
) -> tuple[int, int, int, int]:
    """Return SH, SW, PH, PW."""
    SH, SW, PH, PW, OH, OW = _conv_geometry(x, w, stride, padding, dilation, groups)
    same_dtype("x", x, "dy", dy)
    has_shape("dy", dy, (x.shape[0], w.shape[0], OH, OW), "the shape of the output of conv2d")
    gradient_names(needs)
    return SH, SW, PH, PW


def im2col(
    x: Array, kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair
) -> tuple[int, int, int, int, int, int, int, int, int, int]:
    """Return KH, KW, SH, SW, PH, PW, DH, DW, OH, OW."""
    images("x", x)
    return _im2col_geometry(x.shape[2], x.shape[3], kernel_size, stride, padding, dilation)


def _im2col_geometry(
    H: int, W: int, kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair
) -> tuple[int, int, int, int, int, int, int, int, int, int]:
    KH, KW = pair("kernel_size", kernel_size, 1)
    SH, SW = pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    DH, DW = pair("dilation", dilation, 1)
    windows_fit(H, W, KH, KW, PH, PW, DH, DW)
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    return KH, KW, SH, SW, PH, PW, DH, DW, OH, OW


def col2im(
    cols: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
) -> tuple[int, int, int, int, int, int, int, int, int, int, int]:
    """Return C, H, W, KH, KW, SH, SW, PH, PW, DH, DW."""
    float_array("cols", cols)
    has_axes("cols", cols, 3, "(N, C*KH*KW, OH*OW)")
    H, W = pair("output_size", output_size, 1)
    KH, KW, SH, SW, PH, PW, DH, DW, OH, OW = _im2col_geometry(H, W, kernel_size, stride, padding, dilation)
    _, rows, places = cols.shape
    if rows == 0 or rows % (KH * KW):
        raise ValueError(
            f"cols: got shape {cols.shape}, {rows} rows; expected a multiple of KH*KW = {KH * KW}, C*KH*KW"
        )
    if places != OH * OW:
        raise ValueError(
            f"cols: got shape {cols.shape}, {places} windows; expected OH*OW = {OH}*{OW} = {OH * OW} "
            f"for output_size {(H, W)}"
        )
    return rows // (KH * KW), H, W, KH, KW, SH, SW, PH, PW, DH, DW
