"""What a sweep draws, and how it draws numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from numpy.random import Generator

from fastnn import _runtime
from fastnn.layers import Module

LARGEST = 5e8  # multiply-adds of one example of a sweep: some milliseconds
ELEMENTS = 1e7  # of its input or output, at most


@dataclass(frozen=True)
class Drawn:
    """One random layer or network: how it is made, and the shape of its input.

    `work` is its multiply-adds forward, or the elements of its input where nothing to speak of is multiplied.
    """

    kind: str
    x: tuple[int, ...]
    text: str
    work: float
    make: Callable[[], Module] = field(repr=False, compare=False)
    classes: int = 0  # of a network that is trained

    @property
    def trained(self) -> bool:
        """Whether training steps are timed, instead of forward and backward."""
        return self.classes > 0

    def module(self) -> Module:
        """The layer, with the same weights at every call."""
        _runtime.manual_seed(1)
        return self.make()


def log_uniform(rng: Generator, least: int, most: int) -> int:
    """A whole number from `least` to `most`; each power of two is as likely as the next."""
    return int(math.exp(rng.uniform(math.log(least), math.log(most + 1))))


def images(rng: Generator, N: int, C: int, side: int) -> tuple[int, int, int, int]:
    """A shape of images with at most so many images, channels, rows and columns."""
    return log_uniform(rng, 1, N), log_uniform(rng, 1, C), log_uniform(rng, 4, side), log_uniform(rng, 4, side)


def sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
