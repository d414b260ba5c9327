"""What a function does with arguments that it has refused: symbols, and one example where it takes batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fastnn._validate import OneExample
from fastnn.functional._symbol import first_symbol


def takes_more(function: Callable[..., Any], symbols: bool, one: OneExample | None) -> Callable[..., Any]:
    """`function`, which takes symbols too, and one example without the axis of a batch.

    Nothing is looked for while all goes well: the checks refuse a symbol as they refuse everything that is no array,
    and an example for its axes.
    """

    @functools.wraps(function)
    def door(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
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
