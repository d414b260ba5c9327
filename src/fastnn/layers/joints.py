"""Modules with several inputs or outputs, for the nodes of a `Graph`: sums, products, arrays joined and cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.parameter import Buffer, Parameter
from fastnn.layers.symbol import traced_call
from fastnn.plan.contract import NoPlan
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Mark, Steps


class Joint(Module):
    """A module of several inputs: what `Add`, `Sub`, `Mul`, `Div`, `MatMul` and `Cat` share.

    It is called with them one by one, or with one list of them. Its backward returns a tuple: a gradient for each.
    """

    joins = True
    least, most = 2, 2  # inputs

    def __init__(self) -> None:
        pass

    def __call__(self, *inputs: Any) -> Any:
        arrays = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], tuple | list) else inputs
        y = traced_call(self, arrays)
        return super().__call__(tuple(arrays)) if y is None else y

    def plan(self, steps: Steps, *others: Mark) -> None:
        raise NoPlan(f"{type(self).__name__} has no plan")

    def _inputs(self, x: Any) -> tuple[Any, ...]:
        inputs = tuple(x) if isinstance(x, tuple | list) else (x,)
        check.inputs_of_joint(type(self).__name__, inputs, self.least, self.most)
        return inputs


class _Arithmetic(Joint):
    """Element by element, of arrays that NumPy broadcasts to one shape; gradients are summed back to the inputs'."""

    def _keep_inputs(self, inputs: tuple[Any, ...], y: Array) -> Array:
        self._keep((inputs, y.shape))
        return y

    def _kept_for(self, dy: Array) -> tuple[Any, ...]:
        inputs, shape = check.kept(self, self._kept)
        check.joint_backward(dy, shape, type(self).__name__)
        return tuple(inputs)


class Add(_Arithmetic):
    """The sum of two inputs or more.

    Examples
    --------
    >>> fnn.Add()(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))[0].tolist()
    [2.0, 2.0, 2.0]
    """

    most = None  # type: ignore[assignment]
    fusion = Fusion(in_forward=True)

    def forward(self, x: Any, activation: str | None = None) -> Array:
        """Add up; with `activation` the caller sees to its part of the backward."""
        inputs = self._inputs(x)
        y = inputs[0]
        for place, each in enumerate(inputs[1:], 2):
            last = activation if place == len(inputs) else None
            y = _sum(y, each, last)
        self._keep((tuple(each.shape for each in inputs), y.shape))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        shapes, shape = check.kept(self, self._kept)
        check.joint_backward(dy, shape, "Add")
        return tuple(summed_to(dy, each) for each in shapes)

    def plan(self, steps: Steps, *others: Mark) -> None:
        for other in others:
            steps.add(other)


class Sub(_Arithmetic):
    """The difference of two inputs.

    Examples
    --------
    >>> fnn.Sub()(np.ones(2, np.float32), np.float32([3, 1])).tolist()
    [-2.0, 0.0]
    """

    def forward(self, x: Any) -> Array:
        a, b = inputs = self._inputs(x)
        y: Array = a - b
        self._keep(((a.shape, b.shape), y.shape))
        del inputs
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        (a, b), shape = check.kept(self, self._kept)
        check.joint_backward(dy, shape, "Sub")
        return summed_to(dy, a), summed_to(-dy, b)


class Mul(_Arithmetic):
    """The product of two inputs.

    Examples
    --------
    >>> gates = np.zeros((2, 8, 1, 1), np.float32)  # for each channel of each image
    >>> fnn.Mul()(np.ones((2, 8, 5, 5), np.float32), gates).shape
    (2, 8, 5, 5)
    """

    def forward(self, x: Any) -> Array:
        a, b = inputs = self._inputs(x)
        return self._keep_inputs(inputs, a * b)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        a, b = self._kept_for(dy)
        return summed_to(dy * b, a.shape), summed_to(dy * a, b.shape)

    def plan(self, steps: Steps, *others: Mark) -> None:
        here, (other,) = steps.here(), others
        if np.prod(here.y.shape[1:]) < np.prod(other.y.shape[1:]):
            steps.go_back(other)
            other = here
        steps.mul(other)


