"""One example without the axis of a batch, where a function takes batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from fastnn._validate import hints

__all__ = ["OneExample", "takes_one"]

P = ParamSpec("P")
R = TypeVar("R")


class OneExample(NamedTuple):
    """Which arguments of a function have the axis of a batch, and which results.

    One example is made a batch of one::

        (C, H, W) -> (1, C, H, W) -> the function -> (1, O, OH, OW) -> (O, OH, OW)
    """

    names: tuple[str, ...]  # of the arguments
    start: int  # the place of the first of them; the others follow
    axes: int  # of the first of them, for a batch
    results: int | None  # how many of them, from the front; None: all

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the first of the arguments is one example."""
        first = args[self.start] if self.start < len(args) else kwargs.get(self.names[0])
        return getattr(first, "ndim", None) == self.axes - 1

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a function makes of a batch of one, without its axis."""
        start, stop = self.start, self.start + len(self.names)
        args = (*args[:start], *map(_batch_of_one, args[start:stop]), *args[stop:])
        if kwargs:
            kwargs = kwargs | {name: _batch_of_one(kwargs[name]) for name in self.names if name in kwargs}
        try:
            y = function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            self._explain(error, args[start] if start < len(args) else kwargs[self.names[0]])
            raise
        if not isinstance(y, tuple):
            return _without_batch(y)
        count = len(y) if self.results is None else self.results
        return (*map(_without_batch, y[:count]), *y[count:])

    def _explain(self, error: Exception, first: Any) -> None:
        """Say where the 1 comes from in a message about shapes that nobody has given."""
        if "(1," in str(error):
            error.args = (f"{error}{hints.taken_for_one(self.names[0], first, str(error))}",)


def takes_one(*names: str, axes: int, results: int | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function of batches take one example, too.

    Parameters
    ----------
    *names : arguments that have the axis of a batch, which stand side by side
    axes : int
        Of the first of them, for a batch.
    results : int, optional
        How many results have the axis, from the front; all by default.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.unwrap(function).__code__.co_varnames
        one = OneExample(names, parameters.index(names[0]), axes, results)

        @wraps(function)
        def of_one_too(*args: P.args, **kwargs: P.kwargs) -> Any:
            return one.call(function, args, kwargs) if one.given(args, kwargs) else function(*args, **kwargs)

        of_one_too.one_example = one  # type: ignore[attr-defined]
        return of_one_too

    return decorate


def _batch_of_one(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value[None]
    return np.array([value]) if isinstance(value, int | np.generic) else value


def _without_batch(value: Any) -> Any:
    return value[0, ...] if isinstance(value, np.ndarray) else value
