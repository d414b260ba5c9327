"""Convolution and the patches it works on."""

from __future__ import annotations

from typing import NamedTuple

from fastnn._validate import hints
from fastnn._validate._base import (
    Array,
    IntPair,
    IntSingle,
    Padding,
    choice,
    float_array,
    fused_activation,
    has_axes,
    has_shape,
    images,
    integer,
    pair,
    same_dtype,
    sequences,
    single,
    windows_fit,
)

__all__ = [
    "ConvGeometry",
    "conv1d",
    "conv1d_backward",
    "conv1d_settings",
    "conv2d",
    "conv2d_backward",
    "conv2d_settings",
    "conv_channels",
    "fold",
    "input_channels",
    "patch_settings",
    "unfold",
]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvGeometry(NamedTuple):
    """Size, stride, padding above and on the left, and dilation of windows; and groups of channels."""

    KH: int
    KW: int
    SH: int = 1
    SW: int = 1
    PH: int = 0
    PW: int = 0
    DH: int = 1
    DW: int = 1
    G: int = 1


def conv2d_settings(
    kernel_size: IntPair,
    stride: IntPair,
    padding: Padding,
    dilation: IntPair,
    padding_mode: str,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int] | str, tuple[int, int], tuple[int, int, int, int]]:
    """Return kernel_size, stride, padding ("same" and "valid" as they are) and dilation; left, right, top, bottom."""
    choice("padding_mode", padding_mode, PADDING_MODES)
    KH, KW = pair("kernel_size", kernel_size, 1)
    SH, SW = pair("stride", stride, 1)
    DH, DW = pair("dilation", dilation, 1)
    PH, PW, more_h, more_w = _padding(padding, KH, KW, SH, SW, DH, DW)
    kept = padding if isinstance(padding, str) else (PH, PW)
    return (KH, KW), (SH, SW), kept, (DH, DW), (PW, PW + more_w, PH, PH + more_h)


def conv1d_settings(
    kernel_size: IntSingle,
    stride: IntSingle,
    padding: IntSingle | str,
    dilation: IntSingle,
    padding_mode: str,
) -> tuple[tuple[int], tuple[int], tuple[int] | str, tuple[int], tuple[int, int, int, int]]:
    """As `conv2d_settings`, of one axis but for the frame."""
    choice("padding_mode", padding_mode, PADDING_MODES)
    K, S = single("kernel_size", kernel_size, 1), single("stride", stride, 1)
    D = single("dilation", dilation, 1)
    P, more = _padding_1d(padding, K, S, D)
    return (K,), (S,), padding if isinstance(padding, str) else (P,), (D,), (P, P + more, 0, 0)


def conv_channels(in_channels: int, out_channels: int, groups: int) -> tuple[int, int]:
    """Return the channels on both sides, which `groups` divides."""
    inputs, outputs = integer("in_channels", in_channels, 1), integer("out_channels", out_channels, 1)
    if integer("groups", groups, 1) > 1 and (inputs % groups or outputs % groups):
        raise ValueError(f"groups: got {groups}; expected a divisor of the channels, {inputs} and {outputs}")
    return inputs, outputs


def _padding(padding: Padding, KH: int, KW: int, SH: int, SW: int, DH: int, DW: int) -> tuple[int, int, int, int]:
    """PH, PW, and what is added to them below and on the right."""
    if not isinstance(padding, str):
        return *pair("padding", padding, 0), 0, 0
    _named_padding(padding, (SH, SW))
    if padding == "valid":
        return 0, 0, 0, 0
    rows, columns = DH * (KH - 1), DW * (KW - 1)
    return rows // 2, columns // 2, rows % 2, columns % 2


