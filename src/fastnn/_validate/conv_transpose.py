"""Transposed convolution."""

from __future__ import annotations

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    IntPair,
    IntSingle,
    choice,
    fused_activation,
    has_axes,
    has_shape,
    images,
    integer,
    pair,
    same_dtype,
    sequences,
    single,
)
from fastnn._validate.conv import ConvGeometry

__all__ = [
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose1d_settings",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_settings",
]


def _output_padding(
    axes: int, output_padding: IntPair | IntSingle, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    more = _of_axes(axes, "output_padding", output_padding, 0, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        steps, apart = (stride, dilation) if axes == 2 else (stride[1], dilation[1])
        raise ValueError(
            f"output_padding: got {output_padding!r}; expected less than stride {steps} or dilation {apart}"
        )
    return more


def _of_axes(axes: int, name: str, value: IntPair | IntSingle, least: int, rows: int) -> tuple[int, int]:
    """A setting of two axes, or of one and `rows` of the other."""
    return pair(name, value, least) if axes == 2 else (rows, single(name, value, least))  # type: ignore[arg-type]


def conv_transpose1d_settings(
    kernel_size: IntSingle,
    stride: IntSingle,
    padding: IntSingle,
    output_padding: IntSingle,
    dilation: IntSingle,
    padding_mode: str,
) -> tuple[tuple[int], ...]:
    """As `conv_transpose2d_settings`, of one axis."""
    choice("padding_mode", padding_mode, ("zeros",))
    S, D = single("stride", stride, 1), single("dilation", dilation, 1)
    _, more = _output_padding(1, output_padding, (1, S), (1, D))
    return (single("kernel_size", kernel_size, 1),), (S,), (single("padding", padding, 0),), (more,), (D,)


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
    more = _output_padding(2, output_padding, steps, apart)
    return pair("kernel_size", kernel_size, 1), steps, pair("padding", padding, 0), more, apart


Settings = tuple[IntPair | IntSingle, IntPair | IntSingle, IntPair | IntSingle, int, IntPair | IntSingle]


def _geometry(axes: int, x: Array, weight: Array, settings: Settings) -> tuple[ConvGeometry, int, int]:
    stride, padding, output_padding, groups, dilation = settings
    (images if axes == 2 else sequences)("x", x)
    same_dtype("x", x, "weight", weight, of_layer=True)
    has_axes("weight", weight, axes + 2, "(C, O/groups, KH, KW)" if axes == 2 else "(C, O/groups, K)")
    if 0 in weight.shape:
        raise ValueError(f"weight: got shape {weight.shape}; expected no empty axis")
    C, (H, W), (KH, KW) = x.shape[1], (1, *x.shape[2:])[-2:], (1, *weight.shape[2:])[-2:]
    if weight.shape[0] != C:
        hints.channels_last(x, len(weight))
        raise ValueError(
            f"x and weight: got shapes {x.shape} and {weight.shape}, for {len(weight)} input channels; "
            f"expected {C}, the channels of x"
        )
    if C % integer("groups", groups, 1):
        raise ValueError(f"groups: got {groups}; expected a divisor of the channels of x {x.shape}")
    SH, SW = _of_axes(axes, "stride", stride, 1, 1)
    PH, PW = _of_axes(axes, "padding", padding, 0, 0)
    DH, DW = _of_axes(axes, "dilation", dilation, 1, 1)
    more_h, more_w = _output_padding(axes, output_padding, (SH, SW), (DH, DW))
    OH = (H - 1) * SH - 2 * PH + DH * (KH - 1) + more_h + 1
    OW = (W - 1) * SW - 2 * PW + DW * (KW - 1) + more_w + 1
    if OH < 1 or OW < 1:
        left = f"{(OH, OW)} pixels" if axes == 2 else f"{OW} elements"
        raise ValueError(f"padding: got {padding!r}, which leaves {left}; expected less")
    return ConvGeometry(KH, KW, SH, SW, PH, PW, DH, DW, groups), OH, OW


def _forward(
    axes: int, x: Array, weight: Array, bias: Array | None, activation: str | None, settings: Settings
) -> tuple[ConvGeometry, int, int]:
    geometry = _geometry(axes, x, weight, settings)
    if bias is not None:
        same_dtype("x", x, "bias", bias, of_layer=True)
        has_shape("bias", bias, (weight.shape[1] * geometry[0].G,), "one number for each output channel of weight")
    fused_activation(activation)
    return geometry


def _backward(axes: int, dy: Array, x: Array, weight: Array, settings: Settings) -> ConvGeometry:
    geometry, *plane = _geometry(axes, x, weight, settings)
    same_dtype("x", x, "dy", dy)
    shape = x.shape[0], weight.shape[1] * geometry.G, *plane[-axes:]
    has_shape("dy", dy, shape, f"the shape of the output of conv_transpose{axes}d")
    return geometry


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
    return _forward(2, x, weight, bias, activation, (stride, padding, output_padding, groups, dilation))


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
    return _backward(2, dy, x, weight, (stride, padding, output_padding, groups, dilation))


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: IntSingle,
    padding: IntSingle,
    output_padding: IntSingle,
    groups: int,
    dilation: IntSingle,
    activation: str | None,
) -> tuple[ConvGeometry, int]:
    """Return the geometry, of maps of one row, and OL."""
    settings = stride, padding, output_padding, groups, dilation
    geometry, _, OL = _forward(1, x, weight, bias, activation, settings)
    return geometry, OL


def conv_transpose1d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntSingle,
    padding: IntSingle,
    output_padding: IntSingle,
    groups: int,
    dilation: IntSingle,
) -> ConvGeometry:
    """Return the geometry, of maps of one row."""
    return _backward(1, dy, x, weight, (stride, padding, output_padding, groups, dilation))
