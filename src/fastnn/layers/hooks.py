"""Functions that are called with the output of a layer."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Self

from fastnn import _validate as check

ForwardHook = Callable[[Any, tuple[Any, ...], Any], Any]

_CHANGING = threading.Lock()


class RemovableHandle:
    """A hook of a module, until it is removed; `Module.register_forward_hook` gives it.

    As a context manager it is removed at the end of the block.
    """

    def __init__(self, module: Any, hook: ForwardHook) -> None:
        check.hook(hook)
        self._module = weakref.ref(module)
        self._hook = hook
        with _CHANGING:
            module._hooks = (*module._hooks, self)

    def call(self, module: Any, inputs: tuple[Any, ...], y: Any) -> Any:
        """Call the hook of `module` with its inputs and output; return the output that is to count."""
        instead = self._hook(module, inputs, y)
        if instead is None:
            return y
        check.hook_result(module, instead)
        return instead

    def remove(self) -> None:
        """Call the hook no more."""
        module = self._module()
        if module is not None:
            with _CHANGING:
                module._hooks = tuple(handle for handle in module._hooks if handle is not self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
