"""Operators of all versions in one form, that of the newest: what was an attribute is an input."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.interop.onnx.files import dtype_of
from fastnn.interop.onnx.function import Function
from fastnn.interop.onnx.values import Building, Node, Refused, Value

_REDUCTIONS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
_INPUTS: dict[str, tuple[str, ...]] = {
    **{f"Reduce{name}": ("axes",) for name in _REDUCTIONS},
    "Squeeze": ("axes",),
    "Unsqueeze": ("axes",),
    "Split": ("split",),
    "Slice": ("starts", "ends", "axes"),
    "Pad": ("pads", "value"),
    "Clip": ("min", "max"),
    "Dropout": ("ratio",),
    "TopK": ("k",),
    "Upsample": ("scales",),
    "ConstantOfShape": ("value",),
}
# Attributes that change nothing for the types that fastnn has, or nothing in eval mode.
_IGNORED = ("saturate", "round_mode", "consumed_inputs", "is_test", "spatial", "seed", "momentum", "stash_type")
_JOINT = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Less", "Greater", "PRelu")
_ROWS = ("Softmax", "LogSoftmax", "Hardmax")


def canonical(node: Node, build: Building, onnx: Any) -> None:
    """Bring a node into the newest form of its operator."""
    for name in _IGNORED:
        if name == "momentum" and node.kind == "BatchNormalization":
            continue
        if name == "spatial" and node.attributes.get(name, 1) != 1:
            raise Refused("has spatial=0; expected 1")
        node.attributes.pop(name, None)
    _attributes_to_inputs(node)
    if node.kind in _JOINT and node.opset < 7:
        _old_broadcast(node, build)
    if node.kind == "Gemm":
        node.attributes.pop("broadcast", None)
    if node.kind in _ROWS:
        node.attributes.setdefault("axis", -1 if node.opset >= 13 else 1)
        if node.opset < 13:
            node.attributes["flattened"] = 1
    if node.kind in ("Upsample", "Resize"):
        _resize(node)
    if node.kind in ("Cast", "EyeLike"):
        name = "to" if node.kind == "Cast" else "dtype"
        if name in node.attributes:
            dtype = dtype_of(onnx, int(node.attributes[name]))
            if dtype is None:
                raise Refused(f"makes numbers of a type that fastnn has not ({node.attributes[name]})")
            node.attributes[name] = dtype.name
    if node.kind == "CastLike" and (like := node.input(1)) is not None and like.dtype is None:
        raise Refused("makes numbers of a type that fastnn has not")
    if node.attributes.pop("training_mode", 0):
        raise Refused("has training_mode=1; expected a model for inference")
    while node.inputs and node.inputs[-1] is None:
        node.inputs.pop()


def _attributes_to_inputs(node: Node) -> None:
    for place, name in enumerate(_INPUTS.get(node.kind, ()), 1):
        value = node.attributes.pop(name, None)
        if value is not None:
            node.inputs += [None] * (place + 1 - len(node.inputs))
            dtype = node.x().dtype if node.kind in ("Pad", "Clip") and name != "pads" else None
            array = np.asarray(value, dtype)
            node.inputs[place] = Value(f"{node.name}.{name}", array=array, dims=array.shape, dtype=array.dtype)


def _old_broadcast(node: Node, build: Building) -> None:
    """Before opset 7 the second array's axes were said to begin at an axis of the first."""
    axis = node.attributes.pop("axis", None)
    a, b = node.x(), node.input(1)
    if node.kind == "PRelu" and b is not None and b.dims != (1,):
        axis = 1  # a slope for each channel
    elif not node.attributes.pop("broadcast", 0) or axis is None:
        return
    if b is None or a.ndim is None or b.ndim is None:
        raise Refused("joins arrays from an axis on, of which it is not known how many axes they have")
    more = a.ndim - axis % a.ndim - b.ndim
    if more <= 0:
        return
    axes = np.arange(b.ndim, b.ndim + more)
    dims = (*(b.dims or ()), *(1,) * more)
    if b.array is not None:
        node.inputs[1] = Value(
            b.name, array=np.expand_dims(b.array, tuple(axes)), learnt=b.learnt, dims=dims, dtype=b.dtype
        )
    else:
        source = build.put(node, Function("Unsqueeze", constants={1: axes}), b, after=".axes")
        node.inputs[1] = Value(b.name, source=source, dims=dims, dtype=b.dtype)


def _resize(node: Node) -> None:
    """Upsample, and Resize of opset 10, as Resize of opset 11."""
    if node.kind == "Upsample" or node.opset < 11:
        node.inputs.insert(1, None)
        node.attributes["coordinate_transformation_mode"] = "asymmetric"
        node.attributes["nearest_mode"] = "floor"
    node.kind = "Resize"
    if node.attributes.get("mode") == "bilinear":
        node.attributes["mode"] = "linear"
