"""Which layers a sweep draws: one function for each kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from fastnn import layers as nn
from fastnn._bench.sweep.drawn import ELEMENTS, LARGEST, Drawn, images, log_uniform, sizes
from fastnn._bench.sweep.networks import network

WINDOWS = (1, 2, 3, 3, 3, 4, 5, 5, 7)  # as often as they are here
STRIDES = (1, 1, 1, 2)
DEPTHWISE = 0.1  # of convolutions
ADAPTIVE = 0.2  # of poolings

Choices = list[tuple[type[nn.Module], tuple[int, ...], tuple[Any, ...]]]  # layers, shapes of inputs, arguments


def _of(kind: str, x: tuple[int, ...], work: float, layer: type[nn.Module], *args: Any, **options: Any) -> Drawn:
    arguments = [*map(str, args), *(f"{name}={value}" for name, value in options.items())]
    text = f"{sizes(x)}, {layer.__name__}({', '.join(arguments)})"
    return Drawn(kind, x, text, work, partial(layer, *args, **options))


def _linear(rng: Generator) -> Drawn:
    rows, inputs, outputs = log_uniform(rng, 1, 10_000), log_uniform(rng, 1, 2048), log_uniform(rng, 1, 2048)
    return _of("linear", (rows, inputs), float(rows * inputs * outputs), nn.Linear, inputs, outputs)


def _conv(rng: Generator) -> Drawn:
    x = N, C, H, W = images(rng, 128, 256, 64)
    outputs, groups = (C, C) if rng.random() < DEPTHWISE else (log_uniform(rng, 1, 256), 1)
    kernel = min(int(rng.choice(WINDOWS)), H, W)
    stride, padding = int(rng.choice(STRIDES)), int(rng.integers(kernel // 2 + 1))
    pixels = math.prod((n + 2 * padding - kernel) // stride + 1 for n in (H, W))
    work = float(N * outputs * pixels * C // groups * kernel**2)
    options = {"groups": groups} if groups > 1 else {}
    return _of("conv", x, work, nn.Conv2d, C, outputs, kernel, stride, padding, **options)


def _pool(rng: Generator) -> Drawn:
    x = images(rng, 64, 128, 64)
    work = float(math.prod(x))
    if rng.random() < ADAPTIVE:
        return _of("pool", x, work, nn.AdaptiveAvgPool2d, tuple(int(rng.integers(1, n + 1)) for n in x[2:]))
    kernel = int(rng.integers(2, 1 + min(5, *x[2:])))
    stride, padding = int(rng.integers(1, kernel + 1)), int(rng.integers(kernel // 2 + 1))
    layer = [nn.MaxPool2d, nn.AvgPool2d][rng.integers(2)]
    return _of("pool", x, work, layer, kernel, stride, padding)


def _norm(rng: Generator) -> Drawn:
    x = images(rng, 64, 128, 32)
    C = x[1]
    rows = log_uniform(rng, 2, 4096), log_uniform(rng, 1, 1024)
    divisors = [groups for groups in range(1, C + 1) if C % groups == 0]
    choices: Choices = [
        (nn.BatchNorm2d, x, (C,)),
        (nn.BatchNorm1d, rows, (rows[1],)),
        (nn.LayerNorm, rows, (rows[1],)),
        (nn.GroupNorm, x, (int(rng.choice(divisors)), C)),
        (nn.InstanceNorm2d, x, (C,)),
        (nn.LocalResponseNorm, x, (5,)),
    ]
    return _one_of("norm", choices, rng)


def _map(rng: Generator) -> Drawn:
    """Functions element by element, softmax along an axis, dropout, frames, and planes of twice the size."""
    x = images(rng, 64, 128, 64)
    rows = log_uniform(rng, 1, 4096), log_uniform(rng, 1, 1024)
    elementwise = (nn.ReLU, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Hardswish)
    choices: Choices = [
        *((layer, x, ()) for layer in elementwise),
        *((layer, rows, ()) for layer in elementwise[:3]),
        *((layer, shape, (1,)) for layer in (nn.Softmax, nn.LogSoftmax) for shape in (x, rows)),
        (nn.Dropout, x, ()),
        (nn.Dropout2d, x, ()),
        (nn.PReLU, x, (x[1],)),
        (nn.ZeroPad2d, x, (int(rng.integers(1, 4)),)),
    ]
    return _one_of("map", choices, rng)


def _one_of(kind: str, choices: Choices, rng: Generator) -> Drawn:
    layer, shape, arguments = choices[rng.integers(len(choices))]
    return _of(kind, shape, float(math.prod(shape)), layer, *arguments)


KINDS: dict[str, Callable[[Generator], Drawn]] = {
    "linear": _linear,
    "conv": _conv,
    "pool": _pool,
    "norm": _norm,
    "map": _map,
    "train": network,
}


def draw(kind: str, seed: int = 0, count: int = 40) -> list[Drawn]:
    """The first `count` layers of a kind that come from this seed; more of them begin with the same.

    Parameters
    ----------
    kind : one of `KINDS`
    seed, count : int
    """
    place = list(KINDS).index(kind)
    return [_fitting(KINDS[kind], np.random.default_rng((seed, place, i))) for i in range(count)]


def _fitting(draw_one: Callable[[Generator], Drawn], rng: Generator) -> Drawn:
    """The first one that is not too large."""
    while True:
        drawn = draw_one(rng)
        if drawn.work <= LARGEST and math.prod(drawn.x) <= ELEMENTS:
            return drawn
