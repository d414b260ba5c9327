"""Local response normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import FUNCTION, Case, Operation, register
from fastnn import reference

# d = k + alpha/size*s is a sum of positive terms, good to size + 4 roundings of itself; d^beta to beta times as many
# and those of the power. A term of the backward's sum is divided by d once more, and there are `size` of them.


def _forward_terms(x, size, *, alpha=1e-4, beta=0.75, k=1.0):
    return (math.ceil(beta * (size + 4)) + FUNCTION + 2,)


def _forward_scale(x, size, **options):
    return (np.abs(reference.local_response_norm(x, size, **options)),)


def _backward_terms(dy, x, size, *, alpha=1e-4, beta=0.75, k=1.0):
    return (math.ceil((beta + 1) * (size + 4)) + FUNCTION + size + 8,)


def _neighbours(a, before, after):
    """The sum over the channels c - before .. c + after."""
    C = a.shape[1]
    return np.stack([a[:, max(c - before, 0) : min(c + after, C - 1) + 1].sum(axis=1) for c in range(C)], axis=1)


def _backward_scale(dy, x, size, *, alpha=1e-4, beta=0.75, k=1.0):
    dy, x, before, after = np.abs(dy), np.abs(x), size // 2, (size - 1) // 2
    d = k + alpha / size * _neighbours(x * x, before, after)
    return (dy / d**beta + 2 * alpha * beta / size * x * _neighbours(dy * x / d ** (beta + 1), after, before),)


def _gradient(F, args, kwargs, y, dy):
    return (F.local_response_norm_backward(dy, *args, **kwargs),)


register(
    Operation("local_response_norm", terms=_forward_terms, scale=_forward_scale, backward=_gradient),
    Operation("local_response_norm_backward", terms=_backward_terms, scale=_backward_scale),
)


def _cases() -> Iterator[Case]:
    for label, shape, size, options in (
        ("planes", (2, 7, 5, 6), 5, {}),
        ("even-window", (3, 6, 3, 3), 4, {"alpha": 0.5, "k": 2.0}),
        ("one-channel", (2, 1, 9), 3, {"alpha": 0.3}),
        ("window-of-one", (2, 3, 17), 1, {"alpha": 1.0, "beta": 0.5}),
        ("wide-window", (2, 4, 5, 5), 9, {"alpha": 2.0, "beta": 1.0, "k": 1.5}),
        ("other-power", (2, 5, 4, 4), 3, {"alpha": 1.0, "beta": 1.3}),
        ("no-images", (0, 4, 3, 3), 3, {}),
        ("large", (3, 64, 27, 27), 5, {"alpha": 0.1}),
    ):

        def forward(draw: Any, shape: Any = shape, size: int = size, options: Any = options) -> Any:
            return (draw(shape), size), options

        def backward(draw: Any, shape: Any = shape, size: int = size, options: Any = options) -> Any:
            return (draw(shape, "dy"), draw(shape), size), options

        large = label == "large"
        fills = ("normal",) if large else ("normal", "ties", "special")
        yield Case("local_response_norm", label, forward, fills, ("x",), large=large, gradient=not large)
        yield Case("local_response_norm_backward", label, backward, fills, ("x", "dy"), large=large)


CASES = tuple(_cases())
