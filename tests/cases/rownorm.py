"""Layer, group and instance normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, WIDTHS, Array, Case, Draw, Operation, register
from fastnn import reference

# The roundings of mean, variance and output are those of batch normalisation (see norm.py), n being the elements of a
# row; a gradient adds the multiplication by w inside its sums.


def _groups(x: Array, groups: int) -> Array:
    """x as (N, G, S, P)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:]))


def _rows(x: Array, normalized_shape: Any) -> Array:
    shape = normalized_shape if isinstance(normalized_shape, tuple) else (normalized_shape,)
    return x.reshape(math.prod(x.shape[: x.ndim - len(shape)]), 1, math.prod(shape), 1)


def _of_segments(a: Array | None, rows: Array) -> Any:
    return 1.0 if a is None else np.abs(a).reshape(1, *rows.shape[1:3], 1)


def _forward_terms(n: int, return_statistics: bool) -> tuple[int, ...]:
    return (2 * n + 12, n + 2, n + 6) if return_statistics else (2 * n + 12,)


def _forward_scale(x: Array, rows: Array, w, b, eps: float, return_statistics: bool) -> tuple[Array, ...]:
    mean = np.abs(rows).mean(axis=(2, 3), keepdims=True)
    invstd = 1 / np.sqrt(np.square(rows - rows.mean(axis=(2, 3), keepdims=True)).mean(axis=(2, 3), keepdims=True) + eps)
    y = (np.abs(rows) + mean) * invstd * _of_segments(w, rows)
    y = (y if b is None else y + _of_segments(b, rows)).reshape(x.shape)
    return (y, mean[..., 0, 0], invstd[..., 0, 0]) if return_statistics else (y,)


def _backward_terms(rows: Array) -> tuple[int, int, int]:
    N, _, S, P = rows.shape
    return S * P + 10, N * P + 4, N * P


def _backward_scale(dy: Array, x: Array, w, mean: Array, invstd: Array, rows: Array) -> tuple[Array, ...]:
    dy, x = np.abs(dy.reshape(rows.shape)), rows
    mean, invstd = (a.reshape(*rows.shape[:2], 1, 1) for a in (mean, invstd))
    h, g = np.abs(x - mean) * invstd, dy * _of_segments(w, rows)
    n = max(rows.shape[2] * rows.shape[3], 1)
    dx = invstd * (g + g.sum(axis=(2, 3), keepdims=True) / n + h * (g * h).sum(axis=(2, 3), keepdims=True) / n)
    return dx, (dy * h).sum(axis=(0, 3)), dy.sum(axis=(0, 3))


def _layer_scale(x, shape, w=None, b=None, *, eps=1e-5, return_statistics=False):
    y, *statistics = _forward_scale(x, _rows(x, shape), w, b, eps, return_statistics)
    return (y, *(s.reshape(x.shape[: x.ndim - np.size(shape)]) for s in statistics))


def _layer_backward_scale(dy, x, shape, w, mean, invstd, *, needs=("dx", "dw", "db")):
    dx, dw, db = _backward_scale(dy, x, w, mean, invstd, _rows(x, shape))
    return dx.reshape(x.shape), dw.reshape(shape), db.reshape(shape)


def _group_backward_scale(dy, x, groups, w, mean, invstd, *, needs=("dx", "dw", "db")):
    dx, dw, db = _backward_scale(dy, x, w, mean, invstd, _groups(x, groups))
    return dx.reshape(x.shape), dw.reshape(-1), db.reshape(-1)


def _instance_terms(x, running_mean=None, *_, return_statistics=False, **__):
    # The mean over N images adds N roundings to the n of each, and the step towards it two.
    N, n = x.shape[0], math.prod(x.shape[2:])
    running = (EXACT, EXACT) if running_mean is None else (N + n + 6, N + 2 * n + 10)
    return (*_forward_terms(n, return_statistics), *running)


