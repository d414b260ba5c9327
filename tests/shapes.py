"""What tests/test_fuzz.py draws: for each family cases of all its operations, of a shape that nobody thought of."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cases import Case
from cases.activation import OF_INPUT
from cases.conv import ConvShape, conv_cases
from cases.conv_transpose import transposed_cases
from cases.drop import KEY
from cases.embedding import selection_case, table_cases
from cases.loss import loss_cases
from cases.matmul import linear_cases
from cases.norm import norm_cases
from cases.optim import RULES, kept
from cases.pad import pad_cases
from cases.pair_loss import PAIRS, pair_cases
from cases.pool import PoolShape, pool_cases, row_cases
from cases.resample import WAYS, adaptive_cases, fits, interpolation_cases
from cases.rownorm import pair_of
from cases.sample_weight import weighted_cases
from cases.shape import shuffled_cases
from fastnn import reference

sizes = st.integers(1, 20)
channels = st.one_of(st.integers(1, 8), st.integers(9, 70))
lengths = st.one_of(st.integers(1, 70), st.integers(71, 3000))
counts = st.integers(0, 4)
either = st.booleans()
Cases = list[Case]


@st.composite
def shapes(draw: Any, least: int = 1, most: int = 4) -> tuple[int, ...]:
    """Some axes, of which the last may be long; seldom an empty one."""
    start = draw(st.lists(st.integers(1, 6), min_size=least - 1, max_size=most - 1))
    shape = (*start, draw(lengths if math.prod(start) < 20 else sizes))
    return shape if draw(st.integers(0, 19)) else (0, *shape[1:])


@st.composite
def windows(draw: Any) -> Any:
    """An image (H, W), a kernel that fits it, stride, and padding of at most half the kernel."""
    h, w, sh, sw = draw(sizes), draw(sizes), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    kh, kw = draw(st.integers(1, min(h, 7))), draw(st.integers(1, min(w, 7)))
    ph, pw = draw(st.integers(0, kh // 2)), draw(st.integers(0, kw // 2))
    return (h, w), (kh, kw), (sh, sw), (ph, pw)


def dilation(draw: Any, image: Any, kernel: Any) -> tuple[int, ...]:
    """What lets a window fit into the image."""
    return tuple(draw(st.integers(1, (n - 1) // (k - 1) if k > 1 else 3)) for n, k in zip(image, kernel, strict=True))


# Convolutions and pools


def conv_shape(draw: Any) -> ConvShape:
    image, kernel, stride, (ph, pw) = draw(windows())
    padding = ph + draw(st.integers(0, 3)), pw + draw(st.integers(0, 3))
    return ConvShape("fuzz", (draw(counts), draw(channels), *image), draw(channels), kernel, stride, padding)


@st.composite
def convs(draw: Any) -> Cases:
    return [*conv_cases(conv_shape(draw))]


@st.composite
def special_convs(draw: Any) -> Cases:
    """With dilation and groups."""
    s, groups = conv_shape(draw), draw(st.integers(1, 4))
    whole = zip(s.x[2:], s.kernel, s.padding, strict=True)
    spread = tuple(draw(st.integers(1, max(1, min(4, (n + 2 * p - 1) // max(1, k - 1))))) for n, k, p in whole)
    x = s.x[0], groups * draw(st.integers(1, 20)), *s.x[2:]
    filters = groups * draw(st.integers(1, 20))
    cases = [*conv_cases(replace(s, x=x, filters=filters, dilation=spread, groups=groups, columns=False))]
    columns = {"stride": s.stride, "padding": s.padding, "dilation": spread}
    patches = reference.unfold(np.zeros(x, np.float32), s.kernel, **columns).shape
    return [
        *cases,
        Case("unfold", "fuzz", lambda draw: ((draw(x), s.kernel), columns)),
        Case("fold", "fuzz", lambda draw: ((draw(patches, "dy"), x[2:], s.kernel), columns)),
    ]


@st.composite
def rows(draw: Any) -> Cases:
    """Convolutions and pools along one axis."""
    n, c, groups, length = draw(counts), draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 90))
    k = draw(st.integers(1, min(length, 9)))
    options = {
        "stride": draw(st.integers(1, 4)),
        "padding": draw(st.integers(0, k)),
        "dilation": draw(st.integers(1, (length - 1) // (k - 1) if k > 1 else 3)),
        "groups": groups,
    }
    x, w = (n, c * groups, length), (draw(st.integers(1, 9)) * groups, c, k)
    y = reference.conv1d(np.zeros(x), np.zeros(w), **options).shape
    pools = row_cases("fuzz", length, k, options["stride"], k // 2, options["dilation"], draw(either))
    return [
        Case("conv1d", "fuzz", lambda draw: ((draw(x), draw(w, "w"), draw(w[:1], "b")), options)),
        Case("conv1d_backward", "fuzz", lambda draw: ((draw(y, "dy"), draw(x), draw(w, "w")), options)),
        *pools,
    ]


@st.composite
def transposed_convs(draw: Any) -> Cases:
    groups, kernel = draw(st.integers(1, 3)), (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    stride, spread = ((draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2))
    image = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    padding = tuple(
        draw(st.integers(0, min(k, ((n - 1) * s + d * (k - 1)) // 2)))
        for n, k, s, d in zip(image, kernel, stride, spread, strict=True)
    )
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, spread, strict=True))
    options = {"stride": stride, "padding": padding, "output_padding": more, "dilation": spread, "groups": groups}
    x = draw(counts), groups * draw(st.integers(1, 20)), *image
    filters = groups * draw(st.integers(1, 20))
    of_rows = {name: value[:1] if isinstance(value, tuple) else value for name, value in options.items()}
    return [
        *transposed_cases("fuzz", x, filters, kernel, options),
        *transposed_cases("fuzz", x[:3], filters, kernel[:1], of_rows),
    ]


@st.composite
def pools(draw: Any) -> Cases:
    image, kernel, stride, padding = draw(windows())
    x = draw(st.integers(0, 3)), draw(st.integers(1, 5)), *image
    counting = {"count_include_pad": False} if draw(either) else {"divisor_override": draw(st.integers(1, 9))}
    more = draw(st.sampled_from(({}, {"dilation": dilation(draw, image, kernel)}, {"counting": counting})))
    first = PoolShape("fuzz", x, kernel, stride, padding, draw(either))
    return [*pool_cases(first), *(pool_cases(replace(first, **more)) if more else ())]


@st.composite
def resampled(draw: Any) -> Cases:
    axes = draw(st.integers(1, 2))
    shape = draw(st.integers(0, 3)), draw(st.integers(1, 4)), *(draw(sizes) for _ in range(axes))
    size = tuple(draw(sizes) for _ in range(axes))
    scale = draw(st.one_of(st.none(), st.tuples(*[st.floats(0.3, 3)] * axes)))
    if scale is not None and min(int(n * s) for n, s in zip(shape[2:], scale, strict=True)) < 1:
        scale = None
    way = draw(st.sampled_from([way for way in WAYS if fits(shape, scale, way)]))
    ways = interpolation_cases("fuzz", shape, size if scale is None else None, scale, way)
    return [*adaptive_cases("fuzz", shape, size), *ways]


@st.composite
def pads(draw: Any) -> Cases:
    shape = draw(st.integers(0, 3)), draw(st.integers(1, 5)), draw(sizes), draw(sizes)
    mode = draw(st.sampled_from(("constant", "reflect", "replicate", "circular")))
    most = {"reflect": (shape[3] - 1, shape[2] - 1), "circular": (shape[3], shape[2])}.get(mode, (9, 9))
    padding = tuple(draw(st.integers(0, most[side // 2])) for side in range(4))
    return [*pad_cases(mode, "fuzz", shape, padding)]


# Products, rows and what is element by element


@st.composite
def products(draw: Any) -> Cases:
    n, i, o = draw(st.integers(0, 70)), draw(st.integers(1, 150)), draw(st.integers(1, 70))
    inner = draw(st.integers(0, 150))

    def matmul(draw: Any) -> Any:
        return (draw((n, inner)), draw((inner, o), "w")), {}

    return [Case("matmul", "fuzz", matmul, ("normal", "special"), ("x", "w")), *linear_cases("fuzz", (n,), i, o)]


@st.composite
def activations(draw: Any) -> Cases:
    shape, cases = draw(shapes()), []
    fills = ("normal", "ties", "special")
    for op in ("relu", "sigmoid", "tanh"):
        cases += [
            Case(op, "fuzz", lambda draw: ((draw(shape),), {}), fills, ("x",)),
            Case(
                f"{op}_backward",
                "fuzz",
                lambda draw, op=op: ((draw(shape, "dy"), getattr(reference, op)(draw(shape))), {}),
                fills,
                ("dy",),
            ),
        ]
    for function in OF_INPUT:
        settings, named = draw(st.sampled_from(function.settings))

        def forward(draw: Any, s: Any = settings, named: Any = named) -> Any:
            return (draw(shape), *s), named

        def backward(draw: Any, s: Any = settings, named: Any = named) -> Any:
            return (draw(shape, "dy"), draw(shape), *s), named

        cases += [
            Case(function.name, "fuzz", forward, fills, ("x",)),
            Case(f"{function.name}_backward", "fuzz", backward, fills, ("dy", "x")),
        ]
    slopes = shape[1] if len(shape) > 1 and shape[1] and draw(either) else 1
    return [
        *cases,
        Case("prelu", "fuzz", lambda draw: ((draw(shape), draw((slopes,), "w")), {}), fills, ("x", "w")),
        Case(
            "prelu_backward",
            "fuzz",
            lambda draw: ((draw(shape, "dy"), draw(shape), draw((slopes,), "w")), {}),
            fills,
            ("dy", "x", "w"),
        ),
    ]


@st.composite
def softmaxes(draw: Any) -> Cases:
    shape, cases = draw(shapes()), []
    axis = {"dim": draw(st.integers(-len(shape), len(shape) - 1))}
    if shape[axis["dim"]] == 0:
        axis = {"dim": -1}
    if shape[axis["dim"]] == 0:
        shape = (1,)
    for op in ("softmax", "log_softmax"):

        def backward(draw: Any, op: str = op) -> Any:
            return (draw(shape, "dy"), getattr(reference, op)(draw(shape), **axis)), axis

        cases += [
            Case(op, "fuzz", lambda draw: ((draw(shape),), axis), ("normal", "ties", "special"), ("x",)),
            Case(f"{op}_backward", "fuzz", backward, ("normal", "special"), ("dy",)),
        ]
    return cases


@st.composite
def norms(draw: Any) -> Cases:
    """Of every kind over the same images; a row or channel has two values at least."""
    c, groups = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    space = tuple(draw(st.lists(st.integers(1, 20), max_size=2)))
    n = draw(st.integers(1, 5))
    x = (n + (n * math.prod(space) < 2), c * groups, *space)
    planes = x if math.prod(space) > 1 else (*x[:2], 2, 3)
    row, which = planes[-draw(st.integers(1, 2)) :], draw(st.sampled_from(("", "w", "b", "wb")))
    return [
        *norm_cases("fuzz", x),
        *pair_of("layer_norm", "fuzz", planes, (row,), row, which),
        *pair_of("group_norm", "fuzz", planes, (groups,), planes[1:2], which),
        *pair_of("instance_norm", "fuzz", planes, (), planes[1:2], which),
    ]


@st.composite
def local_norms(draw: Any) -> Cases:
    shape, size = (
        (draw(st.integers(0, 3)), draw(st.integers(1, 9)), *draw(shapes(1, 2).filter(all))),
        draw(st.integers(1, 9)),
    )
    options = {"alpha": draw(st.floats(0, 2)), "beta": draw(st.floats(0.25, 2)), "k": draw(st.floats(1, 3))}
    return [
        Case("local_response_norm", "fuzz", lambda draw: ((draw(shape), size), options), ("normal", "ties")),
        Case(
            "local_response_norm_backward",
            "fuzz",
            lambda draw: ((draw(shape, "dy"), draw(shape), size), options),
            ("normal", "ties"),
        ),
    ]


@st.composite
def dropped(draw: Any) -> Cases:
    p, cases = draw(st.floats(0, 1)), []
    key = {"key": (draw(st.sampled_from((0, KEY[0], 2**64 - 1))), draw(st.integers(0, 2**64 - 1)))}
    for op, shape in (("dropout", draw(shapes())), ("dropout2d", (draw(counts), draw(channels), draw(sizes), 3))):
        for name, role in ((op, "x"), (f"{op}_backward", "dy")):
            cases.append(
                Case(
                    name,
                    "fuzz",
                    lambda draw, shape=shape, role=role: ((draw(shape, role), p), key),
                    ("normal", "special"),
                    (role,),
                )
            )
    return cases


@st.composite
def joined(draw: Any) -> Cases:
    shape, sizes_along = draw(shapes(1, 3)), draw(st.lists(st.integers(0, 7), min_size=1, max_size=4))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    relu = {"activation": "relu"} if draw(either) else {}
    place = dim % len(shape)
    parts = [(*shape[:place], n, *shape[place + 1 :]) for n in sizes_along]
    start = draw(st.integers(0, len(shape) - 1))
    end = draw(st.integers(start, len(shape) - 1))
    split = (shape[place], 1) if draw(either) else (1, shape[place])
    r, few = draw(st.integers(1, 3)), draw(shapes(3, 4))
    return [
        *shuffled_cases("fuzz", (*few[:-3], few[-3] * r * r, *few[-2:]), r),
        Case("add", "fuzz", lambda draw: ((draw(shape, "a"), draw(shape, "b")), relu), ("normal", "special"), ("a",)),
        Case("cat", "fuzz", lambda draw: (([draw(part) for part in parts], dim), {}), ("normal", "special"), ("x",)),
        Case("flatten", "fuzz", lambda draw: ((draw(shape), start, end), {})),
        Case("unflatten", "fuzz", lambda draw: ((draw(shape), dim, split), {})),
    ]


@st.composite
def picked(draw: Any) -> Cases:
    indices, kind = draw(shapes(1, 2)), draw(st.sampled_from((np.int64, np.int32)))
    shape = draw(shapes(1, 3).filter(all))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    table = table_cases("fuzz", indices, draw(st.integers(1, 40)), draw(st.integers(1, 40)), kind)
    return [*table, selection_case("fuzz", shape, dim, draw(st.integers(0, 40)), kind)]


# Losses and optimisers


@st.composite
def losses(draw: Any) -> Cases:
    n, k = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    places = tuple(draw(st.lists(st.integers(1, 6), max_size=2)))
    reduction = draw(st.sampled_from(("mean", "sum", "none")))
    return [
        *loss_cases("fuzz", n, k, places, reduction, draw(either), draw(either), draw(st.sampled_from((0.0, 0.1)))),
        *weighted_cases("fuzz", (n, *places), reduction, has_mass=draw(either)),
    ]


@st.composite
def pairs(draw: Any) -> Cases:
    shape, reduction = draw(shapes().filter(all)), draw(st.sampled_from(("mean", "sum", "none")))
    return [
        case
        for op, inputs, special in PAIRS
        for case in pair_cases(op, inputs, shapes=(shape,), reductions=(reduction,), special=special)
    ]


@st.composite
def steps(draw: Any) -> Cases:
    shape, cases = draw(shapes()), []
    for op, rules in RULES.items():
        _, state, options = draw(st.sampled_from(rules))

        def build(draw: Any, state: str = state, options: Any = options) -> Any:
            return (draw(shape), draw(shape, "g"), *(kept(draw, shape, kind) for kind in state)), {
                "lr": 0.03,
                **options,
            }

        cases.append(Case(op, "fuzz", build))
    norm = {
        "max_norm": draw(st.sampled_from((0.25, 1e3))),
        "norm_type": draw(st.sampled_from((1.0, 2.0, 3.0, math.inf))),
    }
    fills = ("normal", "special")
    return [
        *cases,
        Case("clip_grad_norm_", "fuzz", lambda draw: ((draw(shape),), norm), fills, ("x",)),
        Case("clip_grad_value_", "fuzz", lambda draw: ((draw(shape), 0.75), {}), fills, ("x",)),
    ]


FAMILIES = {
    strategy.__name__: strategy
    for strategy in (
        convs, special_convs, transposed_convs, rows, pools, resampled, pads, products, activations, softmaxes, norms,
        local_norms, dropped, joined, picked, losses, pairs, steps,
    )
}  # fmt: skip
