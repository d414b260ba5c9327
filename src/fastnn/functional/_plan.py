"""A network in eval mode as one call of compiled code.

The steps of the network are planned when an input of a new shape comes, and kept. Both a change of the network and a
change of its parameters must be noticed:

- The modules must have the attributes that they had, the same objects; they are compared at every call (`Unchanged`).
- An array can be written to by whoever has it, without a trace. So `Parameter.sealed` gives a token for it that is
  good for as long as nobody has had the array since; without one, everything is looked up anew at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

import fastnn._kernels._plan as _plan
import fastnn._kernels._resample as _resample
from fastnn import _validate as check
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, IntPair, IntSingle, OutputSize, Padding, Scale
from fastnn.functional._door import contiguous
from fastnn.functional._map import FUNCTIONS
from fastnn.reference.activation import SELU_ALPHA, SELU_SCALE

MOST_PLANS = 16  # of one network: batches of so many sizes


class NoPlan(Exception):
    """What a network does cannot be told beforehand: it is to be run layer by layer."""


class Parameter(Protocol):
    """What a plan needs of a parameter or a buffer."""

    def sealed(self) -> tuple[list[Array], object]: ...


class Mark(NamedTuple):
    """What was computed at some point of a plan."""

    value: int
    y: Array


class Steps:
    """The steps of a network for inputs of one shape, written down by its layers one after the other.

    The methods are named like the functions and take what those take, but for the input, which is the output of the
    step before; and a parameter instead of its array. They check what those check.
    """

    def __init__(self, x: Array, places: dict[int, int], arrays: list[Array]) -> None:
        self.plan = _plan.Plan(len(x), x.dtype == check.FLOAT64)
        self.y = x[:0]  # stands for the output of the last step
        self._N, self._places, self._arrays = len(x), places, arrays

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output of the last step."""
        return self._N, *self.y.shape[1:]

    def here(self) -> Mark:
        """A mark of the output of the last step, for a branch to begin with or to be joined to."""
        return Mark(self.plan.mark(), self.y)

    def go_back(self, mark: Mark) -> None:
        """Let the next step begin with what was marked."""
        self.plan.go_back(mark.value)
        self.y = mark.y

    def add(self, other: Mark) -> None:
        """What was marked, added to the output of the last step."""
        check.add(self.y, other.y, None)
        self.plan.add_up(other.value, _product(self.y.shape[1:]))

    def cat(self, before: Mark, *, dim: int) -> None:
        """What was marked, and after it the output of the last step."""
        axis, shape = check.cat([before.y, self.y], _fixed(dim))
        if axis == 0:
            raise NoPlan("images of several branches are joined")
        rows, inner = _product(shape[1:axis]), _product(shape[axis + 1 :])
        self.plan.cat(before.value, rows, before.y.shape[axis] * inner, self.y.shape[axis] * inner)
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

    def max_pool2d(
        self, kernel_size: IntPair, *, stride: IntPair, padding: IntPair, dilation: IntPair, ceil_mode: bool
    ) -> None:
        self._pool(self.plan.max_pool2d, (kernel_size, stride, padding, dilation, ceil_mode))

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
        self._pool(self.plan.avg_pool2d, (kernel_size, stride, padding, 1, ceil_mode), count_include_pad, divisor)

    def _pool(self, step: Callable[..., None], settings: tuple[Any, ...], *more: Any) -> None:
        windows, OH, OW = check.pool(2, self.y, *map(_fixed, settings))
        C, H, W = self.y.shape[1:]
        step(C, H, W, OH, OW, windows, *more)
        self._becomes(C, OH, OW)

    def adaptive_avg_pool2d(self, output_size: OutputSize) -> None:
        self._resample(_resample.AVERAGE, *check.adaptive_pool(self.y, _fixed(output_size)))

    def adaptive_max_pool2d(self, output_size: OutputSize) -> None:
        self._resample(_resample.MAXIMUM, *check.adaptive_pool(self.y, _fixed(output_size)))

    def interpolate(
        self, size: IntPair | None, scale_factor: Scale | None, *, mode: str, align_corners: bool | None
    ) -> None:
        settings = map(_fixed, (size, scale_factor, mode, align_corners))
        how, OH, OW = check.interpolate(self.y, *settings)
        self._resample(_resample.BILINEAR if how.bilinear else _resample.NEAREST, OH, OW, *how[1:])

    def _resample(
        self, kind: int, OH: int, OW: int, align_corners: bool = False, scale_h: float = 0, scale_w: float = 0
    ) -> None:
        C, H, W = self.y.shape[1:]
        self.plan.resample(kind, C, H, W, OH, OW, align_corners, scale_h, scale_w)
        self._becomes(C, OH, OW)

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


