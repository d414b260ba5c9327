"""Batch normalisation folded into the layers before it, for inference."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from fastnn import _validate as check
from fastnn.layers.containers import Sequential
from fastnn.layers.conv import Conv1d, Conv2d
from fastnn.layers.linear import Linear
from fastnn.layers.module import Module, copied
from fastnn.layers.norm import BatchNorm1d, BatchNorm2d
from fastnn.layers.parameter import Parameter

Net = TypeVar("Net", bound=Module)
# These classes themselves: another may do anything.
FOLDED = (Conv2d, BatchNorm2d), (Conv1d, BatchNorm1d), (Linear, BatchNorm1d)


def fold_batch_norm(net: Net) -> Net:
    """Return a copy of a network, in eval mode, without the batch normalisation that can be put into weights.

    In eval mode batch normalisation multiplies each channel by ``s = weight / sqrt(running_var + eps)`` and adds a
    number. Right after a convolution, or a linear layer, that is another convolution: with the filters times s, and the
    bias ``(bias - running_mean)*s + bias_of_the_norm``. The results differ by rounding.

    Parameters
    ----------
    net : Module
        It stays as it is. Folded is, in each `Sequential` inside it or in itself, a `BatchNorm2d` after a `Conv2d`, and
        a `BatchNorm1d` after a `Conv1d` or a `Linear` (whose input must be (N, in_features)), if it has running
        statistics. These
        layers are gone from the copy, so the layers after them have other places, and names, than in `net`.

    Returns
    -------
    Module
        Of the kind of `net`. Training it further would train another network: there is nothing left to normalise.

    Raises
    ------
    TypeError
        `net` is not a Module.
    """
    check.modules(net)
    folded = copied(net).eval()
    for module in list(folded.modules()):
        if type(module) is Sequential:
            _fold_layers(module)
    return folded


def _fold_layers(net: Sequential) -> None:
    kept: list[Module] = []
    for layer in net.layers:
        if not kept or not _fold(kept[-1], layer):
            kept.append(layer)
    net._take(kept)


def _fold(layer: Any, norm: Any) -> bool:
    """Give `layer` the weight and bias of both, if that is possible."""
    if (type(layer), type(norm)) not in FOLDED or norm.running_mean is None:
        return False
    w = layer.weight.data
    if len(w) != norm.num_features:
        return False
    mean = norm.running_mean.data.astype(np.float64)
    scale = 1 / np.sqrt(norm.running_var.data.astype(np.float64) + norm.eps)
    if norm.weight is not None:
        scale *= norm.weight.data
    shift = (-mean if layer.bias is None else layer.bias.data - mean) * scale
    if norm.bias is not None:
        shift += norm.bias.data
    learns = layer.weight.requires_grad
    scaled = w * scale.reshape(-1, *(1 for _ in w.shape[1:]))
    layer.weight = Parameter(scaled.astype(w.dtype), "weight", requires_grad=learns)
    layer.bias = Parameter(shift.astype(w.dtype), "bias", requires_grad=learns)
    return True
