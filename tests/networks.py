"""What tests of layers put together: arrays of random numbers, and a small network that has many layers."""

from __future__ import annotations

import numpy as np

import fastnn as fnn


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
