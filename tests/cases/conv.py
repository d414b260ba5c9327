"""Convolution and the patches it works on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import winograd
from cases._base import EXACT, WIDTHS, Case, Draw, Operation, no_activation, pair, register, windows_over
from fastnn import reference


def _conv2d_gradient(F, args, kwargs, y, dy):
    rest, dy = no_activation(F, kwargs, y, dy)
    return F.conv2d_backward(dy, args[0], args[1], **rest)


def _conv1d_gradient(F, args, kwargs, y, dy):
    rest, dy = no_activation(F, kwargs, y, dy)
    return F.conv1d_backward(dy, args[0], args[1], **rest)


def _conv1d_backward_terms(dy, x, w, *, groups=1, **_):
    pixels = dy.shape[0] * dy.shape[2]
    return w.shape[0] // groups * w.shape[2], pixels, pixels


def padding_of(w, *, padding=0, dilation=1, **_):
    """Above and on the left."""
    if padding == "same":
        return tuple(d * (k - 1) // 2 for k, d in zip(w.shape[2:], pair(dilation), strict=True))
    return (0, 0) if padding == "valid" else pair(padding)


def _conv2d_terms(x, w, b=None, **_):
    return (math.prod(w.shape[1:]) + (b is not None),)


def _conv2d_scale(x, w, b=None, *, activation=None, **geometry):
    positive = np.abs(x), np.abs(w)
    scale = reference.conv2d(*positive, **geometry)
    if winograd.may_serve(w, scale.shape, x, w, **geometry):
        made = winograd.forward(*positive, padding_of(w, **geometry), **winograd.ABSOLUTE)
        scale = winograd.worse(scale, math.prod(w.shape[1:]), made, w.shape[1])
    return (scale if b is None else scale + np.abs(b)[:, None, None],)


def _conv2d_backward_terms(dy, x, w, *, groups=1, **_):
    pixels = dy.shape[0] * dy.shape[2] * dy.shape[3]
    return w.shape[0] // groups * w.shape[2] * w.shape[3], pixels, pixels


def _conv2d_backward_scale(dy, x, w, **geometry):
    padding = padding_of(w, **geometry)
    positive = np.abs(dy), np.abs(x), np.abs(w)
    dx, dw, db = reference.conv2d_backward(*positive, **geometry)
    of_dx, of_dw, _ = _conv2d_backward_terms(dy, x, w)
    dx = winograd.worse_of_input(dx, of_dx, x.shape, dy, w, padding, **geometry)
    if winograd.may_serve(w, dy.shape, dy, x, **geometry):
        made = winograd.weight_gradient(*positive[:2], padding, **winograd.ABSOLUTE)
        dw = winograd.worse(dw, of_dw, made, of_dw)
    return dx, dw, db


register(
    Operation("conv2d", terms=_conv2d_terms, scale=_conv2d_scale, backward=_conv2d_gradient, wrt=(0, 1, 2)),
    Operation("conv2d_backward", terms=_conv2d_backward_terms, scale=_conv2d_backward_scale),
    Operation(
        "conv1d",
        terms=lambda x, w, b=None, **_: (math.prod(w.shape[1:]) + (b is not None),),
        backward=_conv1d_gradient,
        wrt=(0, 1, 2),
    ),
    Operation("conv1d_backward", terms=_conv1d_backward_terms),
    Operation(
        "unfold",
        terms=lambda *_, **__: (EXACT,),
        backward=lambda F, args, kwargs, y, dy: (F.fold(dy, args[0].shape[2:], args[1], **kwargs),),
    ),
    Operation(
        "fold",
        terms=lambda x, size, kernel, *, stride=1, **_: (windows_over(kernel, stride),),
        backward=lambda F, args, kwargs, y, dy: (F.unfold(dy, args[2], **kwargs),),
    ),
)


@dataclass(frozen=True)
class ConvShape:
    label: str
    x: tuple[int, int, int, int]
    filters: int
    kernel: tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] | str = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    large: bool = False
    columns: bool = True  # unfold and fold as well: not where only the ways of the convolution are of interest

    @property
    def w(self) -> tuple[int, int, int, int]:
        return self.filters, self.x[1] // self.groups, *self.kernel

    @property
    def out(self) -> tuple[int, int]:
        if self.padding == "same":
            return self.x[2:]
        padding = (0, 0) if self.padding == "valid" else pair(self.padding)
        sizes = zip(self.x[2:], self.kernel, pair(self.stride), padding, pair(self.dilation), strict=True)
        oh, ow = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)
        return oh, ow

    @property
    def geometry(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding}

    @property
    def options(self) -> dict[str, Any]:
        more = {"dilation": self.dilation, "groups": self.groups}
        return self.geometry | {name: value for name, value in more.items() if value != 1}

    @property
    def padded(self) -> bool:
        return self.padding not in (0, (0, 0), "valid")


CONVS = (
    ConvShape("one-element", (1, 1, 1, 1), 1, (1, 1)),
    ConvShape("3x3-p1", (2, 3, 7, 7), 4, (3, 3), 1, 1),
    ConvShape("non-square", (2, 3, 9, 6), 5, (2, 4), (1, 2), (1, 0)),
    ConvShape("non-square-other-way", (2, 2, 6, 11), 3, (4, 2), (2, 1), (0, 1)),
    ConvShape("stride-over-kernel", (2, 2, 11, 13), 3, (2, 3), (3, 4)),
    ConvShape("stride-over-kernel-1x1", (2, 5, 9, 8), 6, (1, 1), (2, 3)),
    ConvShape("kernel-is-input", (3, 2, 5, 7), 4, (5, 7)),
    ConvShape("kernel-is-padded-input", (2, 2, 3, 4), 3, (5, 6), 1, 1),
    ConvShape("padding-over-image", (1, 2, 2, 2), 3, (5, 5), 1, 4),
    ConvShape("wide-padding", (2, 1, 6, 5), 2, (3, 3), 2, (2, 3)),
    ConvShape("rim-unused", (2, 2, 10, 10), 3, (3, 3), 2),
    ConvShape("one-row", (2, 3, 1, 17), 4, (1, 3), 1, (0, 1)),
    ConvShape("one-column", (2, 3, 17, 1), 4, (3, 1), 1, (1, 0)),
    ConvShape("1x1-many-channels", (2, 65, 5, 5), 33, (1, 1)),
    ConvShape("1x1-one-pixel", (3, 17, 1, 1), 9, (1, 1)),
    ConvShape("3x3-many-channels", (1, 65, 6, 6), 65, (3, 3), 1, 1),
    ConvShape("11x11-s4-p2", (1, 3, 23, 23), 8, (11, 11), 4, 2),
    ConvShape("7x7-s2-p3", (2, 3, 15, 17), 10, (7, 7), 2, 3),
    ConvShape("5x5-p2", (2, 4, 9, 9), 6, (5, 5), 1, 2),
    ConvShape("3x3-s2-p1", (2, 16, 13, 13), 17, (3, 3), 2, 1),
    ConvShape("lenet1", (2, 1, 28, 28), 20, (5, 5)),
    ConvShape("lenet2", (2, 20, 12, 12), 50, (5, 5)),
    ConvShape("svgg6", (3, 64, 8, 8), 64, (3, 3), 1, 1),
    ConvShape("no-images", (0, 3, 8, 9), 4, (3, 2), 1, 1),
    *(ConvShape(f"columns-{n}", (1, 2, 4, n + 2), 3, (3, 3)) for n in WIDTHS),
    *(ConvShape(f"filters-{n}", (2, 3, 5, 6), n, (3, 3), 1, 1) for n in WIDTHS),
    *(ConvShape(f"channels-{n}", (2, n, 5, 4), 5, (3, 2), 1, (1, 0)) for n in WIDTHS),
    *(ConvShape(f"images-{n}", (n, 3, 4, 4), 4, (3, 3), 1, 1) for n in (5, 17)),
    ConvShape("large-3x3", (8, 16, 24, 24), 32, (3, 3), 1, 1, large=True),
    ConvShape("large-5x5", (16, 1, 28, 28), 20, (5, 5), large=True),
    ConvShape("large-1x1", (4, 64, 20, 20), 48, (1, 1), large=True),
    ConvShape("large-s2", (4, 20, 31, 33), 40, (3, 3), 2, 1, large=True),
    # Larger than a cache in one respect or another, so that kernels go block by block.
    ConvShape("blocks-of-rows", (2, 40, 40, 41), 70, (3, 3), 1, 1, large=True),
    ConvShape("blocks-of-rows-s2x3", (2, 33, 63, 61), 35, (5, 4), (2, 3), (2, 1), large=True),
    ConvShape("blocks-of-channels", (2, 260, 6, 5), 20, (3, 3), 1, 1, large=True),
    ConvShape("blocks-of-filters", (2, 19, 6, 5), 300, (3, 3), 1, 1, large=True),
    ConvShape("many-images", (40, 3, 9, 9), 8, (3, 3), large=True),
    ConvShape("tall-image", (1, 3, 500, 7), 5, (3, 3), 1, 1, large=True),
    ConvShape("wide-image", (1, 3, 7, 700), 5, (3, 3), 1, 1, large=True),
    # Some channels at a time: the parts are added; a last tile that is not full.
    ConvShape("parts-of-channels", (2, 126, 31, 29), 15, (3, 3), 2, 1, large=True, columns=False),
    ConvShape("parts-of-channels-5x5", (1, 90, 21, 26), 30, (5, 5), 1, (2, 1), large=True, columns=False),
    # Made in one pass over dy: several bands of an image, strides; 1 x 1 over a large map, whose last tile is not full.
    ConvShape("one-pass-bands", (3, 3, 81, 81), 65, (3, 3), 1, 1, large=True, columns=False),
    ConvShape("one-pass-bands-s2", (9, 2, 120, 61), 60, (3, 5), (2, 3), (1, 2), large=True, columns=False),
    ConvShape("one-pass-1x1", (3, 37, 33, 41), 20, (1, 1), large=True, columns=False),
    ConvShape("one-pass-1x1-bands", (2, 50, 70, 71), 45, (1, 1), large=True, columns=False),
    # Winograd's: maps that are no whole number of tiles, channels no whole number of vectors, several chunks.
    ConvShape("winograd", (9, 37, 15, 10), 41, (3, 3), 1, 1, large=True, columns=False),
    ConvShape("winograd-no-padding", (5, 33, 18, 21), 34, (3, 3), large=True, columns=False),
    ConvShape("winograd-padding-2", (7, 40, 10, 7), 32, (3, 3), 1, (2, 1), large=True, columns=False),
    ConvShape("winograd-bands", (2, 64, 50, 39), 64, (3, 3), 1, 1, large=True, columns=False),
    ConvShape("winograd-5x5", (9, 37, 15, 10), 41, (5, 5), 1, 2, large=True, columns=False),
    ConvShape("side-by-side", (45, 13, 12, 11), 17, (3, 3), 1, (1, 0), large=True, columns=False),
    ConvShape("side-by-side-5x5", (37, 7, 12, 13), 18, (5, 5), 1, 0, large=True, columns=False),
    ConvShape("side-by-side-5x5-padding", (33, 20, 12, 9), 27, (5, 5), 1, (1, 2), large=True, columns=False),
    ConvShape("winograd-5x5-no-padding", (5, 33, 18, 21), 34, (5, 5), large=True, columns=False),
    ConvShape("winograd-5x5-padding-4", (7, 40, 10, 7), 32, (5, 5), 1, (4, 3), large=True, columns=False),
    ConvShape("winograd-5x5-bands", (2, 64, 50, 39), 64, (5, 5), 1, 2, large=True, columns=False),
    # Images side by side, in lanes and as rows; several batches of them, the last one not full; windows on padding,
    # strides with and without a rest, pixels that no window sees.
    ConvShape("batch-lanes", (37, 10, 5, 7), 19, (3, 3), 2, 1, large=True, columns=False),
    ConvShape("batch-rows", (9, 21, 6, 5), 50, (5, 5), 1, 2, large=True, columns=False),
    ConvShape("batch-window-as-map", (19, 12, 7, 7), 33, (7, 7), 1, 3, large=True, columns=False),
    ConvShape("batch-strides", (34, 5, 8, 9), 31, (4, 3), (3, 2), (2, 1), large=True, columns=False),
    ConvShape("batch-gaps", (40, 9, 7, 8), 18, (2, 1), 3, 0, large=True, columns=False),
    ConvShape("batch-few-outputs", (18, 40, 6, 9), 3, (3, 3), 1, 1, large=True, columns=False),
    ConvShape("batch-many-images", (150, 12, 4, 5), 20, (3, 3), 1, 1, large=True, columns=False),
    # Dilated and grouped, by every way that takes them.
    *(
        ConvShape(label, x, filters, kernel, stride, padding, dilation, groups, large, columns=False)
        for label, x, filters, kernel, stride, padding, dilation, groups, large in (
            ("dilated", (2, 3, 9, 10), 5, (3, 2), 1, (2, 1), 2, 1, False),
            ("dilated-strided", (2, 5, 13, 14), 17, (3, 3), (2, 3), 2, (3, 2), 1, False),
            ("dilated-one-by-one", (2, 5, 6, 5), 4, (1, 1), 1, 0, 3, 1, False),
            ("dilated-wide", (5, 40, 18, 17), 33, (3, 3), 1, 3, 3, 1, True),
            ("grouped", (2, 6, 8, 7), 9, (3, 3), 1, 1, 1, 3, False),
            ("grouped-dilated-strided", (2, 24, 13, 12), 36, (3, 2), (2, 1), 1, (1, 2), 2, False),
            ("grouped-one-by-one", (2, 12, 7, 6), 8, (1, 1), 1, 0, 1, 4, False),
            ("batch-dilated", (20, 11, 7, 8), 17, (3, 3), (2, 3), 2, (3, 2), 1, True),
            ("batch-grouped", (35, 14, 6, 5), 22, (3, 3), 1, 1, 1, 2, True),
            ("grouped-wide", (9, 72, 12, 11), 80, (3, 3), 1, 1, 1, 2, True),
            ("depthwise", (2, 5, 9, 21), 5, (3, 3), 1, 1, 1, 5, False),
            ("depthwise-strided", (3, 4, 11, 10), 4, (3, 3), 2, 1, 1, 4, False),
            ("depthwise-lanes", (3, 35, 7, 6), 35, (5, 5), 1, 2, 1, 35, False),
            ("depthwise-lanes-strided", (2, 19, 9, 8), 19, (3, 2), 2, 1, 2, 19, False),
            ("few-outputs", (1, 70, 12, 15), 2, (5, 5), 1, 1, 1, 1, False),
            ("few-outputs-dilated", (1, 40, 17, 20), 3, (3, 4), 1, (0, 2), 2, 1, False),
            ("few-outputs-grouped", (3, 80, 11, 13), 4, (3, 3), 1, 1, 1, 2, False),
            ("depthwise-few-channels", (21, 3, 9, 12), 3, (7, 5), (2, 1), (3, 2), 1, 3, False),
            ("depthwise-7x7", (4, 19, 8, 13), 19, (7, 7), 1, 3, 1, 19, False),
            ("depthwise-stride-2", (3, 17, 13, 11), 17, (3, 3), 2, 1, 1, 17, False),
            ("depthwise-5x5-stride-2", (3, 17, 13, 11), 17, (5, 5), 2, 2, 1, 17, False),
            ("depthwise-stride-3", (4, 18, 14, 13), 18, (4, 3), 3, 2, 1, 18, False),
            ("depthwise-windows-on-padding", (4, 16, 5, 6), 16, (3, 2), 1, (4, 3), 1, 16, False),
            ("depthwise-one-output", (9, 20, 7, 5), 20, (7, 5), 1, 0, 1, 20, False),
            ("rows", (2, 3, 23, 61), 3, (3, 3), 1, 1, 1, 3, False),
            ("rows-stride-2", (2, 3, 27, 53), 3, (3, 3), 2, 1, 1, 3, False),
            ("rows-stride-2-even-padding", (2, 3, 14, 40), 3, (3, 3), 2, (2, 0), 1, 3, False),
            ("rows-narrow", (3, 2, 38, 9), 2, (3, 3), 2, 1, 1, 2, False),
            ("rows-5x5", (1, 2, 22, 70), 2, (5, 5), 1, (2, 3), 1, 2, False),
            ("rows-5x5-stride-2", (1, 2, 25, 67), 2, (5, 5), 2, (2, 3), 1, 2, False),
            ("rows-5x5-stride-2-even-padding", (1, 2, 24, 66), 2, (5, 5), 2, (1, 4), 1, 2, False),
            ("rows-many-sums", (3, 2, 150, 33), 2, (3, 3), 2, 1, 1, 2, True),
            ("depthwise-one-by-one", (3, 19, 23, 31), 19, (1, 1), 1, 0, 1, 19, False),
            ("two-each-one-by-one", (2, 6, 90, 41), 6, (1, 1), 1, 0, 1, 3, True),
            ("depthwise-bands", (1, 32, 61, 90), 32, (3, 3), 1, 1, 1, 32, True),
            ("depthwise-two-each", (2, 3, 8, 9), 6, (5, 5), 1, 2, 1, 3, False),
            ("depthwise-large", (9, 33, 30, 41), 33, (3, 3), 1, 2, 2, 33, True),
            ("same", (2, 3, 7, 9), 4, (3, 5), 1, "same", 1, 1, False),
            ("same-even", (2, 4, 6, 7), 6, (4, 2), 1, "same", (1, 3), 2, False),
            ("valid", (1, 3, 7, 9), 4, (3, 5), 2, "valid", 1, 1, False),
        )
    ),
    ConvShape("winograd-many-channels", (18, 130, 6, 7), 140, (3, 3), 1, 1, large=True, columns=False),
    ConvShape("winograd-5x5-many-channels", (18, 130, 6, 7), 140, (5, 5), 1, 2, large=True, columns=False),
)


def conv_cases(s: ConvShape) -> Iterator[Case]:
    def forward(**options: Any) -> Callable[[Draw], Any]:
        bias = options.pop("bias", True)
        return lambda draw: (
            (draw(s.x), draw(s.w, "w"), draw((s.filters,), "b") if bias else None),
            {**s.options, **options},
        )

    # Zero padding times an infinite weight or gradient is NaN, or nothing if the padding is skipped: both are right.
    everywhere = ("x",) if s.padded else ("x", "w", "dy")
    fills = ("normal", "special")
    yield Case("conv2d", s.label, forward(), fills, (*everywhere, "b"), large=s.large, gradient=not s.large)
    yield Case(
        "conv2d", f"{s.label}-no-bias-relu", forward(bias=False, activation="relu"), fills, everywhere, large=s.large
    )
    yield Case(
        "conv2d_backward",
        s.label,
        lambda draw: ((draw((s.x[0], s.filters, *s.out), "dy"), draw(s.x), draw(s.w, "w")), s.options),
        fills,
        # dx is a convolution of dy, whose own rim is padded: not with infinite weights.
        tuple(role for role in everywhere if role != "w"),
        large=s.large,
    )
    if not s.columns:
        return
    cols = (s.x[0], math.prod(s.w[1:]), math.prod(s.out))
    yield Case(
        "unfold",
        s.label,
        lambda draw: ((draw(s.x), s.kernel), s.geometry),
        ("normal", "special"),
        ("x",),
        large=s.large,
        gradient=not s.large,
    )
    yield Case(
        "fold",
        s.label,
        lambda draw: ((draw(cols, "dy"), s.x[2:], s.kernel), s.geometry),
        ("normal", "special"),
        ("dy",),
        large=s.large,
        gradient=not s.large,
    )


def _conv_option_cases() -> Iterator[Case]:
    s = CONVS[1]
    for needs in (("dx",), ("dw",), ("db",), ("dw", "db"), ("dx", "dw"), ("dx", "db")):
        yield Case(
            "conv2d_backward",
            "needs-" + "-".join(needs),
            lambda draw, needs=needs: (
                (draw((s.x[0], s.filters, *s.out), "dy"), draw(s.x), draw(s.w, "w")),
                {**s.geometry, "needs": needs},
            ),
        )
    yield Case(
        "conv2d",
        "bias-relu",
        lambda draw: (
            (draw(s.x), draw(s.w, "w"), draw((s.filters,), "b")),
            {**s.geometry, "activation": "relu"},
        ),
        ("normal", "special"),
        ("x", "b"),
        gradient=True,
    )


def _conv1d_cases() -> Iterator[Case]:
    for label, x, w, options in (
        ("k3-p1", (2, 3, 20), (4, 3, 3), {"padding": 1}),
        ("strided-dilated", (2, 4, 33), (17, 4, 5), {"stride": 2, "padding": (3,), "dilation": 2}),
        ("grouped-same", (3, 6, 18), (6, 2, 4), {"padding": "same", "groups": 3}),
        ("depthwise", (2, 5, 70), (5, 1, 7), {"padding": "valid", "groups": 5}),
        ("one", (1, 1, 1), (1, 1, 1), {}),
        ("no-images", (0, 2, 5), (3, 2, 3), {}),
    ):
        y = reference.conv1d(np.zeros(x), np.zeros(w), **options).shape
        yield Case(
            "conv1d",
            label,
            lambda draw, x=x, w=w, options=options: ((draw(x), draw(w, "w"), draw(w[:1], "b")), options),
            ("normal", "special"),
            ("x", "b"),
            gradient=True,
        )
        yield Case(
            "conv1d_backward",
            label,
            lambda draw, x=x, w=w, y=y, options=options: ((draw(y, "dy"), draw(x), draw(w, "w")), options),
        )
    yield Case(
        "conv1d",
        "relu",
        lambda draw: ((draw((2, 3, 20)), draw((4, 3, 3), "w"), draw((4,), "b")), {"activation": "relu"}),
    )
    yield Case(
        "conv1d_backward",
        "needs-dw",
        lambda draw: ((draw((2, 4, 18), "dy"), draw((2, 3, 20)), draw((4, 3, 3), "w")), {"needs": ("dw",)}),
    )


def _patch_cases() -> Iterator[Case]:
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}
    yield Case("unfold", "all-settings", lambda draw: ((draw((2, 3, 6, 7)), (3, 2)), options), gradient=True)
    yield Case("fold", "all-settings", lambda draw: ((draw((2, 18, 21), "dy"), (6, 7), (3, 2)), options), gradient=True)


CASES = (
    *(case for shape in CONVS for case in conv_cases(shape)),
    *_conv_option_cases(),
    *_conv1d_cases(),
    *_patch_cases(),
)
