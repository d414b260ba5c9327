"""Networks of linear layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import layers as nn


def mlp(
    in_features: int = 784,
    hidden: Sequence[int] = (666, 666),
    classes: int = 10,
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """A perceptron: hidden layers, each with an activation, and a linear layer. Images are flattened.

    ==============  ======  ==========
    layer           output  parameters
    ==============  ======  ==========
    Flatten         784              0
    Linear, ReLU    666        522,810
    Linear, ReLU    666        444,222
    Linear          10           6,670
    all                        973,702
    ==============  ======  ==========

    Parameters
    ----------
    in_features : numbers of one example
    hidden : outputs of the hidden layers; none is allowed
    classes : outputs
    activation : a layer class, called once for each hidden layer
    dtype : float32 or float64

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise((in_features, *hidden)):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), activation()]
    return nn.Sequential(*layers, nn.Linear((in_features, *hidden)[-1], classes, dtype=dtype))


def autoencoder(
    in_features: int = 1024, hidden: Sequence[int] = (32, 32, 32), *, dtype: Any = np.float32
) -> nn.Sequential:
    """Numbers in 0..1 through narrow layers back to themselves: ReLU between the layers, a sigmoid at the end.

    ================  ======  ==========
    layer             output  parameters
    ================  ======  ==========
    Linear, ReLU      32          32,800
    Linear, ReLU      32           1,056
    Linear, ReLU      32           1,056
    Linear, Sigmoid   1024        33,792
    all                           68,704
    ================  ======  ==========

    Parameters
    ----------
    in_features : numbers of one example, and of what it becomes
    hidden : outputs of the layers between
    dtype : float32 or float64

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((in_features, *hidden)):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear((in_features, *hidden)[-1], in_features, dtype=dtype), nn.Sigmoid())