class Div(_Arithmetic):
    """The quotient of two inputs.

    Examples
    --------
    >>> fnn.Div()(np.ones(2, np.float32), np.float32([2, 4])).tolist()
    [0.5, 0.25]
    """

    def forward(self, x: Any) -> Array:
        a, b = inputs = self._inputs(x)
        return self._keep_inputs(inputs, a / b)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        a, b = self._kept_for(dy)
        return summed_to(dy / b, a.shape), summed_to(-dy * a / (b * b), b.shape)


class MatMul(Joint):
    """The product of two matrices, or of stacks of them that NumPy broadcasts, as ``a @ b``.

    A vector is a row on the left and a column on the right, and the product does not have its axis of length 1.

    Examples
    --------
    >>> fnn.MatMul()(np.ones((8, 3, 4), np.float32), np.ones((4, 5), np.float32)).shape
    (8, 3, 5)
    >>> fnn.MatMul()(np.ones((8, 4), np.float32), np.ones(4, np.float32)).shape
    (8,)
    """

    def forward(self, x: Any) -> Array:
        inputs = self._inputs(x)
        a, b = _as_matrices(*inputs)
        y = _product(a, b)
        whole = y.shape
        if a is not inputs[0]:
            y = y[..., 0, :]
        if b is not inputs[1]:
            y = y[..., 0]
        self._keep((a, b, whole, y.shape, tuple(each.shape for each in inputs)))
        return np.asarray(y)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        a, b, whole, shape, (of_a, of_b) = check.kept(self, self._kept)
        check.joint_backward(dy, shape, "MatMul")
        dy = dy.reshape(whole)
        da, db = _product(dy, np.swapaxes(b, -1, -2)), _product(np.swapaxes(a, -1, -2), dy)
        return summed_to(da, a.shape).reshape(of_a), summed_to(db, b.shape).reshape(of_b)


class Cat(Joint):
    """Inputs joined along the axis `dim`, as in ``torch.cat``.

    Parameters
    ----------
    dim : int

    Examples
    --------
    >>> fnn.Cat(dim=1)(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)).shape
    (2, 7)
    """

    least, most = 1, None  # type: ignore[assignment]

    def __init__(self, dim: int = 1) -> None:
        self.dim = check.integer("dim", dim)

    def forward(self, x: Any) -> Array:
        inputs = self._inputs(x)
        y = functional.cat(inputs, self.dim)
        self._keep(([each.shape[self.dim] for each in inputs], y.shape))
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        lengths, shape = check.kept(self, self._kept)
        check.joint_backward(dy, shape, "Cat")
        return parts_of(dy, lengths, self.dim)

    def plan(self, steps: Steps, *others: Mark) -> None:
        for other in others:
            before = steps.here()
            steps.go_back(other)
            steps.cat(before, dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Expand(Joint):
    """The first input, repeated along axes of length 1 (or in front) to a shape, as by ``expand`` or ``expand_as``.

    Parameters
    ----------
    *sizes : int
        -1: as in the first input; 0: as in the second. None at all: the shape of the second input.

    Examples
    --------
    >>> token, x = np.ones((1, 1, 8), np.float32), np.ones((4, 16, 8), np.float32)
    >>> fnn.Expand(0, -1, -1)(token, x).shape
    (4, 1, 8)
    """

    least = 1

    def __init__(self, *sizes: int) -> None:
        self.sizes = check.expanded_sizes(sizes)

    def forward(self, x: Any) -> Array:
        a, *like = self._inputs(x)
        shape = check.expanded(a, like[0] if like else None, self.sizes)
        self._keep((a.shape, shape, len(like)))
        return np.array(np.broadcast_to(a, shape))

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Any:
        """As `Module.backward`; with a second input, whose values do not matter, a tuple with None for its gradient."""
        before, shape, others = check.kept(self, self._kept)
        check.joint_backward(dy, shape, "Expand")
        dx = summed_to(dy, before)
        return (dx, None) if others else dx

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.sizes))


