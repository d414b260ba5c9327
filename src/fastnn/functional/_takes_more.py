"""What a function takes beside arrays with the axis of a batch: symbols, one example, and `inplace`."""

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


def takes_symbols(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which takes symbols and PyTorch's `inplace` too.

    Nothing is looked for while all goes well: the checks refuse a symbol as they refuse everything that is no array.
    """
    place = _INPLACE.get(function.__name__)

    @functools.wraps(function)
    def door(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            plain = None if place is None else _without_inplace(place, args, kwargs)
            symbol = None if plain is not None else first_symbol((*args, *kwargs.values()))
            if plain is None and symbol is None:
                raise
        if symbol is not None:
            return symbol.called_with(function, args, kwargs)
        assert plain is not None
        return door(*plain[0], **plain[1])  # here, so that an error of it says nothing of the one before

    return door


def takes_one_too(function: Callable[..., Any], one: OneExample, symbols: bool) -> Callable[..., Any]:
    """`function`, which takes one example without the axis of a batch too, and perhaps symbols.

    The first of the arguments that have this axis is the first of all; how many axes it has is looked at in every call.
    """
    axes = one.axes - 1

    @functools.wraps(function)
    def door(*args: Any, **kwargs: Any) -> Any:
        try:
            if getattr(args[0] if args else kwargs.get(one.names[0]), "ndim", None) == axes:
                return one.call(function, args, kwargs)
            return function(*args, **kwargs)
        except Exception:
            symbol = first_symbol((*args, *kwargs.values())) if symbols else None
            if symbol is None:
                raise
        return symbol.called_with(function, args, kwargs)

    return door


def _without_inplace(place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    """The arguments without `inplace`, or None where it is not among them."""
    if isinstance(kwargs.get("inplace"), bool):
        return args, {name: value for name, value in kwargs.items() if name != "inplace"}
    return (args[:place], kwargs) if len(args) == place + 1 and isinstance(args[place], bool) else None