def _instance_scale(
    x, running_mean=None, running_var=None, w=None, b=None, *, momentum=0.1, eps=1e-5, return_statistics=False
):
    rows = _groups(x, x.shape[1])
    running = None, None
    if running_mean is not None:
        n = rows.shape[3]
        mean, var = np.abs(rows).mean(axis=(2, 3)), rows.var(axis=(2, 3)) * n / (n - 1)
        mean, var = (a.sum(axis=0) / max(len(x), 1) for a in (mean, var))
        running = tuple(
            np.abs((1 - momentum) * r) + momentum * v for r, v in ((running_mean, mean), (running_var, var))
        )
    return (*_forward_scale(x, rows, w, b, eps, return_statistics), *running)


def _layer_gradient(F, args, kwargs, y, dy):
    x, shape, w, _ = args
    _, mean, invstd = F.layer_norm(*args, **{**kwargs, "return_statistics": True})
    return F.layer_norm_backward(dy, x, shape, w, mean, invstd)


def _group_gradient(F, args, kwargs, y, dy):
    x, groups, w, _ = args
    _, mean, invstd = F.group_norm(*args, **{**kwargs, "return_statistics": True})
    return F.group_norm_backward(dy, x, groups, w, mean, invstd)


def _instance_gradient(F, args, kwargs, y, dy):
    x, _, _, w, b = args
    _, mean, invstd = F.instance_norm(x, None, None, w, b, **{**kwargs, "return_statistics": True})
    return F.instance_norm_backward(dy, x, w, mean, invstd)


def _layer_terms(x, shape, *_, return_statistics=False, **__):
    return _forward_terms(math.prod(_rows(x, shape).shape[2:]), return_statistics)


