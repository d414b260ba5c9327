"""Steps of optimisers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cases._base import WIDTHS, Case, Operation, register


def _sgd_scale(p, g, velocity, *, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    p, g = np.abs(p), np.abs(g)
    d = g + weight_decay * p if weight_decay else g
    if velocity is None:
        return p + lr * d, np.zeros(())
    v = momentum * np.abs(velocity) + d
    return p + lr * (d + momentum * v if nesterov else v), v


register(
    # lr, momentum and weight decay are rounded to the dtype once each, then at most 8 operations.
    Operation("sgd_step", terms=lambda *_, **__: (11, 11), scale=_sgd_scale, in_place=(0, 2)),
)


def _sgd_cases() -> Iterator[Case]:
    for shape in ((1,), *((n,) for n in WIDTHS[1:]), (20, 1, 5, 5), (0,), (30_000,)):
        for label, options in (
            ("plain", {}),
            ("decay", {"weight_decay": 0.01}),
            ("momentum", {"momentum": 0.9}),
            ("momentum-decay", {"momentum": 0.9, "weight_decay": 5e-4}),
            ("nesterov", {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True}),
        ):
            yield Case(
                "sgd_step",
                f"{'x'.join(map(str, shape))}-{label}",
                lambda draw, shape=shape, options=options: (
                    (draw(shape), draw(shape), draw(shape) if "momentum" in options else None),
                    {"lr": 0.03, **options},
                ),
                ("normal", "special"),
                ("x",),
                large=shape == (30_000,),
            )


CASES = tuple(_sgd_cases())
