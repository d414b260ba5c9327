"""Networks of 3 x 3 convolutions and max pooling, in the manner of VGG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import layers as nn


def small_vgg(
    classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    hidden: Sequence[int] = (500, 500),
    *,
    in_channels: int = 1,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """Three blocks of two convolutions for images of 28 x 28, which the first layer pads to 32 x 32.

    ====================================  =============  ==========
    layer                                 output         parameters
    ====================================  =============  ==========
    Conv2d 3 x 3, padding 3, ReLU         16 x 32 x 32          160
    Conv2d 3 x 3, padding 1, ReLU         16 x 32 x 32        2,320
    MaxPool2d 2                           16 x 16 x 16            0
    Conv2d 3 x 3, padding 1, ReLU         32 x 16 x 16        4,640
    Conv2d 3 x 3, padding 1, ReLU         32 x 16 x 16        9,248
    MaxPool2d 2                           32 x 8 x 8              0
    Conv2d 3 x 3, padding 1, ReLU         64 x 8 x 8         18,496
    Conv2d 3 x 3, padding 1, ReLU         64 x 8 x 8         36,928
    MaxPool2d 2                           64 x 4 x 4              0
    Flatten, Linear, ReLU                 500               512,500
    Linear, ReLU                          500               250,500
    Linear                                10                  5,010
    all                                                     839,802
    ====================================  =============  ==========

    Parameters
    ----------
    classes : outputs
    widths : channels of each block
    hidden : outputs of the linear layers before the last one
    in_channels : 1 for grey images, 3 for colour
    dtype : float32 or float64

    References
    ----------
    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015.
    """
    blocks = [[width, width] for width in widths]
    return _vgg(classes, blocks, hidden, in_channels, 28 + 4, first_padding=3, dtype=dtype)


def vgg11(
    classes: int = 2,
    widths: Sequence[int] = (32, 64, 128, 256),
    hidden: Sequence[int] = (1024, 512),
    *,
    in_channels: int = 3,
    size: int = 64,
    dtype: Any = np.float32,
) -> nn.Sequential:
    """VGG-11 cut down to narrow layers and small images.

    ====================================  ==============  ==========
    layer                                 output          parameters
    ====================================  ==============  ==========
    Conv2d 3 x 3, padding 1, ReLU         32 x 64 x 64           896
    MaxPool2d 2                           32 x 32 x 32             0
    2 x (Conv2d 3 x 3, padding 1, ReLU)   64 x 32 x 32        55,424
    MaxPool2d 2                           64 x 16 x 16             0
    2 x (Conv2d 3 x 3, padding 1, ReLU)   128 x 16 x 16      221,440
    MaxPool2d 2                           128 x 8 x 8              0
    2 x (Conv2d 3 x 3, padding 1, ReLU)   256 x 8 x 8        885,248
    MaxPool2d 2                           256 x 4 x 4              0
    Flatten, Linear, ReLU                 1024             4,195,328
    Linear, ReLU                          512                524,800
    Linear                                2                    1,026
    all                                                    5,884,162
    ====================================  ==============  ==========

    Parameters
    ----------
    classes : outputs
    widths : channels of each block; the first has one convolution, the others two
    hidden : outputs of the linear layers before the last one
    in_channels : 1 for grey images, 3 for colour
    size : height and width of the images
    dtype : float32 or float64

    References
    ----------
    Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015, configuration A.
    """
    first, *others = widths
    blocks = [[first], *([width, width] for width in others)]
    return _vgg(classes, blocks, hidden, in_channels, size, first_padding=1, dtype=dtype)


def _vgg(
    classes: int,
    blocks: Sequence[Sequence[int]],
    hidden: Sequence[int],
    in_channels: int,
    size: int,
    *,
    first_padding: int,
    dtype: Any,
) -> nn.Sequential:
    """Blocks of convolutions with a max pooling behind each, for maps of `size` behind the first layer."""
    layers: list[nn.Module] = []
    inputs, padding = in_channels, first_padding
    for block in blocks:
        for outputs in block:
            layers += [nn.Conv2d(inputs, outputs, kernel_size=3, padding=padding, dtype=dtype), nn.ReLU()]
            inputs, padding = outputs, 1
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    inputs *= (size >> len(blocks)) ** 2
    for outputs in hidden:
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, classes, dtype=dtype))
