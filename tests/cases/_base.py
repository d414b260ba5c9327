"""What the cases of all families share: the classes, the table of operations, and what their scales are made of."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
EXACT = None
Terms = tuple[int | None, ...]
DTYPES = (np.float32, np.float64)

# A vectorised exp, log or tanh is allowed an error of four units in the last place; the best are below one.
FUNCTION = 4

# Around each vector width, and one.
WIDTHS = (1, 15, 16, 17, 31, 32, 33, 63, 64, 65)


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
        args = tuple(a.copy() if i in self.in_place and a is not None else a for i, a in enumerate(args))
        result = getattr(module, self.name)(*args, **kwargs)
        results = result if isinstance(result, tuple) else () if result is None else (result,)
        updated = (args[i] if i < len(args) else None for i in self.in_place)
        return tuple(None if r is None else np.asarray(r) for r in (*results, *updated))


OPERATIONS: dict[str, Operation] = {}


def register(*operations: Operation) -> None:
    """Put the operations of a family where their cases find them."""
    for operation in operations:
        assert operation.name not in OPERATIONS, f"{operation.name}: registered twice"
        OPERATIONS[operation.name] = operation


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


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def no_activation(F: Any, kwargs: dict[str, Any], y: Array, dy: Array) -> tuple[dict[str, Any], Array]:
    """The arguments of a backward, and dy brought back through the activation that was fused into the forward."""
    rest = {k: v for k, v in kwargs.items() if k != "activation"}
    return rest, F.relu_backward(dy, y) if kwargs.get("activation") == "relu" else dy


def windows_over(kernel_size: Any, stride: Any, dilation: Any = 1) -> int:
    """The largest number of windows that one input element lies in."""
    sizes = zip(pair(kernel_size), pair(kernel_size if stride is None else stride), pair(dilation), strict=True)
    # Places of a window that lie a whole number of strides apart: every s / gcd(s, d)-th.
    return math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in sizes)
