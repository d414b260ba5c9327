"""Batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, WIDTHS, Array, Case, Draw, Operation, register
from fastnn import reference

# How many roundings: u is half of eps, n the number of elements of a channel, d = x - mean, which is exact to u.
#
# The mean is a sum of n terms over n, in error by at most (n + 2) u mean|x|. The variance is a sum of n squares d^2,
# each good to 3 u, and their sum to (n + 3) u of itself. That the mean was rounded adds the square of its error, of
# second order, or is corrected for by a sum of n terms d, in error by (n + 2) u mean|d| times twice that error: by
# Jensen's inequality less than 2 (n + 2) u mean d^2. So the variance is good to (3 n + 8) u of itself, its inverse root
# to half of that and two roundings more, (1.5 n + 6) u. The output multiplies d by it and by w, and adds b: with the
# error of the mean (2.5 n + 12) u of (|x| + mean|x|) invstd |w| + |b|. A ReLU moves nothing apart.


def _apart(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _by_channel(a: Any, x: Array) -> Array:
    return np.reshape(a, (-1, *(1,) * (x.ndim - 2)))


def _count(x: Array) -> int:
    return x.size // x.shape[1]


def _forward_terms(
    x, running_mean=None, running_var=None, w=None, b=None, *, training=False, return_statistics=False, **_
):
    n = _count(x) if training else 0
    statistics = (n + 2, n + 6) if return_statistics else ()
    # Two more for the step towards the batch's; n/(n - 1) is one of them.
    running = (n + 4, 2 * n + 8) if training else (EXACT, EXACT)
    return (2 * n + 12, *statistics, *running)


def _forward_scale(
    x, running_mean=None, running_var=None, w=None, b=None, *, training=False, momentum=0.1, eps=1e-5,
    activation=None, return_statistics=False,
):  # fmt: skip
    axes, n = _apart(x), max(_count(x), 1)
    if training:
        mean, var = np.abs(x).sum(axis=axes) / n, np.square(x - _by_channel(x.sum(axis=axes) / n, x)).sum(axis=axes) / n
    else:
        mean, var = np.abs(running_mean), running_var
    invstd = 1 / np.sqrt(var + eps)
    y = (np.abs(x) + _by_channel(mean, x)) * _by_channel(invstd if w is None else invstd * np.abs(w), x)
    statistics = (mean, invstd) if return_statistics else ()
    running = (None, None)
    if running_mean is not None:
        running = (
            np.abs((1 - momentum) * running_mean) + momentum * mean,
            np.abs((1 - momentum) * running_var) + momentum * var * n / max(n - 1, 1),
        )
    return (y if b is None else y + _by_channel(np.abs(b), x), *statistics, *running)


def _backward_terms(dy, x, *_, **__):
    # Sums of n products, of which one factor is a difference; then at most eight operations.
    n = _count(x)
    return n + 8, n + 4, n


def _backward_scale(dy, x, w, mean, invstd, *, training=True, y=None, needs=("dx", "dw", "db")):
    axes, n = _apart(x), max(_count(x), 1)
    g = np.abs(dy if y is None else np.where(y > 0, dy, 0))
    apart = np.abs(x - _by_channel(mean, x))
    db, slope = g.sum(axis=axes), (g * apart).sum(axis=axes)
    dx = g
    if training:
        dx = g + _by_channel(db / n, x) + apart * _by_channel(invstd * invstd * slope / n, x)
    return dx * _by_channel(invstd if w is None else invstd * np.abs(w), x), slope * invstd, db


def _gradient(F, args, kwargs, y, dy):
    """With respect to x, w and b; running statistics are not differentiated."""
    x, running_mean, running_var, w, b = args
    running = None if running_mean is None else running_mean.copy(), None if running_var is None else running_var.copy()
    _, mean, invstd = F.batch_norm(x, *running, w, b, **{**kwargs, "return_statistics": True})
    after = y if kwargs.get("activation") == "relu" else None
    return F.batch_norm_backward(dy, x, w, mean, invstd, training=kwargs.get("training", False), y=after)


register(
    Operation(
        "batch_norm",
        terms=_forward_terms,
        scale=_forward_scale,
        backward=_gradient,
        wrt=(0, 3, 4),
        in_place=(1, 2),
    ),
    Operation("batch_norm_backward", terms=_backward_terms, scale=_backward_scale),
)


SHAPES = (
    ("plane", (3, 4, 5, 7)),
    ("small-planes", (5, 6, 3, 3)),
    ("length", (4, 3, 29)),
    ("one-channel", (9, 1)),
    ("one-image", (1, 3, 4, 5)),
    ("two-values", (2, 5)),
    *((f"columns-{n}", (5, n)) for n in WIDTHS),
    *((f"plane-of-{n}", (3, 2, n)) for n in WIDTHS),
    ("planes-apart-by-no-vector", (3, 5, 13, 11)),
    ("wide-planes", (2, 3, 131, 3)),
    ("rows-of-blocks", (300, 3)),
    ("planes-of-two-blocks", (70, 2, 8, 8)),
    ("parts-of-planes", (2, 3, 81, 77)),
    ("large-planes", (20, 16, 24, 24)),
    ("large-few-channels", (8, 2, 90, 91)),
    ("large-columns", (600, 70)),
    ("large-wide-rows", (1030, 541)),
)


def _statistics(draw: Draw, channels: int) -> tuple[Array, Array]:
    return draw((channels,), "running"), np.abs(draw((channels,), "running")) + draw.dtype.type(0.5)


def norm_cases(label: str, shape: tuple[int, ...]) -> Iterator[Case]:
    channels, large = shape[1], label.startswith("large")

    def forward(**options: Any) -> Any:
        return lambda draw: (
            (draw(shape), *_statistics(draw, channels), draw((channels,), "w"), draw((channels,), "b")),
            options,
        )

    def backward(relu: bool, **options: Any) -> Any:
        def build(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
            x, w = draw(shape), draw((channels,), "w")
            y, mean, invstd = reference.batch_norm(x, None, None, w, training=True, return_statistics=True)
            after = {"y": reference.relu(y)} if relu else {}
            return (draw(shape, "dy"), x, w, mean, invstd), {**options, **after}

        return build

    fills = ("normal", "ties", "special")
    smooth = not large and math.prod(shape) // channels >= 8
    training = {"training": True, "return_statistics": True}
    yield Case("batch_norm", label, forward(**training), fills, ("x", "w", "b"), large=large, gradient=smooth)
    yield Case("batch_norm", f"{label}-relu", forward(training=True, activation="relu"), fills, ("x",), large=large)
    yield Case("batch_norm", f"{label}-eval", forward(), fills, ("x", "w", "b"), large=large, gradient=smooth)
    # The kernel multiplies each term of dx by w: not an infinite one.
    yield Case("batch_norm_backward", label, backward(False), fills, ("x", "dy"), large=large)
    yield Case("batch_norm_backward", f"{label}-relu", backward(True), fills, ("dy",), large=large)
    yield Case("batch_norm_backward", f"{label}-eval", backward(True, training=False), fills, ("x", "dy"), large=large)


def _option_cases() -> Iterator[Case]:
    shape = (4, 3, 5, 6)

    def bare(**options: Any) -> Any:
        return lambda draw: ((draw(shape), None, None, None, None), options)

    yield Case("batch_norm", "nothing-given", bare(training=True), gradient=True)
    yield Case("batch_norm", "nothing-given-relu", bare(training=True, activation="relu"), gradient=True)
    yield Case(
        "batch_norm",
        "running-only",
        lambda draw: (
            (draw(shape), *_statistics(draw, 3), None, None),
            {"training": True, "momentum": 0.3, "eps": 0.1},
        ),
        gradient=True,
    )
    yield Case(
        "batch_norm",
        "eval-relu",
        lambda draw: (
            (draw(shape), *_statistics(draw, 3), None, None),
            {"activation": "relu", "return_statistics": True},
        ),
        gradient=True,
    )
    yield Case(
        "batch_norm",
        "bias-only",
        lambda draw: ((draw(shape), None, None, None, draw((3,), "b")), {"training": True}),
        gradient=True,
    )
    for training in (True, False):
        yield Case(
            "batch_norm",
            f"no-images-{'train' if training else 'eval'}",
            lambda draw, training=training: (
                (draw((0, 3, 4, 5)), *_statistics(draw, 3)),
                {"training": training, "return_statistics": True},
            ),
        )
    # A mean a thousand deviations away: a variance from a mean of squares would have lost all digits. A mean a million
    # away is rounded so coarsely that the variance about the rounded mean is another one.
    for label, shape, far in (
        ("far-from-zero", (8, 3, 5, 7), 1e3),
        ("far-from-zero-columns", (50, 3), 1e3),
        ("very-far-from-zero", (8, 3, 5, 7), 1e6),
        ("very-far-from-zero-columns", (50, 3), 1e6),
    ):
        yield Case(
            "batch_norm",
            label,
            lambda draw, shape=shape, far=far: (
                (draw(shape) + draw.dtype.type(far),),
                {"training": True, "return_statistics": True},
            ),
        )
    yield Case(
        "batch_norm",
        "constant",
        lambda draw: ((np.full((3, 2, 5, 7), 0.1, draw.dtype),), {"training": True, "return_statistics": True}),
    )
    for needs in (("dx",), ("dw",), ("db",), ("dw", "db"), ("dx", "db")):
        for training in (True, False):

            def build(draw, needs=needs, training=training):
                x = draw(shape)
                _, mean, invstd = reference.batch_norm(x, training=True, return_statistics=True)
                return (draw(shape, "dy"), x, None, mean, invstd), {"needs": needs, "training": training}

            yield Case("batch_norm_backward", f"needs-{'-'.join(needs)}-{'train' if training else 'eval'}", build)


CASES = (
    *(case for label, shape in SHAPES for case in norm_cases(label, shape)),
    *_option_cases(),
)
