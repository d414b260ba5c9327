"""LeNet and LeNet-5 for digits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import layers as nn


def lenet(
    classes: int = 10, widths: tuple[int, int, int] = (20, 50, 500), *, in_channels: int = 1, dtype: Any = np.float32
) -> nn.Sequential:
    """LeNet as Caffe has it, for images of 28 x 28.

    ========================  ============  ==========
    layer                     output        parameters
    ========================  ============  ==========
    Conv2d 5 x 5              20 x 24 x 24         520
    ReLU, MaxPool2d 2         20 x 12 x 12           0
    Conv2d 5 x 5              50 x 8 x 8        25,050
    ReLU, MaxPool2d 2         50 x 4 x 4             0
    Flatten, Linear, ReLU     500              400,500
    Linear                    10                 5,010
    all                                        431,080
    ========================  ============  ==========

    Parameters
    ----------
    classes : outputs
    widths : channels of the two convolutions, and outputs of the first linear layer
    in_channels : 1 for grey images, 3 for colour
    dtype : float32 or float64

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998; the widths are
    those of Caffe's ``lenet_train_test.prototxt``.
    """
    first, second, hidden = widths
    return _lenet(in_channels, first, second, (hidden,), classes, dtype)


def lenet5(
    classes: int = 10,
    widths: tuple[int, int, int, int] = (6, 16, 120, 84),
    *,
    in_channels: int = 1,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """LeNet-5 with ReLU and max pooling, for images of 28 x 28.

    ========================  ============  ==========
    layer                     output        parameters
    ========================  ============  ==========
    Conv2d 5 x 5              6 x 24 x 24          156
    ReLU, MaxPool2d 2         6 x 12 x 12            0
    Conv2d 5 x 5              16 x 8 x 8         2,416
    ReLU, MaxPool2d 2         16 x 4 x 4             0
    Flatten, Linear, ReLU     120               30,840
    Linear, ReLU              84                10,164
    Linear                    10                   850
    all                                         44,426
    ========================  ============  ==========

    Parameters
    ----------
    classes : outputs
    widths : channels of the two convolutions, and outputs of the first two linear layers
    in_channels : 1 for grey images, 3 for colour
    dtype : float32 or float64

    References
    ----------
    LeCun et al., 1998 (see `lenet`), in the form of SimpleChains.jl's published benchmark (2022).
    """
    first, second, *hidden = widths
    return _lenet(in_channels, first, second, hidden, classes, dtype)


def _lenet(in_channels: int, first: int, second: int, hidden: Sequence[int], classes: int, dtype: Any) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((16 * second, *hidden)):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU()]
    return nn.Sequential(
        nn.Conv2d(in_channels, first, kernel_size=5, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, kernel_size=5, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *layers,
        nn.Linear(hidden[-1], classes, dtype=dtype),
    )
