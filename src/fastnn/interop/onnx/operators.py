"""Which operator of ONNX a layer is in eval mode."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn import layers as nn
from fastnn._validate import Array


class Operator(NamedTuple):
    """The operator's name, the arrays that it takes behind its input, and its attributes."""

    kind: str
    arrays: dict[str, Array]
    attributes: dict[str, Any]


class Refused(Exception):
    """The reason why a layer cannot be written."""


_ELEMENTWISE = {
    nn.ReLU: "Relu",
    nn.Sigmoid: "Sigmoid",
    nn.Tanh: "Tanh",
    nn.LeakyReLU: "LeakyRelu",
    nn.ELU: "Elu",
    nn.SELU: "Selu",
    nn.Hardswish: "HardSwish",
    nn.Softmax: "Softmax",
    nn.LogSoftmax: "LogSoftmax",
}
_ATTRIBUTES = {"negative_slope": "alpha", "alpha": "alpha", "dim": "axis"}  # of those; ours, and ONNX's


def operator_of(layer: nn.Module, x: Array) -> Operator | None:
    """The operator of a layer for inputs like `x`; None for a layer that does nothing in eval mode.

    Raises
    ------
    Refused
        There is none.
    """
    if type(layer) in _ELEMENTWISE:
        attributes = {theirs: getattr(layer, ours) for ours, theirs in _ATTRIBUTES.items() if hasattr(layer, ours)}
        return Operator(_ELEMENTWISE[type(layer)], {}, attributes)
    match layer:
        case nn.Identity() | nn.Dropout() | nn.Dropout2d():
            return None
        case nn.Hardtanh() | nn.ReLU6():
            least, most = (layer.min_val, layer.max_val) if isinstance(layer, nn.Hardtanh) else (0, 6)
            return Operator("Clip", {"min": x.dtype.type(least), "max": x.dtype.type(most)}, {})
        case nn.Linear():
            return _linear(layer, x)
        case nn.Conv1d() | nn.Conv2d():
            return _convolution(layer)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return _batch_norm(layer)
        case nn.MaxPool1d() | nn.MaxPool2d():
            _expect(layer, return_indices=False)
            return Operator("MaxPool", {}, _windows(layer, x) | {"dilations": _all(layer.dilation, x)})
        case nn.AvgPool1d() | nn.AvgPool2d():
            _expect(layer, ceil_mode=False, divisor_override=None)
            counted = {"count_include_pad": int(layer.count_include_pad)}
            return Operator("AveragePool", {}, _windows(layer, x) | counted)
        case nn.AdaptiveAvgPool2d():
            if layer.output_size not in (1, (1, 1)):
                raise Refused(f"has output_size={layer.output_size}; only 1 can be written")
            return Operator("GlobalAveragePool", {}, {})
        case nn.Flatten():
            if layer.start_dim % x.ndim != 1 or layer.end_dim % x.ndim != x.ndim - 1:
                raise Refused("joins other axes than all behind the first")
            return Operator("Flatten", {}, {"axis": 1})
    raise Refused("is a layer that cannot be written yet")


def _expect(layer: nn.Module, **settings: Any) -> None:
    for name, expected in settings.items():
        if (came := getattr(layer, name, expected)) != expected:
            raise Refused(f"has {name}={came!r}; only {expected!r} can be written")


def _linear(layer: nn.Linear, x: Array) -> Operator:
    if x.ndim != 2:
        raise Refused(f"has an input of {x.ndim} axes; only one of 2 can be written")
    return Operator("Gemm", _arrays(layer, "weight", "bias"), {"transB": 1})


def _convolution(layer: nn.Conv1d | nn.Conv2d) -> Operator:
    _expect(layer, padding_mode="zeros")
    kernel, dilation = layer.kernel_size, layer.dilation
    attributes = {"kernel_shape": kernel, "strides": layer.stride, "dilations": dilation, "group": layer.groups}
    frame = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]  # what "same" adds, more of it at the end
    if layer.padding == "same":
        pads = [both // 2 for both in frame] + [both - both // 2 for both in frame]
    else:
        pads = 2 * list((0,) * len(kernel) if layer.padding == "valid" else layer.padding)
    return Operator("Conv", _arrays(layer, "weight", "bias"), attributes | {"pads": pads})


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Operator:
    if layer.running_mean is None:
        raise Refused("has no running statistics")
    mean = layer.running_mean.data
    neutral = {"weight": np.ones_like(mean), "bias": np.zeros_like(mean)}
    arrays = neutral | _arrays(layer, "weight", "bias", "running_mean", "running_var")
    return Operator("BatchNormalization", arrays, {"epsilon": layer.eps})


def _arrays(layer: nn.Module, *names: str) -> dict[str, Array]:
    held = ((name, getattr(layer, name)) for name in names)
    return {name: each.data for name, each in held if each is not None}


def _windows(layer: Any, x: Array) -> dict[str, Any]:
    return {
        "kernel_shape": _all(layer.kernel_size, x),
        "strides": _all(layer.stride, x),
        "pads": 2 * _all(layer.padding, x),
        "ceil_mode": int(layer.ceil_mode),
    }


def _all(value: Any, x: Array) -> list[int]:
    """A setting for every axis behind the channels."""
    return [int(v) for v in np.broadcast_to(value, x.ndim - 2)]
