"""Max and average pooling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cases._base import EXACT, WIDTHS, Case, Draw, Operation, pair, register, windows_over
from fastnn import reference

MAX_RESULTS = ("return_positions", "return_indices")


def _max_pool_terms(*_, return_positions=False, return_indices=False, **__):
    return (EXACT,) * (1 + return_positions + return_indices)


def _max_pool_backward_terms(dy, positions, input_size, kernel_size, *, stride=None, dilation=1, **_):
    overlap = windows_over(kernel_size, stride, dilation)
    return (EXACT if overlap == 1 else overlap,)


def _max_pool2d_gradient(F, args, kwargs, y, dy):
    options = {k: v for k, v in kwargs.items() if k not in MAX_RESULTS}
    _, positions = F.max_pool2d(*args, **options, return_positions=True)
    return (F.max_pool2d_backward(dy, positions, args[0].shape[2:], args[1], **options),)


def _max_pool1d_gradient(F, args, kwargs, y, dy):
    options = {k: v for k, v in kwargs.items() if k not in MAX_RESULTS}
    _, positions = F.max_pool1d(*args, **options, return_positions=True)
    return (F.max_pool1d_backward(dy, positions, args[0].shape[2], args[1], **options),)


register(
    Operation("max_pool2d", terms=_max_pool_terms, backward=_max_pool2d_gradient),
    Operation("max_pool2d_backward", terms=_max_pool_backward_terms),
    Operation(
        "avg_pool2d",
        terms=lambda x, kernel_size, **_: (math.prod(pair(kernel_size)) + 1,),
        backward=lambda F, args, kwargs, y, dy: (F.avg_pool2d_backward(dy, args[0].shape[2:], args[1], **kwargs),),
    ),
    # Every term is divided before it is added: one more rounding.
    Operation(
        "avg_pool2d_backward",
        terms=lambda dy, size, kernel, *, stride=None, **_: (windows_over(kernel, stride) + 1,),
    ),
    Operation("max_pool1d", terms=_max_pool_terms, backward=_max_pool1d_gradient),
    Operation("max_pool1d_backward", terms=_max_pool_backward_terms),
    Operation(
        "avg_pool1d",
        terms=lambda x, kernel_size, **_: (kernel_size + 1,),
        backward=lambda F, args, kwargs, y, dy: (F.avg_pool1d_backward(dy, args[0].shape[2], args[1], **kwargs),),
    ),
    Operation(
        "avg_pool1d_backward",
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
    dilation: int | tuple[int, int] = 1  # of the maximum; an average has none
    counting: dict[str, Any] = field(default_factory=dict, compare=False)  # of the average

    @property
    def out(self) -> tuple[int, int]:
        return self.outputs(self.dilation)

    def outputs(self, dilation: int | tuple[int, int]) -> tuple[int, int]:
        """PyTorch's rule: with ceil_mode the last window must start inside the input or the left padding."""
        kernel = pair(self.kernel)
        sizes = []
        for n, k, s, p, d in zip(
            self.x[2:],
            kernel,
            kernel if self.stride is None else pair(self.stride),
            pair(self.padding),
            pair(dilation),
            strict=True,
        ):
            span = n + 2 * p - d * (k - 1) - 1
            size = (-(-span // s) if self.ceil_mode else span // s) + 1
            sizes.append(size - 1 if self.ceil_mode and (size - 1) * s >= n + p else size)
        return sizes[0], sizes[1]

    @property
    def geometry(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "ceil_mode": self.ceil_mode}

    @property
    def maximum(self) -> dict[str, Any]:
        return self.geometry if self.dilation == 1 else {**self.geometry, "dilation": self.dilation}

    @property
    def average(self) -> dict[str, Any]:
        return {**self.geometry, **self.counting}


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
    PoolShape("3x3-s2-wide-rim", (1, 2, 6, 10), 3, 2, 1),
    PoolShape("3x3-s2-one-window", (1, 2, 4, 3), 3, 2),
    PoolShape("2x2-dilated", (2, 2, 7, 8), 2, 1, dilation=(2, 3)),
    PoolShape("3x3-s2-p1-dilated-ceil", (1, 2, 9, 12), 3, 2, 1, True, dilation=2),
    PoolShape("17x16-dilated", (1, 1, 35, 33), (17, 16), (2, 1), (8, 2), dilation=2),
    PoolShape("dilated-by-all-but-one", (1, 2, 5, 6), (2, 3), 1, (1, 0), dilation=(4, 1)),
    PoolShape("3x3-s2-p1-ceil-real-pixels", (2, 3, 8, 7), 3, 2, 1, True, counting={"count_include_pad": False}),
    PoolShape("3x4-p1-real-pixels", (1, 2, 7, 9), (3, 4), 1, 1, counting={"count_include_pad": False}),
    PoolShape("2x2-divided-by-3", (1, 2, 4, 6), 2, counting={"divisor_override": 3}),
    PoolShape("3x3-s2-p1-divided-by-5", (1, 2, 8, 7), 3, 2, 1, counting={"divisor_override": 5}),
    *(PoolShape(f"2x2-columns-{n}", (1, 2, 4, 2 * n), 2) for n in WIDTHS),
    *(PoolShape(f"3x3-s2-columns-{n}", (1, 2, 5, 2 * n + 1), 3, 2) for n in WIDTHS),
    # Planes in lanes: one vector of planes and parts of others, planes smaller than a vector, and planes too large.
    PoolShape("lanes-5x5-p2", (3, 7, 6, 9), 5, 1, 2),
    PoolShape("lanes-4x4-s3", (2, 20, 11, 7), 4, 3),
    PoolShape("lanes-3x3-p1-ceil", (5, 5, 7, 10), 3, 3, 1, True),
    PoolShape("lanes-tiny", (3, 11, 2, 3), 2, 1, 1),
    PoolShape("lanes-dilated", (4, 8, 9, 8), (3, 2), (3, 1), 1, dilation=(2, 3)),
    PoolShape("lanes-real-pixels", (4, 5, 6, 5), (3, 4), 2, (1, 2), counting={"count_include_pad": False}),
    PoolShape("lanes-divided-by-7", (4, 5, 6, 5), 3, 3, 1, counting={"divisor_override": 7}),
    PoolShape("plane-too-large-for-lanes", (1, 1, 91, 94), (2, 3), (1, 2), 1),
    PoolShape("large-lanes-4x4-s2-p1", (30, 8, 15, 14), 4, 2, 1, large=True),
    PoolShape("large-2x2", (16, 20, 24, 24), 2, large=True),
    PoolShape("large-3x3-s2", (4, 32, 33, 31), 3, 2, large=True),
)


def pool_cases(s: PoolShape) -> Iterator[Case]:
    if not s.counting:
        yield from _max_cases(s)
    if s.dilation == 1:
        yield from _average_cases(s)


def _max_cases(s: PoolShape) -> Iterator[Case]:
    def max_pool_backward(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        dy = draw((*s.x[:2], *s.out), "dy")
        x = draw(s.x)
        positions = reference.max_pool2d(x, s.kernel, return_positions=True, **s.maximum)[1]
        return (dy, positions, s.x[2:], s.kernel), s.maximum

    yield Case(
        "max_pool2d",
        s.label,
        lambda draw: ((draw(s.x), s.kernel), {**s.maximum, "return_positions": True, "return_indices": True}),
        ("normal", "ties", "special"),
        ("x",),
        large=s.large,
    )
    yield Case(
        "max_pool2d",
        f"{s.label}-no-positions",
        lambda draw: ((draw(s.x), s.kernel), s.maximum),
        ("normal", "special"),
        ("x",),
        gradient=not s.large,
    )
    yield Case("max_pool2d_backward", s.label, max_pool_backward, ("normal", "ties", "special"), ("dy",), large=s.large)


def _average_cases(s: PoolShape) -> Iterator[Case]:
    yield Case(
        "avg_pool2d",
        s.label,
        lambda draw: ((draw(s.x), s.kernel), s.average),
        ("normal", "special"),
        ("x",),
        large=s.large,
        gradient=not s.large,
    )
    yield Case(
        "avg_pool2d_backward",
        s.label,
        lambda draw: ((draw((*s.x[:2], *s.out), "dy"), s.x[2:], s.kernel), s.average),
        ("normal", "special"),
        ("dy",),
        large=s.large,
    )


def row_cases(
    label: str, L: int, kernel: int, stride: int | None, padding: int, dilation: int, ceil_mode: bool
) -> Iterator[Case]:
    """Pools along one axis: what is above the kernels is tried here, not the kernels."""
    plane = PoolShape(label, (1, 1, 1, L), (1, kernel), (1, stride or kernel), (0, padding), ceil_mode)
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    maximum = {**options, "dilation": dilation}
    average = {**options, "count_include_pad": ceil_mode}

    def max_pool_backward(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        positions = reference.max_pool1d(draw((2, 3, L)), kernel, return_positions=True, **maximum)[1]
        return (draw(positions.shape, "dy"), positions, L, kernel), maximum

    def of_x(settings: dict[str, Any], **more: Any) -> Any:
        return lambda draw: ((draw((2, 3, L)), kernel), {**settings, **more})

    def avg_pool_backward(draw: Draw) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (draw((2, 3, plane.outputs(1)[1]), "dy"), L, kernel), average

    fills = ("normal", "ties")
    yield Case("max_pool1d", label, of_x(maximum, return_positions=True, return_indices=True), fills)
    yield Case("max_pool1d", f"{label}-no-positions", of_x(maximum), gradient=True)
    yield Case("max_pool1d_backward", label, max_pool_backward, fills)
    yield Case("avg_pool1d", label, of_x(average), gradient=True)
    yield Case("avg_pool1d_backward", label, avg_pool_backward)


def _pool_value_cases() -> Iterator[Case]:
    """Values where a wrong identity element of the maximum shows: padding must never win."""
    for label, value in (("all-minus-infinity", -np.inf), ("all-negative", -3.0), ("all-nan", np.nan)):
        yield Case(
            "max_pool2d",
            label,
            lambda draw, value=value: (
                (np.full((1, 2, 5, 5), value, draw.dtype), 3),
                {"stride": 2, "padding": 1, "ceil_mode": True, "return_positions": True},
            ),
        )


CASES = (
    *(case for shape in POOLS for case in pool_cases(shape)),
    *_pool_value_cases(),
    *row_cases("2", 9, 2, None, 0, 1, False),
    *row_cases("3-s2-p1-dilated-ceil", 12, 3, 2, 1, 2, True),
    *row_cases("300-wide-positions", 310, 300, 5, 20, 1, False),
)
