"""What a function takes beside arrays with the axis of a batch: symbols, and one example."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fastnn._validate import OneExample
from fastnn.functional._symbol import first_symbol


def takes_symbols(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which takes symbols too.

    Nothing is looked for while all goes well: the checks refuse a symbol as they refuse everything that is no array.
    """

    @functools.wraps(function)
    def door(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            symbol = first_symbol((*args, *kwargs.values()))
            if symbol is None:
                raise
        return symbol.called_with(function, args, kwargs)

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
