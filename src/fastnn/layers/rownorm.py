"""Layer, group and instance normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.parameter import Buffer, Parameter, data_of, needed
from fastnn.plan.steps import Steps


class _RowNorm(Module):
    """What the layers share: weights of one shape, and a backward that receives their gradients."""

    def _make_parameters(self, shape: tuple[int, ...], weight: bool, bias: bool, dtype: Any) -> None:
        dtype = check.float_dtype(dtype)
        self.weight = Parameter(np.ones(shape, dtype), "weight") if weight else None
        self.bias = Parameter(np.zeros(shape, dtype), "bias") if bias else None

    def reset_parameters(self) -> None:
        """As the layer was made: weight 1 and bias 0."""
        for parameter, value in ((self.weight, 1), (self.bias, 0)):
            if parameter is not None:
                parameter.data[...] = value

    def _weights(self) -> tuple[Array | None, Array | None]:
        return data_of(self.weight), data_of(self.bias)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        x, mean, invstd = check.kept(self, self._kept)
        needs = needed(needs_dx, self.weight, self.bias)
        dx, dw, db = self._gradients(dy, x, self._weights()[0], mean, invstd, needs)
        if self.weight is not None:
            self.weight.receive(dw, accumulate)
        if self.bias is not None:
            self.bias.receive(db, accumulate)
        return dx

    def _gradients(self, dy: Array, x: Array, w: Array | None, mean: Array, invstd: Array, needs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no gradients")


class LayerNorm(_RowNorm):
    """Normalise over the last axes, each row by its own mean and variance.

    Names, rules and initial values are PyTorch's.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Lengths of the last axes of the input.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Learn a scale and a shift for each element of a row.
    bias : bool
        With `elementwise_affine`: learn the shift.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.

    Attributes
    ----------
    weight, bias : Parameter of the shape `normalized_shape`, or None

    Examples
    --------
    >>> x = np.array([[1, 2, 3, 4], [10, 20, 30, 40]], np.float32)
    >>> print(fnn.LayerNorm(4)(x).round(2))
    [[-1.34 -0.45  0.45  1.34]
     [-1.34 -0.45  0.45  1.34]]
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = np.float32,
        device: Any = None,
    ) -> None:
        check.no_effect(device=device)
        self.normalized_shape = check.normalized_shape(normalized_shape)
        self.eps, self.elementwise_affine = check.number("eps", eps, 0.0), bool(elementwise_affine)
        self._make_parameters(self.normalized_shape, self.elementwise_affine, self.elementwise_affine and bias, dtype)

    def forward(self, x: Array) -> Array:
        if not self.training:
            return functional.layer_norm(x, self.normalized_shape, *self._weights(), eps=self.eps)
        y, mean, invstd = functional.layer_norm(
            x, self.normalized_shape, *self._weights(), eps=self.eps, return_statistics=True
        )
        self._keep((x, mean, invstd))
        return y

    def plan(self, steps: Steps) -> None:
        steps.layer_norm(self.normalized_shape, self.weight, self.bias, eps=self.eps)

    def _gradients(self, dy: Array, x: Array, w: Array | None, mean: Array, invstd: Array, needs: Any) -> Any:
        return functional.layer_norm_backward(dy, x, self.normalized_shape, w, mean, invstd, needs=needs)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_RowNorm):
    """Normalise the channels of each image ``(N, C, ...)`` in groups.

    Names, rules and initial values are PyTorch's.

    Parameters
    ----------
    num_groups : int
        A divisor of `num_channels`.
    num_channels : int
        Channels of the input.
    eps : float
        Added to the variance.
    affine : bool
        Learn a scale and a shift for each channel.
    dtype : float32 or float64
    device : "cpu", optional
        PyTorch's; no effect.
    bias : bool
        With `affine`: learn the shift.

    Attributes
    ----------
    weight, bias : Parameter, (num_channels,), or None

    Examples
    --------
    >>> layer = fnn.GroupNorm(num_groups=2, num_channels=4)
    >>> y = layer(np.random.default_rng(0).normal(3, 2, (1, 4, 8, 8)).astype(np.float32))
    >>> print(y.reshape(2, -1).std(axis=1).round(3))
    [1. 1.]
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = np.float32,
        device: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        check.no_effect(device=device)
        self.num_groups, self.num_channels, self.eps = check.group_norm_settings(num_groups, num_channels, eps)
        self.affine = bool(affine)
        self._make_parameters((self.num_channels,), self.affine, self.affine and bias, dtype)

    def forward(self, x: Array) -> Array:
        check.group_norm_input(x, self.num_channels)
        if not self.training:
            return functional.group_norm(x, self.num_groups, *self._weights(), eps=self.eps)
        y, mean, invstd = functional.group_norm(
            x, self.num_groups, *self._weights(), eps=self.eps, return_statistics=True
        )
        self._keep((x, mean, invstd))
        return y

    def plan(self, steps: Steps) -> None:
        check.group_norm_input(steps.y, self.num_channels)
        steps.group_norm(self.num_groups, self.weight, self.bias, eps=self.eps)

    def _gradients(self, dy: Array, x: Array, w: Array | None, mean: Array, invstd: Array, needs: Any) -> Any:
        return functional.group_norm_backward(dy, x, self.num_groups, w, mean, invstd, needs=needs)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class InstanceNorm2d(_RowNorm):
    """Normalise every channel of every image ``(N, C, H, W)``, or of one ``(C, H, W)``, by itself.

    With `track_running_stats`, in eval mode by running statistics. Names, rules and initial values are PyTorch's.

    Parameters
    ----------
    num_features : int
        Channels of the input.
    eps : float
        Added to the variance.
    momentum : float or None
        How far the running statistics move towards those of a batch; None: not at all, as in PyTorch.
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
        In PyTorch's state dict, so here too; it stays 0, as it does there.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, (2, 3, 8, 8)).astype(np.float32)
    >>> print(fnn.InstanceNorm2d(3)(x).std(axis=(2, 3)).round(3))
    [[1. 1. 1.]
     [1. 1. 1.]]
    """

    axes: ClassVar = {4: "(N, C, H, W)"}

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: Any = np.float32,
        device: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        check.no_effect(device=device)
        self.num_features, self.eps, self.momentum = check.batch_norm_settings(num_features, eps, momentum)
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        dtype = check.float_dtype(dtype)
        self._make_parameters((self.num_features,), self.affine, self.affine and bias, dtype)
        self.running_mean = Buffer(np.zeros(self.num_features, dtype)) if track_running_stats else None
        self.running_var = Buffer(np.ones(self.num_features, dtype)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.data[...] = value

    def reset_parameters(self) -> None:
        """As the layer was made: weight 1, bias 0, and no batch seen."""
        self.reset_running_stats()
        super().reset_parameters()

    @check.takes_one("x", axes=4)
    def forward(self, x: Array) -> Array:
        check.batch_norm_input(x, self.num_features, self.axes)
        running = data_of(self.running_mean), data_of(self.running_var)
        if not self.training and self.running_mean is not None:
            return functional.batch_norm(x, *running, *self._weights(), eps=self.eps)
        if not self.training:
            return functional.instance_norm(x, *running, *self._weights(), eps=self.eps)
        momentum = 0.0 if self.momentum is None else self.momentum
        y, mean, invstd = functional.instance_norm(
            x, *running, *self._weights(), momentum=momentum, eps=self.eps, return_statistics=True
        )
        self._keep((x, mean, invstd))
        return y

    @check.takes_one("dy", axes=4)
    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        return super().backward(dy, accumulate, needs_dx)

    def _gradients(self, dy: Array, x: Array, w: Array | None, mean: Array, invstd: Array, needs: Any) -> Any:
        return functional.instance_norm_backward(dy, x, w, mean, invstd, needs=needs)

    def plan(self, steps: Steps) -> None:
        check.batch_norm_input(steps.y, self.num_features, self.axes)
        if self.running_mean is None or self.running_var is None:
            steps.instance_norm(self.weight, self.bias, eps=self.eps)
            return
        steps.batch_norm(self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
