"""What tests of layers put together: arrays of random numbers, and a small network that has many layers."""

from __future__ import annotations

import random

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


def random_graph(seed, channels=3, dtype=np.float64):
    """Of so many nodes that take values at random; all have one shape."""
    typed = {"dtype": dtype}
    rng = random.Random(seed)
    names, nodes = ["x"], {}
    makers = (
        lambda: fnn.Conv2d(channels, channels, 3, padding=1, **typed),
        fnn.ReLU,
        fnn.Tanh,
        lambda: fnn.BatchNorm2d(channels, **typed),
        fnn.Identity,
        fnn.Add,
        fnn.Add,
        fnn.Mul,
        fnn.Sub,
        lambda: fnn.Cat(1),
    )
    for place in range(rng.randint(3, 12)):
        module = rng.choice(makers)()
        count = 2 if isinstance(module, fnn.Mul | fnn.Sub) else 3 if module.joins and rng.random() < 0.3 else 2
        recent = names[-3:] if rng.random() < 0.7 else names
        taken = [rng.choice(recent) for _ in range(count if module.joins else 1)]
        name = f"n{place}"
        nodes[name] = (module, *taken)
        if isinstance(module, fnn.Cat):
            nodes[name + "c"] = (fnn.Conv2d(channels * count, channels, 1, **typed), name)
            name += "c"
        names.append(name)
    used = {source for _, *sources in nodes.values() for source in sources}
    loose = [name for name in names if name not in used]
    if len(loose) > 1:
        nodes["end"] = (fnn.Add(), *loose)
    return fnn.Graph(nodes)
