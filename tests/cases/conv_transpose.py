"""Transposed convolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import winograd
from cases._base import Case, Draw, Operation, no_activation, pair, register
from fastnn import reference


def _gradient(F, args, kwargs, y, dy):
    rest, dy = no_activation(F, kwargs, y, dy)
    return F.conv_transpose2d_backward(dy, args[0], args[1], **rest)


def _terms(x, w, b=None, *, groups=1, **_):
    return (x.shape[1] // groups * math.prod(w.shape[2:]) + (b is not None),)


def _scale(x, w, b=None, *, activation=None, **geometry):
    positive = np.abs(x), np.abs(w)
    scale = reference.conv_transpose2d(*positive, **geometry)
    border = pair(geometry.get("padding", 0))
    scale = winograd.worse_of_input(scale, *_terms(x, w), scale.shape, x, w, border, **geometry)
    return (scale if b is None else scale + np.abs(b)[:, None, None],)


def _backward_terms(dy, x, w, **_):
    return math.prod(w.shape[1:]), x.shape[0] * math.prod(x.shape[2:]), dy.shape[0] * math.prod(dy.shape[2:])


def _backward_scale(dy, x, w, **geometry):
    padding = pair(geometry.get("padding", 0))
    positive = np.abs(dy), np.abs(x), np.abs(w)
    dx, dw, db = reference.conv_transpose2d_backward(*positive, **geometry)
    of_dx, of_dw, _ = _backward_terms(dy, x, w)
    if winograd.may_serve(w, x.shape, dy, w, **geometry):
        made = winograd.forward(positive[0], positive[2], padding, **winograd.ABSOLUTE)
        dx = winograd.worse(dx, of_dx, made, w.shape[1])
    if winograd.may_serve(w, x.shape, dy, x, **geometry):
        made = winograd.weight_gradient(positive[1], positive[0], padding, **winograd.ABSOLUTE)
        dw = winograd.worse(dw, of_dw, made, of_dw)
    return dx, dw, db


def _as_planes(function: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    """Scales of maps of one row, by the function of two axes."""
    inner = lambda v: v[0] if isinstance(v, tuple) else v  # noqa: E731
    beside = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    rows = {name: (beside[name], inner(value)) if name in beside else value for name, value in options.items()}
    planes = [a if a is None or a.ndim == 1 else a[:, :, None] for a in arrays]
    made = {"forward": _scale, "backward": _backward_scale}[function](*planes, **rows)
    return tuple(None if a is None else a if a.ndim == 1 else a[:, :, 0] for a in made)


def _gradient_1d(F, args, kwargs, y, dy):
    rest, dy = no_activation(F, kwargs, y, dy)
    return F.conv_transpose1d_backward(dy, args[0], args[1], **rest)


register(
    Operation(
        "conv_transpose1d",
        terms=_terms,
        scale=lambda *arrays, **options: _as_planes("forward", arrays, options),
        backward=_gradient_1d,
        wrt=(0, 1, 2),
    ),
    Operation(
        "conv_transpose1d_backward",
        terms=_backward_terms,
        scale=lambda *arrays, **options: _as_planes("backward", arrays, options),
    ),
    Operation("conv_transpose2d", terms=_terms, scale=_scale, backward=_gradient, wrt=(0, 1, 2)),
    Operation("conv_transpose2d_backward", terms=_backward_terms, scale=_backward_scale),
)

# x, outputs, kernel, options, large
SHAPES = {
    "one": ((1, 1, 1, 1), 1, (1, 1), {}, False),
    "3x3-p1": ((2, 3, 7, 6), 9, (3, 3), {"padding": 1}, False),
    "generator": ((2, 5, 6, 7), 4, (4, 4), {"stride": 2, "padding": 1}, False),
    "non-square": ((2, 4, 5, 8), 3, (2, 5), {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 1)}, False),
    "dilated": ((2, 3, 6, 5), 10, (3, 2), {"dilation": (2, 3), "padding": 1}, False),
    "grouped": ((2, 6, 5, 6), 9, (3, 3), {"groups": 3, "stride": 2, "output_padding": 1}, False),
    "depthwise": ((2, 5, 8, 9), 5, (3, 3), {"groups": 5, "padding": 1}, False),
    "more-padding-than-stride": ((2, 3, 5, 4), 4, (3, 3), {"dilation": 3, "output_padding": 2}, False),
    "pointwise": ((2, 17, 5, 6), 20, (1, 1), {}, False),
    "pointwise-with-a-rim": ((2, 3, 6, 7), 4, (1, 1), {"dilation": (2, 3), "output_padding": (1, 2)}, False),
    "pointwise-with-a-rim-many-channels": ((2, 40, 6, 7), 36, (1, 1), {"dilation": 2, "output_padding": 1}, False),
    "pointwise-with-a-wide-rim": ((1, 2, 33, 35), 40, (1, 1), {"dilation": 5, "output_padding": (4, 0)}, False),
    "gaps": ((2, 3, 4, 5), 4, (2, 1), {"stride": 3}, False),
    "no-images": ((0, 3, 4, 5), 4, (2, 2), {"stride": 2}, False),
    "large": ((9, 33, 15, 14), 40, (4, 3), {"stride": 2, "padding": 1}, True),
    "winograd": ((9, 37, 15, 10), 41, (3, 3), {"padding": 1}, True),
    "winograd-5x5": ((9, 37, 15, 10), 41, (5, 5), {"padding": (1, 2)}, True),
    "row": ((2, 3, 7), 5, (3,), {"padding": 1}, False),
    "row-generator": ((2, 5, 11), 4, (4,), {"stride": (2,), "padding": 1, "output_padding": 1}, False),
    "row-dilated-groups": ((2, 6, 9), 4, (3,), {"stride": 3, "dilation": 2, "groups": 2}, False),
    "row-of-no-images": ((0, 3, 4), 2, (2,), {}, False),
}


def transposed_cases(
    label: str, x: tuple[int, ...], filters: int, kernel: tuple[int, ...], options: dict[str, Any], large: bool = False
) -> Iterator[Case]:
    w = (x[1], filters // options.get("groups", 1), *kernel)
    name = f"conv_transpose{len(kernel)}d"
    y = getattr(reference, name)(np.zeros(x, np.float32), np.zeros(w, np.float32), **options).shape

    def forward(draw: Draw, relu: bool = False) -> Any:
        more = {"activation": "relu"} if relu else {}
        return (draw(x), draw(w, "w"), None if relu else draw((filters,), "b")), options | more

    # A weight or pixel that is infinite times what is cut off or never there: NaN, or nothing. Both are right.
    yield Case(name, label, forward, ("normal", "special"), ("b",), large=large, gradient=not large)
    yield Case(name, f"{label}-no-bias-relu", lambda draw: forward(draw, relu=True), large=large)
    yield Case(
        f"{name}_backward",
        label,
        lambda draw: ((draw(y, "dy"), draw(x), draw(w, "w")), options),
        large=large,
    )


def _cases() -> Iterator[Case]:
    for label, shape in SHAPES.items():
        yield from transposed_cases(label, *shape)
    for needs in (("dx",), ("dw",), ("db",)):
        yield Case(
            "conv_transpose2d_backward",
            f"needs-{needs[0]}",
            lambda draw, needs=needs: (
                (draw((2, 4, 7, 6), "dy"), draw((2, 3, 5, 4)), draw((3, 4, 3, 3), "w")),
                {"needs": needs},
            ),
        )


CASES = tuple(_cases())
