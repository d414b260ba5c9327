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


def _cases() -> Iterator[Case]:
    for shape in ((1,), (17,), (5, 3), (4, 2, 3), (0,), (0, 3)):
        for reduction in ("mean", "sum", "none"):
            for massive in (False, True):

                def build(draw, shape=shape, reduction=reduction, massive=massive):
                    weights = np.abs(draw(shape[:1], "w"))
                    mass = np.abs(draw(shape, "m")) if massive else None
                    return (draw(shape), weights, mass), {"reduction": reduction}

                label = f"{'x'.join(map(str, shape))}-{reduction}{'-mass' if massive else ''}"
                gradient = 0 not in shape
                yield Case("weigh_losses", label, build, ("normal", "special"), ("x",), gradient=gradient)
                yield Case("weigh_losses_backward", label, build)


CASES = tuple(_cases())
