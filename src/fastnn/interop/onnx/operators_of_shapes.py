"""Which operators of ONNX a layer is that orders, cuts, joins or resizes, and makes no other numbers but means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import layers as nn
from fastnn._validate import Array
from fastnn.interop.onnx.operators import MODES_OF_PADDING, PREVIOUS, Operator, Refused, adaptive

_JOINTS = {nn.Add: "Sum", nn.Sub: "Sub", nn.Mul: "Mul", nn.Div: "Div", nn.MatMul: "MatMul"}
_RESHAPING = (nn.Flatten, nn.Unflatten, nn.Reshape)
_PADDING = (
    nn.Pad,
    nn.ConstantPad1d,
    nn.ConstantPad2d,
    nn.ZeroPad1d,
    nn.ZeroPad2d,
    nn.ReflectionPad1d,
    nn.ReflectionPad2d,
    nn.ReplicationPad1d,
    nn.ReplicationPad2d,
    nn.CircularPad1d,
    nn.CircularPad2d,
)
_FAR = np.iinfo(np.int64).max


def operators_of_shapes(layer: Any, x: Array, count: int) -> list[Operator]:
    """The operators of such a layer with `count` inputs, the first like `x`; none if it is no such layer.

    The axis of the batch is the one without elements.
    """
    if type(layer) in _JOINTS:
        kind = "Add" if isinstance(layer, nn.Add) and count == 2 else _JOINTS[type(layer)]
        return [Operator(kind)]
    if isinstance(layer, _RESHAPING):
        return _reshape(layer, x)
    if isinstance(layer, _PADDING):
        return [_pad(layer, x)]
    match layer:
        case nn.Cat():
            return [Operator("Concat", attributes={"axis": layer.dim})]
        case nn.Permute():
            order = [axis % x.ndim for axis in layer.dims]
            return [Operator("Transpose", attributes={"perm": order})]
        case nn.Slice():
            return _slice(layer.index, x)
        case nn.Mean():
            axes = np.array(layer.dim, np.int64)
            return [Operator("ReduceMean", {"axes": axes}, {"keepdims": int(layer.keepdim)})]
        case nn.Sum():
            axes = np.array(layer.dim, np.int64)
            return [Operator("ReduceSum", {"axes": axes}, {"keepdims": int(layer.keepdim)})]
        case nn.Expand():
            return _expand(layer.sizes)
        case nn.Clamp():
            return [_clip({"min": layer.min, "max": layer.max}, x)]
        case nn.Split():
            lengths = np.array([part.shape[layer.dim] for part in layer(x)], np.int64)
            if layer.dim % x.ndim == 0 and not len(x):
                raise Refused("cuts the axis of the batch")
            return [Operator("Split", {"lengths": lengths}, {"axis": layer.dim}, outputs=lengths.size)]
        case nn.Upsample():
            return [_resize(layer, x)]
        case nn.PixelShuffle():
            return [Operator("DepthToSpace", attributes={"blocksize": layer.upscale_factor, "mode": "CRD"})]
        case nn.PixelUnshuffle():
            return _unshuffle(layer.downscale_factor, x)
    return []


def _expand(sizes: tuple[int, ...]) -> list[Operator]:
    """An Expand, whose shape is made of that of the second input where it takes lengths from there."""
    numbers = np.array([{-1: 1, 0: 0}.get(n, n) for n in sizes], np.int64)
    if sizes and 0 not in sizes:
        return [Operator("Expand", {"shape": numbers})]
    count = len(sizes) - sizes[::-1].index(0) if sizes else None  # of axes up to the last that is taken
    shape = [Operator("Shape", attributes={} if count is None else {"end": count}, takes=(1,))]
    if any(sizes[:count]):
        shape.append(Operator("Mul", {"taken": np.array([n == 0 for n in sizes[:count]], np.int64)}))
        shape.append(Operator("Add", {"others": numbers[:count]}))
    if count is not None and count < len(sizes):
        shape.append(Operator("Concat", {"rest": numbers[count:]}, {"axis": 0}))
    return [*shape, Operator("Expand", takes=(0, PREVIOUS))]


def _reshape(layer: Any, x: Array) -> list[Operator]:
    if isinstance(layer, nn.Flatten) and layer.start_dim % x.ndim == 1 and layer.end_dim % x.ndim == x.ndim - 1:
        return [Operator("Flatten", attributes={"axis": 1})]
    if x.size:  # without the axis of the batch, as of a parameter
        whole = [0 if axis == 0 and n == len(x) else n for axis, n in enumerate(_reshaped(layer, x))]  # 0: as it is
        return [Operator("Reshape", {"shape": np.array(whole, np.int64)})]
    size = 7 * math.prod(abs(n) for n in _lengths(layer) if n)  # of a batch that can be cut as the layer says
    some, more = (_reshaped(layer, np.broadcast_to(x.dtype.type(0), (n, *x.shape[1:]))) for n in (size, 2 * size))
    shape = [n if n == m else -1 for n, m in zip(some, more, strict=True)]
    shape[0] = 0 if (some[0], more[0]) == (size, 2 * size) else shape[0]
    if shape.count(-1) > 1:
        raise Refused("has several lengths that follow from the batch")
    return [Operator("Reshape", {"shape": np.array(shape, np.int64)})]


def _lengths(layer: Any) -> tuple[int, ...]:
    """Those that the layer asks for."""
    lengths = getattr(layer, "shape", getattr(layer, "unflattened_size", ()))
    return tuple(lengths) if isinstance(lengths, tuple | list) else (lengths,)


def _reshaped(layer: Any, x: Array) -> tuple[int, ...]:
    """The shape of the output, which is not made."""
    if isinstance(layer, nn.Reshape):
        return check.reshape(x, layer.shape)
    if isinstance(layer, nn.Unflatten):
        return check.unflatten(x, layer.dim, layer.unflattened_size)
    return check.flatten(x, layer.start_dim, layer.end_dim)


def _clip(bounds: dict[str, float | None], x: Array) -> Operator:
    arrays = {name: np.asarray(value, x.dtype) for name, value in bounds.items() if value is not None}
    return Operator("Clip", arrays, {}, (0, *(name if name in arrays else None for name in bounds)))


def _pad(layer: Any, x: Array) -> Operator:
    frame = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,) * 2 * (x.ndim - 2)
    axes = len(frame) // 2
    before, behind = frame[::2][::-1], frame[1::2][::-1]  # (left, right, top, bottom): the last axis comes first
    none = (0,) * (x.ndim - axes)
    arrays: dict[str, Array] = {"pads": np.array([*none, *before, *none, *behind], np.int64)}
    if getattr(layer, "value", None) is not None:
        arrays["value"] = np.asarray(layer.value, x.dtype)
    return Operator("Pad", arrays, {"mode": MODES_OF_PADDING[layer.mode]})


def _slice(index: tuple[Any, ...], x: Array) -> list[Operator]:
    """Slices first, then axes that go, from the last on, then axes that come."""
    rest = x.ndim - sum(each is not None and each is not ... for each in index)
    whole: list[Any] = []
    for each in index:
        whole += [slice(None)] * rest if each is ... else [each]
    picked = [each for each in whole if each is not None]
    cuts = [(axis, each) for axis, each in enumerate(picked) if isinstance(each, slice) and each != slice(None)]
    chain = []
    if cuts:
        steps = [each.step or 1 for _, each in cuts]
        starts = [each.start if each.start is not None else (0 if (each.step or 1) > 0 else _FAR) for _, each in cuts]
        ends = [each.stop if each.stop is not None else (_FAR if (each.step or 1) > 0 else -_FAR) for _, each in cuts]
        values = {"starts": starts, "ends": ends, "axes": [axis for axis, _ in cuts], "steps": steps}
        chain.append(Operator("Slice", {name: np.array(each, np.int64) for name, each in values.items()}))
    for axis, each in reversed(list(enumerate(picked))):
        if not isinstance(each, slice):
            if axis == 0 and not len(x):
                raise Refused("takes one example out of the batch")
            chain.append(Operator("Gather", {f"index{axis}": np.array(each, np.int64)}, {"axis": axis}))
    left = [each for each in whole if each is None or isinstance(each, slice)]
    new = [axis for axis, each in enumerate(left) if each is None]
    if new:
        chain.append(Operator("Unsqueeze", {"new": np.array(new, np.int64)}))
    return chain or [Operator("Identity")]


def _resize(layer: Any, x: Array) -> Operator:
    if layer.mode == "area":
        return adaptive("AveragePool", layer(x).shape[2:], x)
    where, mode, nearest = _MODES[layer.mode, bool(layer.align_corners)]
    attributes = {"coordinate_transformation_mode": where, "mode": mode} | nearest
    if layer.size is not None or layer.recompute_scale_factor:
        sizes = np.array(layer(x).shape[2:], np.int64)
        attributes["axes"] = list(range(2, x.ndim))
        return Operator("Resize", {"sizes": sizes}, attributes, (0, None, None, "sizes"))
    scales = np.broadcast_to(layer.scale_factor, x.ndim - 2).astype(np.float32)
    return Operator("Resize", {"scales": np.append(np.ones(2, np.float32), scales)}, attributes, (0, None, "scales"))


_FLOOR, _ROUND = {"nearest_mode": "floor"}, {"nearest_mode": "round_prefer_ceil"}
_MODES: dict[tuple[str, bool], tuple[str, str, dict[str, Any]]] = {
    ("nearest", False): ("asymmetric", "nearest", _FLOOR),
    ("nearest-exact", False): ("half_pixel", "nearest", _ROUND),
    ("linear", False): ("half_pixel", "linear", {}),
    ("linear", True): ("align_corners", "linear", {}),
    ("bilinear", False): ("half_pixel", "linear", {}),
    ("bilinear", True): ("align_corners", "linear", {}),
    ("bicubic", False): ("half_pixel", "cubic", {}),
    ("bicubic", True): ("align_corners", "cubic", {}),
}


def _unshuffle(r: int, x: Array) -> list[Operator]:
    _, C, H, W = x.shape
    parts = np.array([0, C, H // r, r, W // r, r], np.int64)
    whole = np.array([0, C * r * r, H // r, W // r], np.int64)
    return [
        Operator("Reshape", {"parts": parts}),
        Operator("Transpose", attributes={"perm": (0, 1, 3, 5, 2, 4)}),
        Operator("Reshape", {"whole": whole}),
    ]
