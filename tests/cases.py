"""The one list of cases: every operation, every shape it is tried on, and how exact its result has to be.

Parity, gradient, memory, thread and outside-oracle tests all run over `CASES`. A new operation needs an
`Operation` (its parity class) and its cases here, and nothing else in the tests.

Parity classes
    EXACT         comparisons, copies, ordered sums: equal to the reference in the same dtype.
    a number K    sums of K terms: |kernel - reference in float64| <= (K + 2) eps S, where S is the reference
                  evaluated on absolute values in float64. Where an operation is no sum of products, its own
                  `scale` says what S is, and a comment says where K comes from.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import reference

Array = npt.NDArray[Any]
EXACT = None
Terms = tuple[int | None, ...]
DTYPES = (np.float32, np.float64)

# A vectorised exp, log or tanh is allowed an error of four units in the last place; the best are below one.
FUNCTION = 4


@dataclass(frozen=True)
class Operation:
    """How one public function is compared with its reference.

    terms(*args, **kwargs)                the parity class of every result
    scale(*args, **kwargs)                S of every result; None: the reference on absolute values
    backward(F, args, kwargs, y, dy)      the gradients with respect to args[wrt], by F's own backward functions
    in_place                              the arguments that are results too
    """

    name: str
    terms: Callable[..., Terms]
    scale: Callable[..., tuple[Array, ...]] | None = None
    backward: Callable[..., tuple[Array, ...]] | None = None
    wrt: tuple[int, ...] = (0,)
    in_place: tuple[int, ...] = ()

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Call the function of this name in `module`; always a tuple of results (arrays, or None)."""
        function = getattr(module, self.name)
        if self.in_place:
            args = tuple(a.copy() if i in self.in_place and a is not None else a for i, a in enumerate(args))
            function(*args, **kwargs)
            return tuple(args[i] for i in self.in_place)
        result = function(*args, **kwargs)
        results = result if isinstance(result, tuple) else (result,)
        return tuple(None if r is None else np.asarray(r) for r in results)


