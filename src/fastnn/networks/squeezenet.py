"""SqueezeNet 1.1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import layers as nn

_POOLED_BEFORE = (0, 2, 4)  # fire modules with a max pooling before them


def squeezenet(
    classes: int = 1000,
    widths: Sequence[int] = (64, 128, 128, 256, 256, 384, 384, 512, 512),
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """SqueezeNet 1.1 for images of any size; published for 227 x 227.

    Its two parts are torchvision's ``features`` and ``classifier``. A fire module squeezes its input to an eighth of
    its outputs by a 1 x 1 convolution, and joins the outputs of a 1 x 1 and a 3 x 3 convolution of that.

    ====================================  ==============  ==========
    layer                                 output          parameters
    ====================================  ==============  ==========
    Conv2d 3 x 3, stride 2, ReLU          64 x 113 x 113       1,792
    MaxPool2d 3, stride 2                 64 x 56 x 56             0
    fire 2, 3                             128 x 56 x 56       23,840
    MaxPool2d 3, stride 2                 128 x 28 x 28            0
    fire 4, 5                             256 x 28 x 28       94,784
    MaxPool2d 3, stride 2                 256 x 14 x 14            0
    fire 6, 7                             384 x 14 x 14      215,904
    fire 8, 9                             512 x 14 x 14      386,176
    Dropout 0.5, Conv2d 1 x 1, ReLU       1000 x 14 x 14     513,000
    AdaptiveAvgPool2d 1, Flatten          1000                     0
    all                                                    1,235,496
    ====================================  ==============  ==========

    Parameters
    ----------
    classes : outputs
    widths : outputs of the first convolution and of the eight fire modules
    in_channels : 3 for colour, 1 for grey images
    dropout : probability of a zero before the last convolution
    dtype : float32 or float64

    References
    ----------
    Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016; version
    1.1 is of the authors' repository.
    """

    def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, kernel, stride, padding, dtype=dtype), nn.ReLU()]

    def fire(inputs: int, outputs: int) -> nn.Sequential:
        squeezed, expanded = outputs // 8, outputs // 2
        branches = [nn.Sequential(*convolution(squeezed, expanded, kernel, padding=kernel // 2)) for kernel in (1, 3)]
        return nn.Sequential(*convolution(inputs, squeezed, 1), nn.Concat(branches))

    features = convolution(in_channels, widths[0], 3, stride=2)
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        if place in _POOLED_BEFORE:
            features.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        features.append(fire(inputs, outputs))
    last = convolution(widths[-1], classes, 1)
    classifier = nn.Sequential(nn.Dropout(dropout), *last, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Sequential(*features), classifier)