class _Plan(NamedTuple):
    steps: Any
    shape: tuple[int, ...]  # of the output


class _Bound(NamedTuple):
    """Parameters as they were found, and the plans for their shapes."""

    weights: Any
    keepers: list[list[Array]]
    shapes: list[Any]
    plans: dict[Any, _Plan]


class Planned:
    """The plans of a network; they are to be used only while `unchanged` is true.

    Parameters
    ----------
    layers : what stands for the network's own attributes
    modules : the modules inside the network
    parameters : all their parameters and buffers
    but : names of attributes of modules that may change
    """

    def __init__(
        self, layers: Any, modules: Iterable[Any], parameters: Iterable[Parameter], but: Iterable[str]
    ) -> None:
        self.layers, self.unchanged = layers, _plan.Unchanged(modules, but)
        self._parameters = list(parameters)
        self._bound: _Bound | None = None

    def __call__(self, x: Array, plan: Callable[[Steps], None]) -> Array | None:
        """The output of the network for `x`, or None if it is to be run layer by layer.

        Parameters
        ----------
        x : array
        plan : called to write down the steps of the network

        Raises
        ------
        NoPlan
            It is to be run layer by layer whatever the input.
        """
        if type(x) is not np.ndarray or use_reference():
            return None
        bound = self._bound
        if bound is None or not bound.weights:
            bound = self._bound = self._bind(bound)
        planned = bound.plans.get((x.shape, x.dtype))
        if planned is None or not planned.steps.holds():
            planned = self._make(x, plan, bound)
            if planned is None:
                return None
        y = empty(planned.shape, x.dtype)
        planned.steps.run(contiguous(x), y, bound.weights)
        return y

    def _bind(self, before: _Bound | None) -> _Bound:
        sealed = [p.sealed() for p in self._parameters]
        keepers = [keeper for keeper, _ in sealed]
        shapes = [(keeper[0].shape, keeper[0].dtype) for keeper in keepers]
        weights = _plan.Weights(self._parameters, sealed, [contiguous(keeper[0]) for keeper in keepers])
        plans = before.plans if before and before.shapes == shapes else {}
        for plan in list(plans.values()):
            plan.steps.forget_weights()
        return _Bound(weights, keepers, shapes, plans)

    def _make(self, x: Array, plan: Callable[[Steps], None], bound: _Bound) -> _Plan | None:
        if x.dtype not in (check.FLOAT32, check.FLOAT64) or x.ndim < 2 or x.size == 0:
            return None
        places = {id(p): place for place, p in enumerate(self._parameters)}
        steps = Steps(x, places, [keeper[0] for keeper in bound.keepers])
        try:
            plan(steps)
        except (TypeError, ValueError):
            return None  # the layer that something does not fit will say so
        if not self.unchanged:
            return None  # another thread has changed a layer, before its steps were written down or after
        if not len(steps.plan):
            raise NoPlan("nothing is computed")
        if not steps.plan.is_whole():
            raise NoPlan("the last step is not the one whose output is the network's")
        steps.plan.settle()
        for key in list(bound.plans)[: max(0, len(bound.plans) + 1 - MOST_PLANS)]:
            bound.plans.pop(key, None)
        made = bound.plans[x.shape, x.dtype] = _Plan(steps.plan, steps.shape)
        return made


def _fixed(setting: Any) -> Any:
    """`setting`, unless it could be changed in place."""
    items = setting if isinstance(setting, tuple) else (setting,)
    if not all(isinstance(item, int | float | str | np.number | None) for item in items):
        raise NoPlan(f"a setting that can be changed: {setting!r}")
    return setting


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
