"""Losses that are a sum over pairs of an output and a target, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cases._base import FUNCTION, WIDTHS, Array, Case, Operation, register

Inputs = Callable[[Any, tuple[int, ...]], tuple[tuple[Array, Array], dict[str, Any]]]


def _count(shape: tuple[int, ...], reduction: str) -> int:
    return {"mean": int(np.prod(shape)), "batchmean": shape[0] if shape else 1}.get(reduction, 1)


def _pair(
    name: str, value: Callable[..., Array], value_terms: int, slope: Callable[..., Array], slope_terms: int
) -> None:
    """Register a loss and its gradient, by the magnitudes of both and how many roundings an element has.

    A sum adds n terms, and the mean's division.
    """

    def scale(x, target, *, reduction="mean", weight=1.0, **options):
        each = np.abs(value(x, target, **options) * weight)
        return (each if reduction == "none" else each.sum() / _count(x.shape, reduction),)

    def backward_scale(x, target, *, reduction="mean", weight=1.0, dloss=1.0, **options):
        return (np.abs(slope(x, target, **options) * weight * dloss) / _count(x.shape, reduction),)

    register(
        Operation(
            name,
            terms=lambda x, target, *, reduction="mean", **_: (
                value_terms if reduction == "none" else x.size + value_terms + 2,
            ),
            scale=scale,
            backward=lambda F, args, kwargs, y, dy: (
                getattr(F, f"{name}_backward")(*args, dloss=dy if np.ndim(dy) else float(dy), **kwargs),
            ),
        ),
        # Its factors are the loss's gradient, the mean's and a weight.
        Operation(f"{name}_backward", terms=lambda *_, **__: (slope_terms + 3,), scale=backward_scale),
    )


def _logits(x, t, pos_weight=1.0):
    e = np.log1p(np.exp(-np.abs(x)))
    return np.abs(t * pos_weight) * (np.maximum(-x, 0) + e) + np.abs(1 - t) * (np.maximum(x, 0) + e)


def _logits_slope(x, t, pos_weight=1.0):
    yes, no = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
    return np.abs(1 - t) * yes + np.abs(pos_weight * t) * no


def _smooth(x, t, beta=1.0):
    d = np.abs(x - t)
    return np.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)


def _smooth_slope(x, t, beta=1.0):
    return np.minimum(np.abs(x - t) / beta, 1) if beta else np.sign(x - t)


def _kl(x, t, log_target=False):
    if log_target:
        return np.exp(t) * (np.abs(t) + np.abs(x))
    return np.abs(np.where(t == 0, 0, t * np.log(t))) + np.abs(t * x)


# A difference, a square; a difference. And so on: below, each rounding of the formula in the reference counts one.
_pair("mse_loss", lambda x, t: np.square(x - t), 2, lambda x, t: 2 * (x - t), 1)
_pair("l1_loss", lambda x, t: x - t, 1, lambda x, t: np.sign(x - t), 1)
_pair("smooth_l1_loss", _smooth, 6, _smooth_slope, 3)
_pair(
    "huber_loss",
    lambda x, t, delta=1.0: delta * _smooth(x, t, delta),
    6,
    lambda x, t, delta=1.0: delta * _smooth_slope(x, t, delta),
    3,
)
_pair(
    "binary_cross_entropy",
    lambda x, t: t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100),
    FUNCTION + 4,
    lambda x, t: (x - t) / np.maximum(x * (1 - x), 1e-12),
    5,
)
# exp inside of log1p; a sigmoid.
_pair("binary_cross_entropy_with_logits", _logits, 2 * FUNCTION + 6, _logits_slope, FUNCTION + 7)
# exp above 0 is the square of another one.
_pair("kl_div", _kl, 2 * FUNCTION + 4, lambda x, t, log_target=False: np.exp(t) if log_target else t, 2 * FUNCTION + 2)


def _apart(draw, shape):
    """Outputs and targets that are nowhere the same when they have to be distinct."""
    return (draw(shape), (draw(shape, "target") + (0.01 if draw.fill == "distinct" else 0)).astype(draw.dtype)), {}


def _outputs(draw, shape):
    """From 0 to 1; for differences, whose curvature is to be small, about a half."""
    x = draw(shape).astype(np.float64)
    return (0.5 + 0.05 * x if draw.fill == "distinct" else 1 / (1 + np.exp(-x))).astype(draw.dtype)


def _targets(draw, shape):
    """From 0 to 1; none is the sigmoid of the output in its place when those have to be distinct."""
    return (1 / (1 + np.exp(-0.3 - draw(shape, "target").astype(np.float64)))).astype(draw.dtype)


def _probabilities(draw, shape):
    return (_outputs(draw, shape), _targets(draw, shape)), {}


def _scores(draw, shape):
    return (draw(shape), _targets(draw, shape)), {}


def pair_cases(
    op: str,
    inputs: Inputs,
    *,
    shapes: tuple[tuple[int, ...], ...] = ((1,), (33,), (3, 5, 7), (3, 700)),
    reductions: tuple[str, ...] = ("mean", "none"),
    special: tuple[str, ...] = ("x", "target"),
    label: str = "",
    **options: Any,
) -> Iterator[Case]:
    """A case of a loss and one of its gradient for each shape and reduction."""
    for shape in shapes:
        for reduction in reductions:
            name, large = f"{label}{'x'.join(map(str, shape))}-{reduction}", np.prod(shape) > 30_000

            def forward(draw, shape=shape, reduction=reduction):
                args, own = inputs(draw, shape)
                return args, {"reduction": reduction, **options, **own}

            def backward(draw, forward=forward, shape=shape, reduction=reduction):
                args, kwargs = forward(draw)
                return args, {**kwargs, "dloss": draw(shape, "dy") if reduction == "none" else -0.75}

            fills = ("normal", "ties", "special") if special else ("normal", "ties")
            yield Case(op, name, forward, fills, special, large=large, gradient=not large)
            yield Case(f"{op}_backward", name, backward, fills, (*special, "dy"), large=large)


ALL = ("mean", "sum", "none")
LARGE = ((40_000,),)


def _weights(draw, shape):
    (x, target), _ = _scores(draw, shape)
    return (x, target), {"weight": np.abs(draw(shape[:1] + (1,) * (len(shape) - 1), "weight"))}


def _both_weights(draw, shape):
    args, kwargs = _weights(draw, shape)
    return args, {**kwargs, "pos_weight": np.abs(draw(shape[-1:], "weight")) + draw.dtype.type(0.5)}


def _weighted_probabilities(draw, shape):
    return _probabilities(draw, shape)[0], _weights(draw, shape)[1]


def _certain(draw, shape):
    """Probabilities of 0 and 1, right and wrong, whose logarithms are cut off, and one of almost 0."""
    x, target = np.array([0, 1, 0, 1, 0.5, 1e-5]), np.array([0, 0, 1, 1, 1, 0])
    return (x.astype(draw.dtype), target.astype(draw.dtype)), {}


def _far(draw, shape):
    x, target = np.array([100, -100, 1e4, -1e4, 10, 0]), np.array([1, 0, 0, 1, 1, 0.5])
    return (x.astype(draw.dtype), target.astype(draw.dtype)), {}


def _with_zeros(draw, shape):
    (x, target), _ = _scores(draw, shape)
    target[::2] = 0
    return (x, target), {}


WITH_LOGITS = "binary_cross_entropy_with_logits"
# Each loss, its inputs and which of them may be infinite.
PAIRS: tuple[tuple[str, Inputs, tuple[str, ...]], ...] = (
    *((op, _apart, ("x", "target")) for op in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")),
    ("binary_cross_entropy", _probabilities, ()),
    (WITH_LOGITS, _scores, ("x", "target")),
    ("kl_div", _scores, ("x",)),
)
CASES = (
    *pair_cases("mse_loss", _apart, shapes=(*((n,) for n in WIDTHS), (2, 3, 5, 7), (1025,), (3, 700)), reductions=ALL),
    *pair_cases("mse_loss", _apart, shapes=LARGE, reductions=ALL),
    *pair_cases("l1_loss", _apart),
    *pair_cases("smooth_l1_loss", _apart, beta=0.7123),
    *pair_cases("smooth_l1_loss", _apart, shapes=((5,),), label="beta0-", beta=0.0),
    *pair_cases("huber_loss", _apart, delta=0.7123),
    *pair_cases("huber_loss", _apart, shapes=((5,),), reductions=("sum",), label="wide-", delta=50.0),
    *pair_cases("binary_cross_entropy", _probabilities, special=()),
    *pair_cases("binary_cross_entropy", _probabilities, shapes=LARGE, special=()),
    *pair_cases("binary_cross_entropy", _weighted_probabilities, shapes=((5, 7),), special=(), label="weight-"),
    *pair_cases(WITH_LOGITS, _scores),
    *pair_cases(WITH_LOGITS, _weights, shapes=((5, 7),), label="weight-", special=("x",)),
    *pair_cases(WITH_LOGITS, _both_weights, shapes=((2, 3, 5),), label="both-weights-", special=("x",)),
    *pair_cases("kl_div", _scores, reductions=("mean", "batchmean", "sum", "none"), special=("x",)),
    *pair_cases("kl_div", _apart, label="log-", log_target=True, special=("x",)),
    *pair_cases("kl_div", _with_zeros, shapes=((40,),), label="zeros-", special=("x",)),
    *(
        case
        for op, inputs in (("binary_cross_entropy", _certain), (WITH_LOGITS, _far))
        for case in (
            Case(op, "extremes", lambda draw, inputs=inputs: (inputs(draw, ())[0], {"reduction": "none"})),
            Case(f"{op}_backward", "extremes", lambda draw, inputs=inputs: (inputs(draw, ())[0], {"dloss": 0.5})),
        )
    ),
    *(
        Case(
            op,
            f"nothing-{reduction}",
            lambda draw, reduction=reduction: ((draw((0, 4)), draw((0, 4))), {"reduction": reduction}),
        )
        for op in ("mse_loss", "binary_cross_entropy")
        for reduction in ("sum", "none")
    ),
    Case(
        "mse_loss_backward",
        "one-dloss-for-all",
        lambda draw: ((draw((5, 7)), draw((5, 7))), {"reduction": "none", "dloss": 0.3}),
    ),
)