class Draw:
    """Makes the arrays of a case: `draw(shape, role)`. The fill decides the values, never the shapes.

    normal    standard normal
    distinct  all different, apart by more than a finite-difference step, none near zero
    ties      whole numbers from -2 to 2
    special   normal with NaN and both infinities sprinkled over the roles that the case allows them in
    """

    def __init__(self, seed: int, fill: str, dtype: Any, special: tuple[str, ...] = ()):
        self.rng = np.random.default_rng(seed)
        self.fill, self.dtype, self.special = fill, np.dtype(dtype), special

    def __call__(self, shape: tuple[int, ...], role: str = "x") -> Array:
        size = math.prod(shape)
        if self.fill == "distinct":
            values = self.rng.permutation((np.arange(size) - size // 2 + 0.37) / max(size, 8) * 4.0)
        elif self.fill == "ties":
            values = self.rng.integers(-2, 3, size).astype(np.float64)
        else:
            values = self.rng.standard_normal(size)
        if self.fill == "special" and role in self.special and size:
            places = self.rng.permutation(size)[: max(3, size // 20)]
            values[places] = np.resize([np.nan, np.inf, -np.inf], places.size)
        return values.reshape(shape).astype(self.dtype)

    def labels(self, n: int, classes: int) -> Array:
        return self.rng.integers(0, classes, n)

    def probabilities(self, n: int, classes: int) -> Array:
        p = self.rng.random((n, classes)) + 0.01
        return (p / p.sum(axis=1, keepdims=True)).astype(self.dtype)


@dataclass(frozen=True)
class Case:
    """One call of one operation: `build(draw)` gives its (args, kwargs)."""

    op: str
    label: str
    build: Callable[[Draw], tuple[tuple[Any, ...], dict[str, Any]]] = field(compare=False)
    fills: tuple[str, ...] = ("normal",)
    special: tuple[str, ...] = ()
    large: bool = False  # big enough to be cut into chunks for several threads
    gradient: bool = False  # its backward is checked by central differences

    def __str__(self) -> str:
        return f"{self.op}[{self.label}]"

    @property
    def operation(self) -> Operation:
        return OPERATIONS[self.op]

    def inputs(self, dtype: Any, fill: str = "normal") -> tuple[tuple[Any, ...], dict[str, Any]]:
        seed = zlib.crc32(f"{self} {fill}".encode())
        return self.build(Draw(seed, fill, dtype, self.special))


# --------------------------------------------------------------------------------------------------------------
# Operations and their parity classes


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _no_activation(F: Any, kwargs: dict[str, Any], y: Array, dy: Array) -> tuple[dict[str, Any], Array]:
    """The arguments of a backward, and dy brought back through the activation that was fused into the forward."""
    rest = {k: v for k, v in kwargs.items() if k != "activation"}
    return rest, F.relu_backward(dy, y) if kwargs.get("activation") == "relu" else dy


def _conv2d_gradient(F, args, kwargs, y, dy):
    rest, dy = _no_activation(F, kwargs, y, dy)
    return F.conv2d_backward(dy, args[0], args[1], **rest)


def _conv2d_backward_terms(dy, x, w, **_):
    pixels = dy.shape[0] * dy.shape[2] * dy.shape[3]
    return w.shape[0] * w.shape[2] * w.shape[3], pixels, pixels


def _linear_gradient(F, args, kwargs, y, dy):
    _, dy = _no_activation(F, kwargs, y, dy)
    return F.linear_backward(dy, args[0], args[1])


def _linear_backward_terms(dy, x, w, **_):
    rows = math.prod(x.shape[:-1])
    return w.shape[0], rows, rows


def _overlap(kernel_size: Any, stride: Any) -> int:
    """The largest number of windows that one input element lies in."""
    (kh, kw), (sh, sw) = _pair(kernel_size), _pair(kernel_size if stride is None else stride)
    return -(-kh // sh) * -(-kw // sw)


def _maxpool2d_backward_terms(dy, positions, input_size, kernel_size, *, stride=None, **_):
    overlap = _overlap(kernel_size, stride)
    return (EXACT if overlap == 1 else overlap,)


def _maxpool2d_gradient(F, args, kwargs, y, dy):
    _, positions = F.maxpool2d(*args, **{**kwargs, "return_positions": True})
    rest = {k: v for k, v in kwargs.items() if k != "return_positions"}
    return (F.maxpool2d_backward(dy, positions, args[0].shape[2:], args[1], **rest),)


def _exp_shifted(x: Array, axis: int) -> tuple[Array, Array, Array]:
    """Softmax p along `axis`, |x - max|, and how far the rounding of x - max moves the sum of exponentials.

    exp turns the rounding error |x - max| eps/2 of its argument into a relative error of the same size, so both
    softmax and its logarithm are scaled by 1 + |x - max| and by the same thing averaged under p.
    """
    shift = x - x.max(axis=axis, keepdims=True)
    p = np.exp(shift)
    p /= p.sum(axis=axis, keepdims=True)
    far = np.where(p == 0, 0.0, np.abs(shift))
    return p, far, (p * far).sum(axis=axis, keepdims=True)


def _softmax_scale(x, *, dim=-1):
    p, far, mean_far = _exp_shifted(x, dim)
    return (p * (1 + far + mean_far),)


def _log_softmax_scale(x, *, dim=-1):
    p, _, mean_far = _exp_shifted(x, dim)
    shift = np.abs(x - x.max(axis=dim, keepdims=True))
    return (1 + shift + np.log(1 / p.max(axis=dim, keepdims=True)) + mean_far,)


def _softmax_backward_scale(dy, y, *, dim=-1):
    return (np.abs(y) * (np.abs(dy) + np.abs(dy * y).sum(axis=dim, keepdims=True)),)


def _log_softmax_backward_scale(dy, y, *, dim=-1):
    return (np.abs(dy) + np.exp(y) * np.abs(dy).sum(axis=dim, keepdims=True),)


def _one_hot(target: Array, classes: int) -> Array:
    return np.eye(classes)[target] if target.ndim == 1 else np.abs(target)


def _cross_entropy_scale(x, target, *, reduction="mean"):
    t = _one_hot(target, x.shape[1])
    each = np.where(t == 0, 0.0, t * _log_softmax_scale(x, dim=1)[0]).sum(axis=1)
    return ({"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](each),)


def _cross_entropy_backward_scale(x, target, *, reduction="mean", dloss=1.0):
    t = _one_hot(target, x.shape[1])
    size = x.shape[0] if reduction == "mean" else 1
    rows = np.abs(np.reshape(dloss, (-1, 1))) / size
    return (rows * (_softmax_scale(x, dim=1)[0] * t.sum(axis=1, keepdims=True) + t),)


def _sgd_scale(p, g, velocity, *, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    p, g = np.abs(p), np.abs(g)
    d = g + weight_decay * p if weight_decay else g
    if velocity is None:
        return p + lr * d, np.zeros(())
    v = momentum * np.abs(velocity) + d
    return p + lr * (d + momentum * v if nesterov else v), v


OPERATIONS: dict[str, Operation] = {
    op.name: op
    for op in (
        Operation(
            "conv2d",
            terms=lambda x, w, b=None, **_: (math.prod(w.shape[1:]) + (b is not None),),
            backward=_conv2d_gradient,
            wrt=(0, 1, 2),
        ),
        Operation("conv2d_backward", terms=_conv2d_backward_terms),
        Operation(
            "im2col",
            terms=lambda *_, **__: (EXACT,),
            backward=lambda F, args, kwargs, y, dy: (F.col2im(dy, args[0].shape[2:], args[1], **kwargs),),
        ),
        Operation(
            "col2im",
            terms=lambda cols, size, kernel, *, stride=1, **_: (_overlap(kernel, stride),),
            backward=lambda F, args, kwargs, y, dy: (F.im2col(dy, args[2], **kwargs),),
        ),
        Operation("maxpool2d", terms=lambda *_, **__: (EXACT, EXACT), backward=_maxpool2d_gradient),
        Operation("maxpool2d_backward", terms=_maxpool2d_backward_terms),
        Operation(
            "avgpool2d",
            terms=lambda x, kernel_size, **_: (math.prod(_pair(kernel_size)) + 1,),
            backward=lambda F, args, kwargs, y, dy: (F.avgpool2d_backward(dy, args[0].shape[2:], args[1], **kwargs),),
        ),
        # Every term is divided before it is added: one more rounding.
        Operation(
            "avgpool2d_backward",
            terms=lambda dy, size, kernel, *, stride=None, **_: (_overlap(kernel, stride) + 1,),
        ),
        Operation("matmul", terms=lambda a, b: (a.shape[1],)),
        Operation(
            "linear",
            terms=lambda x, w, b=None, **_: (w.shape[1] + (b is not None),),
            backward=_linear_gradient,
            wrt=(0, 1, 2),
        ),
        Operation("linear_backward", terms=_linear_backward_terms),
        Operation(
            "relu",
            terms=lambda x: (EXACT,),
            backward=lambda F, args, kwargs, y, dy: (F.relu_backward(dy, y),),
        ),
        Operation("relu_backward", terms=lambda dy, y: (EXACT,)),
        # exp, one addition, one division.
        Operation(
            "sigmoid",
            terms=lambda x: (FUNCTION + 2,),
            scale=lambda x: (reference.sigmoid(x),),
            backward=lambda F, args, kwargs, y, dy: (F.sigmoid_backward(dy, y),),
        ),
        # dy y (1 - y): two products and a difference, each relative to its result.
        Operation(
            "sigmoid_backward",
            terms=lambda dy, y: (3,),
            scale=lambda dy, y: (np.abs(dy * y * (1 - y)),),
        ),
        Operation(
            "tanh",
            terms=lambda x: (FUNCTION,),
            scale=lambda x: (np.abs(reference.tanh(x)),),
            backward=lambda F, args, kwargs, y, dy: (F.tanh_backward(dy, y),),
        ),
        # dy (1 - y y): where y is near 1 the difference cancels, so S keeps both of its terms.
        Operation(
            "tanh_backward",
            terms=lambda dy, y: (3,),
            scale=lambda dy, y: (np.abs(dy) * (1 + y * y),),
        ),
        # n exponentials are added, one division; x - max is in S.
        Operation(
            "softmax",
            terms=lambda x, *, dim=-1: (x.shape[dim] + FUNCTION + 1,),
            scale=_softmax_scale,
            backward=lambda F, args, kwargs, y, dy: (F.softmax_backward(dy, y, **kwargs),),
        ),
        # A dot product of n terms, a difference, a product.
        Operation(
            "softmax_backward",
            terms=lambda dy, y, *, dim=-1: (y.shape[dim] + 2,),
            scale=_softmax_backward_scale,
        ),
        # n exponentials, a logarithm, two differences.
        Operation(
            "log_softmax",
            terms=lambda x, *, dim=-1: (x.shape[dim] + 2 * FUNCTION + 2,),
            scale=_log_softmax_scale,
            backward=lambda F, args, kwargs, y, dy: (F.log_softmax_backward(dy, y, **kwargs),),
        ),
        # n terms added, an exponential, a product, a difference.
        Operation(
            "log_softmax_backward",
            terms=lambda dy, y, *, dim=-1: (y.shape[dim] + FUNCTION + 2,),
            scale=_log_softmax_backward_scale,
        ),
        Operation("flatten", terms=lambda *_, **__: (EXACT,)),
        # log_softmax, and with probabilities a dot product of n terms more.
        Operation(
            "cross_entropy",
            terms=lambda x, target, **_: (2 * x.shape[1] + 2 * FUNCTION + 3,),
            scale=_cross_entropy_scale,
            backward=lambda F, args, kwargs, y, dy: (
                F.cross_entropy_backward(*args, dloss=dy if np.ndim(dy) else float(dy), **kwargs),
            ),
        ),
        # softmax, times the sum of the target's n terms, minus the target, times the row's weight.
        Operation(
            "cross_entropy_backward",
            terms=lambda x, target, **_: (2 * x.shape[1] + FUNCTION + 5,),
            scale=_cross_entropy_backward_scale,
        ),
        # lr, momentum and weight decay are rounded to the dtype once each, then at most 8 operations.
        Operation("sgd_step", terms=lambda *_, **__: (11, 11), scale=_sgd_scale, in_place=(0, 2)),
    )
}


# --------------------------------------------------------------------------------------------------------------
# Shapes

# Around each vector width, and one.
WIDTHS = (1, 15, 16, 17, 31, 32, 33, 63, 64, 65)


@dataclass(frozen=True)
class ConvShape:
    label: str
    x: tuple[int, int, int, int]
    filters: int
    kernel: tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    large: bool = False

    @property
    def w(self) -> tuple[int, int, int, int]:
        return self.filters, self.x[1], *self.kernel

    @property
    def out(self) -> tuple[int, int]:
        sizes = zip(self.x[2:], self.kernel, _pair(self.stride), _pair(self.padding), strict=True)
        oh, ow = ((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        return oh, ow

    @property
    def geometry(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding}

    @property
    def padded(self) -> bool:
        return _pair(self.padding) != (0, 0)


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
)


def conv_cases(s: ConvShape) -> Iterator[Case]:
    def forward(**options: Any) -> Callable[[Draw], Any]:
        bias = options.pop("bias", True)
        return lambda draw: (
            (draw(s.x), draw(s.w, "w"), draw((s.filters,), "b") if bias else None),
            {**s.geometry, **options},
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
        lambda draw: ((draw((s.x[0], s.filters, *s.out), "dy"), draw(s.x), draw(s.w, "w")), s.geometry),
        fills,
        # dx is a convolution of dy, whose own rim is padded: not with infinite weights.
        tuple(role for role in everywhere if role != "w"),
        large=s.large,
    )
    cols = (s.x[0], math.prod(s.w[1:]), math.prod(s.out))
    yield Case(
        "im2col",
        s.label,
        lambda draw: ((draw(s.x), s.kernel), s.geometry),
        ("normal", "special"),
        ("x",),
        large=s.large,
        gradient=not s.large,
    )
    yield Case(
        "col2im",
        s.label,
        lambda draw: ((draw(cols, "dy"), s.x[2:], s.kernel), s.geometry),
        ("normal", "special"),
        ("dy",),
        large=s.large,
        gradient=not s.large,
    )


def _conv_option_cases() -> Iterator[Case]:
    s = CONVS[1]
    for needs in (("dx",), ("dw",), ("db",), ("dw", "db"), ("dx", "dw")):
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
        kernel = _pair(self.kernel)
        sizes = []
        for n, k, s, p in zip(
            self.x[2:],
            kernel,
            kernel if self.stride is None else _pair(self.stride),
            _pair(self.padding),
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


# rows, inner, columns
PRODUCTS = (
    (1, 1, 1),
    (2, 3, 4),
    (1, 65, 33),
    (33, 1, 17),
    (17, 31, 1),
    (15, 16, 17),
    (31, 32, 33),
    (63, 65, 64),
    (65, 63, 66),
    (14, 300, 32),
    (0, 5, 3),
    (3, 0, 4),
    (3, 5, 0),
)


# Cut into blocks along one or more of their sides.
LARGE_PRODUCTS = (
    (150, 260, 170),
    (9, 2500, 33),
    (1100, 17, 20),
    (9, 30, 1500),
    (1, 784, 500),
)


def _product_cases() -> Iterator[Case]:
    for m, k, n in PRODUCTS:
        yield Case(
            "matmul",
            f"{m}x{k}x{n}",
            lambda draw, m=m, k=k, n=n: ((draw((m, k)), draw((k, n), "w")), {}),
            ("normal", "special"),
            ("x", "w"),
        )
        if 0 in (k, n):
            continue  # a linear layer has at least one input and one output
        yield from linear_cases(f"{m}x{k}x{n}", (m,), k, n)
    for m, k, n in LARGE_PRODUCTS:
        yield Case(
            "matmul",
            f"large-{m}x{k}x{n}",
            lambda draw, m=m, k=k, n=n: ((draw((m, k)), draw((k, n), "w")), {}),
            large=True,
        )
        yield from linear_cases(f"large-{m}x{k}x{n}", (m,), k, n, large=True)
    yield from linear_cases("vector", (), 17, 5)
    yield from linear_cases("three-axes", (2, 3), 16, 5)
    yield from linear_cases("four-axes-one-empty", (2, 0, 3), 4, 5)


def linear_cases(label: str, rows: tuple[int, ...], i: int, o: int, *, large: bool = False) -> Iterator[Case]:
    def forward(bias: bool = True, **options: Any) -> Callable[[Draw], Any]:
        return lambda draw: (
            (draw((*rows, i)), draw((o, i), "w"), draw((o,), "b") if bias else None),
            options,
        )

    fills = ("normal", "special")
    yield Case("linear", label, forward(), fills, ("x", "w", "b"), large=large, gradient=not large)
    yield Case("linear", f"{label}-no-bias-relu", forward(bias=False, activation="relu"), fills, ("x",))
    yield Case(
        "linear_backward",
        label,
        lambda draw: ((draw((*rows, o), "dy"), draw((*rows, i)), draw((o, i), "w")), {}),
        fills,
        ("x", "w", "dy"),
        large=large,
    )


def _linear_option_cases() -> Iterator[Case]:
    for needs in (("dx",), ("dw",), ("db",), ("dw", "db")):
        yield Case(
            "linear_backward",
            "needs-" + "-".join(needs),
            lambda draw, needs=needs: ((draw((5, 3), "dy"), draw((5, 4)), draw((3, 4), "w")), {"needs": needs}),
        )
    yield Case(
        "linear",
        "bias-relu",
        lambda draw: ((draw((5, 17)), draw((19, 17), "w"), draw((19,), "b")), {"activation": "relu"}),
        ("normal", "special"),
        ("x",),
        gradient=True,
    )


ELEMENTWISE = (
    *((n,) for n in WIDTHS),
    (2, 3, 5, 7),
    (129, 9),
    (0, 4),
    (40_000,),
)


def _activation_cases() -> Iterator[Case]:
    for shape in ELEMENTWISE:
        label, large = "x".join(map(str, shape)), math.prod(shape) > 10_000
        for op in ("relu", "sigmoid", "tanh"):
            yield Case(
                op,
                label,
                lambda draw, shape=shape: ((draw(shape),), {}),
                ("normal", "ties", "special"),
                ("x",),
                large=large,
                gradient=not large,
            )
            yield Case(
                f"{op}_backward",
                label,
                lambda draw, shape=shape, op=op: (
                    (draw(shape, "dy"), getattr(reference, op)(draw(shape))),
                    {},
                ),
                ("normal", "ties", "special"),
                ("dy",),
                large=large,
            )
    # From where exp overflows, through saturation, down to where the function is its argument.
    for op in ("relu", "sigmoid", "tanh"):
        yield Case(op, "range", lambda draw: ((_range(draw.dtype),), {}))


def _range(dtype: Any) -> Array:
    big = np.geomspace(1e-6, 700.0, 300)
    return np.concatenate([-big[::-1], [0.0], big]).astype(dtype)


SOFTMAXES = (
    *(((3, n), -1) for n in WIDTHS),
    ((1, 1), -1),
    ((7,), 0),
    ((5, 10), 0),
    ((2, 17, 3, 4), 1),
    ((2, 3, 4, 5), -2),
    ((0, 10), -1),
    ((3, 300), 1),
    ((600, 70), -1),
)


def _softmax_cases() -> Iterator[Case]:
    for shape, dim in SOFTMAXES:
        label, large = f"{'x'.join(map(str, shape))}-dim{dim}", math.prod(shape) > 10_000
        for op in ("softmax", "log_softmax"):
            yield Case(
                op,
                label,
                lambda draw, shape=shape, dim=dim: ((draw(shape),), {"dim": dim}),
                ("normal", "ties", "special"),
                ("x",),
                large=large,
                gradient=not large,
            )
            yield Case(
                f"{op}_backward",
                label,
                lambda draw, shape=shape, dim=dim, op=op: (
                    (draw(shape, "dy"), getattr(reference, op)(draw(shape), dim=dim)),
                    {"dim": dim},
                ),
                ("normal", "special"),
                ("dy",),
                large=large,
            )
    for op in ("softmax", "log_softmax"):
        for label, row in (
            ("far-apart", [-1e4, 0.0, 1e4, 9999.0]),
            ("one-possible", [-np.inf, 2.0, -np.inf, -np.inf]),
            ("none-possible", [-np.inf] * 4),
            ("infinite", [np.inf, 1.0, 2.0, np.inf]),
            ("wide", list(np.linspace(-80, 80, 37))),
        ):
            yield Case(op, label, lambda draw, row=row: ((np.array([row, row], draw.dtype),), {}))


def _flatten_cases() -> Iterator[Case]:
    for shape, start in (((2, 3, 4, 5), 1), ((2, 3, 4, 5), 2), ((2, 3), 0), ((4, 1), 1), ((0, 3, 4), 1)):
        yield Case(
            "flatten",
            f"{'x'.join(map(str, shape))}-from-{start}",
            lambda draw, shape=shape, start=start: ((draw(shape), start), {}),
        )


LOSSES = (*((5, k) for k in WIDTHS), (1, 10), (64, 10), (600, 36))


def _loss_cases() -> Iterator[Case]:
    for n, k in LOSSES:
        for kind in ("labels", "probabilities"):
            for reduction in ("mean", "sum", "none"):
                label, large = f"{n}x{k}-{kind}-{reduction}", n > 500

                def forward(draw, n=n, k=k, kind=kind, reduction=reduction):
                    return (draw((n, k)), getattr(draw, kind)(n, k)), {"reduction": reduction}

                def backward(draw, forward=forward, n=n, reduction=reduction):
                    args, kwargs = forward(draw)
                    dloss = draw((n,), "dy") if reduction == "none" else -0.75
                    return args, {**kwargs, "dloss": dloss}

                fills = ("normal", "ties", "special")
                yield Case("cross_entropy", label, forward, fills, ("x",), large=large, gradient=not large)
                yield Case("cross_entropy_backward", label, backward, fills, ("dy",), large=large)
    for reduction in ("sum", "none"):
        yield Case(
            "cross_entropy",
            f"no-rows-{reduction}",
            lambda draw, reduction=reduction: ((draw((0, 4)), draw.labels(0, 4)), {"reduction": reduction}),
        )
    yield Case(
        "cross_entropy",
        "far-apart",
        lambda draw: ((np.array([[1e4, -1e4, 0.0]] * 3, draw.dtype), np.array([0, 1, 2])), {"reduction": "none"}),
    )
    yield Case(
        "cross_entropy",
        "probabilities-with-zeros",
        lambda draw: (
            (draw((2, 3)), np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], draw.dtype)),
            {"reduction": "none"},
        ),
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


CASES: tuple[Case, ...] = (
    *(case for shape in CONVS for case in conv_cases(shape)),
    *_conv_option_cases(),
    *(case for shape in POOLS for case in pool_cases(shape)),
    *_pool_value_cases(),
    *_product_cases(),
    *_linear_option_cases(),
    *_activation_cases(),
    *_softmax_cases(),
    *_flatten_cases(),
    *_loss_cases(),
    *_sgd_cases(),
)


def cases_of(*ops: str) -> tuple[Case, ...]:
    """The cases of these operations."""
    return tuple(case for case in CASES if case.op in ops)
