"""Three convolutions with batch normalisation and two linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import layers as nn


def cnn(
    classes: int = 10,
    widths: tuple[int, int, int, int] = (32, 64, 128, 256),
    *,
    in_channels: int = 3,
    size: int = 32,
    dropout: float = 0.5,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """A small convolutional network with batch normalisation and dropout.

    ====================================  =============  ==========
    layer                                 output         parameters
    ====================================  =============  ==========
    Conv2d 3 x 3                          32 x 30 x 30          896
    BatchNorm2d, ReLU, MaxPool2d 2        32 x 15 x 15           64
    Conv2d 3 x 3, padding 1               64 x 15 x 15       18,496
    BatchNorm2d, ReLU, MaxPool2d 2        64 x 7 x 7            128
    Conv2d 3 x 3, padding 1               128 x 7 x 7        73,856
    BatchNorm2d, ReLU, MaxPool2d 2        128 x 3 x 3           256
    Flatten, Linear, ReLU, Dropout 0.5    256               295,168
    Linear                                10                  2,570
    all                                                     391,434
    ====================================  =============  ==========

    Parameters
    ----------
    classes : outputs
    widths : channels of the three convolutions, and outputs of the first linear layer
    in_channels : 1 for grey images, 3 for colour
    size : height and width of the images
    dropout : probability of a zero behind the first linear layer
    dtype : float32 or float64

    References
    ----------
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training", 2015; Srivastava et al., "Dropout",
    2014.
    """
    *channels, hidden = widths
    layers: list[nn.Module] = []
    inputs = in_channels
    for place, outputs in enumerate(channels):
        layers += [
            nn.Conv2d(inputs, outputs, kernel_size=3, padding=min(place, 1), dtype=dtype),
            nn.BatchNorm2d(outputs, dtype=dtype),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        inputs = outputs
    side = (size - 2) // 8
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(inputs * side * side, hidden, dtype=dtype),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes, dtype=dtype),
    )
