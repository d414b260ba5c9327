"""Planes of another size: adaptive pooling and interpolation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, Case, Draw, Operation, pair, register
from fastnn import reference


def _window(size: int, outputs: int) -> int:
    """The longest of so many windows that share out an axis: one reaches over two cuts at most."""
    return -(-size // outputs) + (1 if size % outputs else 0)


def _average_terms(x, output_size):
    wanted = output_size if isinstance(output_size, tuple) else (output_size, output_size)
    return (math.prod(_window(n, o or n) for n, o in zip(x.shape[2:], wanted, strict=True)) + 1,)


def _windows_over_pixel(dy, size):
    """The windows of an adaptive pool that a pixel lies in, at most: a window seen from the other side."""
    return math.prod(_window(o, n) for o, n in zip(dy.shape[2:], pair(size), strict=True))


def _adaptive_max_gradient(F, args, kwargs, y, dy):
    indices = F.adaptive_max_pool2d(*args, return_indices=True)[1]
    return (F.adaptive_max_pool2d_backward(dy, indices, args[0].shape[2:]),)


def _interpolate_terms(*_, mode="nearest", **__):
    # Four terms; the weights of each are rounded too.
    return (EXACT if mode == "nearest" else 6,)


def _interpolate_backward_terms(dy, input_size, *_, mode="nearest", **__):
    ratios = [-(-o // n) for o, n in zip(dy.shape[2:], pair(input_size), strict=True)]
    if mode == "nearest":
        return (math.prod(r + 1 for r in ratios),)
    return (math.prod(2 * r + 1 for r in ratios) + 2,)


register(
    Operation(
        "adaptive_avg_pool2d",
        terms=_average_terms,
        backward=lambda F, args, kwargs, y, dy: (F.adaptive_avg_pool2d_backward(dy, args[0].shape[2:]),),
    ),
    # Every term is divided before it is added: one more rounding.
    Operation("adaptive_avg_pool2d_backward", terms=lambda dy, size: (_windows_over_pixel(dy, size) + 1,)),
    Operation(
        "adaptive_max_pool2d",
        terms=lambda *_, return_indices=False: (EXACT,) * (1 + return_indices),
        backward=_adaptive_max_gradient,
    ),
    Operation("adaptive_max_pool2d_backward", terms=lambda dy, indices, size: (_windows_over_pixel(dy, size),)),
    Operation(
        "interpolate",
        terms=_interpolate_terms,
        backward=lambda F, args, kwargs, y, dy: (F.interpolate_backward(dy, args[0].shape[2:], *args[1:], **kwargs),),
    ),
    Operation("interpolate_backward", terms=_interpolate_backward_terms),
)

# Label, x, output size.
ADAPTIVE = (
    ("whole-plane", (2, 3, 5, 7), 1),
    ("whole-rows", (1, 2, 7, 5), (3, 1)),
    ("whole-columns", (1, 2, 6, 35), (1, 8)),
    ("divides", (2, 2, 6, 8), (3, 2)),
    ("overlaps", (1, 3, 7, 11), (3, 4)),
    ("larger", (1, 2, 3, 4), (5, 9)),
    ("rows-as-they-are", (1, 2, 4, 7), (None, 3)),
    ("as-it-is", (1, 1, 3, 2), None),
    ("no-images", (0, 2, 4, 4), 2),
    ("more-planes-than-lanes", (3, 11, 9, 10), (4, 3)),
    ("windows-too-large-for-lanes", (1, 2, 41, 37), (2, 3)),
)


def adaptive_cases(label: str, shape: tuple[int, ...], size: Any, *, large: bool = False) -> Iterator[Case]:
    wanted = size if isinstance(size, tuple) else (size, size)
    out = tuple(o or n for n, o in zip(shape[2:], wanted, strict=True))

    def of_x(**more: Any) -> Any:
        return lambda draw: ((draw(shape), size), more)

    def max_backward(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        indices = reference.adaptive_max_pool2d(draw(shape), size, return_indices=True)[1]
        return (draw((*shape[:2], *out), "dy"), indices, shape[2:]), {}

    special = ("normal", "special")
    gradient = not large and shape[0] > 0
    yield Case("adaptive_avg_pool2d", label, of_x(), special, ("x",), large=large, gradient=gradient)
    yield Case(
        "adaptive_avg_pool2d_backward",
        label,
        lambda draw: ((draw((*shape[:2], *out), "dy"), shape[2:]), {}),
        special,
        ("dy",),
        large=large,
    )
    fills = ("normal", "ties", "special")
    yield Case("adaptive_max_pool2d", label, of_x(return_indices=True), fills, ("x",), large=large)
    yield Case("adaptive_max_pool2d", f"{label}-no-indices", of_x(), gradient=gradient)
    yield Case("adaptive_max_pool2d_backward", label, max_backward, ("normal", "special"), ("dy",), large=large)


# Label, x, size, scale factor, for all ways of interpolation.
SCALED = (
    ("twice", (2, 3, 4, 5), None, 2),
    ("twice-to-a-size", (1, 2, 3, 17), (6, 34), None),
    ("scale-is-not-the-ratio", (1, 2, 5, 7), None, (1.7, 2.3)),
    ("smaller", (1, 2, 9, 11), (4, 5), None),
    ("smaller-by-a-scale", (1, 2, 9, 11), None, 0.4),
    ("one-pixel-to-many", (1, 2, 1, 1), (3, 4), None),
    ("many-pixels-to-one", (1, 2, 4, 3), 1, None),
    ("rows-kept", (1, 2, 4, 6), (4, 15), None),
    ("scale-that-changes-nothing", (1, 2, 4, 6), None, 1.1),
    ("no-images", (0, 2, 4, 4), 3, None),
)
WAYS = ({}, {"mode": "bilinear"}, {"mode": "bilinear", "align_corners": True})


def interpolation_cases(
    label: str, shape: tuple[int, ...], size: Any, scale: Any, options: dict[str, Any], *, large: bool = False
) -> Iterator[Case]:
    x = np.zeros((1, 1, *shape[2:]))
    out = reference.interpolate(x, size, scale, **options).shape[2:]
    name = "-".join([label, options.get("mode", "nearest"), *(["corners"] if "align_corners" in options else [])])
    yield Case(
        "interpolate",
        name,
        lambda draw: ((draw(shape), size, scale), options),
        ("normal", "special"),
        ("x",),
        large=large,
        gradient=not large and shape[0] > 0,
    )
    yield Case(
        "interpolate_backward",
        name,
        lambda draw: ((draw((*shape[:2], *out), "dy"), shape[2:], size, scale), options),
        ("normal", "special"),
        ("dy",),
        large=large,
    )


CASES = (
    *(case for row in ADAPTIVE for case in adaptive_cases(*row)),
    *adaptive_cases("large-whole-plane", (16, 64, 14, 14), 1, large=True),
    *adaptive_cases("large-overlaps", (4, 64, 27, 27), 6, large=True),
    *(case for row in SCALED for options in WAYS for case in interpolation_cases(*row, options)),
    *interpolation_cases("large-twice", (8, 16, 20, 20), None, 2, WAYS[0], large=True),
    *interpolation_cases("large-twice", (8, 16, 20, 20), None, 2, WAYS[1], large=True),
)
