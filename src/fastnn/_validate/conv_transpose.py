"""Transposed convolution."""

from __future__ import annotations

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    IntPair,
    choice,
    fused_activation,
    has_axes,
    has_shape,
    images,
    integer,
    pair,
    same_dtype,
)
from fastnn._validate.conv import ConvGeometry

__all__ = ["conv_transpose2d", "conv_transpose2d_backward", "conv_transpose2d_settings"]


def _output_padding(output_padding: IntPair, stride: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    more = pair("output_padding", output_padding, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        raise ValueError(
            f"output_padding: got {output_padding!r}; expected less than stride {stride} or dilation {dilation}"
        )
    return more


def conv_transpose2d_settings(
    kernel_size: IntPair,
    stride: IntPair,
    padding: IntPair,
    output_padding: IntPair,
    dilation: IntPair,
    padding_mode: str,
) -> tuple[tuple[int, int], ...]:
    """Return kernel_size, stride, padding, output_padding and dilation as pairs."""
    choice("padding_mode", padding_mode, ("zeros",))
    steps, apart = pair("stride", stride, 1), pair("dilation", dilation, 1)
    more = _output_padding(output_padding, steps, apart)
    return pair("kernel_size", kernel_size, 1), steps, pair("padding", padding, 0), more, apart


def _geometry(
    x: Array,
    weight: Array,
    stride: IntPair,
    padding: IntPair,
    output_padding: IntPair,
    groups: int,
    dilation: IntPair,
) -> tuple[ConvGeometry, int, int]:
    images("x", x)
    same_dtype("x", x, "weight", weight, of_layer=True)
    has_axes("weight", weight, 4, "(C, O/groups, KH, KW)")
    if 0 in weight.shape:
        raise ValueError(f"weight: got shape {weight.shape}; expected no empty axis")
    C, (H, W), (KH, KW) = x.shape[1], x.shape[2:], weight.shape[2:]
    if weight.shape[0] != C:
        hints.channels_last(x, len(weight))
        raise ValueError(
            f"x and weight: got shapes {x.shape} and {weight.shape}, for {len(weight)} input channels; "
            f"expected {C}, the channels of x"
        )
    if C % integer("groups", groups, 1):
        raise ValueError(f"groups: got {groups}; expected a divisor of the channels of x {x.shape}")
    (SH, SW), (PH, PW), (DH, DW) = pair("stride", stride, 1), pair("padding", padding, 0), pair("dilation", dilation, 1)
    more_h, more_w = _output_padding(output_padding, (SH, SW), (DH, DW))
    OH = (H - 1) * SH - 2 * PH + DH * (KH - 1) + more_h + 1
    OW = (W - 1) * SW - 2 * PW + DW * (KW - 1) + more_w + 1
    if OH < 1 or OW < 1:
        raise ValueError(f"padding: got {padding!r}, which leaves {(OH, OW)} pixels; expected less")
    return ConvGeometry(KH, KW, SH, SW, PH, PW, DH, DW, groups), OH, OW


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: IntPair,
    padding: IntPair,
    output_padding: IntPair,
    groups: int,
    dilation: IntPair,
    activation: str | None,
) -> tuple[ConvGeometry, int, int]:
    """Return the geometry, OH and OW."""
    geometry = _geometry(x, weight, stride, padding, output_padding, groups, dilation)
    if bias is not None:
        same_dtype("x", x, "bias", bias, of_layer=True)
        has_shape("bias", bias, (weight.shape[1] * groups,), "one number for each output channel of weight")
    fused_activation(activation)
    return geometry


def conv_transpose2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntPair,
    padding: IntPair,
    output_padding: IntPair,
    groups: int,
    dilation: IntPair,
) -> ConvGeometry:
    geometry, OH, OW = _geometry(x, weight, stride, padding, output_padding, groups, dilation)
    same_dtype("x", x, "dy", dy)
    shape = x.shape[0], weight.shape[1] * groups, OH, OW
    has_shape("dy", dy, shape, "the shape of the output of conv_transpose2d")
    return geometry
