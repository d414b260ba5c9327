"""A small residual network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import layers as nn


def resnet(
    classes: int = 2,
    widths: Sequence[int] = (32, 64, 128),
    blocks: Sequence[int] = (1, 2, 1),
    *,
    in_channels: int = 3,
    batch_norm: bool = True,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """A residual network for small images of any size.

    Each stage but the first begins with a block of stride 2, whose shortcut is a convolution of kernel 1. Convolutions
    in front of a batch normalisation have no bias. For images of 64 x 64:

    ====================================  ==============  ==========
    layer                                 output          parameters
    ====================================  ==============  ==========
    Conv2d 3 x 3, BatchNorm2d, ReLU       32 x 64 x 64           928
    1 block of 32 channels                32 x 64 x 64        18,560
    2 blocks of 64 channels, stride 2     64 x 32 x 32       131,712
    1 block of 128 channels, stride 2     128 x 16 x 16      230,144
    AdaptiveAvgPool2d 1, Flatten          128                      0
    Linear                                2                      258
    all                                                      381,602
    ====================================  ==============  ==========

    Parameters
    ----------
    classes : outputs
    widths, blocks : channels and blocks of each stage
    in_channels : 1 for grey images, 3 for colour
    batch_norm : False leaves batch normalisation out, and convolutions have a bias
    dtype : float32 or float64

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015.
    """

    def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch_norm, dtype=dtype)
        return [conv, nn.BatchNorm2d(outputs, dtype=dtype)] if batch_norm else [conv]

    def block(inputs: int, outputs: int, stride: int) -> nn.Residual:
        body = [*convolution(inputs, outputs, 3, stride), nn.ReLU(), *convolution(outputs, outputs, 3)]
        changes = stride > 1 or inputs != outputs
        shortcut = nn.Sequential(*convolution(inputs, outputs, 1, stride)) if changes else None
        return nn.Residual(nn.Sequential(*body), shortcut)

    layers = [*convolution(in_channels, widths[0], 3), nn.ReLU()]
    inputs = widths[0]
    for stage, (outputs, times) in enumerate(zip(widths, blocks, strict=True)):
        for place in range(times):
            stride = 2 if stage > 0 and place == 0 else 1
            layers += [block(inputs, outputs, stride), nn.ReLU()]
            inputs = outputs
    last = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes, dtype=dtype)
    return nn.Sequential(*layers, *last)
