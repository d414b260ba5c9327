"""Planes of another size: adaptive pooling and interpolation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, Case, Draw, Operation, register
from fastnn import reference


def _window(size: int, outputs: int) -> int:
    """The longest of so many windows that share out an axis: one reaches over two cuts at most."""
    return -(-size // outputs) + (1 if size % outputs else 0)


def _average_terms(x, output_size):
    wanted = output_size if isinstance(output_size, tuple) else (output_size,) * (x.ndim - 2)
    return (math.prod(_window(n, o or n) for n, o in zip(x.shape[2:], wanted, strict=True)) + 1,)


def _windows_over_pixel(dy, size):
    """The windows of an adaptive pool that a pixel lies in, at most: a window seen from the other side."""
    return math.prod(_window(o, n) for o, n in zip(dy.shape[2:], size, strict=True))


def _adaptive_max_gradient(axes):
    def gradient(F, args, kwargs, y, dy):
        indices = getattr(F, f"adaptive_max_pool{axes}d")(*args, return_indices=True)[1]
        return (getattr(F, f"adaptive_max_pool{axes}d_backward")(dy, indices, args[0].shape[2:]),)

    return gradient


def _interpolate_terms(x, size=None, scale=None, mode="nearest", **options):
    """The weights of each term are rounded too."""
    match mode:
        case "nearest" | "nearest-exact":
            return (EXACT,)
        case "area":
            return _average_terms(x, reference.interpolate(x[:1], size, scale, **options).shape[2:])
    return (18 if mode == "bicubic" else 6,)


def _interpolate_backward_terms(dy, input_size, *_, mode="nearest", **__):
    ratios = [-(-o // n) for o, n in zip(dy.shape[2:], input_size, strict=True)]
    match mode:
        case "nearest" | "nearest-exact":
            return (math.prod(r + 1 for r in ratios),)
        case "area":
            return (_windows_over_pixel(dy, input_size) + 1,)
        case "bicubic":
            return (math.prod(4 * r + 4 for r in ratios) + 2,)
    return (math.prod(2 * r + 1 for r in ratios) + 2,)


def _weights(plane, *settings, **options):
    """The absolute weight of each pixel in each output, (pixels, outputs); those of "bicubic" may be negative."""
    pixels = math.prod(plane)
    outputs = reference.interpolate(np.eye(pixels).reshape(1, pixels, *plane), *settings, **options)
    return np.abs(outputs).reshape(pixels, -1)


def _sizes(a):
    """Absolute values; what is not finite has none."""
    return np.abs(np.where(np.isfinite(a), a, 1)).reshape(*a.shape[:2], math.prod(a.shape[2:]))


def _interpolate_scale(x, *settings, **options):
    y = reference.interpolate(np.abs(x), *settings, **options)
    if options.get("mode") == "bicubic":
        y = (_sizes(x) @ _weights(x.shape[2:], *settings, **options)).reshape(y.shape)
    return (y,)


def _interpolate_backward_scale(dy, input_size, *settings, **options):
    dx = reference.interpolate_backward(np.abs(dy), input_size, *settings, **options)
    if options.get("mode") == "bicubic":
        dx = (_sizes(dy) @ _weights(input_size, *settings, **options).T).reshape(dx.shape)
    return (dx,)


for _axes in (1, 2):
    _average, _maximum = f"adaptive_avg_pool{_axes}d", f"adaptive_max_pool{_axes}d"
    register(
        Operation(
            _average,
            terms=_average_terms,
            backward=lambda F, args, kwargs, y, dy, name=f"{_average}_backward": (
                getattr(F, name)(dy, args[0].shape[2:]),
            ),
        ),
        # Every term is divided before it is added: one more rounding.
        Operation(f"{_average}_backward", terms=lambda dy, size: (_windows_over_pixel(dy, size) + 1,)),
        Operation(
            _maximum,
            terms=lambda *_, return_indices=False: (EXACT,) * (1 + return_indices),
            backward=_adaptive_max_gradient(_axes),
        ),
        Operation(f"{_maximum}_backward", terms=lambda dy, indices, size: (_windows_over_pixel(dy, size),)),
    )

register(
    Operation(
        "interpolate",
        terms=_interpolate_terms,
        scale=_interpolate_scale,
        backward=lambda F, args, kwargs, y, dy: (F.interpolate_backward(dy, args[0].shape[2:], *args[1:], **kwargs),),
    ),
    Operation("interpolate_backward", terms=_interpolate_backward_terms, scale=_interpolate_backward_scale),
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
    ("row", (2, 3, 11), 4),
    ("row-to-one", (3, 2, 100), (1,)),
    ("row-as-it-is", (1, 2, 5), None),
    ("row-of-no-images", (0, 2, 5), 2),
)


def adaptive_cases(label: str, shape: tuple[int, ...], size: Any, *, large: bool = False) -> Iterator[Case]:
    axes = len(shape) - 2
    wanted = size if isinstance(size, tuple) else (size,) * axes
    out = tuple(o or n for n, o in zip(shape[2:], wanted, strict=True))
    average, maximum = f"adaptive_avg_pool{axes}d", f"adaptive_max_pool{axes}d"

    def of_x(**more: Any) -> Any:
        return lambda draw: ((draw(shape), size), more)

    def max_backward(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        indices = getattr(reference, maximum)(draw(shape), size, return_indices=True)[1]
        return (draw((*shape[:2], *out), "dy"), indices, shape[2:]), {}

    special = ("normal", "special")
    gradient = not large and shape[0] > 0
    yield Case(average, label, of_x(), special, ("x",), large=large, gradient=gradient)
    yield Case(
        f"{average}_backward",
        label,
        lambda draw: ((draw((*shape[:2], *out), "dy"), shape[2:]), {}),
        special,
        ("dy",),
        large=large,
    )
    fills = ("normal", "ties", "special")
    yield Case(maximum, label, of_x(return_indices=True), fills, ("x",), large=large)
    yield Case(maximum, f"{label}-no-indices", of_x(), gradient=gradient)
    yield Case(f"{maximum}_backward", label, max_backward, ("normal", "special"), ("dy",), large=large)


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
    ("row-twice", (2, 3, 9), None, 2),
    ("row-smaller", (2, 3, 23), (9,), None),
    ("row-by-a-scale", (1, 2, 7), None, 2.3),
)
WAYS = (
    {},
    {"mode": "nearest-exact"},
    {"mode": "area"},
    *(
        {"mode": mode, "align_corners": corners}
        for mode in ("linear", "bilinear", "bicubic")
        for corners in (False, True)
    ),
    {"mode": "bilinear", "recompute_scale_factor": True},
)


def fits(shape: tuple[int, ...], scale: Any, options: dict[str, Any]) -> bool:
    """Whether the way is one of so many axes, and has the scale that it needs."""
    other = ("bilinear", "bicubic") if len(shape) == 3 else ("linear",)
    return options.get("mode") not in other and not (scale is None and "recompute_scale_factor" in options)


_WORDS = {"align_corners": "corners", "recompute_scale_factor": "recomputed"}


def interpolation_cases(
    label: str, shape: tuple[int, ...], size: Any, scale: Any, options: dict[str, Any], *, large: bool = False
) -> Iterator[Case]:
    x = np.zeros((1, 1, *shape[2:]))
    out = reference.interpolate(x, size, scale, **options).shape[2:]
    more = [words for option, words in _WORDS.items() if options.get(option)]
    name = "-".join([label, options.get("mode", "nearest"), *more])
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
    *(
        case
        for row in SCALED
        for options in WAYS
        if fits(row[1], row[3], options)
        for case in interpolation_cases(*row, options)
    ),
    *(
        case
        for options in ({}, {"mode": "bilinear"}, {"mode": "bicubic"})
        for case in interpolation_cases("large-twice", (8, 16, 20, 20), None, 2, options, large=True)
    ),
)
