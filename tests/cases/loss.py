"""Losses of scores of classes, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cases._base import FUNCTION, WIDTHS, Array, Case, Draw, Operation, register
from cases.softmax import log_softmax_scale, softmax_scale

IGNORED = -100


def _rows(a: Array) -> Array:
    return np.moveaxis(a, 1, -1).reshape(-1, a.shape[1])


def _wanted(x, target, weight, ignore_index, label_smoothing):
    """The magnitudes of the weighted targets of each row, and what the mean divides by."""
    K = x.shape[1]
    w = np.ones(K) if weight is None else weight
    if target.ndim == x.ndim:
        t = np.abs(_rows(target))
        return np.abs(w) * (t * (1 - label_smoothing) + label_smoothing / K), len(t)
    label = target.reshape(-1)
    kept = label != ignore_index
    t = np.eye(K)[np.where(kept, label, 0)] * kept[:, None]
    mass = (t @ w).sum()
    return (t * (1 - label_smoothing) + kept[:, None] * label_smoothing / K) * w, mass


def _forward_scale(magnitudes):
    def scale(x, target, *, weight=None, ignore_index=IGNORED, reduction="mean", label_smoothing=0.0):
        t, mass = _wanted(x, target, weight, ignore_index, label_smoothing)
        each = np.where(t == 0, 0.0, t * magnitudes(_rows(x))).sum(axis=1)
        if reduction == "none":
            return (each.reshape(x.shape[:1] + x.shape[2:]),)
        return (each.sum() / (mass if reduction == "mean" else 1),)

    return scale


def _backward_scale(softmax):
    def scale(x, target, *, weight=None, ignore_index=IGNORED, reduction="mean", label_smoothing=0.0, dloss=1.0):
        t, mass = _wanted(x, target, weight, ignore_index, label_smoothing)
        rows = np.abs(np.reshape(dloss, (-1, 1))) / (mass if reduction == "mean" else 1)
        slopes = softmax(_rows(x)) * t.sum(axis=1, keepdims=True) + t
        dx = np.where(slopes == 0, 0.0, rows * slopes)
        return (np.moveaxis(dx.reshape(x.shape[:1] + x.shape[2:] + x.shape[1:2]), -1, 1),)

    return scale


def _backward(name):
    def backward(F, args, kwargs, y, dy):
        return (getattr(F, name)(*args, dloss=dy if np.ndim(dy) else float(dy), **kwargs),)

    return backward


def _added(x, reduction="mean", **_):
    """Rows whose losses or weights are added: in double precision, so of float32 nothing is lost."""
    return 0 if reduction == "none" or x.dtype == np.float32 else x.size // x.shape[1]


register(
    # log_softmax, a dot product of n terms more, and the factors of weights, smoothing and the mean.
    Operation(
        "cross_entropy",
        terms=lambda x, target, **kwargs: (2 * x.shape[1] + 2 * FUNCTION + 8 + _added(x, **kwargs),),
        scale=_forward_scale(lambda x: log_softmax_scale(x, dim=1)[0]),
        backward=_backward("cross_entropy_backward"),
    ),
    # softmax, times the sum of the target's n terms, minus the target, times the row's weight; and the same factors.
    Operation(
        "cross_entropy_backward",
        terms=lambda x, target, **kwargs: (2 * x.shape[1] + FUNCTION + 10 + _added(x, **kwargs),),
        scale=_backward_scale(lambda x: softmax_scale(x, dim=1)[0]),
    ),
    # A weight, the mean's division, the sum of weights.
    Operation(
        "nll_loss",
        terms=lambda x, target, **kwargs: (4 + _added(x, **kwargs),),
        scale=_forward_scale(np.abs),
        backward=_backward("nll_loss_backward"),
    ),
    Operation(
        "nll_loss_backward",
        terms=lambda x, target, **kwargs: (4 + _added(x, **kwargs),),
        scale=_backward_scale(np.zeros_like),
    ),
)


LOSSES = (*((5, k) for k in WIDTHS), (1, 10), (64, 10), (600, 36))


def _case(op, label, inputs, options, fills=("normal", "ties", "special"), large=False) -> Iterator[Case]:
    """A case of a loss, and one of its gradient; `options` are what both have besides x and target."""

    def forward(draw):
        args, own = inputs(draw)
        return args, {**options, **own}

    def backward(draw):
        args, kwargs = forward(draw)
        x = args[0]
        each = options.get("reduction") == "none"
        return args, {**kwargs, "dloss": draw(x.shape[:1] + x.shape[2:], "dy") if each else -0.75}

    yield Case(op, label, forward, fills, ("x",), large=large, gradient=not large)
    yield Case(f"{op}_backward", label, backward, fills, ("dy",), large=large)


def _plain() -> Iterator[Case]:
    for n, k in LOSSES:
        for kind in ("labels", "probabilities"):
            for reduction in ("mean", "sum", "none"):

                def inputs(draw, n=n, k=k, kind=kind):
                    return (draw((n, k)), getattr(draw, kind)(n, k)), {}

                yield from _case(
                    "cross_entropy", f"{n}x{k}-{kind}-{reduction}", inputs, {"reduction": reduction}, large=n > 500
                )


def _labels(draw, n, k, ignored, places=()):
    labels = draw.labels(n, k)
    labels[::3] = ignored
    return labels.reshape(-1, *places)


def _weight(draw, k):
    return (0.25 + np.abs(draw((k,), "weight"))).astype(draw.dtype)


def _weighted() -> Iterator[Case]:
    """Class weights, labels left out, smoothing, and places (d1, d2) as of a picture."""
    for op in ("cross_entropy", "nll_loss"):
        for reduction in ("mean", "none"):
            for ignored in (IGNORED, 2):

                def inputs(draw, ignored=ignored):
                    args = draw((7, 5)), _labels(draw, 7, 5, ignored)
                    return args, {"weight": _weight(draw, 5), "ignore_index": ignored}

                yield from _case(op, f"weight-ignored{ignored}-{reduction}", inputs, {"reduction": reduction})

            for places in ((3, 5), (37,)):

                def pictures(draw, places=places):
                    labels = _labels(draw, 2 * int(np.prod(places)), 6, IGNORED, places)
                    return (draw((2, 6, *places)), labels), {"weight": _weight(draw, 6)}

                yield from _case(op, f"places{len(places)}-{reduction}", pictures, {"reduction": reduction})
    for reduction in ("mean", "sum", "none"):
        smooth = {"reduction": reduction, "label_smoothing": 0.1}

        def labels(draw):
            return (draw((7, 18)), _labels(draw, 7, 18, IGNORED)), {"weight": _weight(draw, 18)}

        def probabilities(draw):
            return (draw((2, 4, 19)), draw.probabilities(2, 76).reshape(2, 4, 19)), {"weight": _weight(draw, 4)}

        yield from _case("cross_entropy", f"smooth-labels-{reduction}", labels, smooth)
        yield from _case("cross_entropy", f"smooth-probabilities-{reduction}", probabilities, smooth)
    for reduction in ("mean", "sum", "none"):

        def small(draw):
            return (draw((64, 10)), draw.labels(64, 10).astype(np.uint8)), {}

        yield from _case("nll_loss", f"64x10-{reduction}", small, {"reduction": reduction})
    yield from _case(
        "cross_entropy",
        "many-places",
        lambda draw: ((draw((3, 5, 1300)), draw.labels(3900, 5).reshape(3, 1300)), {}),
        {},
        large=True,
    )
    yield from _case("nll_loss", "9000x3", lambda draw: ((draw((9000, 3)), draw.labels(9000, 3)), {}), {}, large=True)


def loss_cases(
    label: str,
    n: int,
    k: int,
    places: tuple[int, ...],
    reduction: str,
    weighted: bool,
    ignoring: bool,
    smoothing: float,
) -> Iterator[Case]:
    """Labels for both losses, and probabilities; with weights, labels that do not count and smoothing if asked."""
    rows = n * math.prod(places)

    def of_labels(draw):
        labels = (_labels if ignoring else Draw.labels)(draw, rows, k, *([IGNORED] if ignoring else []))
        labels[1:2] = 0  # one at least counts
        return (draw((n, k, *places)), labels.reshape(n, *places)), {"weight": _weight(draw, k)} if weighted else {}

    def of_probabilities(draw):
        target = draw.probabilities(rows, k).reshape(n, k, *places)
        return (draw((n, k, *places)), target), {"weight": _weight(draw, k)} if weighted else {}

    smooth = {"reduction": reduction, "label_smoothing": smoothing}
    yield from _case("cross_entropy", f"{label}-labels", of_labels, smooth)
    yield from _case("cross_entropy", f"{label}-probabilities", of_probabilities, smooth)
    yield from _case("nll_loss", label, of_labels, {"reduction": reduction})


def _edges() -> Iterator[Case]:
    for reduction in ("sum", "none"):
        for op in ("cross_entropy", "nll_loss"):
            yield Case(
                op,
                f"no-rows-{reduction}",
                lambda draw, reduction=reduction: ((draw((0, 4)), draw.labels(0, 4)), {"reduction": reduction}),
            )
    yield from _case(
        "cross_entropy",
        "all-ignored",
        lambda draw: ((draw((3, 4)), np.full(3, IGNORED)), {}),
        {"reduction": "sum", "label_smoothing": 0.5},
        fills=("normal",),
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


CASES = (*_plain(), *_weighted(), *_edges())
