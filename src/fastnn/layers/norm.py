"""Batch normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.parameter import Buffer, Parameter, data_of, needed
from fastnn.plan.contract import NoPlan, for_training
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps


class _BatchNorm(Module):
    """What the layers of all numbers of axes share; `axes` says which inputs they take."""

    fusion = Fusion(in_forward=True, in_backward=True)
    axes: ClassVar[dict[int, str]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = np.float32,
        device: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        check.no_effect(device=device)
        self.num_features, self.eps, self.momentum = check.batch_norm_settings(num_features, eps, momentum)
        dtype = check.float_dtype(dtype)
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        self.weight = Parameter(np.ones(self.num_features, dtype), "weight") if affine else None
        self.bias = Parameter(np.zeros(self.num_features, dtype), "bias") if affine and bias else None
        self.running_mean = Buffer(np.zeros(self.num_features, dtype)) if track_running_stats else None
        self.running_var = Buffer(np.ones(self.num_features, dtype)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1, none counted."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.data[...] = value

    def reset_parameters(self) -> None:
        """As the layer was made: weight 1, bias 0, and no batch seen."""
        self.reset_running_stats()
        for parameter, value in ((self.weight, 1), (self.bias, 0)):
            if parameter is not None:
                parameter.data[...] = value

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Normalise; with `activation` the caller sees to its part of the backward."""
        check.batch_norm_input(x, self.num_features, self.axes)
        running = data_of(self.running_mean), data_of(self.running_var)
        affine = data_of(self.weight), data_of(self.bias)
        if not self.training:
            of_batch = self.running_mean is None
            return functional.batch_norm(x, *running, *affine, training=of_batch, eps=self.eps, activation=activation)
        tracked = data_of(self.num_batches_tracked)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.momentum is None and tracked is not None:
            momentum = 1 / (int(tracked) + 1)
        y, mean, invstd = functional.batch_norm(
            x,
            *running,
            *affine,
            training=True,
            momentum=momentum,
            eps=self.eps,
            activation=activation,
            return_statistics=True,
        )
        if tracked is not None:
            tracked += 1
        self._keep((x, mean, invstd))
        return y

    def backward(
        self, dy: Array, accumulate: bool = False, needs_dx: bool = True, relu_output: Array | None = None
    ) -> Array | None:
        """As `Module.backward`; with `relu_output` also through a ReLU right after this layer, whose output it is."""
        x, mean, invstd = check.kept(self, self._kept)
        needs = needed(needs_dx, self.weight, self.bias)
        w = data_of(self.weight)
        dx, dw, db = functional.batch_norm_backward(dy, x, w, mean, invstd, y=relu_output, needs=needs)
        if self.weight is not None:
            self.weight.receive(dw, accumulate)
        if self.bias is not None:
            self.bias.receive(db, accumulate)
        return dx

    def plan(self, steps: Steps) -> None:
        if for_training(steps):
            if self.momentum is None:
                raise NoPlan("a momentum that is another one at every step")
            check.batch_norm_input(steps.y, self.num_features, self.axes)
            running = self.running_mean, self.running_var, self.num_batches_tracked
            steps.batch_norm_of_batch(*running, self.weight, self.bias, momentum=self.momentum, eps=self.eps)
            return
        if self.running_mean is None or self.running_var is None:
            raise NoPlan("the statistics of a batch are not known beforehand")
        check.batch_norm_input(steps.y, self.num_features, self.axes)
        steps.batch_norm(self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalise every channel of ``(N, C)`` or ``(N, C, L)`` over batch and length.

    In train mode with the mean and variance of the batch, in eval mode with running ones (those of the batch again
    without `track_running_stats`). Names, rules and initial values are PyTorch's.

    Parameters
    ----------
    num_features : int
        Channels of the input.
    eps : float
        Added to the variance.
    momentum : float or None
        How far the running statistics move towards those of a batch; None: their average over all batches.
    affine : bool
        Learn a scale and a shift for each channel.
    track_running_stats : bool
        Keep running statistics.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.
    bias : bool
        With `affine`: learn the shift.

    Attributes
    ----------
    weight, bias : Parameter, (num_features,), or None
    running_mean, running_var : Buffer, (num_features,), or None
    num_batches_tracked : Buffer, int64 of shape (), or None

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (100, 4)).astype(np.float32)
    >>> print(np.abs(fnn.BatchNorm1d(4)(x).mean(axis=0)).round(3))
    [0. 0. 0. 0.]
    """

    axes: ClassVar = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Normalise every channel of ``(N, C, H, W)`` over batch and pixels.

    In train mode with the mean and variance of the batch, in eval mode with running ones (those of the batch again
    without `track_running_stats`). Names, rules and initial values are PyTorch's.

    Parameters
    ----------
    num_features : int
        Channels of the input.
    eps : float
        Added to the variance.
    momentum : float or None
        How far the running statistics move towards those of a batch; None: their average over all batches.
    affine : bool
        Learn a scale and a shift for each channel.
    track_running_stats : bool
        Keep running statistics.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.
    bias : bool
        With `affine`: learn the shift.

    Attributes
    ----------
    weight, bias : Parameter, (num_features,), or None
    running_mean, running_var : Buffer, (num_features,), or None
    num_batches_tracked : Buffer, int64 of shape (), or None

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (8, 4, 6, 6)).astype(np.float32)
    >>> print(fnn.BatchNorm2d(4)(x).std(axis=(0, 2, 3)).round(3))
    [1. 1. 1. 1.]
    """

    axes: ClassVar = {4: "(N, C, H, W)"}
