"""Networks for tests: published ones at any width, and a small one that has many layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import fastnn as fnn


class Maker:
    """Layers of one dtype, channels divided by `cut`; their own inputs and outputs are not."""

    def __init__(self, dtype: Any = np.float64, cut: int = 1, dropout: float = 0.5) -> None:
        self.dtype, self.cut, self.p = dtype, cut, dropout

    def conv(self, inputs, outputs, kernel, stride=1, padding=None, bias=True):
        padding = kernel // 2 if padding is None else padding
        return fnn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias, dtype=self.dtype)

    def linear(self, inputs, outputs):
        return fnn.Linear(inputs, outputs, dtype=self.dtype)

    def norm(self, channels):
        return fnn.BatchNorm2d(channels, dtype=self.dtype)

    # Convolutions with batch normalisation and dropout

    def cnn(self, channels=3, classes=36, size=32):
        layers, inputs = [], channels
        for outputs in (32 // self.cut, 64 // self.cut, 128 // self.cut):
            layers += [self.conv(inputs, outputs, 3), self.norm(outputs), fnn.ReLU(), fnn.MaxPool2d(2)]
            inputs = outputs
        hidden = 256 // self.cut
        rest = self.linear(inputs * (size // 8) ** 2, hidden), fnn.ReLU(), fnn.Dropout(self.p)
        return fnn.Sequential(*layers, fnn.Flatten(), *rest, self.linear(hidden, classes))

    # SqueezeNet 1.1: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016

    def fire(self, inputs, squeeze, expand):
        expands = [fnn.Sequential(self.conv(squeeze, expand, kernel), fnn.ReLU()) for kernel in (1, 3)]
        return fnn.Sequential(self.conv(inputs, squeeze, 1), fnn.ReLU(), fnn.Concat(expands))

    def squeezenet(self, classes=1000, maps=2):
        """`maps`: size of the last maps, 2 for images of 33 x 33."""
        widths = [w // self.cut for w in (64, 128, 128, 256, 256, 384, 384, 512, 512)]
        features = fnn.Sequential(self.conv(3, widths[0], 3, 2, 0), fnn.ReLU())
        for place, (inputs, outputs) in enumerate(pairwise(widths)):
            if place in (0, 2, 4):
                features.append(fnn.MaxPool2d(3, 2, ceil_mode=True))
            features.append(self.fire(inputs, outputs // 8, outputs // 2))
        last = self.conv(widths[-1], classes, 1), fnn.ReLU(), fnn.AvgPool2d(maps), fnn.Flatten()
        return fnn.Sequential(features, fnn.Sequential(fnn.Dropout(self.p), *last))

    # Residual blocks: He et al., "Deep residual learning for image recognition", 2015

    def normalised(self, inputs, outputs, kernel, stride=1):
        return fnn.Sequential(self.conv(inputs, outputs, kernel, stride, bias=False), self.norm(outputs))

    def block(self, inputs, outputs, stride):
        body = fnn.Sequential(*self.normalised(inputs, outputs, 3, stride), fnn.ReLU())
        body.extend(self.normalised(outputs, outputs, 3))
        return fnn.Residual(body, self.normalised(inputs, outputs, 1, stride) if stride > 1 else None)

    def resnet(self, classes=2, size=32):
        w = 32 // self.cut
        net = fnn.Sequential(*self.normalised(3, w, 3), fnn.ReLU())
        for inputs, outputs, stride in ((w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2)):
            net.extend([self.block(inputs, outputs, stride), fnn.ReLU()])
        return net.extend([fnn.AvgPool2d(size // 4), fnn.Flatten(), self.linear(4 * w, classes)])

    # VGG-11 cut down: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition",
    # 2015

    def vgg(self, classes=2, size=64):
        layers, inputs = [], 3
        for times, width in ((1, 32), (2, 64), (2, 128), (2, 256)):
            for _ in range(times):
                layers += [self.conv(inputs, width // self.cut, 3), fnn.ReLU()]
                inputs = width // self.cut
            layers.append(fnn.MaxPool2d(2))
        layers.append(fnn.Flatten())
        inputs *= (size // 16) ** 2
        for width in (1024 // self.cut, 512 // self.cut):
            layers += [self.linear(inputs, width), fnn.ReLU()]
            inputs = width
        return fnn.Sequential(*layers, self.linear(inputs, classes))


# What tests of layers put together


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def lenet_like(dtype=np.float64):
    """Every layer that LeNet has, at a size for finite differences."""
    return fnn.Sequential(
        fnn.Conv2d(1, 3, kernel_size=(3, 2), dtype=dtype),
        fnn.ReLU(),
        fnn.MaxPool2d(2),
        fnn.Conv2d(3, 4, kernel_size=2, padding=1, dtype=dtype),
        fnn.ReLU(),
        fnn.AvgPool2d(2, stride=1),
        fnn.Flatten(),
        fnn.Linear(4 * 3 * 3, 6, dtype=dtype),
        fnn.Tanh(),
        fnn.Linear(6, 5, dtype=dtype),
    )


INPUT = (4, 1, 8, 7)  # of lenet_like
