"""The module for operators that no layer of fastnn is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.interop.onnx import arrangements, elementwise, products, reductions, resizing, windows
from fastnn.interop.onnx.operation import Operation
from fastnn.layers.module import Module
from fastnn.layers.symbol import traced_call

OPERATIONS: dict[str, Operation] = {
    **elementwise.OPERATIONS,
    **reductions.OPERATIONS,
    **arrangements.OPERATIONS,
    **products.OPERATIONS,
    **windows.OPERATIONS,
    **resizing.OPERATIONS,
}


class Function(Module):
    """An operator of ONNX, computed by NumPy.

    Parameters
    ----------
    kind : str
        The operator, as ``"Erf"``.
    attributes : dict
    constants : dict from places to arrays
        Inputs that are always the same; None for those that are left out. The others are what the module is called
        with.

    Examples
    --------
    >>> from fastnn.interop.onnx import Function
    >>> Function("Pow", constants={1: np.float32(3)})(np.float32([1, 2])).tolist()
    [1.0, 8.0]
    """

    joins = True

    def __init__(
        self,
        kind: str,
        attributes: Mapping[str, Any] | None = None,
        constants: Mapping[int, Array | None] | None = None,
    ) -> None:
        check.choice("kind", kind, tuple(OPERATIONS))
        self.kind, self.attributes = kind, dict(attributes or {})
        self.constants = {
            place: None if each is None else np.asarray(each) for place, each in (constants or {}).items()
        }

    def __call__(self, *inputs: Any) -> Any:
        arrays = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], tuple | list) else inputs
        y = traced_call(self, arrays)
        return super().__call__(tuple(arrays)) if y is None else y

    def _all(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs, with the constants in their places."""
        given = iter(inputs)
        count = len(inputs) + len(self.constants)
        return tuple(self.constants[place] if place in self.constants else next(given) for place in range(count))

    def forward(self, x: Any) -> Any:
        inputs = self._all(tuple(x) if isinstance(x, tuple | list) else (x,))
        with np.errstate(all="ignore"):
            y = OPERATIONS[self.kind].forward(*inputs, **self.attributes)
        y = y if isinstance(y, tuple) else np.asarray(y)
        self._keep((inputs, y))
        return y

    def backward(self, dy: Any, accumulate: bool = False, needs_dx: bool = True) -> Any:
        """As `Module.backward`: a gradient for each input, of 0 where the operator has steps and no slope."""
        inputs, y = check.kept(self, self._kept)
        backward = OPERATIONS[self.kind].backward
        if backward is None:
            raise TypeError(f"{self.kind} has no backward; expected a network without it, or one in eval mode")
        with np.errstate(all="ignore"):
            gradients = backward(dy, y, inputs, self.attributes)
        wanted = [place for place in range(len(inputs)) if place not in self.constants]
        kind = next(each.dtype for each in (dy if isinstance(dy, tuple) else (dy,)) if each is not None)
        found = [np.zeros(inputs[i].shape, kind) if gradients[i] is None else gradients[i] for i in wanted]
        return found[0] if len(found) == 1 else tuple(found)

    def extra_repr(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self.attributes.items())
        fixed = "".join(f", input {i} of shape {c.shape}" for i, c in self.constants.items() if c is not None)
        return self.kind + settings + fixed
