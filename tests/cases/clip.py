"""Clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cases._base import EXACT, FUNCTION, Case, Operation, register


def _norm_terms(g, *_, **__):
    """Sums are in double precision, so of float32 nothing is lost but in the product of gradient and factor."""
    return (1, 1) if g.dtype == np.float32 else (g.size + FUNCTION, g.size + FUNCTION)


def _norm_scale(g, max_norm, norm_type=2.0):
    powers = np.abs(g) if math.isinf(norm_type) else np.abs(g) ** norm_type
    norm = np.max(powers, initial=0.0) if math.isinf(norm_type) else powers.sum() ** (1 / norm_type)
    return norm, np.abs(g) * min(1.0, max_norm / (norm + 1e-6))


register(
    Operation("clip_grad_norm_", terms=_norm_terms, scale=_norm_scale, in_place=(0,)),
    Operation("clip_grad_value_", terms=lambda *_, **__: (EXACT,), in_place=(0,)),
)


def _cases() -> Iterator[Case]:
    for shape in ((1,), (17,), (20, 1, 5, 5), (0,), (30_000,)):
        title, large = "x".join(map(str, shape)), shape == (30_000,)
        for label, options in (
            ("clipped", {"max_norm": 0.25}),
            ("left", {"max_norm": 1e3}),
            ("first-power", {"max_norm": 0.25, "norm_type": 1.0}),
            ("third-power", {"max_norm": 0.25, "norm_type": 3}),
            ("largest", {"max_norm": 0.25, "norm_type": math.inf}),
        ):
            yield Case(
                "clip_grad_norm_",
                f"{title}-{label}",
                lambda draw, shape=shape, options=options: ((draw(shape),), options),
                ("normal", "special"),
                ("x",),
                large=large,
            )
        yield Case(
            "clip_grad_value_",
            title,
            lambda draw, shape=shape: ((draw(shape), 0.75), {}),
            ("normal", "special"),
            ("x",),
            large=large,
        )


CASES = tuple(_cases())
