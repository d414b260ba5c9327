"""Matrix products and linear layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from cases._base import Case, Draw, Operation, no_activation, register


def _linear_gradient(F, args, kwargs, y, dy):
    _, dy = no_activation(F, kwargs, y, dy)
    return F.linear_backward(dy, args[0], args[1])


def _linear_backward_terms(dy, x, w, **_):
    rows = math.prod(x.shape[:-1])
    return w.shape[0], rows, rows


register(
    Operation("matmul", terms=lambda a, b: (a.shape[1],)),
    Operation(
        "linear",
        terms=lambda x, w, b=None, **_: (w.shape[1] + (b is not None),),
        backward=_linear_gradient,
        wrt=(0, 1, 2),
    ),
    Operation("linear_backward", terms=_linear_backward_terms),
)


# rows, inner, columns
PRODUCTS = (
    (1, 1, 1),
    (2, 3, 4),
    (1, 65, 33),
    (33, 1, 17),
    (17, 31, 1),
    (15, 16, 17),
    (31, 32, 33),
    (63, 65, 64),
    (65, 63, 66),
    (14, 300, 32),
    (0, 5, 3),
    (3, 0, 4),
    (3, 5, 0),
)


# Cut into blocks along one or more of their sides.
LARGE_PRODUCTS = (
    (150, 260, 170),
    (9, 2500, 33),
    (3, 2500, 5),
    (40, 2500, 2),
    (1100, 17, 20),
    (9, 30, 1500),
    (1, 784, 500),
    (700, 3, 1),
    (150, 70, 400),
)

# Dot tiles of one to five rows, whichever factor they are of, whole and in part.
FEW_ROWS = (
    (2, 40, 15),
    (4, 33, 13),
    (5, 37, 11),
    (6, 9, 3),
    (33, 20, 2),
    (35, 40, 4),
    (21, 130, 5),
    (40, 12, 1),
    (70, 1, 1),
)

# Rows of a multiple of 4 KB, also in float64: one row, several, few panels of many blocks, and a tile turned round.
SHARED_SETS = ((1, 1024, 20), (7, 1024, 40), (9, 512, 70), (40, 1024, 30), (60, 1024, 3))


def _product_cases() -> Iterator[Case]:
    for m, k, n in PRODUCTS:
        yield Case(
            "matmul",
            f"{m}x{k}x{n}",
            lambda draw, m=m, k=k, n=n: ((draw((m, k)), draw((k, n), "w")), {}),
            ("normal", "special"),
            ("x", "w"),
        )
        if 0 in (k, n):
            continue  # a linear layer has at least one input and one output
        yield from linear_cases(f"{m}x{k}x{n}", (m,), k, n)
    for m, k, n in FEW_ROWS:
        yield from linear_cases(f"{m}x{k}x{n}", (m,), k, n)
    for m, k, n in SHARED_SETS:
        yield from linear_cases(f"shared-{m}x{k}x{n}", (m,), k, n, large=True)
    for m, k, n in LARGE_PRODUCTS:
        yield Case(
            "matmul",
            f"large-{m}x{k}x{n}",
            lambda draw, m=m, k=k, n=n: ((draw((m, k)), draw((k, n), "w")), {}),
            large=True,
        )
        yield from linear_cases(f"large-{m}x{k}x{n}", (m,), k, n, large=True)
    for k in (1, 2, 3, 4, 5):  # from 5 on a row fills a part of a vector that is worth it
        yield from linear_cases(f"few-to-one-{k}", (37,), k, 1)
    yield from linear_cases("vector", (), 17, 5)
    yield from linear_cases("three-axes", (2, 3), 16, 5)
    yield from linear_cases("four-axes-one-empty", (2, 0, 3), 4, 5)


def linear_cases(label: str, rows: tuple[int, ...], i: int, o: int, *, large: bool = False) -> Iterator[Case]:
    def forward(bias: bool = True, **options: Any) -> Callable[[Draw], Any]:
        return lambda draw: (
            (draw((*rows, i)), draw((o, i), "w"), draw((o,), "b") if bias else None),
            options,
        )

    fills = ("normal", "special")
    yield Case("linear", label, forward(), fills, ("x", "w", "b"), large=large, gradient=not large)
    yield Case("linear", f"{label}-no-bias-relu", forward(bias=False, activation="relu"), fills, ("x",))
    yield Case(
        "linear_backward",
        label,
        lambda draw: ((draw((*rows, o), "dy"), draw((*rows, i)), draw((o, i), "w")), {}),
        fills,
        ("x", "w", "dy"),
        large=large,
    )


def _linear_option_cases() -> Iterator[Case]:
    for needs in (("dx",), ("dw",), ("db",), ("dw", "db")):
        yield Case(
            "linear_backward",
            "needs-" + "-".join(needs),
            lambda draw, needs=needs: ((draw((5, 3), "dy"), draw((5, 4)), draw((3, 4), "w")), {"needs": needs}),
        )
    yield Case(
        "linear",
        "bias-relu",
        lambda draw: ((draw((5, 17)), draw((19, 17), "w"), draw((19,), "b")), {"activation": "relu"}),
        ("normal", "special"),
        ("x",),
        gradient=True,
    )


CASES = (
    *_product_cases(),
    *_linear_option_cases(),
)
