"""The steps of a training step, as layers and a loss write them down."""

from __future__ import annotations

from math import prod as _product
from typing import Any

import numpy as np

import fastnn._kernels._plan_train as _plan_train
from fastnn import _validate as check
from fastnn._validate import Array, MaybeArray
from fastnn.plan.contract import Layer, NoPlan, Parameter
from fastnn.plan.steps import Mark, Steps, _fixed


class TrainingSteps(Steps):
    """The steps of a network in train mode, and of a loss, for inputs and targets of one shape.

    Layers write them down as they do for eval mode; a step that is another one in train mode, or of which no gradient
    is known, raises `NoPlan`.

    Parameters
    ----------
    x, target : arrays
        Of which only shapes and dtypes count.
    places : dict from the ``id`` of each parameter to its place
    arrays : list of the arrays of the parameters
    """

    training = True

    def __init__(self, x: Array, target: Any, places: dict[int, int], arrays: list[Array]) -> None:
        floats = x.dtype in (check.FLOAT32, check.FLOAT64)
        if not (x.ndim > 1 if floats else x.ndim and x.dtype.kind in "iu") or not x.size:
            raise NoPlan(f"an input of shape {x.shape}, {x.dtype}")
        super().__init__(x, places, arrays)
        self.target = target
        self.used: set[int] = set()  # places of parameters and buffers
        self.counts: list[Any] = []  # buffers that count steps
        self.dropped: list[tuple[int, Any]] = []  # steps that need a key, and the layers that it is of

    @staticmethod
    def _begin(x: Array) -> Any:
        return _plan_train.TrainingPlan(len(x), _product(x.shape[1:]), x.dtype == check.FLOAT64)

    def write(self, layer: Layer, *others: Mark | int | None) -> None:
        if not layer.has_plan_of_training():
            raise NoPlan(f"{type(layer).__name__} is run by itself")
        try:
            layer.plan(self, *others)
        except NotImplementedError as error:
            raise NoPlan(str(error)) from None

    def batch_norm_of_batch(
        self,
        running_mean: Parameter | None,
        running_var: Parameter | None,
        count: Parameter | None,
        w: Parameter | None,
        b: Parameter | None,
        *,
        momentum: float,
        eps: float,
    ) -> None:
        """Batch normalisation in train mode."""
        (mean, m), (var, v) = self._parameter(running_mean), self._parameter(running_var)
        places, arrays = self._parameters(w, b)
        _, C, P, momentum, eps = check.batch_norm(self.y, m, v, *arrays, m is None, momentum, eps, None)
        if self._N * P < 2:
            raise ValueError("one value for each channel")
        self.plan.batch_norm(mean, var, *places, C, P, momentum, eps)
        if count is not None:
            self.counts.append(count)

    def batch_norm(self, *_: Any, **__: Any) -> None:
        raise NoPlan("statistics of each image that change running ones")

    def embedding(self, w: Parameter, *, padding_idx: int | None) -> None:
        place, table = self._parameter(w)
        if self._plan is not None:
            raise TypeError("x: got floats; expected integers")
        check.embedding(self.y, table, None)
        count, (self.rows, D) = _product(self.y.shape[1:]), table.shape
        is_double = table.dtype == check.FLOAT64
        self._plan = _plan_train.TrainingPlan(self._N, count if is_double else 2 * count, is_double)
        self.plan.embedding(place, count, self.rows, D, -1 if padding_idx is None else padding_idx)
        self.y = np.empty((0, *self.y.shape[1:], D), table.dtype)

    def dropout(self, layer: Any, p: float, *, whole_channels: bool) -> None:
        """Dropout in train mode, by the keys that `layer` gives."""
        threshold, scale, _, _ = check.dropout(self.y, _fixed(p), True, (0, 0), whole_channels)
        size = _product(self.y.shape[1:])
        n = _product(self.y.shape[2:]) if whole_channels else 1
        self.dropped.append((self.plan.dropout(size, n, threshold, scale), layer))

    def cross_entropy(self, weight: MaybeArray, *, ignore_index: int, reduction: str, label_smoothing: float) -> None:
        """The loss of the last step's output; the last step."""
        scores = np.broadcast_to(self.y.dtype.type(0), self.shape)
        labels = check.cross_entropy(scores, self.target, weight, ignore_index, reduction, label_smoothing)
        if self.y.ndim != 2 or not labels or self.target.dtype != check.INT64:
            raise NoPlan("scores of places, probabilities, or labels that are not int64")
        if weight is not None and not (type(weight) is np.ndarray and weight.flags.carray):
            raise NoPlan("weights of classes that are not in one piece")
        self.plan.cross_entropy(ignore_index, label_smoothing, self._is_mean(reduction), weight)

    def mse_loss(self, *, reduction: str) -> None:
        """The loss of the last step's output; the last step."""
        check.pair_loss(np.broadcast_to(self.y.dtype.type(0), self.shape), self.target, reduction)
        self.plan.mse_loss(self._is_mean(reduction))

    def _is_mean(self, reduction: str) -> bool:
        if reduction == "none":
            raise NoPlan("losses that are not reduced")
        return reduction == "mean"

    def _parameter(self, p: Parameter | None) -> tuple[int, Any]:
        place, array = super()._parameter(p)
        if place >= 0:
            self.used.add(place)
        return place, array
