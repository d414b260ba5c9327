"""Steps of optimisers: their settings, and the arrays that they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn._validate._base import (
    Array,
    MaybeArray,
    float_array,
    has_shape,
    integer,
    number,
    same_dtype,
    true_or_false,
)

__all__ = [
    "Arrays",
    "MaybeArrays",
    "adagrad_settings",
    "adam_settings",
    "direction",
    "momentum_buffer",
    "nadam_settings",
    "rmsprop_settings",
    "sgd_settings",
    "steps_taken",
    "updated",
]

Arrays = Array | Sequence[Array]  # one, or those of many parameters
MaybeArrays = MaybeArray | Sequence[Array]

LEAST_EPS = float(np.finfo(np.float32).tiny)
OPTIONAL = ("momentum_buffer", "max_exp_avg_sq", "grad_avg")


def sgd_settings(
    lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool
) -> tuple[float, float, float, float]:
    """Return lr, momentum, dampening and weight_decay as floats."""
    lr = number("lr", lr, 0.0)
    momentum = number("momentum", momentum, 0.0)
    dampening = number("dampening", dampening)
    weight_decay = number("weight_decay", weight_decay, 0.0)
    if true_or_false("nesterov", nesterov) and (momentum == 0.0 or dampening != 0.0):
        raise ValueError(
            f"nesterov: got True with momentum {momentum:g} and dampening {dampening:g}; "
            "expected a momentum above 0 and dampening 0"
        )
    return lr, momentum, dampening, weight_decay


def direction(maximize: bool) -> int:
    """The sign of the gradient that a rule goes by."""
    return -1 if true_or_false("maximize", maximize) else 1


def _eps(value: float) -> float:
    """What is added to a divisor as a float; a smaller one is 0 to float32, and 0 / 0 a parameter that is NaN."""
    eps = number("eps", value)
    if eps < LEAST_EPS:
        raise ValueError(f"eps: got {value!r}; expected at least {LEAST_EPS:.3g}: a gradient of 0 is divided by it")
    return eps


def adam_settings(
    lr: float, betas: tuple[float, float], eps: float, weight_decay: float
) -> tuple[float, float, float, float, float]:
    """Return lr, both betas, eps and weight_decay as floats."""
    lr = number("lr", lr, 0.0)
    if not isinstance(betas, tuple | list):
        raise TypeError(f"betas: got {betas!r}; expected two numbers, as in (0.9, 0.999)")
    if len(betas) != 2:
        raise ValueError(f"betas: got {betas!r}; expected two numbers, as in (0.9, 0.999)")
    beta1, beta2 = number("betas", betas[0], 0.0), number("betas", betas[1], 0.0)
    if beta1 >= 1.0 or beta2 >= 1.0:
        raise ValueError(f"betas: got {betas!r}; expected numbers below 1")
    return lr, beta1, beta2, _eps(eps), number("weight_decay", weight_decay, 0.0)


def nadam_settings(
    lr: float, betas: tuple[float, float], eps: float, weight_decay: float, momentum_decay: float
) -> tuple[float, float, float, float, float, float]:
    """Return lr, both betas, eps, weight_decay and momentum_decay as floats."""
    return *adam_settings(lr, betas, eps, weight_decay), number("momentum_decay", momentum_decay, 0.0)


def rmsprop_settings(
    lr: float, alpha: float, eps: float, weight_decay: float, momentum: float
) -> tuple[float, float, float, float, float]:
    """Return lr, alpha, eps, weight_decay and momentum as floats."""
    lr = number("lr", lr, 0.0)
    alpha = number("alpha", alpha, 0.0)
    if alpha > 1.0:
        raise ValueError(f"alpha: got {alpha!r}; expected at most 1")
    eps = _eps(eps)
    return lr, alpha, eps, number("weight_decay", weight_decay, 0.0), number("momentum", momentum, 0.0)


def adagrad_settings(lr: float, lr_decay: float, weight_decay: float, eps: float) -> tuple[float, float, float, float]:
    """Return lr, lr_decay, weight_decay and eps as floats."""
    lr = number("lr", lr, 0.0)
    lr_decay = number("lr_decay", lr_decay, 0.0)
    return lr, lr_decay, number("weight_decay", weight_decay, 0.0), _eps(eps)


def steps_taken(step: int) -> int:
    """The number of a step as an int, the first being 1."""
    return integer("step", step, 1)


def momentum_buffer(buffer: MaybeArrays, momentum: float) -> MaybeArrays:
    """The buffer, where there is a momentum to need one; else None."""
    if momentum == 0.0:
        return None
    if buffer is None:
        raise ValueError(f"momentum_buffer: got None; expected an array like p, since momentum is {momentum:g}")
    return buffer


def updated(**columns: MaybeArrays) -> list[tuple[Any, ...]]:
    """The arrays of each parameter: of `columns`, arrays or sequences of as many, the first of which is p.

    All of a parameter are of one dtype and shape, and but for those called g they are writable. An optional column may
    be None.
    """
    first, p = next(iter(columns.items()))
    many = isinstance(p, list | tuple)
    lists: dict[str, Any] = {}
    for name, column in columns.items():
        if column is None and name in OPTIONAL:
            continue
        if isinstance(column, list | tuple) != many:
            wanted = f"a list, as {first} is one" if many else f"an array, as {first} is one"
            raise TypeError(f"{name}: got {type(column).__name__}; expected {wanted}")
        lists[name] = column if many else (column,)
        if len(lists[name]) != len(lists[first]):
            raise ValueError(
                f"{name}: got {len(lists[name])} arrays; expected {len(lists[first])}, one for each of {first}"
            )
    rows = []
    for i in range(len(lists[first])):
        row = {name: column[i] for name, column in lists.items()}
        _row({f"{name}[{i}]": a for name, a in row.items()} if many else row)
        rows.append(tuple(row.get(name) for name in columns))
    return rows


def _row(arrays: dict[str, Array]) -> None:
    """The arrays of one parameter fit together."""
    first, p = next(iter(arrays.items()))
    float_array(first, p)
    for name, a in arrays.items():
        if a is not p:
            same_dtype(first, p, name, a)
            has_shape(name, a, p.shape, f"the shape of {first}")
        if not a.flags.writeable and name.partition("[")[0] != "g":
            raise ValueError(f"{name}: got a read-only array; expected a writable one, it is updated in place")
    if len({id(a) for a in arrays.values()}) < len(arrays):
        raise ValueError(f"{', '.join(arrays)}: got one array twice; expected arrays that share no memory")
