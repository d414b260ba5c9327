"""Dropout: the same elements dropped by kernel and reference, and one product for the others."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cases._base import EXACT, WIDTHS, Case, Operation, register

KEY = 0x0123456789ABCDEF, 0xFEDCBA9876543210


def _gradient(name):
    return lambda F, args, kwargs, y, dy: (getattr(F, f"{name}_backward")(dy, args[1], **kwargs),)


register(
    Operation(
        "dropout", terms=lambda *_, **k: (EXACT,) * (1 + k.get("return_kept", False)), backward=_gradient("dropout")
    ),
    Operation("dropout2d", terms=lambda *_, **__: (EXACT,), backward=_gradient("dropout2d")),
    *(Operation(f"{name}_backward", terms=lambda *_, **__: (EXACT,)) for name in ("dropout", "dropout2d")),
)

SHAPES = (*((n,) for n in WIDTHS), (2, 3, 5, 7), (1023,), (1025, 2), (0, 4), (40_000,))
IMAGES = ((2, 3, 5, 7), (1, 70, 1, 1), (3, 1, 1, 33), (0, 3, 4, 4), (1, 1100, 1, 2), (10, 20, 16, 17))


def _kept() -> Iterator[Case]:
    """The bits of what a forward kept, and backwards that are given bits, which need not be a forward's."""
    for n in (*WIDTHS, 1023, 4096, 40_001, 0):
        for p in (0.3, 1.0) if n == 1023 else (0.3,):
            yield Case(
                "dropout",
                f"kept-{n}-p{p:g}",
                lambda draw, n=n, p=p: ((draw((n,)), p), {"key": KEY, "return_kept": True}),
                ("normal", "special"),
                ("x",),
                large=n > 30_000,
            )
        yield Case(
            "dropout_backward",
            f"kept-{n}",
            lambda draw, n=n: ((draw((n,), "dy"), 0.3), {"key": KEY, "kept": _some_bits(n)}),
            ("normal", "special"),
            ("dy",),
            large=n > 30_000,
        )


def _some_bits(n):
    return np.random.default_rng(n).integers(0, 256, -(-n // 8), dtype=np.uint8)


def _cases() -> Iterator[Case]:
    for name, shapes in (("dropout", SHAPES), ("dropout2d", IMAGES)):
        for i, shape in enumerate(shapes):
            large = math.prod(shape) > 30_000
            for suffix, role in (("", "x"), ("_backward", "dy")):
                yield Case(
                    f"{name}{suffix}",
                    "x".join(map(str, shape)),
                    lambda draw, shape=shape, role=role, i=i: ((draw(shape, role), 0.3), {"key": (KEY[0], i)}),
                    ("normal", "ties", "special"),
                    (role,),
                    large=large,
                    gradient=not large and not suffix,
                )
        for p in (0.0, 1e-12, 0.5, 1 - 1e-12, 1.0):
            for key in ((0, 0), KEY, (2**64 - 1, 2**64 - 1)):
                yield Case(
                    name,
                    f"p{p:.12g}-key{key[0]}",
                    lambda draw, p=p, key=key: ((draw((3, 41, 1, 2)), p), {"key": key}),
                    ("normal", "special"),
                    ("x",),
                )
        if name == "dropout":
            yield from _kept()
        yield Case(
            name,
            "not-training",
            lambda draw: ((draw((3, 41, 1, 2)), 0.3), {"training": False, "key": KEY}),
            ("normal", "special"),
            ("x",),
            gradient=True,
        )


CASES = tuple(_cases())
