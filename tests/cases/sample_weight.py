"""Losses of examples that have weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cases._base import EXACT, Case, Operation, register

register(
    Operation(
        "weigh_losses",
        terms=lambda *_, **__: (EXACT,),
        backward=lambda F, args, kwargs, y, dy: (F.weigh_losses_backward(*args, **kwargs, dloss=dy),),
    ),
    Operation("weigh_losses_backward", terms=lambda *_, **__: (EXACT,)),
)


def weighted_cases(label: str, shape: tuple[int, ...], reduction: str, *, has_mass: bool) -> list[Case]:
    """Both directions, for losses of this shape."""

    def build(draw):
        weights = np.abs(draw(shape[:1], "w"))
        mass = np.abs(draw(shape, "m")) if has_mass else None
        return (draw(shape), weights, mass), {"reduction": reduction}

    gradient = 0 not in shape
    forward = Case("weigh_losses", label, build, ("normal", "special"), ("x",), gradient=gradient)
    return [forward, Case("weigh_losses_backward", label, build)]


def _cases() -> Iterator[Case]:
    for shape in ((1,), (17,), (5, 3), (4, 2, 3), (0,), (0, 3)):
        for reduction in ("mean", "sum", "none"):
            for has_mass in (False, True):
                label = f"{'x'.join(map(str, shape))}-{reduction}{'-mass' if has_mass else ''}"
                yield from weighted_cases(label, shape, reduction, has_mass=has_mass)


CASES = tuple(_cases())
