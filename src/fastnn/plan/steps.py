"""The steps of a network: the words in which a layer writes down what its forward does."""

from __future__ import annotations

from collections.abc import Callable
from math import prod as _product
from typing import Any, NamedTuple

import numpy as np

import fastnn._kernels._im2col as _im2col
import fastnn._kernels._plan as _plan
import fastnn._kernels._resample as _resample
from fastnn import _validate as check
from fastnn._validate import Array, Frame, Interpolation, IntPair, IntSingle, OutputSize, Padding
from fastnn.functional._map import FUNCTIONS
from fastnn.functional.resample import KINDS, OF_SIZES
from fastnn.plan.contract import Layer, NoPlan, Parameter
from fastnn.plan.views import viewed
from fastnn.reference.activation import SELU_ALPHA, SELU_SCALE


class Mark(NamedTuple):
    """What was computed at some point of a plan."""

    value: int
    y: Array


class Steps:
    """The steps of a network for inputs of one shape, written down by its layers one after the other.

    The methods are named like the functions and take what those take, but for the input, which is the output of the
    step before; and a parameter instead of its array. They check what those check, and raise what those raise.

    Parameters
    ----------
    x : array
        An input, of which only shape and dtype count. Of integers only `embedding` makes anything.
    places : dict from the ``id`` of each parameter to its place
    arrays : list of the arrays of the parameters
    """

    training = False  # whether these are the steps of a training step

    def __init__(self, x: Array, places: dict[int, int], arrays: list[Array]) -> None:
        self._plan = self._begin(x) if x.dtype.kind == "f" else None
        self.y = x[:0]  # stands for the output of the last step
        self.rows = 0  # of the table that an input of integers picks from
        self._N, self._places, self._arrays = len(x), places, arrays

    @staticmethod
    def _begin(x: Array) -> Any:
        return _plan.Plan(len(x), x.dtype == check.FLOAT64)

    @property
    def plan(self) -> Any:
        """The list of the kernels' steps."""
        if self._plan is None:
            raise TypeError("integers: no step but `embedding` takes them")
        return self._plan

    def write(self, layer: Layer, *others: Mark | int | None) -> None:
        """Have `layer` write down its steps, if they speak of the forward that it has.

        A layer of several inputs is given marks of the `others`, those after the first. One of several outputs is given
        the place of the one that is wanted.
        """
        if not layer.has_plan():
            raise NoPlan(f"{type(layer).__name__} is run by its forward alone")
        layer.plan(self, *others)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output of the last step."""
        return self._N, *self.y.shape[1:]

    def can_run(self) -> bool:
        """Whether something is computed, and the last step's output is the network's."""
        return self._plan is not None and len(self._plan) > 0 and self._plan.is_whole()

    def finished(self) -> Any:
        """The plan, ready to run."""
        self.plan.settle()
        return self.plan

    def here(self) -> Mark:
        """A mark of the output of the last step, for a branch to begin with or to be joined to."""
        return Mark(self.plan.mark(), self.y)

    def go_back(self, mark: Mark) -> None:
        """Let the next step begin with what was marked."""
        self.plan.go_back(mark.value)
        self.y = mark.y

    def add(self, other: Mark) -> None:
        """What was marked, added to the output of the last step."""
        if self.y.shape != other.y.shape:
            raise NoPlan("a sum of arrays of several shapes")
        self.plan.add_up(other.value, _product(self.y.shape[1:]))

    def mul(self, other: Mark) -> None:
        """The output of the last step times what was marked: of the same shape, or with a number for each row of it."""
        rows = other.y.shape[1:]
        while rows and rows[-1] == 1:
            rows = rows[:-1]
        if self.y.ndim != other.y.ndim or self.y.shape[1 : len(rows) + 1] != rows:
            raise NoPlan("a product of arrays of other shapes")
        self.plan.multiply(other.value, _product(rows), _product(self.y.shape[len(rows) + 1 :]))

    def cat(self, before: Mark, *, dim: int) -> None:
        """What was marked, and after it the output of the last step."""
        axis, shape = check.cat([before.y, self.y], _fixed(dim))
        if axis == 0:
            raise NoPlan("images of several branches are joined")
        rows, inner = _product(shape[1:axis]), _product(shape[axis + 1 :])
        self.plan.cat(before.value, rows, before.y.shape[axis] * inner, self.y.shape[axis] * inner)
        self._becomes(*shape[1:])

    def pick(self, view: Callable[[Array], Array]) -> None:
        """A view of every example, as slices and other orders of the axes are."""
        shape, *picked = viewed(self.shape, view)
        self.plan.pick(*picked)
        self._becomes(*shape[1:])

    def conv2d(
        self,
        w: Parameter,
        b: Parameter | None,
        *,
        stride: IntPair,
        padding: Padding,
        dilation: IntPair = 1,
        groups: int = 1,
    ) -> None:
        places, arrays = self._parameters(w, b)
        settings = _fixed(stride), _fixed(padding), _fixed(dilation), _fixed(groups)
        geometry, OH, OW = check.conv2d(self.y, *arrays, *settings, None)
        (C, H, W), filters = self.y.shape[1:], len(arrays[0])
        self.plan.conv2d(*places, C, H, W, filters, OH, OW, geometry)
        self._becomes(filters, OH, OW)

    def conv1d(
        self,
        w: Parameter,
        b: Parameter | None,
        *,
        stride: IntSingle,
        padding: IntSingle | str,
        dilation: IntSingle = 1,
        groups: int = 1,
    ) -> None:
        places, arrays = self._parameters(w, b)
        settings = _fixed(stride), _fixed(padding), _fixed(dilation), _fixed(groups)
        geometry, OL = check.conv1d(self.y, *arrays, *settings, None)
        (C, L), filters = self.y.shape[1:], len(arrays[0])
        self.plan.conv2d(*places, C, 1, L, filters, 1, OL, geometry)
        self._becomes(filters, OL)

    def conv_transpose2d(self, w: Parameter, b: Parameter | None, *settings: Any) -> None:
        """The settings are stride, padding, output padding, groups and dilation."""
        places, arrays = self._parameters(w, b)
        stride, padding, more, groups, dilation = map(_fixed, settings)
        geometry, OH, OW = check.conv_transpose2d(self.y, *arrays, stride, padding, more, groups, dilation, None)
        (C, H, W), filters = self.y.shape[1:], arrays[0].shape[1] * geometry.G
        self.plan.conv_transpose2d(*places, C, H, W, filters, OH, OW, geometry)
        self._becomes(filters, OH, OW)

    def conv_transpose1d(self, w: Parameter, b: Parameter | None, *settings: Any) -> None:
        places, arrays = self._parameters(w, b)
        stride, padding, more, groups, dilation = map(_fixed, settings)
        geometry, OL = check.conv_transpose1d(self.y, *arrays, stride, padding, more, groups, dilation, None)
        (C, L), filters = self.y.shape[1:], arrays[0].shape[1] * geometry.G
        self.plan.conv_transpose2d(*places, C, 1, L, filters, 1, OL, geometry)
        self._becomes(filters, OL)

    def unfold(self, kernel_size: IntPair, *, stride: IntPair, padding: IntPair, dilation: IntPair) -> None:
        geometry, OH, OW = check.unfold(self.y, *map(_fixed, (kernel_size, stride, padding, dilation)))
        C, H, W = self.y.shape[1:]
        self.plan.unfold(C, H, W, geometry)
        self._becomes(C * geometry.KH * geometry.KW, OH * OW)

    def fold(
        self, output_size: IntPair, kernel_size: IntPair, *, stride: IntPair, padding: IntPair, dilation: IntPair
    ) -> None:
        settings = map(_fixed, (output_size, kernel_size, stride, padding, dilation))
        C, H, W, geometry = check.fold(self.y, *settings)
        self.plan.fold(C, H, W, geometry)
        self._becomes(C, H, W)

    def pad(self, padding: Frame, *, mode: str) -> None:
        C, H, W = check.planned_pad(self.y, _fixed(padding), mode)
        left, right, top, bottom = check.frame("padding", padding)
        OH, OW = top + H + bottom, left + W + right
        self.plan.pad(C, H, W, OH, OW, top, left, _im2col.BORDERS[mode])
        self._becomes(C, OH, OW)

    def max_pool1d(self, kernel_size: int, *, stride: int, padding: int, dilation: int, ceil_mode: bool) -> None:
        self._pool(1, self.plan.max_pool2d, (kernel_size, stride, padding, dilation, ceil_mode))

    def max_pool2d(
        self, kernel_size: IntPair, *, stride: IntPair, padding: IntPair, dilation: IntPair, ceil_mode: bool
    ) -> None:
        self._pool(2, self.plan.max_pool2d, (kernel_size, stride, padding, dilation, ceil_mode))

    def avg_pool1d(
        self, kernel_size: int, *, stride: int, padding: int, ceil_mode: bool, count_include_pad: bool
    ) -> None:
        divisor = check.average_settings(count_include_pad, None)
        self._pool(1, self.plan.avg_pool2d, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, divisor)

    def avg_pool2d(
        self,
        kernel_size: IntPair,
        *,
        stride: IntPair,
        padding: IntPair,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> None:
        override = None if divisor_override is None else _fixed(divisor_override)
        divisor = check.average_settings(count_include_pad, override)
        self._pool(2, self.plan.avg_pool2d, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, divisor)

    def _pool(self, axes: int, step: Callable[..., None], settings: tuple[Any, ...], *more: Any) -> None:
        windows, OH, OW = check.pool(axes, self.y, *map(_fixed, settings))
        C, H, W = self.y.shape[1:] if axes == 2 else (self.y.shape[1], 1, self.y.shape[2])
        step(C, H, W, OH, OW, windows, *more)
        self._becomes(*((C, OH, OW) if axes == 2 else (C, OW)))

    def adaptive_avg_pool2d(self, output_size: OutputSize) -> None:
        self._resample(_resample.AVERAGE, *check.adaptive_pool(2, self.y, _fixed(output_size)))

    def adaptive_max_pool2d(self, output_size: OutputSize) -> None:
        self._resample(_resample.MAXIMUM, *check.adaptive_pool(2, self.y, _fixed(output_size)))

    def adaptive_avg_pool1d(self, output_size: OutputSize) -> None:
        self._resample(_resample.AVERAGE, *check.adaptive_pool(1, self.y, _fixed(output_size)))

    def adaptive_max_pool1d(self, output_size: OutputSize) -> None:
        self._resample(_resample.MAXIMUM, *check.adaptive_pool(1, self.y, _fixed(output_size)))

    def interpolate(self, *settings: Any) -> None:
        how, OH, OW = check.interpolate(self.y, *map(_fixed, settings))
        self._resample(KINDS[how.mode], OH, OW, how)

    def _resample(self, kind: int, OH: int, OW: int, how: Interpolation = OF_SIZES) -> None:
        C, *plane = self.y.shape[1:]
        H, W = (1, *plane)[-2:]
        self.plan.resample(kind, C, H, W, OH, OW, *how[1:])
        self._becomes(*((C, OH, OW) if len(plane) == 2 else (C, OW)))

    def linear(self, w: Parameter, b: Parameter | None) -> None:
        places, arrays = self._parameters(w, b)
        check.linear(self.y, *arrays, None)
        outputs, inputs = arrays[0].shape
        rows = self.y.shape[1:-1]
        self.plan.linear(*places, _product(rows), inputs, outputs)
        self._becomes(*rows, outputs)

    def batch_norm(
        self, running_mean: Parameter, running_var: Parameter, w: Parameter | None, b: Parameter | None, *, eps: float
    ) -> None:
        (mean, m), (var, v) = self._parameter(running_mean), self._parameter(running_var)
        places, arrays = self._parameters(w, b)
        _, C, P, _, eps = check.batch_norm(self.y, m, v, *arrays, False, 0.0, eps, None)
        self.plan.batch_norm(mean, var, *places, C, P, eps)

    def layer_norm(
        self, normalized_shape: tuple[int, ...], w: Parameter | None, b: Parameter | None, *, eps: float
    ) -> None:
        places, arrays = self._parameters(w, b)
        if len(normalized_shape) >= self.y.ndim:
            raise NoPlan("images are normalised together")
        (_, *row), _, eps = check.layer_norm(self.y, _fixed(normalized_shape), *arrays, eps)
        count = _product(self.y.shape[1 : self.y.ndim - len(normalized_shape)])
        self.plan.row_norm(*places, (count, *row), eps)

    def group_norm(self, num_groups: int, w: Parameter | None, b: Parameter | None, *, eps: float) -> None:
        places, arrays = self._parameters(w, b)
        (_, G, S, P), _, eps = check.group_norm(self.y, num_groups, *arrays, eps)
        if self._N * S * P == 1:
            raise ValueError("one value for each group")
        self.plan.row_norm(*places, (1, G, S, P), eps)

    def instance_norm(self, w: Parameter | None, b: Parameter | None, *, eps: float) -> None:
        """By the statistics of each image."""
        places, arrays = self._parameters(w, b)
        (_, *row), _, eps = check.instance_norm(self.y, None, None, *arrays, 0.0, eps)
        self.plan.row_norm(*places, (1, *row), eps)

    def local_response_norm(self, size: int, *, alpha: float, beta: float, k: float) -> None:
        (_, C, P), *settings = check.local_response_norm(self.y, *map(_fixed, (size, alpha, beta, k)))
        self.plan.local_response_norm(C, P, *settings)

    def embedding(self, w: Parameter, *, padding_idx: int | None) -> None:
        """Of an input of integers, before any other step. Whoever calls the plan sees to it that they are rows."""
        place, table = self._parameter(w)
        if self._plan is not None:
            raise TypeError("x: got floats; expected integers")
        check.embedding(self.y, table, None)
        count, (self.rows, D) = _product(self.y.shape[1:]), table.shape
        self._plan = _plan.Plan(self._N, table.dtype == check.FLOAT64)
        self.plan.embedding(place, count, D)
        self.y = np.empty((0, *self.y.shape[1:], D), table.dtype)

    def relu(self) -> None:
        if not self.plan.fuse_relu():
            self._map("relu")

    def sigmoid(self) -> None:
        self._map("sigmoid")

    def tanh(self) -> None:
        self._map("tanh")

    def leaky_relu(self, negative_slope: float) -> None:
        self._map("leaky_relu", check.number("negative_slope", _fixed(negative_slope)))

    def elu(self, alpha: float) -> None:
        self._map("elu", check.number("alpha", _fixed(alpha)), 1.0)

    def selu(self) -> None:
        self._map("elu", SELU_SCALE * SELU_ALPHA, SELU_SCALE)

    def gelu(self, *, approximate: str) -> None:
        self._map(check.approximation(approximate))

    def silu(self) -> None:
        self._map("silu")

    def softplus(self, beta: float, threshold: float) -> None:
        self._map("softplus", *check.softplus_settings(_fixed(beta), _fixed(threshold)))

    def hardtanh(self, min_val: float, max_val: float) -> None:
        self._map("hardtanh", *check.hardtanh_bounds(_fixed(min_val), _fixed(max_val)))

    def hardswish(self) -> None:
        self._map("hardswish")

    def relu6(self) -> None:
        self._map("relu6")

    def _map(self, function: str, a: float = 0.0, b: float = 0.0, *, row: int = 0) -> None:
        self.plan.map(FUNCTIONS[function], _product(self.y.shape[1:]), a, b, row)

    def prelu(self, w: Parameter) -> None:
        place, slopes = self._parameter(w)
        check.prelu(self.y, slopes)
        C, size = slopes.size, _product(self.y.shape[1:])
        self.plan.prelu(place, C, size // C)

    def softmax(self, *, dim: int) -> None:
        self._of_rows("softmax", dim)

    def log_softmax(self, *, dim: int) -> None:
        self._of_rows("log_softmax", dim)

    def _of_rows(self, function: str, dim: int) -> None:
        if check.softmax(self.y, _fixed(dim)) != self.y.ndim - 1:
            raise NoPlan(f"softmax along axis {dim}, which is not the last")
        self._map(function, row=self.y.shape[-1])

    def flatten(self, start_dim: int, end_dim: int) -> None:
        shape = check.flatten(self.y, _fixed(start_dim), _fixed(end_dim))
        if check.axis_index("start_dim", start_dim, self.y.ndim) == 0 and end_dim not in (0, -self.y.ndim):
            raise NoPlan("the axis of the batch is flattened")
        self._becomes(*shape[1:])

    def unflatten(self, dim: int, sizes: tuple[int, ...]) -> None:
        if check.axis_index("dim", _fixed(dim), self.y.ndim) == 0:
            raise NoPlan("the axis of the batch is split")
        self._becomes(*check.unflatten(self.y, dim, _fixed(sizes))[1:])

    def _parameters(self, w: Parameter | None, b: Parameter | None) -> tuple[tuple[int, int], tuple[Any, Any]]:
        """Their places among all parameters, -1 for none, and their arrays."""
        (weight, w_array), (bias, b_array) = self._parameter(w), self._parameter(b)
        return (weight, bias), (w_array, b_array)

    def _parameter(self, p: Parameter | None) -> tuple[int, Any]:
        """Its place among all parameters, -1 for none, and its array."""
        if p is None:
            return -1, None
        place = self._places.get(id(p))
        if place is None:
            raise ValueError("a parameter that the network has not had until now: another thread has replaced one")
        return place, self._arrays[place]

    def _becomes(self, *shape: int) -> None:
        self.y = np.empty((0, *shape), self.y.dtype)


def _fixed(setting: Any) -> Any:
    """`setting`, unless it could be changed in place."""
    items = setting if isinstance(setting, tuple) else (setting,)
    if not all(isinstance(item, int | float | str | np.number | None) for item in items):
        raise NoPlan(f"a setting that can be changed: {setting!r}")
    return setting
