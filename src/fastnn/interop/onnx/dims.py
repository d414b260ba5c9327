"""Lengths and types of values, as far as they follow from those before them.

ONNX's own inference is not used: a file that lies can crash it. A length is a number, the name of one that is not known
(as the batch's), or None. What is not known here costs speed, and nothing else: the node is a `Function` then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.interop.onnx.arrangements import slices_of, widths_of
from fastnn.interop.onnx.elementwise import OPERATIONS as ELEMENTWISE
from fastnn.interop.onnx.operation import axes_of, ints, joint_size
from fastnn.interop.onnx.reductions import OPERATIONS as REDUCTIONS
from fastnn.interop.onnx.resizing import lines_of
from fastnn.interop.onnx.sketches import numbers_of, reshaped
from fastnn.interop.onnx.values import Building, Dims, Node, Value
from fastnn.interop.onnx.windows import behind, transposed_frame, window_of

Length = int | str | None
Rule = Callable[[Node, Building], Dims | None]


def dims_of(node: Node, build: Building) -> list[Dims | None]:
    """The lengths of the axes of each output of a node."""
    count = len(node.outputs)
    try:
        if node.kind == "Split":
            return _split(node)
        if node.kind == "TopK":
            return [_top_k(node)] * count
        rule = RULES.get(node.kind)
        found = None if rule is None else rule(node, build)
    except Exception:  # whatever its inputs are: they do not fit, which shows when it runs
        found = None
    return [found] * count if node.kind in ("Dropout", "MaxPool") else [found] + [None] * (count - 1)


def dtypes_of(node: Node) -> list[np.dtype[Any] | None]:
    """The types of the outputs of a node: mostly that of its first input."""
    inputs = [None if value is None else value.dtype for value in node.inputs]
    kind = inputs[_TYPE_OF.get(node.kind, 0)] if len(inputs) > _TYPE_OF.get(node.kind, 0) else None
    if node.kind in _BOOLS:
        kind = np.dtype(bool)
    elif node.kind in ("Shape", "Size", "ArgMax", "ArgMin", "NonZero"):
        kind = np.dtype(np.int64)
    elif node.kind in ("Cast", "EyeLike"):
        kind = np.dtype(node.attributes.get("to") or node.attributes.get("dtype") or kind)
    elif node.kind == "ConstantOfShape" and len(inputs) < 2:
        kind = np.dtype(np.float32)
    second = {"TopK": np.dtype(np.int64), "MaxPool": np.dtype(np.int64), "Dropout": np.dtype(bool)}
    return [second[node.kind] if place == 1 and node.kind in second else kind for place in range(len(node.outputs))]


_TYPE_OF = {"CastLike": 1, "Where": 1, "OneHot": 2, "ConstantOfShape": 1}
_BOOLS = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf")


def _same(node: Node, build: Building) -> Dims | None:
    return node.x().dims


def broadcast(*several: Dims | None) -> Dims | None:
    if any(dims is None for dims in several):
        return None
    known = [dims for dims in several if dims is not None]
    most = max(map(len, known))
    return tuple(_broadcast_length(column) for column in zip(*((1,) * (most - len(d)) + d for d in known), strict=True))


def _broadcast_length(column: tuple[Length, ...]) -> Length:
    longer = {n for n in column if n != 1}
    numbers = [n for n in longer if isinstance(n, int)]
    if numbers:
        return numbers[0]
    return next(iter(longer), 1) if len(longer) < 2 else None


def _joint(node: Node, build: Building) -> Dims | None:
    return broadcast(*(value.dims for value in node.inputs if value is not None))


def _reduced(dims: Dims, axes: tuple[int, ...], keepdims: int) -> Dims:
    if keepdims:
        return tuple(1 if axis in axes else n for axis, n in enumerate(dims))
    return tuple(n for axis, n in enumerate(dims) if axis not in axes)


def _reduction(node: Node, build: Building) -> Dims | None:
    dims, axes = node.x().dims, node.constant(1)
    if dims is None or (node.has(1) and axes is None):
        return None
    if axes is None or not axes.size:
        over = () if node.attributes.get("noop_with_empty_axes") else tuple(range(len(dims)))
    else:
        over = axes_of(axes, len(dims))
    return _reduced(dims, over, node.attributes.get("keepdims", 1))


def _arg(node: Node, build: Building) -> Dims | None:
    dims = _known(node)
    return _reduced(dims, axes_of(node.attributes.get("axis", 0), len(dims)), node.attributes.get("keepdims", 1))


class _Unknown(Exception):
    pass


def _known(node: Node, place: int = 0) -> Dims:
    value = node.input(place)
    if value is None or value.dims is None:
        raise _Unknown
    return value.dims


def _matmul(node: Node, build: Building) -> Dims | None:
    a, b = _known(node), _known(node, 1)
    if len(a) < 2 or len(b) < 2:
        return (*a[:-1], *b[:-2], *b[-1:][: len(b) - 1])
    lead = broadcast(a[:-2], b[:-2])
    return None if lead is None else (*lead, a[-2], b[-1])


def _gemm(node: Node, build: Building) -> Dims | None:
    a, b = _known(node), _known(node, 1)
    return a[1 if node.attributes.get("transA") else 0], b[0 if node.attributes.get("transB") else 1]


def _plane(dims: Dims) -> list[int | None]:
    return [n if isinstance(n, int) else None for n in dims[2:]]


def _windows(node: Node, channels: Length, kernel: tuple[int, ...]) -> Dims | None:
    dims = _known(node)
    plane = _plane(dims)
    whole = [n for n in plane if n is not None]
    window = window_of(node.attributes, kernel, whole if len(whole) == len(plane) else None)
    if window is None:
        return (dims[0], channels, *(None,) * len(plane))
    frame = behind(window, [n or 0 for n in plane], node.attributes.get("ceil_mode", 0))
    lengths = [
        None if n is None else (n + a + b - span) // s + 1
        for n, (a, b), span, s in zip(plane, frame, window.spans, window.stride, strict=True)
    ]
    return (dims[0], channels, *lengths)


def _conv(node: Node, build: Building) -> Dims | None:
    weight = _known(node, 1)
    kernel = tuple(n for n in weight[2:] if isinstance(n, int))
    return _windows(node, weight[0], kernel) if len(kernel) == len(weight) - 2 else None


def _pool(node: Node, build: Building) -> Dims | None:
    return _windows(node, _known(node)[1], ())


def _conv_transpose(node: Node, build: Building) -> Dims | None:
    dims, weight = _known(node), _known(node, 1)
    channels = weight[1] * node.attributes.get("group", 1) if isinstance(weight[1], int) else None
    kernel = tuple(n for n in weight[2:] if isinstance(n, int))
    window = window_of({**node.attributes, "auto_pad": "NOTSET"}, kernel, None)
    plane = [n for n in _plane(dims) if n is not None]
    if window is None or len(plane) != len(kernel):
        return (dims[0], channels, *(None,) * (len(dims) - 2))
    more, pads = transposed_frame(window, node.attributes, plane)
    lengths = (
        s * (n - 1) + span + extra - a - b
        for s, n, span, extra, (a, b) in zip(window.stride, plane, window.spans, more, pads, strict=True)
    )
    return (dims[0], channels, *lengths)


def _transpose(node: Node, build: Building) -> Dims | None:
    dims = _known(node)
    order = node.attributes.get("perm") or list(reversed(range(len(dims))))
    return tuple(dims[axis] for axis in axes_of(order, len(dims)))


def _squeeze(node: Node, build: Building) -> Dims | None:
    dims, axes = _known(node), node.constant(1)
    if node.has(1) and axes is not None:
        return _reduced(dims, axes_of(axes, len(dims)), 0)
    return None if node.has(1) or not all(isinstance(n, int) for n in dims) else tuple(n for n in dims if n != 1)


def _unsqueeze(node: Node, build: Building) -> Dims | None:
    left, axes = list(_known(node)), node.constant(1)
    if axes is None:
        return None
    for axis in sorted(axes_of(axes, len(left) + axes.size)):
        left.insert(axis, 1)
    return tuple(left)


def _product(dims: Dims) -> Length:
    if len(dims) == 1:
        return dims[0]
    return math.prod(n for n in dims if isinstance(n, int)) if all(isinstance(n, int) for n in dims) else None


def _flatten(node: Node, build: Building) -> Dims | None:
    dims, axis = _known(node), node.attributes.get("axis", 1)
    axis += len(dims) if axis < 0 else 0
    return _product(dims[:axis]), _product(dims[axis:])


def _concat(node: Node, build: Building) -> Dims | None:
    several = [_known(node, place) for place in range(len(node.inputs))]
    (axis,) = axes_of(node.attributes["axis"], len(several[0]))
    lengths = [dims[axis] for dims in several]
    whole = sum(n for n in lengths if isinstance(n, int)) if all(isinstance(n, int) for n in lengths) else None
    rest = [next((n for n in column if n is not None), None) for column in zip(*several, strict=True)]
    return (*rest[:axis], whole, *rest[axis + 1 :])


def _split(node: Node) -> list[Dims | None]:
    dims, lengths = node.x().dims, node.constant(1)
    count = len(node.outputs)
    if dims is None:
        return [None] * count
    (axis,) = axes_of(node.attributes.get("axis", 0), len(dims))
    each: list[Length] = [None] * count
    if lengths is not None:
        each = [*ints(lengths)]
    elif not node.has(1) and isinstance(n := dims[axis], int) and n % count == 0:
        each = [n // count] * count
    return [(*dims[:axis], length, *dims[axis + 1 :]) for length in each]


def _top_k(node: Node) -> Dims | None:
    dims, k = node.x().dims, node.constant(1)
    if dims is None:
        return None
    (axis,) = axes_of(node.attributes.get("axis", -1), len(dims))
    return (*dims[:axis], None if k is None else ints(k)[0], *dims[axis + 1 :])


def _slice(node: Node, build: Building) -> Dims | None:
    dims = _known(node)
    starts, ends, axes, steps = (node.constant(place) for place in range(1, 5))
    if starts is None or ends is None or (node.has(3) and axes is None) or (node.has(4) and steps is None):
        return (None,) * len(dims)
    index = slices_of(len(dims), starts, ends, axes, steps)
    return tuple(
        n if each == slice(None) else len(range(*each.indices(n))) if isinstance(n, int) else None
        for n, each in zip(dims, index, strict=True)
    )


def _gather(node: Node, build: Building) -> Dims | None:
    dims, indices = _known(node), _known(node, 1)
    (axis,) = axes_of(node.attributes.get("axis", 0), len(dims))
    return (*dims[:axis], *indices, *dims[axis + 1 :])


def _pad(node: Node, build: Building) -> Dims | None:
    dims, pads = _known(node), node.constant(1)
    if pads is None or (node.has(3) and node.constant(3) is None):
        return (None,) * len(dims)
    widths = widths_of(pads, node.constant(3), len(dims))
    return tuple(
        n if not a and not b else n + a + b if isinstance(n, int) else None
        for n, (a, b) in zip(dims, widths, strict=True)
    )


def _expand(node: Node, build: Building) -> Dims | None:
    target: Value | None = node.input(1)
    numbers = None if target is None else numbers_of(target)
    return None if numbers is None else broadcast(node.x().dims, tuple(map(build.length_of, ints(numbers))))


def _constant_of_shape(node: Node, build: Building) -> Dims | None:
    numbers = numbers_of(node.x())
    return None if numbers is None else tuple(map(build.length_of, ints(numbers)))


def _tile(node: Node, build: Building) -> Dims | None:
    dims, repeats = _known(node), node.constant(1)
    if repeats is None:
        return (None,) * len(dims)
    pairs = zip(dims, ints(repeats), strict=True)
    return tuple(n if times == 1 else n * times if isinstance(n, int) else None for n, times in pairs)


def _resize(node: Node, build: Building) -> Dims | None:
    dims = _known(node)
    if any(value is not None and value.array is None for value in node.inputs[1:]):
        return (None,) * len(dims)
    one = tuple(n if isinstance(n, int) else 1 for n in dims)
    lines = lines_of(one, node.constant(1), node.constant(2), node.constant(3), node.attributes)
    return tuple(
        n if axis not in lines else lines[axis].m if isinstance(n, int) else None for axis, n in enumerate(dims)
    )


def _blocks(node: Node, build: Building) -> Dims | None:
    N, *rest = _known(node)
    b = node.attributes["blocksize"]
    if not all(isinstance(n, int) for n in rest):
        return (N, None, None, None)
    C, H, W = (n for n in rest if isinstance(n, int))
    return (N, C // b**2, H * b, W * b) if node.kind == "DepthToSpace" else (N, C * b * b, H // b, W // b)


RULES: dict[str, Rule] = {
    **{name: _joint if each.size is joint_size else _same for name, each in ELEMENTWISE.items()},
    **{name: _reduction if name.startswith("Reduce") else _same for name in REDUCTIONS},
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization"), _same),
    **dict.fromkeys(("RMSNormalization", "MeanVarianceNormalization", "LRN", "Dropout", "ReverseSequence"), _same),
    **dict.fromkeys(("ScatterElements", "Scatter", "ScatterND", "EyeLike"), _same),
    "Clip": _same,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(
        ("GlobalAveragePool", "GlobalMaxPool"), lambda node, build: (*_known(node)[:2], *(1,) * (len(_known(node)) - 2))
    ),
    "Shape": lambda node, build: (len(_known(node)),),
    "Size": lambda node, build: (),
    "Reshape": reshaped,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": lambda node, build: _known(node, 1),
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "ConstantOfShape": _constant_of_shape,
    "Range": lambda node, build: (None,),
    "Resize": _resize,
    "DepthToSpace": _blocks,
    "SpaceToDepth": _blocks,
}
