"""Random networks: one to three blocks of convolutions, or a perceptron."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from numpy.random import Generator

from fastnn import layers as nn
from fastnn._bench.sweep.drawn import Drawn, images, log_uniform, sizes

PERCEPTRONS = 0.3  # of networks

Makers = list[Callable[[], nn.Module]]


def network(rng: Generator) -> Drawn:
    """A network with scores of classes, for training steps."""
    classes = int(rng.integers(2, 11))
    return _perceptron(rng, classes) if rng.random() < PERCEPTRONS else _convolutional(rng, classes)


def _perceptron(rng: Generator, classes: int) -> Drawn:
    rows, inputs = log_uniform(rng, 1, 512), log_uniform(rng, 2, 1024)
    hidden = [log_uniform(rng, 8, 512) for _ in range(rng.integers(1, 4))]
    activation = [nn.ReLU, nn.Tanh, nn.Sigmoid][rng.integers(3)]
    widths = (inputs, *hidden, classes)
    makers: Makers = []
    for a, b in pairwise(widths[:-1]):
        makers += [partial(nn.Linear, a, b), activation]
    makers.append(partial(nn.Linear, widths[-2], classes))
    text = f"{rows} rows, {'-'.join(map(str, widths))} {activation.__name__}"
    work = float(rows * sum(a * b for a, b in pairwise(widths)))
    return Drawn("train", (rows, inputs), text, work, partial(_made, makers), classes)


def _convolutional(rng: Generator, classes: int) -> Drawn:
    N, _, H, W = images(rng, 128, 1, 32)
    C, H, W = int(rng.choice((1, 3, 4))), max(H, 12), max(W, 12)
    makers: Makers = []
    words: list[str] = []
    work, inputs, h, w = 0, C, H, W
    for _ in range(rng.integers(1, 4)):
        outputs, kernel = log_uniform(rng, 4, 96), int(rng.choice((3, 5)))
        norm = rng.random() < 0.3
        makers += [partial(nn.Conv2d, inputs, outputs, kernel, padding=kernel // 2)]
        makers += [partial(nn.BatchNorm2d, outputs)] if norm else []
        makers += [nn.ReLU, partial(nn.MaxPool2d, 2)]
        words.append(f"{outputs} of {kernel}{' norm' if norm else ''} pool")
        work += N * h * w * inputs * outputs * kernel**2
        inputs, h, w = outputs, h // 2, w // 2
    features = inputs * h * w
    makers += [nn.Flatten, partial(nn.Linear, features, classes)]
    text = ", ".join((sizes((N, C, H, W)), *words, f"{classes} classes"))
    return Drawn("train", (N, C, H, W), text, float(work + N * features * classes), partial(_made, makers), classes)


def _made(makers: Makers) -> nn.Module:
    return nn.Sequential(*(make() for make in makers))
