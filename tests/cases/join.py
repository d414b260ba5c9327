"""Sums of arrays, and arrays joined."""

from __future__ import annotations

from collections.abc import Iterator

from cases._base import EXACT, WIDTHS, Case, Operation, register

register(
    # Its gradient is that of both arguments: there is no backward to check.
    Operation("add", terms=lambda a, b, *, activation=None: (2,)),
    Operation("cat", terms=lambda arrays, dim=0: (EXACT,)),
)


def _add_cases() -> Iterator[Case]:
    for shape in (*((n,) for n in WIDTHS), (0, 3), (2, 3, 5, 7)):
        yield Case(
            "add",
            "x".join(map(str, shape)),
            lambda draw, shape=shape: ((draw(shape, "a"), draw(shape, "b")), {}),
            ("normal", "special"),
            ("a", "b"),
        )
    yield Case(
        "add",
        "relu-large",
        lambda draw: ((draw((37, 4, 16, 17), "a"), draw((37, 4, 16, 17), "b")), {"activation": "relu"}),
        ("normal", "ties", "special"),
        ("a", "b"),
        large=True,
    )


def _cat_cases() -> Iterator[Case]:
    for shapes, dim in (
        (((2, 3, 4), (2, 1, 4), (2, 5, 4)), 1),
        (((2, 3), (2, 4)), -1),
        (((2, 3), (1, 3)), 0),
        (((0, 3, 2), (0, 1, 2)), 1),
        (((4, 2),), 1),
    ):
        yield Case(
            "cat",
            "+".join("x".join(map(str, shape)) for shape in shapes) + f"-{dim}",
            lambda draw, shapes=shapes, dim=dim: (([draw(shape) for shape in shapes], dim), {}),
            ("normal", "special"),
            ("x",),
        )


CASES = (*_add_cases(), *_cat_cases())
