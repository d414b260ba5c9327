"""What an operator of ONNX does, in NumPy, where fastnn has no layer for it: a function and its backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn._validate import Array
from fastnn.layers.joints import summed_to

Inputs = tuple[Any, ...]  # arrays, and None for those that are left out
Attributes = dict[str, Any]
Forward = Callable[..., Any]
Backward = Callable[[Any, Any, Inputs, Attributes], tuple[Any, ...]]
Size = Callable[..., int]


class Operation(NamedTuple):
    """An operator in its newest form: what older versions have as attributes are inputs.

    Attributes
    ----------
    forward : called with the inputs, and the attributes by their names; returns an array or a tuple
    backward : called with the gradient, the output, the inputs and the attributes; returns a gradient for each input,
        None where there is none; None itself: the operator has no backward
    size : called as `forward`; returns how many numbers the output has; None: at most those of the largest input
    """

    forward: Forward
    backward: Backward | None = None
    size: Size | None = None


def flat(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    """The backward of a function whose steps are flat: no gradients."""
    return (None,) * len(inputs)


def joint_size(*inputs: Any, **attributes: Any) -> int:
    """That of arrays which NumPy broadcasts."""
    return math.prod(np.broadcast_shapes(*(np.shape(each) for each in inputs if each is not None)))


def unary(function: Forward, slope: Forward | None = None) -> Operation:
    """A function of each number; ``slope(x, y, **attributes)`` is its derivative, and None stands for 0."""
    if slope is None:
        return Operation(function, flat)

    def backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
        return (np.asarray(dy * slope(inputs[0], y, **attributes), dy.dtype),)

    return Operation(function, backward)


def joint(function: Forward, *slopes: Forward) -> Operation:
    """A function of numbers at one place of several arrays; ``slope(*inputs, y, **attributes)`` for each input.

    A single slope serves all inputs, of which there may be any number: ``slope(input, y, how many, **attributes)``.
    """
    if not slopes:
        return Operation(function, flat, joint_size)

    def backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
        found: list[Any] = []
        for place, each in enumerate(inputs):
            if each is None or each.dtype.kind != "f":
                found.append(None)
                continue
            if len(slopes) == 1:
                steep = slopes[0](each, y, len(inputs), **attributes)
            else:
                steep = slopes[place](*inputs, y, **attributes)
            found.append(summed_to(np.asarray(dy * steep, dy.dtype), each.shape))
        return tuple(found)

    return Operation(function, backward, joint_size)


def picks(function: Forward, size: Size | None = None, several: bool = False) -> Operation:
    """An operator whose output has numbers of its first input, or a constant, at each place; `several`: of all inputs.

    The same function, of the numbers 1, 2, ... in their place, says where each came from: that is its backward.
    """

    def backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
        picked = inputs if several else inputs[:1]
        numbered, first = [], 1
        for each in picked:
            numbered.append(np.arange(first, first + each.size).reshape(each.shape))
            first += each.size
        places = function(*numbered, *inputs[len(picked) :], **attributes)
        pairs = zip(places, dy, strict=False) if isinstance(places, tuple) else [(places, dy)]
        sums = np.zeros(first)
        kind = next(each.dtype for each in (dy if isinstance(dy, tuple) else (dy,)) if each is not None)
        for place, gradient in pairs:
            if gradient is not None:
                sums += np.bincount(np.ravel(place), np.ravel(gradient), first)
        found = np.split(sums[1:], np.cumsum([each.size for each in picked])[:-1])
        gradients = [part.reshape(each.shape).astype(kind) for part, each in zip(found, picked, strict=True)]
        return (*gradients, *(None,) * (len(inputs) - len(picked)))

    return Operation(function, backward, size)


def axes_of(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, none twice, each in the range."""
    found = tuple(int(axis) + ndim if axis < 0 else int(axis) for axis in np.ravel(axes))
    if len(set(found)) < len(found) or any(not 0 <= axis < ndim for axis in found):
        raise ValueError(f"has the axes {tuple(np.ravel(axes).tolist())[:8]} of {ndim}")
    return found


def ints(values: Array) -> list[int]:
    return [int(each) for each in np.ravel(values)]