def _padding_1d(padding: IntSingle | str, K: int, S: int, D: int) -> tuple[int, int]:
    if not isinstance(padding, str):
        return single("padding", padding, 0), 0
    _named_padding(padding, (S,))
    return (D * (K - 1) // 2, D * (K - 1) % 2) if padding == "same" else (0, 0)


def _named_padding(padding: str, stride: tuple[int, ...]) -> None:
    if padding not in ("same", "valid"):
        raise ValueError(f"padding: got {padding!r}; expected numbers of pixels, 'same' or 'valid'")
    if padding == "same" and max(stride) > 1:
        raise ValueError(f"padding: got 'same' with stride {stride}; expected stride 1, or padding in pixels")


def _channels(x: Array, weight: Array, groups: int) -> None:
    """x (N, C, ...) and weight (O, C/groups, ...) fit together."""
    C, WC = x.shape[1], weight.shape[1]
    if groups != 1:
        if WC * integer("groups", groups, 1) != C:
            hints.channels_last(x, WC * groups)
        if C % groups or weight.shape[0] % groups:
            raise ValueError(
                f"groups: got {groups}; expected a divisor of the channels, those of x {x.shape} "
                f"and the outputs of weight {weight.shape}"
            )
    if WC * groups != C:
        hints.channels_last(x, WC * groups)
        of = f"{C // groups}, the channels of x" + (f" in each of {groups} groups" if groups > 1 else "")
        raise ValueError(
            f"x and weight: got shapes {x.shape} and {weight.shape}, for {WC} input channels; expected {of}"
        )
    if 0 in weight.shape:
        raise ValueError(f"weight: got shape {weight.shape}; expected no empty axis")


def input_channels(x: Array, ndim: int, channels: int) -> None:
    """`x`, images or sequences by its number of axes, has as many channels as a layer takes, which pads it first."""
    (images if ndim == 4 else sequences)("x", x)
    if x.shape[1] != channels:
        hints.channels_last(x, channels)
        raise ValueError(f"x: got shape {x.shape}; expected {channels} channels on the second axis")


def _conv_geometry(
    x: Array, weight: Array, stride: IntPair, padding: Padding, dilation: IntPair, groups: int
) -> tuple[ConvGeometry, int, int]:
    images("x", x)
    same_dtype("x", x, "weight", weight, of_layer=True)
    has_axes("weight", weight, 4, "(O, C/groups, KH, KW)")
    _channels(x, weight, groups)
    (H, W), (KH, KW) = x.shape[2:], weight.shape[2:]
    SH, SW = pair("stride", stride, 1)
    DH, DW = pair("dilation", dilation, 1)
    PH, PW, more_h, more_w = _padding(padding, KH, KW, SH, SW, DH, DW)
    OH = (H + 2 * PH + more_h - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW + more_w - DW * (KW - 1) - 1) // SW + 1
    if (OH < 1 or OW < 1) and not more_h and not more_w:
        windows_fit(H, W, KH, KW, PH, PW, DH, DW)
    return ConvGeometry(KH, KW, SH, SW, PH, PW, DH, DW, groups), OH, OW


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: IntPair,
    padding: Padding,
    dilation: IntPair,
    groups: int,
    activation: str | None,
) -> tuple[ConvGeometry, int, int]:
    """Return the geometry, OH and OW."""
    geometry = _conv_geometry(x, weight, stride, padding, dilation, groups)
    if bias is not None:
        same_dtype("x", x, "bias", bias, of_layer=True)
        has_shape("bias", bias, (weight.shape[0],), "one number for each output channel of weight")
    fused_activation(activation)
    return geometry


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntPair,
    padding: Padding,
    dilation: IntPair,
    groups: int,
) -> ConvGeometry:
    geometry, OH, OW = _conv_geometry(x, weight, stride, padding, dilation, groups)
    same_dtype("x", x, "dy", dy)
    has_shape("dy", dy, (x.shape[0], weight.shape[0], OH, OW), "the shape of the output of conv2d")
    return geometry


