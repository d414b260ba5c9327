"""Max and average pooling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cases._base import EXACT, WIDTHS, Case, Draw, Operation, pair, register, windows_over
from fastnn import reference


def _maxpool2d_backward_terms(dy, positions, input_size, kernel_size, *, stride=None, **_):
    overlap = windows_over(kernel_size, stride)
    return (EXACT if overlap == 1 else overlap,)


def _maxpool2d_gradient(F, args, kwargs, y, dy):
    _, positions = F.maxpool2d(*args, **{**kwargs, "return_positions": True})
    rest = {k: v for k, v in kwargs.items() if k != "return_positions"}
    return (F.maxpool2d_backward(dy, positions, args[0].shape[2:], args[1], **rest),)


register(
    Operation("maxpool2d", terms=lambda *_, **__: (EXACT, EXACT), backward=_maxpool2d_gradient),
    Operation("maxpool2d_backward", terms=_maxpool2d_backward_terms),
    Operation(
        "avgpool2d",
        terms=lambda x, kernel_size, **_: (math.prod(pair(kernel_size)) + 1,),
        backward=lambda F, args, kwargs, y, dy: (F.avgpool2d_backward(dy, args[0].shape[2:], args[1], **kwargs),),
    ),
    # Every term is divided before it is added: one more rounding.
    Operation(
        "avgpool2d_backward",
        terms=lambda dy, size, kernel, *, stride=None, **_: (windows_over(kernel, stride) + 1,),
    ),
)


@dataclass(frozen=True)
class PoolShape:
    label: str
    x: tuple[int, int, int, int]
    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    ceil_mode: bool = False
    large: bool = False

    @property
    def out(self) -> tuple[int, int]:
        """PyTorch's rule: with ceil_mode the last window must start inside the input or the left padding."""
        kernel = pair(self.kernel)
        sizes = []
        for n, k, s, p in zip(
            self.x[2:],
            kernel,
            kernel if self.stride is None else pair(self.stride),
            pair(self.padding),
            strict=True,
        ):
            span = n + 2 * p - k
            size = (-(-span // s) if self.ceil_mode else span // s) + 1
            sizes.append(size - 1 if self.ceil_mode and (size - 1) * s >= n + p else size)
        return sizes[0], sizes[1]

    @property
    def geometry(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "ceil_mode": self.ceil_mode}


POOLS = (
    PoolShape("one-element", (1, 1, 1, 1), 1),
    PoolShape("2x2", (2, 3, 6, 8), 2),
    PoolShape("2x2-rim-unused", (2, 3, 7, 9), 2),
    PoolShape("2x2-ceil", (2, 3, 7, 9), 2, None, 0, True),
    PoolShape("3x3-s2-overlap", (2, 3, 9, 11), 3, 2),
    PoolShape("3x3-s2-ceil", (2, 3, 8, 10), 3, 2, 0, True),
    PoolShape("3x3-s2-p1", (2, 3, 8, 7), 3, 2, 1),
    PoolShape("3x3-s2-p1-ceil", (2, 3, 8, 7), 3, 2, 1, True),
    PoolShape("3x3-s1-p1", (2, 2, 5, 6), 3, 1, 1),
    PoolShape("2x3-non-square", (2, 2, 7, 10), (2, 3), (1, 2), (0, 1)),
    PoolShape("3x2-non-square-ceil", (2, 2, 10, 7), (3, 2), (2, 3), (1, 0), True),
    PoolShape("stride-over-kernel", (2, 2, 11, 13), (2, 3), (3, 5)),
    PoolShape("stride-over-kernel-ceil", (2, 2, 9, 9), 2, (4, 3), 1, True),
    PoolShape("ceil-drops-a-window", (1, 2, 5, 5), 2, 3, 1, True),
    PoolShape("1x1-s2", (2, 3, 5, 6), 1, 2),
    PoolShape("kernel-is-input", (3, 4, 5, 7), (5, 7)),
    PoolShape("whole-row", (2, 2, 6, 17), (1, 17)),
    PoolShape("16x16-last-byte-position", (1, 2, 18, 17), 16, 1),
    PoolShape("17x16-wide-positions", (2, 1, 20, 33), (17, 16), (1, 16)),
    PoolShape("17x17-wide-positions-p8", (1, 2, 19, 20), 17, 3, 8),
    PoolShape("no-images", (0, 3, 8, 8), 2),
    *(PoolShape(f"2x2-columns-{n}", (1, 2, 4, 2 * n), 2) for n in WIDTHS),
    *(PoolShape(f"3x3-s2-columns-{n}", (1, 2, 5, 2 * n + 1), 3, 2) for n in WIDTHS),
    PoolShape("large-2x2", (16, 20, 24, 24), 2, large=True),
    PoolShape("large-3x3-s2", (4, 32, 33, 31), 3, 2, large=True),
)


def pool_cases(s: PoolShape) -> Iterator[Case]:
    def maxpool_backward(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        dy = draw((*s.x[:2], *s.out), "dy")
        x = draw(s.x)
        positions = reference.maxpool2d(x, s.kernel, return_positions=True, **s.geometry)[1]
        return (dy, positions, s.x[2:], s.kernel), s.geometry

    yield Case(
        "maxpool2d",
        s.label,
        lambda draw: ((draw(s.x), s.kernel), {**s.geometry, "return_positions": True}),
        ("normal", "ties", "special"),
        ("x",),
        large=s.large,
    )
    yield Case(
        "maxpool2d",
        f"{s.label}-no-positions",
        lambda draw: ((draw(s.x), s.kernel), s.geometry),
        ("normal", "special"),
        ("x",),
        gradient=not s.large,
    )
    yield Case("maxpool2d_backward", s.label, maxpool_backward, ("normal", "ties", "special"), ("dy",), large=s.large)
    yield Case(
        "avgpool2d",
        s.label,
        lambda draw: ((draw(s.x), s.kernel), s.geometry),
        ("normal", "special"),
        ("x",),
        large=s.large,
        gradient=not s.large,
    )
    yield Case(
        "avgpool2d_backward",
        s.label,
        lambda draw: ((draw((*s.x[:2], *s.out), "dy"), s.x[2:], s.kernel), s.geometry),
        ("normal", "special"),
        ("dy",),
        large=s.large,
    )


def _pool_value_cases() -> Iterator[Case]:
    """Values where a wrong identity element of the maximum shows: padding must never win."""
    for label, value in (("all-minus-infinity", -np.inf), ("all-negative", -3.0), ("all-nan", np.nan)):
        yield Case(
            "maxpool2d",
            label,
            lambda draw, value=value: (
                (np.full((1, 2, 5, 5), value, draw.dtype), 3),
                {"stride": 2, "padding": 1, "ceil_mode": True, "return_positions": True},
            ),
        )


CASES = (
    *(case for shape in POOLS for case in pool_cases(shape)),
    *_pool_value_cases(),
)
