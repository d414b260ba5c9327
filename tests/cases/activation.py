"""Functions element by element, softmax along an axis, and flatten."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, FUNCTION, WIDTHS, Array, Case, Operation, register
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
    Operation(
        "relu",
        terms=lambda x: (EXACT,),
        backward=lambda F, args, kwargs, y, dy: (F.relu_backward(dy, y),),
    ),
    Operation("relu_backward", terms=lambda dy, y: (EXACT,)),
    # exp, one addition, one division.
    Operation(
        "sigmoid",
        terms=lambda x: (FUNCTION + 2,),
        scale=lambda x: (reference.sigmoid(x),),
        backward=lambda F, args, kwargs, y, dy: (F.sigmoid_backward(dy, y),),
    ),
    # dy y (1 - y): two products and a difference, each relative to its result.
    Operation(
        "sigmoid_backward",
        terms=lambda dy, y: (3,),
        scale=lambda dy, y: (np.abs(dy * y * (1 - y)),),
    ),
    Operation(
        "tanh",
        terms=lambda x: (FUNCTION,),
        scale=lambda x: (np.abs(reference.tanh(x)),),
        backward=lambda F, args, kwargs, y, dy: (F.tanh_backward(dy, y),),
    ),
    # dy (1 - y y): where y is near 1 the difference cancels, so S keeps both of its terms.
    Operation(
        "tanh_backward",
        terms=lambda dy, y: (3,),
        scale=lambda dy, y: (np.abs(dy) * (1 + y * y),),
    ),
    # n exponentials are added, one division; x - max is in S.
    Operation(
        "softmax",
        terms=lambda x, *, dim=-1: (x.shape[dim] + FUNCTION + 1,),
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
    Operation("flatten", terms=lambda *_, **__: (EXACT,)),
)


ELEMENTWISE = (
    *((n,) for n in WIDTHS),
    (2, 3, 5, 7),
    (129, 9),
    (0, 4),
    (40_000,),
)


def _activation_cases() -> Iterator[Case]:
    for shape in ELEMENTWISE:
        label, large = "x".join(map(str, shape)), math.prod(shape) > 10_000
        for op in ("relu", "sigmoid", "tanh"):
            yield Case(
                op,
                label,
                lambda draw, shape=shape: ((draw(shape),), {}),
                ("normal", "ties", "special"),
                ("x",),
                large=large,
                gradient=not large,
            )
            yield Case(
                f"{op}_backward",
                label,
                lambda draw, shape=shape, op=op: (
                    (draw(shape, "dy"), getattr(reference, op)(draw(shape))),
                    {},
                ),
                ("normal", "ties", "special"),
                ("dy",),
                large=large,
            )
    # From where exp overflows, through saturation, down to where the function is its argument.
    for op in ("relu", "sigmoid", "tanh"):
        yield Case(op, "range", lambda draw: ((_range(draw.dtype),), {}))


def _range(dtype: Any) -> Array:
    big = np.geomspace(1e-6, 700.0, 300)
    return np.concatenate([-big[::-1], [0.0], big]).astype(dtype)


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
        ):
            yield Case(op, label, lambda draw, row=row: ((np.array([row, row], draw.dtype),), {}))


def _flatten_cases() -> Iterator[Case]:
    for shape, start in (((2, 3, 4, 5), 1), ((2, 3, 4, 5), 2), ((2, 3), 0), ((4, 1), 1), ((0, 3, 4), 1)):
        yield Case(
            "flatten",
            f"{'x'.join(map(str, shape))}-from-{start}",
            lambda draw, shape=shape, start=start: ((draw(shape), start), {}),
        )


CASES = (
    *_activation_cases(),
    *_softmax_cases(),
    *_flatten_cases(),
)
