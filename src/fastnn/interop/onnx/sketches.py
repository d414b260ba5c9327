"""Shapes that a model works out: followed with a number for each length that is not known, as that of the batch.

A sketch of ``x.view(x.size(0), -1)`` as PyTorch writes it, for x of the lengths N, 8, 4, 4::

    Shape(x)                    -2  8  4  4         -2 stands for N
    Gather(that, 0)             -2
    Concat(that, [-1])          -2 -1
    Reshape(x, that)            to the lengths N, 128
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from fastnn._validate import Array
from fastnn.interop.onnx.function import OPERATIONS
from fastnn.interop.onnx.operation import ints
from fastnn.interop.onnx.values import Building, Dims, Node, Value

MOVING = ("Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Cast")  # that keep numbers
MOST = 64  # numbers of a sketch


def sketched(node: Node, build: Building) -> Array | None:
    """The sketch of a node's output; None if it is no shape, or nothing is known of it."""
    if node.kind == "Shape":
        value = node.x()
        if value.dims is None:
            return None
        lengths = value.dims[node.attributes.get("start", 0) : node.attributes.get("end")]
        return np.array([build.number_of(length) for length in lengths], np.int64)
    if node.kind not in MOVING or all(value is None or value.sketch is None for value in node.inputs):
        return None
    known = [None if value is None else numbers_of(value) for value in node.inputs]
    if any(array is None and value is not None for array, value in zip(known, node.inputs, strict=True)):
        return None
    if sum(array.size for array in known if array is not None) > MOST:
        return None
    if node.kind == "Cast":
        kind = np.dtype(node.attributes["to"])
        return known[0].astype(kind) if known[0] is not None and kind.kind == "i" and kind.itemsize > 2 else None
    found = np.asarray(OPERATIONS[node.kind].forward(*known, **node.attributes))
    return found if found.size <= MOST else None


def numbers_of(value: Value) -> Array | None:
    return value.array if value.array is not None else value.sketch


def reshaped(node: Node, build: Building) -> Dims | None:
    """The lengths after a Reshape."""
    x, target = node.x(), node.input(1)
    numbers = None if target is None else numbers_of(target)
    if numbers is None:
        return None
    lengths: list[int | str | None] = []
    for place, number in enumerate(ints(numbers)):
        copied = number == 0 and not node.attributes.get("allowzero")
        if copied:
            lengths.append(x.dims[place] if x.dims is not None and place < len(x.dims) else None)
        else:
            lengths.append(None if number == -1 else build.length_of(number))
    if x.dims is None or -1 not in ints(numbers) or None in x.dims:
        return tuple(lengths)
    rest = ints(numbers).index(-1)
    names = Counter(n for n in x.dims if isinstance(n, str))
    names.subtract(n for n in lengths if isinstance(n, str))
    others = [n for place, n in enumerate(lengths) if place != rest]
    product = math.prod(n for n in others if isinstance(n, int))
    whole = math.prod(n for n in x.dims if isinstance(n, int))
    left = +names
    if None in others or -names or not product or sum(left.values()) > 1 or (left and whole != product):
        return tuple(lengths)
    lengths[rest] = next(iter(left), whole // product)
    return tuple(lengths)
