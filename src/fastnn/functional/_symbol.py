"""How functions take a value that stands for arrays to come, as in the `forward` of a network that is being traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class Symbol:
    """A value that stands for arrays to come."""

    def called_with(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What stands for the output of `function`, one of whose arguments this is."""
        raise NotImplementedError(f"{type(self).__name__} knows no functions")


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