def _conv1d_geometry(
    x: Array, weight: Array, stride: IntSingle, padding: IntSingle | str, dilation: IntSingle, groups: int
) -> tuple[ConvGeometry, int]:
    sequences("x", x)
    same_dtype("x", x, "weight", weight, of_layer=True)
    has_axes("weight", weight, 3, "(O, C/groups, K)")
    _channels(x, weight, groups)
    L, K = x.shape[2], weight.shape[2]
    S, D = single("stride", stride, 1), single("dilation", dilation, 1)
    P, more = _padding_1d(padding, K, S, D)
    if L + 2 * P + more < D * (K - 1) + 1:
        dilated = f" with dilation {D}" if D > 1 else ""
        raise ValueError(
            f"kernel_size: got {K}{dilated}; expected at most the padded input, {L + 2 * P} (input {L}, padding {P})"
        )
    return ConvGeometry(1, K, 1, S, 0, P, 1, D, groups), (L + 2 * P + more - D * (K - 1) - 1) // S + 1


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: IntSingle,
    padding: IntSingle | str,
    dilation: IntSingle,
    groups: int,
    activation: str | None,
) -> tuple[ConvGeometry, int]:
    """Return the geometry, of maps of one row, and OL."""
    geometry = _conv1d_geometry(x, weight, stride, padding, dilation, groups)
    if bias is not None:
        same_dtype("x", x, "bias", bias, of_layer=True)
        has_shape("bias", bias, (weight.shape[0],), "one number for each output channel of weight")
    fused_activation(activation)
    return geometry


def conv1d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: IntSingle,
    padding: IntSingle | str,
    dilation: IntSingle,
    groups: int,
) -> ConvGeometry:
    """Return the geometry, of maps of one row."""
    geometry, OL = _conv1d_geometry(x, weight, stride, padding, dilation, groups)
    same_dtype("x", x, "dy", dy)
    has_shape("dy", dy, (x.shape[0], weight.shape[0], OL), "the shape of the output of conv1d")
    return geometry


def patch_settings(kernel_size: IntPair, dilation: IntPair, padding: IntPair, stride: IntPair) -> None:
    """The settings of layers that take patches, or put them back."""
    pair("kernel_size", kernel_size, 1)
    pair("dilation", dilation, 1)
    pair("padding", padding, 0)
    pair("stride", stride, 1)


def unfold(
    x: Array, kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair
) -> tuple[ConvGeometry, int, int]:
    """Return the geometry, OH and OW."""
    images("x", x)
    return _unfold_geometry(x.shape[2], x.shape[3], kernel_size, stride, padding, dilation)


def _unfold_geometry(
    H: int, W: int, kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair
) -> tuple[ConvGeometry, int, int]:
    KH, KW = pair("kernel_size", kernel_size, 1)
    SH, SW = pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    DH, DW = pair("dilation", dilation, 1)
    windows_fit(H, W, KH, KW, PH, PW, DH, DW)
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    return ConvGeometry(KH, KW, SH, SW, PH, PW, DH, DW), OH, OW


def fold(
    x: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
) -> tuple[int, int, int, ConvGeometry]:
    """Return C, H, W and the geometry."""
    float_array("x", x)
    has_axes("x", x, 3, "(N, C*KH*KW, OH*OW)")
    H, W = pair("output_size", output_size, 1)
    geometry, OH, OW = _unfold_geometry(H, W, kernel_size, stride, padding, dilation)
    KH, KW = geometry[:2]
    _, rows, places = x.shape
    if rows == 0 or rows % (KH * KW):
        raise ValueError(f"x: got shape {x.shape}, {rows} rows; expected a multiple of KH*KW = {KH * KW}, C*KH*KW")
    if places != OH * OW:
        raise ValueError(
            f"x: got shape {x.shape}, {places} windows; expected OH*OW = {OH}*{OW} = {OH * OW} for output_size {(H, W)}"
        )
    return rows // (KH * KW), H, W, geometry
