"""Padding of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, Case, Operation, register
from fastnn import reference


def _backward_terms(dy, padding, mode="constant"):
    """As many as outputs come from one pixel."""
    most = int(reference.pad_backward(np.ones_like(dy), padding, mode=mode).max(initial=1))
    return (EXACT if most == 1 else most,)


register(
    Operation(
        "pad",
        terms=lambda *_, **__: (EXACT,),
        backward=lambda F, args, kwargs, y, dy: (F.pad_backward(dy, args[1], **kwargs),),
    ),
    Operation("pad_backward", terms=_backward_terms),
)


def pad_cases(mode: str, label: str, x: Any, padding: Any, *, large: bool = False) -> Iterator[Case]:
    left, right, top, bottom = padding if isinstance(padding, tuple) else (padding,) * 4
    y = (*x[:2], x[2] + top + bottom, x[3] + left + right)
    fills = ("normal", "special")
    yield Case(
        "pad",
        f"{mode}-{label}",
        lambda draw: ((draw(x), padding), {"mode": mode}),
        fills,
        ("x",),
        large=large,
        gradient=not large,
    )
    yield Case(
        "pad_backward",
        f"{mode}-{label}",
        lambda draw: ((draw(y, "dy"), padding), {"mode": mode}),
        fills,
        ("dy",),
        large=large,
    )


# Mode, label, x, widths, value: negative widths cut off, and a constant goes around arrays of any axes.
OTHERS = (
    ("constant", "a-number", (2, 3, 5, 6), (1, 2, 0, 3), -1.5),
    ("constant", "cut-and-a-number", (2, 3, 5, 6), (-1, 2, 3, -2), 0.5),
    ("constant", "one-axis", (2, 3, 7), (2, -1), None),
    ("constant", "vector", (7,), (1, 3), 2.0),
    ("constant", "three-axes", (2, 3, 4), (0, 1, 2, 0, 1, 1), None),
    ("constant", "channels", (2, 3, 4, 5), (0, 0, 0, 0, 2, 1), None),
    ("constant", "cut", (2, 3, 5, 6), -1, None),
    ("reflect", "cut-and-reflected", (2, 2, 5, 6), (-2, 3, 1, -1), None),
    ("replicate", "cut-and-repeated", (2, 2, 5, 6), (-2, 3, 1, -1), None),
    ("circular", "cut-and-wrapped", (2, 2, 5, 6), (-2, 3, 1, -1), None),
    *((mode, "sequences", (2, 3, 7), (2, 3), None) for mode in ("reflect", "replicate", "circular")),
    *((mode, "one-image", (3, 4, 5), (2, 0, 1, 1), None) for mode in ("reflect", "replicate", "circular")),
    *((mode, "one-sequence", (3, 5), (-1, 2), None) for mode in ("reflect", "replicate", "circular")),
)


def other_cases(mode: str, label: str, x: Any, padding: Any, value: float | None) -> Iterator[Case]:
    y = reference.pad(np.zeros(x), padding, mode).shape
    more = {"mode": mode} if value is None else {"mode": mode, "value": value}
    fills = ("normal", "special")
    yield Case("pad", f"{mode}-{label}", lambda draw: ((draw(x), padding), more), fills, ("x",), gradient=value is None)
    yield Case(
        "pad_backward",
        f"{mode}-{label}",
        lambda draw: ((draw(y, "dy"), padding), {"mode": mode}),
        fills,
        ("dy",),
    )


def _cases() -> Iterator[Case]:
    for row in OTHERS:
        yield from other_cases(*row)
    for mode in ("constant", "reflect", "replicate", "circular"):
        for label, x, padding, large in (
            ("all-sides", (2, 3, 5, 6), 2, False),
            ("each-its-own", (2, 2, 4, 7), (3, 0, 1, 2), False),
            ("as-wide-as-can-be", (1, 2, 4, 5), (4, 4, 3, 3), False),
            ("one-row", (2, 3, 1, 9), (2, 3, 0, 0), False),
            ("nothing", (2, 1, 3, 3), 0, False),
            ("no-images", (0, 2, 3, 3), 1, False),
            ("large", (5, 20, 30, 41), (1, 2, 3, 4), True),
        ):
            yield from pad_cases(mode, label, x, padding, large=large)


CASES = tuple(_cases())
