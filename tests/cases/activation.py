"""Functions element by element."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cases._base import EXACT, FUNCTION, WIDTHS, Array, Case, Operation, register
from fastnn import reference

register(
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
)


# The functions whose backwards see the input. Each has a scale S for its values, and one for its slopes, which
# multiply dy; and how many operations of one rounding each of them has.

# What is lost where a factor is flushed to zero, in units of eps: the smallest normal number of float32. (In float64 it
# is nothing.)
FLUSHED = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)


def _settled(scale: Array) -> Array:
    """Where infinity meets 0 in a scale, the result is 0 exactly."""
    return np.nan_to_num(scale, nan=0.0, posinf=np.inf)


def _gelu_slope_scale(x: Array, *, approximate: str = "none") -> Array:
    """Every term of the slope with its sign taken off; what the rounding of the argument of exp moves is in it."""
    if approximate == "none":
        return _settled(1 + np.abs(x) * np.exp(-0.5 * x * x) * (1 + 0.5 * x * x))
    return _settled(1 + np.abs(x) * (1 + x * x))


def _softplus_scale(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    z = beta * x
    rest = _settled(np.log1p(np.exp(-np.abs(z))) * (1 + np.abs(z)))
    return np.where(z > threshold, 1, (np.maximum(z, 0) + rest + FLUSHED) / abs(beta))


def _softplus_slope_scale(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    z = beta * x
    return np.where(z > threshold, 1, _settled(reference.sigmoid(z) * (1 + np.abs(z))) + FLUSHED)


@dataclass(frozen=True)
class OfInput:
    name: str
    terms: int | None  # None: EXACT
    scale: Any = None
    slope_terms: int | None = None
    slope_scale: Any = None
    settings: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = field(default=(((), {}),))

    def operations(self) -> Iterator[Operation]:
        forward, backward = getattr(reference, self.name), f"{self.name}_backward"
        yield Operation(
            self.name,
            terms=lambda x, *_, **__: (self.terms,),
            scale=lambda x, *a, **k: (np.abs(forward(x, *a, **k)) if self.scale is None else self.scale(x, *a, **k),),
            backward=lambda F, args, kwargs, y, dy: (getattr(F, backward)(dy, *args, **kwargs),),
        )
        yield Operation(
            backward,
            terms=lambda dy, x, *_, **__: (self.slope_terms,),
            scale=lambda dy, x, *a, **k: (_settled(np.abs(dy) * self._slopes(x, *a, **k)),),
        )

    def _slopes(self, x: Array, *args: Any, **kwargs: Any) -> Array:
        if self.slope_scale is not None:
            return self.slope_scale(x, *args, **kwargs)
        return np.abs(getattr(reference, f"{self.name}_backward")(np.ones_like(x), x, *args, **kwargs))


OF_INPUT = (
    OfInput("leaky_relu", 1, None, 1, settings=(((), {}), ((-1.5,), {}))),
    OfInput("elu", FUNCTION + 1, None, FUNCTION + 2, settings=(((), {}), ((0.3,), {}))),
    OfInput("selu", FUNCTION + 2, None, FUNCTION + 3),
    # erfc or tanh is a function of 1, and so is its error; four roundings in the argument of tanh move it by less than
    # one each.
    OfInput(
        "gelu",
        FUNCTION + 6,
        lambda x, **_: np.abs(x),
        2 * FUNCTION + 8,
        _gelu_slope_scale,
        (((), {}), ((), {"approximate": "tanh"})),
    ),
    OfInput(
        "silu",
        FUNCTION + 3,
        lambda x: np.abs(x) * (reference.sigmoid(x) + FLUSHED),
        2 * FUNCTION + 5,
        lambda x: _settled((reference.sigmoid(x) + FLUSHED) * (1 + np.abs(x))),
    ),
    OfInput(
        "softplus",
        2 * FUNCTION + 3,
        _softplus_scale,
        FUNCTION + 3,
        _softplus_slope_scale,
        (((), {}), ((2.0, 3.0), {}), ((-0.5,), {})),
    ),
    OfInput("hardtanh", EXACT, settings=(((), {}), ((-0.5, 1.5), {}), ((0.0, math.inf), {}))),
    OfInput("hardswish", 4, None, 3, lambda x: np.abs(x) / 3 + 1),
    OfInput("relu6", EXACT),
)

for _function in OF_INPUT:
    register(*_function.operations())

# A product for each element; and for the slopes the sum of those where x is not above 0.
register(
    Operation(
        "prelu",
        terms=lambda x, w: (1,),
        scale=lambda x, w: (np.abs(reference.prelu(x, w)),),
        backward=lambda F, args, kwargs, y, dy: F.prelu_backward(dy, *args),
        wrt=(0, 1),
    ),
    Operation(
        "prelu_backward",
        terms=lambda dy, x, w, **_: (1, x.size // w.size),
        scale=lambda dy, x, w, **_: (
            np.abs(reference.prelu_backward(dy, x, w)[0]),
            _by_channel(np.where(x > 0, 0, np.abs(dy * x)), w),
        ),
    ),
)


def _by_channel(terms: Array, w: Array) -> Array:
    return (
        terms.sum(tuple(i for i in range(terms.ndim) if i != 1), initial=0.0) if w.size > 1 else terms.sum().reshape(1)
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


def _cases_of_input() -> Iterator[Case]:
    for function in OF_INPUT:
        for place, (settings, named) in enumerate(function.settings):
            shapes = ((65,), (2, 3, 5, 7), (0, 4), (40_000,)) if place == 0 else ((2, 33),)
            for shape in shapes:
                label, large = "x".join(map(str, [*shape, *settings, *named.values()])), math.prod(shape) > 10_000
                yield Case(
                    function.name,
                    label,
                    lambda draw, shape=shape, settings=settings, named=named: ((draw(shape), *settings), named),
                    ("normal", "ties", "special"),
                    ("x",),
                    large=large,
                    gradient=not large,
                )
                yield Case(
                    f"{function.name}_backward",
                    label,
                    lambda draw, shape=shape, settings=settings, named=named: (
                        (draw(shape, "dy"), draw(shape), *settings),
                        named,
                    ),
                    ("normal", "ties", "special"),
                    ("dy", "x"),
                    large=large,
                )
            yield Case(
                function.name,
                "x".join(map(str, ["range", *settings, *named.values()])),
                lambda draw, settings=settings, named=named: ((_range(draw.dtype), *settings), named),
            )
            yield Case(
                f"{function.name}_backward",
                "x".join(map(str, ["range", *settings, *named.values()])),
                lambda draw, settings=settings, named=named: (
                    (np.ones_like(_range(draw.dtype)), _range(draw.dtype), *settings),
                    named,
                ),
            )


# Planes of some vectors, of less than one, of one element; a plane that is cut; one slope for all.
PRELUS = (
    ((2, 3, 5, 7), 3),
    ((3, 17, 3), 17),
    ((9, 33), 33),
    ((2, 3, 5), 1),
    ((7,), 1),
    ((0, 4), 4),
    ((2, 2, 130, 129), 2),
    ((600, 70), 70),
    ((40_000,), 1),
)


def _prelu_cases() -> Iterator[Case]:
    for shape, slopes in PRELUS:
        label, large = f"{'x'.join(map(str, shape))}-{slopes}", math.prod(shape) > 10_000
        yield Case(
            "prelu",
            label,
            lambda draw, shape=shape, slopes=slopes: ((draw(shape), draw((slopes,), "w")), {}),
            ("normal", "ties", "special"),
            ("x", "w"),
            large=large,
            gradient=not large,
        )
        for needs in ({},) if large else ({}, {"needs": ("dw",)}, {"needs": ("dx",)}):
            yield Case(
                "prelu_backward",
                "-".join([label, *needs.get("needs", ())]),
                lambda draw, shape=shape, slopes=slopes, needs=needs: (
                    (draw(shape, "dy"), draw(shape), draw((slopes,), "w")),
                    needs,
                ),
                ("normal", "ties", "special"),
                ("dy", "x", "w"),
                large=large,
            )


CASES = (*_activation_cases(), *_cases_of_input(), *_prelu_cases())
