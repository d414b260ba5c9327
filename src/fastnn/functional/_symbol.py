"""How functions take a value that stands for arrays to come, as in the `forward` of a network that is being traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any


class Symbol:
    """A value that stands for arrays to come."""

    def called_with(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What stands for the output of `function`, one of whose arguments this is."""
        raise NotImplementedError(f"{type(self).__name__} knows no functions")


def takes_symbols(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which hands the call over where an argument is a symbol.

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


def first_symbol(values: Iterable[Any]) -> Symbol | None:
    """The first symbol among values, and inside those that are lists or tuples."""
    for value in values:
        if isinstance(value, Symbol):
            return value
        if isinstance(value, list | tuple):
            found = first_symbol(value)
            if found is not None:
                return found
    return None