def _group_terms(x, groups, *_, return_statistics=False, **__):
    return _forward_terms(math.prod(x.shape[1:]) // groups, return_statistics)


def _group_scale(x, groups, w=None, b=None, *, eps=1e-5, return_statistics=False):
    return _forward_scale(x, _groups(x, groups), w, b, eps, return_statistics)


register(
    Operation("layer_norm", _layer_terms, _layer_scale, _layer_gradient, wrt=(0, 2, 3)),
    Operation("group_norm", _group_terms, _group_scale, _group_gradient, wrt=(0, 2, 3)),
    Operation("instance_norm", _instance_terms, _instance_scale, _instance_gradient, wrt=(0, 3, 4), in_place=(1, 2)),
    Operation(
        "layer_norm_backward",
        terms=lambda dy, x, shape, *_, **__: _backward_terms(_rows(x, shape)),
        scale=_layer_backward_scale,
    ),
    Operation(
        "group_norm_backward",
        terms=lambda dy, x, groups, *_, **__: _backward_terms(_groups(x, groups)),
        scale=_group_backward_scale,
    ),
    Operation(
        "instance_norm_backward",
        terms=lambda dy, x, *_, **__: _backward_terms(_groups(x, x.shape[1])),
        scale=lambda dy, x, w, mean, invstd, **options: _group_backward_scale(dy, x, x.shape[1], w, mean, invstd),
    ),
)

FILLS = ("normal", "ties", "special")


def _weights(draw: Draw, shape: tuple[int, ...], which: str) -> tuple[Array | None, Array | None]:
    return draw(shape, "w") if "w" in which else None, draw(shape, "b") if "b" in which else None


def pair_of(
    op: str,
    label: str,
    x_shape: tuple[int, ...],
    setting: tuple[Any, ...],
    w_shape: tuple[int, ...],
    which: str,
    **options: Any,
) -> Iterator[Case]:
    """A forward and the backward of it."""
    large = label.startswith("large")
    row = math.prod(w_shape) if op == "layer_norm" else math.prod(x_shape[1:]) // (setting or w_shape)[0]
    running = (None, None) if op == "instance_norm" else ()
    options = {"return_statistics": True, **options}

    def forward(draw: Draw) -> Any:
        return (draw(x_shape), *setting, *running, *_weights(draw, w_shape, which)), options

    def backward(draw: Draw) -> Any:
        x = draw(x_shape)
        _, mean, invstd = getattr(reference, op)(x, *setting, **options)
        return (draw(x_shape, "dy"), x, *setting, _weights(draw, w_shape, which)[0], mean, invstd), {}

    fills = ("normal",) if large else FILLS
    yield Case(op, label, forward, fills, ("x", "w", "b"), large=large, gradient=not large and row >= 8)
    yield Case(f"{op}_backward", label, backward, fills, ("x", "dy"), large=large)


def _layer_cases() -> Iterator[Case]:
    for n in WIDTHS:
        yield from pair_of("layer_norm", f"{n}-wide", (5, n), (n,), (n,), "wb")
    yield from pair_of("layer_norm", "10-wide-plain", (5, 10), (10,), (10,), "")
    yield from pair_of("layer_norm", "37-wide-plain", (5, 37), (37,), (37,), "", eps=0.1)
    yield from pair_of("layer_norm", "no-bias", (3, 2, 21), ((21,),), (21,), "w")
    yield from pair_of("layer_norm", "bias-alone", (3, 2, 21), (21,), (21,), "b")
    yield from pair_of("layer_norm", "two-axes", (2, 3, 4, 5), ((4, 5),), (4, 5), "wb")
    yield from pair_of("layer_norm", "all-but-one", (2, 3, 9), ((3, 9),), (3, 9), "wb")
    yield from pair_of("layer_norm", "no-rows", (0, 5), (5,), (5,), "wb")
    yield from pair_of("layer_norm", "large", (300, 130), (130,), (130,), "wb")
    yield from pair_of("layer_norm", "large-rows-of-blocks", (9, 9001), (9001,), (9001,), "")


def _group_cases() -> Iterator[Case]:
    for label, shape, groups in (
        ("planes", (3, 4, 5, 7), 2),
        ("one-group", (2, 3, 29), 1),
        ("small-planes", (5, 6, 3, 3), 3),
        ("no-planes", (6, 9), 3),
        ("each-channel", (2, 4, 33), 4),
        ("no-images", (0, 4, 3, 3), 2),
        ("large", (20, 16, 24, 24), 4),
        ("large-small-planes", (130, 12, 3, 3), 4),
    ):
        yield from pair_of("group_norm", label, shape, (groups,), shape[1:2], "wb")
    yield from pair_of("group_norm", "plain-small-planes", (3, 8, 3, 3), (2,), (8,), "")
    yield from pair_of("group_norm", "no-bias", (3, 4, 5, 7), (2,), (4,), "w", eps=0.1)


def _instance_cases() -> Iterator[Case]:
    for label, shape in (("planes", (3, 4, 5, 7)), ("small-planes", (4, 5, 3, 3)), ("two-values", (2, 3, 2))):
        yield from pair_of("instance_norm", label, shape, (), shape[1:2], "wb")
    yield from pair_of("instance_norm", "plain", (3, 4, 5, 7), (), (4,), "")
    for label, shape in (("running", (3, 4, 5, 7)), ("running-no-images", (0, 4, 5, 7))):
        yield Case(
            "instance_norm",
            label,
            lambda draw, shape=shape: (
                (draw(shape), draw((4,), "running"), np.abs(draw((4,), "running")), *_weights(draw, (4,), "wb")),
                {"momentum": 0.3, "eps": 0.1},
            ),
            FILLS,
            ("x",),
            gradient=shape[0] > 0,
        )


def _option_cases() -> Iterator[Case]:
    for needs in (("dx",), ("dw",), ("db",), ("dw", "db")):
        for op, shape, setting, w_shape in (
            ("layer_norm", (5, 19), (19,), (19,)),
            ("group_norm", (3, 4, 5, 7), (2,), (4,)),
            ("group_norm", (3, 4, 2, 2), (2,), (4,)),
        ):

            def build(draw, needs=needs, op=op, shape=shape, setting=setting, w_shape=w_shape):
                x = draw(shape)
                _, mean, invstd = getattr(reference, op)(x, *setting, return_statistics=True)
                w = draw(w_shape, "w") if len(needs) > 1 else None
                return (draw(shape, "dy"), x, *setting, w, mean, invstd), {"needs": needs}

            yield Case(f"{op}_backward", f"needs-{'-'.join(needs)}-of-{'x'.join(map(str, shape))}", build)
    # A variance from a mean of squares would have lost all digits: the mean is a thousand deviations away.
    for n in (13, 200):
        yield Case(
            "layer_norm",
            f"far-from-zero-{n}",
            lambda draw, n=n: ((draw((3, n)) + draw.dtype.type(1000), n), {"return_statistics": True}),
        )


CASES = (*_layer_cases(), *_group_cases(), *_instance_cases(), *_option_cases())
