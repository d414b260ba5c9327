"""Losses and their gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cases._base import FUNCTION, WIDTHS, Array, Case, Operation, register
from cases.activation import log_softmax_scale, softmax_scale


def _one_hot(target: Array, classes: int) -> Array:
    return np.eye(classes)[target] if target.ndim == 1 else np.abs(target)


def _cross_entropy_scale(x, target, *, reduction="mean"):
    t = _one_hot(target, x.shape[1])
    each = np.where(t == 0, 0.0, t * log_softmax_scale(x, dim=1)[0]).sum(axis=1)
    return ({"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](each),)


def _cross_entropy_backward_scale(x, target, *, reduction="mean", dloss=1.0):
    t = _one_hot(target, x.shape[1])
    size = x.shape[0] if reduction == "mean" else 1
    rows = np.abs(np.reshape(dloss, (-1, 1))) / size
    return (rows * (softmax_scale(x, dim=1)[0] * t.sum(axis=1, keepdims=True) + t),)


register(
    # log_softmax, and with probabilities a dot product of n terms more.
    Operation(
        "cross_entropy",
        terms=lambda x, target, **_: (2 * x.shape[1] + 2 * FUNCTION + 3,),
        scale=_cross_entropy_scale,
        backward=lambda F, args, kwargs, y, dy: (
            F.cross_entropy_backward(*args, dloss=dy if np.ndim(dy) else float(dy), **kwargs),
        ),
    ),
    # softmax, times the sum of the target's n terms, minus the target, times the row's weight.
    Operation(
        "cross_entropy_backward",
        terms=lambda x, target, **_: (2 * x.shape[1] + FUNCTION + 5,),
        scale=_cross_entropy_backward_scale,
    ),
)


_REDUCE = {"mean": np.mean, "sum": np.sum, "none": np.asarray}


def _mse_backward_scale(x, target, *, reduction="mean", dloss=1.0):
    return (np.abs(2 * (x - target) * dloss) / (x.size if reduction == "mean" else 1),)


register(
    Operation(
        "mse_loss",
        # A difference, a square, a sum of n terms, a division.
        terms=lambda x, target, *, reduction="mean": (2 if reduction == "none" else x.size + 4,),
        scale=lambda x, target, *, reduction="mean": (_REDUCE[reduction](np.square(x - target)),),
        backward=lambda F, args, kwargs, y, dy: (
            F.mse_loss_backward(*args, dloss=dy if np.ndim(dy) else float(dy), **kwargs),
        ),
    ),
    # A difference, its factor, and their product.
    Operation("mse_loss_backward", terms=lambda *_, **__: (3,), scale=_mse_backward_scale),
)


LOSSES = (*((5, k) for k in WIDTHS), (1, 10), (64, 10), (600, 36))


def _loss_cases() -> Iterator[Case]:
    for n, k in LOSSES:
        for kind in ("labels", "probabilities"):
            for reduction in ("mean", "sum", "none"):
                label, large = f"{n}x{k}-{kind}-{reduction}", n > 500

                def forward(draw, n=n, k=k, kind=kind, reduction=reduction):
                    return (draw((n, k)), getattr(draw, kind)(n, k)), {"reduction": reduction}

                def backward(draw, forward=forward, n=n, reduction=reduction):
                    args, kwargs = forward(draw)
                    dloss = draw((n,), "dy") if reduction == "none" else -0.75
                    return args, {**kwargs, "dloss": dloss}

                fills = ("normal", "ties", "special")
                yield Case("cross_entropy", label, forward, fills, ("x",), large=large, gradient=not large)
                yield Case("cross_entropy_backward", label, backward, fills, ("dy",), large=large)
    for reduction in ("sum", "none"):
        yield Case(
            "cross_entropy",
            f"no-rows-{reduction}",
            lambda draw, reduction=reduction: ((draw((0, 4)), draw.labels(0, 4)), {"reduction": reduction}),
        )
    yield Case(
        "cross_entropy",
        "far-apart",
        lambda draw: ((np.array([[1e4, -1e4, 0.0]] * 3, draw.dtype), np.array([0, 1, 2])), {"reduction": "none"}),
    )
    yield Case(
        "cross_entropy",
        "probabilities-with-zeros",
        lambda draw: (
            (draw((2, 3)), np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], draw.dtype)),
            {"reduction": "none"},
        ),
    )


def _mse_cases() -> Iterator[Case]:
    for shape in (*((n,) for n in WIDTHS), (2, 3, 5, 7), (1025,), (3, 700), (40_000,)):
        for reduction in ("mean", "sum", "none"):
            label, large = f"{'x'.join(map(str, shape))}-{reduction}", shape == (40_000,)

            def forward(draw, shape=shape, reduction=reduction):
                return (draw(shape), draw(shape, "target")), {"reduction": reduction}

            def backward(draw, forward=forward, shape=shape, reduction=reduction):
                args, kwargs = forward(draw)
                return args, {**kwargs, "dloss": draw(shape, "dy") if reduction == "none" else -0.75}

            fills = ("normal", "ties", "special")
            yield Case("mse_loss", label, forward, fills, ("x", "target"), large=large, gradient=not large)
            yield Case("mse_loss_backward", label, backward, fills, ("x", "dy"), large=large)
    for reduction in ("sum", "none"):
        yield Case(
            "mse_loss",
            f"nothing-{reduction}",
            lambda draw, reduction=reduction: ((draw((0, 4)), draw((0, 4))), {"reduction": reduction}),
        )
    yield Case(
        "mse_loss_backward",
        "one-dloss-for-all",
        lambda draw: ((draw((5, 7)), draw((5, 7))), {"reduction": "none", "dloss": 0.3}),
    )


CASES = (*_loss_cases(), *_mse_cases())
