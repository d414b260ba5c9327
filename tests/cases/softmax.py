"""Softmax along an axis."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cases._base import FUNCTION, WIDTHS, Array, Case, Operation, register
from fastnn import reference


def _exp_shifted(x: Array, axis: int) -> tuple[Array, Array, Array]:
    """Softmax p along `axis`, |x - max|, and how far the rounding of x - max moves the sum of exponentials.

    exp turns the rounding error |x - max| eps/2 of its argument into a relative error of the same size, so both
    softmax and its logarithm are scaled by 1 + |x - max| and by the same thing averaged under p.
    """
    shift = x - x.max(axis=axis, keepdims=True)
    p = np.exp(shift)
    p /= p.sum(axis=axis, keepdims=True)
    far = np.where(p == 0, 0.0, np.abs(shift))
    return p, far, (p * far).sum(axis=axis, keepdims=True)


def softmax_scale(x, *, dim=-1):
    p, far, mean_far = _exp_shifted(x, dim)
    return (p * (1 + far + mean_far),)


def log_softmax_scale(x, *, dim=-1):
    p, _, mean_far = _exp_shifted(x, dim)
    shift = np.abs(x - x.max(axis=dim, keepdims=True))
    return (1 + shift + np.log(1 / p.max(axis=dim, keepdims=True)) + mean_far,)


def _softmax_backward_scale(dy, y, *, dim=-1):
    return (np.abs(y) * (np.abs(dy) + np.abs(dy * y).sum(axis=dim, keepdims=True)),)


def _log_softmax_backward_scale(dy, y, *, dim=-1):
    return (np.abs(dy) + np.exp(y) * np.abs(dy).sum(axis=dim, keepdims=True),)


register(
    # n exponentials are added, the inverse of their sum, a product; x - max is in S.
    Operation(
        "softmax",
        terms=lambda x, *, dim=-1: (x.shape[dim] + FUNCTION + 2,),
        scale=softmax_scale,
        backward=lambda F, args, kwargs, y, dy: (F.softmax_backward(dy, y, **kwargs),),
    ),
    # A dot product of n terms, a difference, a product.
    Operation(
        "softmax_backward",
        terms=lambda dy, y, *, dim=-1: (y.shape[dim] + 2,),
        scale=_softmax_backward_scale,
    ),
    # n exponentials, a logarithm, two differences.
    Operation(
        "log_softmax",
        terms=lambda x, *, dim=-1: (x.shape[dim] + 2 * FUNCTION + 2,),
        scale=log_softmax_scale,
        backward=lambda F, args, kwargs, y, dy: (F.log_softmax_backward(dy, y, **kwargs),),
    ),
    # n terms added, an exponential, a product, a difference.
    Operation(
        "log_softmax_backward",
        terms=lambda dy, y, *, dim=-1: (y.shape[dim] + FUNCTION + 2,),
        scale=_log_softmax_backward_scale,
    ),
)


SOFTMAXES = (
    *(((3, n), -1) for n in WIDTHS),
    ((1, 1), -1),
    ((7,), 0),
    ((5, 10), 0),
    ((2, 17, 3, 4), 1),
    ((2, 3, 4, 5), -2),
    ((0, 10), -1),
    ((3, 300), 1),
    ((600, 70), -1),
    # Columns: strips of four vectors, single ones and parts of one; more rows than one accumulator takes; rows
    # if what lies behind the axis is one place.
    *(((2, 3, n), 1) for n in WIDTHS),
    ((70, 4), 0),
    ((3, 40, 9), 1),
    ((5, 7, 1, 1), 1),
    ((2, 3, 0), 1),
    ((40, 33, 97), 1),
)


def _softmax_cases() -> Iterator[Case]:
    for shape, dim in SOFTMAXES:
        label, large = f"{'x'.join(map(str, shape))}-dim{dim}", math.prod(shape) > 10_000
        for op in ("softmax", "log_softmax"):
            yield Case(
                op,
                label,
                lambda draw, shape=shape, dim=dim: ((draw(shape),), {"dim": dim}),
                ("normal", "ties", "special"),
                ("x",),
                large=large,
                gradient=not large,
            )
            yield Case(
                f"{op}_backward",
                label,
                lambda draw, shape=shape, dim=dim, op=op: (
                    (draw(shape, "dy"), getattr(reference, op)(draw(shape), dim=dim)),
                    {"dim": dim},
                ),
                ("normal", "special"),
                ("dy",),
                large=large,
            )
    for op in ("softmax", "log_softmax"):
        for label, row in (
            ("far-apart", [-1e4, 0.0, 1e4, 9999.0]),
            ("one-possible", [-np.inf, 2.0, -np.inf, -np.inf]),
            ("none-possible", [-np.inf] * 4),
            ("infinite", [np.inf, 1.0, 2.0, np.inf]),
            ("wide", list(np.linspace(-80, 80, 37))),
            ("last-is-largest", [*np.zeros(36), 200.0]),  # and alone in the rest behind whole vectors
        ):
            yield Case(op, label, lambda draw, row=row: ((np.array([row, row], draw.dtype),), {}))


CASES = tuple(_softmax_cases())
