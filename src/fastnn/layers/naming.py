"""Which layer of a network an error comes from.

Nothing is done while all goes well: whoever calls layers has a ``try`` around it, and only where an exception passes
through is its traceback looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def name_layer(error: Exception, network: Any) -> None:
    """Begin the message of `error` with the innermost layer of `network` that it came from, as ``layer 3.1 (Linear):``.

    The exception stays the same object. One whose text cannot be changed is given a note instead. An error of the
    network itself, and not of a layer inside it, is left alone.
    """
    named = {id(module): (name, module) for name, module in network.named_modules() if name}
    found = None
    # The first frame is the caller's, which has the error as a variable: up to CPython 3.12 looking at its variables
    # would keep them, so that error and frame, and the arrays of all frames behind it, would wait for the collector.
    trace = error.__traceback__ and error.__traceback__.tb_next
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_argcount:  # a method of a layer has the layer as its first argument
            first = trace.tb_frame.f_locals.get(code.co_varnames[0])
            found = named.get(id(first), found)
        trace = trace.tb_next
    if found is None:
        return
    label = f"layer {found[0]} ({type(found[1]).__name__}): "
    inner = getattr(error, "_layer", "")  # a network inside this one has seen it pass
    error._layer = label  # type: ignore[attr-defined]
    if not _begin(error, label, inner):
        notes = [note for note in getattr(error, "__notes__", ()) if note != f"in {inner[:-2]}"]
        error.__notes__ = [*notes, f"in {label[:-2]}"]


def _begin(error: Exception, label: str, inner: str) -> bool:
    """Put `label` in the place of `inner` before the text of `error`, if it has one that can be changed."""
    before, text = error.args, str(error)
    if before != (text,):
        return False
    error.args = (label + text.removeprefix(inner),)
    if str(error) == error.args[0]:
        return True
    error.args = before
    return False


def naming_layers(backward: Callable[..., Any]) -> Callable[..., Any]:
    """`backward`, a method of a module, with errors that name the layer."""

    @functools.wraps(backward)
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return backward(self, *args, **kwargs)
        except Exception as error:
            name_layer(error, self)
            raise

    return named


def of_fastnn(kind: Any) -> bool:
    """Whether a class of modules, or a method of one, is fastnn's own. Nothing is known of others."""
    return kind.__module__.startswith(f"{__package__}.")