class Split(Module):
    """Parts of the input along the axis `dim`, as a tuple.

    Parameters
    ----------
    sizes : int or tuple of int
        The length of each part, of which the last may be shorter; or the lengths of all.
    dim : int

    Examples
    --------
    >>> [part.shape for part in fnn.Split((1, 4), dim=1)(np.ones((2, 5), np.float32))]
    [(2, 1), (2, 4)]
    """

    def __init__(self, sizes: int | Sequence[int], dim: int = 1) -> None:
        self.sizes, self.dim = check.part_sizes(sizes), check.integer("dim", dim)

    def forward(self, x: Array) -> Any:
        lengths = check.split(x, self.sizes, self.dim)
        self._keep((lengths, x.shape, x.dtype))
        return parts_of(x, lengths, self.dim)

    def backward(self, dy: Any, accumulate: bool = False, needs_dx: bool = True) -> Array:
        """As `Module.backward`; `dy` is a tuple, in which None stands for a part that nothing was made of."""
        lengths, shape, dtype = check.kept(self, self._kept)
        check.gradients_of_parts(dy, len(lengths))
        dx = np.zeros(shape, dtype)
        for part, gradient in zip(parts_of(dx, lengths, self.dim), dy, strict=False):
            if gradient is not None:
                part[...] = gradient
        return dx

    def plan(self, steps: Steps, part: int | None = None) -> None:
        """The steps of one part."""
        if part is None:
            raise NoPlan("several outputs")
        lengths = check.split(steps.y, self.sizes, self.dim)
        steps.pick(lambda x: parts_of(x, lengths, self.dim)[part])

    def extra_repr(self) -> str:
        return f"sizes={self.sizes}, dim={self.dim}"


class Constant(Module):
    """An array that no input goes into: a parameter, a buffer, or a number that stands in a `forward`.

    It is called without an input. In the state dict it has the name of its node.

    Parameters
    ----------
    value : Parameter, Buffer or array
    """

    def __init__(self, value: Parameter | Buffer | Array) -> None:
        self.value = value if isinstance(value, Parameter | Buffer) else Buffer(value)

    def __call__(self) -> Array:  # type: ignore[override]
        return self.value.data

    def named_arrays(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        yield prefix.removesuffix(".") or "value", self.value

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> None:
        if isinstance(self.value, Parameter):
            self.value.receive(dy, accumulate)

    def plan(self, steps: Steps) -> None:
        raise NoPlan("a constant")

    def extra_repr(self) -> str:
        return f"shape={self.value.shape}"


def _sum(a: Array, b: Array, activation: str | None) -> Array:
    if a.shape == b.shape:
        return functional.add(a, b, activation=activation)
    y: Array = a + b
    return y if activation is None else functional.relu(y)


def _as_matrices(a: Array, b: Array) -> tuple[Array, Array]:
    """A vector on the left as a row, and one on the right as a column."""
    return a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b


def _product(a: Array, b: Array) -> Array:
    return functional.matmul(a, b) if a.ndim == b.ndim == 2 else np.matmul(a, b)


def summed_to(dy: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of this shape that was broadcast to that of `dy`."""
    if dy.shape == shape:
        return dy
    front = dy.ndim - len(shape)
    axes = *range(front), *(front + axis for axis, n in enumerate(shape) if n == 1 != dy.shape[front + axis])
    return np.asarray(dy.sum(axes)).reshape(shape)


def parts_of(x: Array, lengths: Sequence[int], dim: int) -> tuple[Array, ...]:
    """Views of `x`, of these lengths along an axis."""
    axis, start, parts = dim % x.ndim, 0, []
    for length in lengths:
        parts.append(x[(slice(None),) * axis + (slice(start, start + length),)])
        start += length
    return tuple(parts)


ARITHMETIC: dict[str, Callable[[], Joint]] = {"add": Add, "sub": Sub, "mul": Mul, "div": Div, "matmul": MatMul}
