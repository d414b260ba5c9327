"""Operators without weights, as layers: each returns the name of its node in the graph, or None if no layer does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import layers as nn
from fastnn.interop.onnx.arrangements import slices_of, widths_of
from fastnn.interop.onnx.elementwise import SELU
from fastnn.interop.onnx.layers_of_weights import Layer
from fastnn.interop.onnx.operation import axes_of, ints
from fastnn.interop.onnx.patterns import pattern_of
from fastnn.interop.onnx.resizing import lines_of
from fastnn.interop.onnx.sketches import reshaped
from fastnn.interop.onnx.values import Building, Node
from fastnn.interop.onnx.windows import Window, window_of

Make = Callable[[Node], nn.Module | None]


def _of_floats(make: Make) -> Layer:
    """A layer of one input, which has to be floats; `make` returns None where no layer does it."""

    def layer(node: Node, build: Building) -> str | None:
        module = make(node) if node.x().is_float and node.used == 1 else None
        return None if module is None else build.put(node, module, node.x())

    return layer


def _rest_are_constants(node: Node) -> bool:
    return all(value is None or value.array is not None for value in node.inputs[1:])


# Functions of each number


def _selu(node: Node) -> nn.Module | None:
    usual = all(abs(node.attributes.get(name, value) - value) < 1e-6 for name, value in SELU.items())
    return nn.SELU() if usual else None


def _clip(node: Node) -> nn.Module | None:
    least, most = node.constant(1), node.constant(2)
    if least is None or most is None or least.size != 1 or most.size != 1:
        return None
    ends = float(np.ravel(least)[0]), float(np.ravel(most)[0])
    if ends == (0, 6):
        return nn.ReLU6()
    return nn.Hardtanh(*ends) if ends[0] < ends[1] and np.isfinite(ends).all() else None


def _softmax(kind: Any) -> Make:
    def make(node: Node) -> nn.Module | None:
        axis, x = node.attributes["axis"], node.x()
        flattened = node.attributes.get("flattened")
        if flattened and (x.dims is None or any(n != 1 for n in x.dims[axis % len(x.dims) + 1 :])):
            return None
        return kind(axis)

    return make


def _dropout(node: Node, build: Building) -> str | None:
    ratio = node.constant(1)
    x = node.x()
    if node.used > 1 or not x.is_float or (node.has(1) and ratio is None):
        return None
    training = node.constant(2)
    if node.has(2) and (training is None or np.any(training)):
        return None
    return build.put(node, nn.Dropout(0.5 if ratio is None else float(np.ravel(ratio)[0])), x)


# Pooling


def _window(node: Node) -> Window | None:
    x = node.x()
    lengths = [] if x.dims is None else [x.length(axis) for axis in range(2, len(x.dims))]
    plane = tuple(n for n in lengths if n is not None)
    found = window_of(node.attributes, (), plane if plane and len(plane) == len(lengths) else None)
    return found if found is not None and len(found.kernel) in (1, 2) else None


def _each(values: tuple[int, ...]) -> Any:
    return values[0] if len(values) == 1 else values


def _pool(node: Node, build: Building) -> str | None:
    window, x = _window(node), node.x()
    largest, ceil_mode = node.kind == "MaxPool", bool(node.attributes.get("ceil_mode", 0))
    if window is None or not x.is_float or node.used > 1:
        return None
    counted = bool(node.attributes.get("count_include_pad", 0))
    source = build.source(x)
    padding = tuple(a for a, _ in window.pads)
    framed = any(a != b or 2 * a > k for (a, b), k in zip(window.pads, window.spans, strict=True))
    if framed:
        if ceil_mode or not (largest or counted) or min(min(pair) for pair in window.pads) < 0:
            return None
        padding = (0,) * len(padding)
    kernel, stride, pad = _each(window.kernel), _each(window.stride), _each(padding)
    one = len(window.kernel) == 1
    if largest:
        layer: Any = (nn.MaxPool1d if one else nn.MaxPool2d)(
            kernel, stride, pad, _each(window.dilation), False, ceil_mode
        )
    elif set(window.dilation) != {1}:
        return None
    else:
        layer = (nn.AvgPool1d if one else nn.AvgPool2d)(kernel, stride, pad, ceil_mode, counted)
    if framed:
        widths = tuple(width for pair in reversed(window.pads) for width in pair)
        frame: Any = nn.ConstantPad1d if one else nn.ConstantPad2d
        source = build.put_from(node, frame(widths, -np.inf if largest else 0.0), source, after=".pad")
    return build.put_from(node, layer, source)


def _global_pool(node: Node) -> nn.Module | None:
    average = node.kind == "GlobalAveragePool"
    if node.x().ndim == 4:
        return nn.AdaptiveAvgPool2d(1) if average else nn.AdaptiveMaxPool2d(1)
    if node.x().ndim == 3:
        return nn.AdaptiveAvgPool1d(1) if average else nn.AdaptiveMaxPool1d(1)
    return None


def _mean(node: Node) -> nn.Module | None:
    axes = node.constant(1)
    if axes is None or not axes.size:
        return None
    return nn.Mean(ints(axes), keepdim=bool(node.attributes.get("keepdims", 1)))


def _resize(node: Node) -> nn.Module | None:
    """Of the rows or planes of a batch, where PyTorch's modes are ONNX's."""
    x, get = node.x(), node.attributes.get
    if x.ndim not in (3, 4) or not _rest_are_constants(node):
        return None
    if any(get(name) for name in ("antialias", "exclude_outside", "axes")) or get("cubic_coeff_a", -0.75) != -0.75:
        return None
    if get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return None
    where, mode = get("coordinate_transformation_mode", "half_pixel"), get("mode", "nearest")
    nearest = get("nearest_mode", "round_prefer_floor") if mode == "nearest" else ""
    found = _MODES.get((mode, where, nearest, 0 if mode == "nearest" else x.ndim))
    scales, sizes = node.constant(2), node.constant(3)
    if found is None:
        return None
    more: dict[str, Any] = {"mode": found[0], "align_corners": found[1]}
    if sizes is not None and sizes.size == x.ndim:
        wanted = ints(sizes)
        return nn.Upsample(_size(wanted[2:]), **more) if x.length(1) == wanted[1] else None
    if scales is None or scales.size != x.ndim or float(scales[0]) != 1 or float(scales[1]) != 1:
        return None
    lines_of((1,) * x.ndim, None, scales, None, {})  # the operator's own errors
    return nn.Upsample(scale_factor=_size([float(each) for each in scales[2:]]), **more)


def _size(numbers: Any) -> Any:
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


_MODES: dict[tuple[str, str, str, int], tuple[str, bool | None]] = {  # the last: of so many axes, 0 of any
    ("nearest", "asymmetric", "floor", 0): ("nearest", None),
    ("nearest", "half_pixel", "round_prefer_ceil", 0): ("nearest-exact", None),
    ("linear", "half_pixel", "", 3): ("linear", False),
    ("linear", "align_corners", "", 3): ("linear", True),
    ("linear", "half_pixel", "", 4): ("bilinear", False),
    ("linear", "align_corners", "", 4): ("bilinear", True),
    ("cubic", "half_pixel", "", 4): ("bicubic", False),
    ("cubic", "align_corners", "", 4): ("bicubic", True),
}


# Shapes


def _reshape(node: Node, build: Building) -> str | None:
    """To a shape that is known, but for the batch or another length."""
    x, target = node.x(), node.input(1)
    numbers = None if target is None else target.sketch if target.array is None else target.array
    if not x.is_float or numbers is None or numbers.ndim != 1 or not numbers.size:
        return None
    shape = ints(numbers)
    if node.attributes.get("allowzero") and 0 in shape:
        return None
    dims = reshaped(node, build) or ()
    for axis, (number, length) in enumerate(zip(shape, dims, strict=False)):
        same = x.dims is not None and axis < len(x.dims) and x.dims[axis] == length is not None
        if same and (number < -1 or (number == -1 and isinstance(length, str))):
            shape[axis] = 0
        elif number == -1 and isinstance(length, int) and min(shape) < -1:
            shape[axis] = length
    if min(shape) < -1:  # one length that is not known is what is left
        shape = [-1 if number < -1 else number for number in shape]
    if shape.count(-1) > 1:
        return None
    if x.dims and shape[0] == x.dims[0] and shape[0] > 0:
        shape[0] = 0  # the batch, which need not be what it was when the model was made
    return build.put(node, nn.Flatten() if shape == [0, -1] and x.ndim != 1 else nn.Reshape(*shape), x)


def _flatten(node: Node) -> nn.Module | None:
    return nn.Flatten() if node.attributes.get("axis", 1) == 1 and (node.x().ndim or 0) > 1 else None


def _transpose(node: Node) -> nn.Module | None:
    order = node.attributes.get("perm")
    if order is None and node.x().ndim:
        order = list(reversed(range(node.x().ndim or 0)))
    return None if not order else nn.Permute(*order)


def _squeeze(node: Node) -> nn.Module | None:
    x, axes = node.x(), node.constant(1)
    if x.ndim is None or axes is None:
        return None
    taken = axes_of(axes, x.ndim)
    if any(x.length(axis) != 1 for axis in taken):
        return None
    index = [0 if axis in taken else slice(None) for axis in range(x.ndim)]
    return nn.Slice(*index)


def _unsqueeze(node: Node) -> nn.Module | None:
    x, axes = node.x(), node.constant(1)
    if x.ndim is None or axes is None:
        return None
    added = axes_of(axes, x.ndim + axes.size)
    return nn.Slice(*(None if axis in added else slice(None) for axis in range(x.ndim + axes.size)))


def _slice(node: Node) -> nn.Module | None:
    if not _rest_are_constants(node) or len(node.inputs) < 3:
        return None
    starts, ends, axes, steps = (*(node.constant(place) for place in range(1, 5)),)
    if starts is None or ends is None or not starts.size or (steps is not None and np.any(steps < 1)):
        return None
    ndim = node.x().ndim
    if ndim is None:
        if axes is None or np.any(axes < 0):
            return None
        ndim = int(axes.max()) + 1
    return nn.Slice(*slices_of(ndim, starts, ends, axes, steps))


def _pad(node: Node) -> nn.Module | None:
    pads, x = node.constant(1), node.x()
    if pads is None or not _rest_are_constants(node) or x.ndim not in (3, 4):
        return None
    widths = widths_of(pads, node.constant(3), x.ndim)
    if any(map(any, widths[:2])):
        return None
    frame = tuple(width for pair in reversed(widths[2:]) for width in pair)
    mode, value = node.attributes.get("mode", "constant"), node.constant(2)
    number = 0.0 if value is None else float(np.ravel(value)[0])
    if mode == "constant":
        return (nn.ConstantPad1d if x.ndim == 3 else nn.ConstantPad2d)(frame, number)
    if mode not in _FRAMES or min(frame) < 0:
        return None
    kind: Any = _FRAMES[mode][x.ndim - 3]
    return kind(frame)


_FRAMES: dict[str, tuple[Any, Any]] = {
    "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d),
    "edge": (nn.ReplicationPad1d, nn.ReplicationPad2d),
    "wrap": (nn.CircularPad1d, nn.CircularPad2d),
}


def _depth_to_space(node: Node) -> nn.Module | None:
    return nn.PixelShuffle(node.attributes["blocksize"]) if node.attributes.get("mode") == "CRD" else None


def _split(node: Node) -> nn.Module | None:
    lengths, axis = node.constant(1), node.attributes.get("axis", 0)
    if lengths is None:
        if node.has(1):
            return None
        x = node.x()
        whole = x.length(axis) if x.ndim else None
        parts = len(node.outputs)
        if not whole or whole % parts:
            return None
        return nn.Split((whole // parts,) * parts, axis)
    return nn.Split(tuple(ints(lengths)), axis) if min(ints(lengths), default=0) > 0 else None


def _split_of_any(node: Node, build: Building) -> str | None:
    module = _split(node) if node.x().is_float and node.used else None
    return None if module is None else build.put(node, module, node.x())


# Several inputs


def _identity(node: Node, build: Building) -> str | None:
    return node.x().source


def _concat(node: Node, build: Building) -> str | None:
    values = [value for value in node.inputs if value is not None]
    if len({value.dtype for value in values}) > 1 or not all(value.is_float for value in values):
        return None
    sources = (build.source(value, learnt=value.learnt) for value in values)
    return build.put_from(node, nn.Cat(node.attributes["axis"]), *sources)


_ARITHMETIC: dict[str, Any] = {"Add": nn.Add, "Sub": nn.Sub, "Mul": nn.Mul, "Div": nn.Div, "Sum": nn.Add}


def _arithmetic(node: Node, build: Building) -> str | None:
    values = [value for value in node.inputs if value is not None]
    if len(values) < 2 or not all(value.is_float for value in values) or len({v.dtype for v in values}) > 1:
        return None
    if len(values) == 2 and (found := pattern_of(node, build, values)) is not None:
        return found
    if any(value.array is not None and not value.learnt for value in values):
        return None  # a Function has the constant inside
    sources = (build.source(value, learnt=True) for value in values)
    return build.put_from(node, _ARITHMETIC[node.kind](), *sources)


LAYERS: dict[str, Layer] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "Concat": _concat,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "Split": _split_of_any,
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    "Relu": _of_floats(lambda node: nn.ReLU()),
    "Sigmoid": _of_floats(lambda node: nn.Sigmoid()),
    "Tanh": _of_floats(lambda node: nn.Tanh()),
    "LeakyRelu": _of_floats(lambda node: nn.LeakyReLU(node.attributes.get("alpha", 0.01))),
    "Elu": _of_floats(lambda node: nn.ELU(node.attributes.get("alpha", 1.0))),
    "Selu": _of_floats(_selu),
    "HardSwish": _of_floats(lambda node: nn.Hardswish()),
    "Softplus": _of_floats(lambda node: nn.Softplus()),
    "Gelu": _of_floats(lambda node: nn.GELU(node.attributes.get("approximate", "none"))),
    "Swish": _of_floats(lambda node: nn.SiLU() if node.attributes.get("alpha", 1.0) == 1 else None),
    "Softmax": _of_floats(_softmax(nn.Softmax)),
    "LogSoftmax": _of_floats(_softmax(nn.LogSoftmax)),
    "Clip": _of_floats(_clip),
    "LRN": _of_floats(
        lambda node: (
            nn.LocalResponseNorm(
                node.attributes["size"],
                node.attributes.get("alpha", 1e-4),
                node.attributes.get("beta", 0.75),
                node.attributes.get("bias", 1.0),
            )
            if node.attributes["size"] % 2
            else None
        )
    ),
    "GlobalAveragePool": _of_floats(_global_pool),
    "GlobalMaxPool": _of_floats(_global_pool),
    "ReduceMean": _of_floats(_mean),
    "Resize": _of_floats(_resize),
    "Reshape": _reshape,
    "Flatten": _of_floats(_flatten),
    "Transpose": _of_floats(_transpose),
    "Squeeze": _of_floats(_squeeze),
    "Unsqueeze": _of_floats(_unsqueeze),
    "Slice": _of_floats(_slice),
    "Pad": _of_floats(_pad),
    "DepthToSpace": _of_floats(_depth_to_space),
}
