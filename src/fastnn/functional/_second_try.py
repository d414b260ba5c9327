"""What a function does with arguments that it has refused: symbols, `inplace`, one example where it takes batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fastnn._validate import OneExample
from fastnn.functional._symbol import first_symbol

# Functions of PyTorch's that take `inplace`, which changes no result here, and its place among their arguments.
_INPLACE = {
    **{"relu": 1, "relu6": 1, "selu": 1, "silu": 1, "hardswish": 1, "leaky_relu": 2, "elu": 2, "hardtanh": 3},
    **{"dropout": 3, "dropout2d": 3},
}


def takes_more(function: Callable[..., Any], symbols: bool, one: OneExample | None) -> Callable[..., Any]:
    """`function`, which takes symbols too, and one example without the axis of a batch.

    Nothing is looked for while all goes well: the checks refuse a symbol as they refuse everything that is no array,
    and an example for its axes.
    """
    place = _INPLACE.get(function.__name__)

    @functools.wraps(function)
    def door(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            plain = None if place is None else _without_inplace(place, args, kwargs)
            if plain is not None:
                return door(*plain[0], **plain[1])
            symbol = first_symbol((*args, *kwargs.values())) if symbols else None
            batch = None if one is None or symbol is not None else one.batch(args, kwargs)
            if symbol is None and batch is None:
                raise
        if symbol is not None:
            return symbol.called_with(function, args, kwargs)
        assert one is not None
        assert batch is not None
        return one.of_batch(function, batch)

    return door


def _without_inplace(place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    """The arguments without `inplace`, or None where it is not among them."""
    if isinstance(kwargs.get("inplace"), bool):
        return args, {name: value for name, value in kwargs.items() if name != "inplace"}
    return (args[:place], kwargs) if len(args) == place + 1 and isinstance(args[place], bool) else None
