"""The module for operators that no layer of fastnn is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
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


def unknown_attributes(kind: str, names: Iterable[str]) -> list[str]:
    """Those of the names that an operator of `OPERATIONS` has no attribute for."""
    known = inspect.signature(OPERATIONS[kind].forward).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return []
    return [name for name in names if name not in known]


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

    def described(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restored` makes the same module of: settings that JSON can say, and arrays by names.

        Raises
        ------
        TypeError
            There is a setting or an array that a file cannot hold.
        """
        arrays = {f"constant.{place}": each for place, each in self.constants.items() if each is not None}
        plain = {}
        for name, value in self.attributes.items():
            if isinstance(value, np.ndarray):
                arrays[f"attribute.{name}"] = value
            else:
                plain[name] = _plain(name, value)
        for name, array in arrays.items():
            if not _is_held(array.dtype):
                raise TypeError(f"has the array {name} of {array.dtype}, which a file cannot hold")
        missing = [place for place, each in self.constants.items() if each is None]
        return {"kind": self.kind, "attributes": plain, "missing": missing}, arrays

    @classmethod
    def restored(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Function:
        """The module that `described` speaks of. It may be a stranger's word: nothing of it is run.

        Raises
        ------
        KeyError, TypeError, ValueError
            There is no such operator, or it has no such attribute.
        """
        constants: dict[int, Array | None] = {int(place): None for place in settings["missing"]}
        attributes = {name: _plain(name, value) for name, value in settings["attributes"].items()}
        for key, array in arrays.items():
            kind, _, name = key.partition(".")
            if kind == "constant":
                constants[int(name)] = array
            else:
                attributes[name] = array
        module = cls(settings["kind"], attributes, constants)
        unknown = unknown_attributes(module.kind, attributes)
        if unknown:
            raise ValueError(f"{module.kind} has the attribute {unknown[0][:40]!r}, which fastnn does not know")
        return module

    def extra_repr(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self.attributes.items())
        fixed = "".join(f", input {i} of shape {c.shape}" for i, c in self.constants.items() if c is not None)
        return self.kind + settings + fixed


def _is_held(dtype: np.dtype[Any]) -> bool:
    """Whether a file keeps arrays of this dtype as they are."""
    return dtype.kind in "biu" or dtype in (np.float32, np.float64)


def _plain(name: str, value: Any) -> Any:
    """An attribute that JSON can say; texts that name a dtype name one of numbers."""
    if isinstance(value, list | tuple):
        return [_plain("", each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"has the attribute {name}={value!r}, which a file cannot hold")
    if name in _DTYPES and value is not None and np.dtype(str(value)).kind not in "biuf":
        raise TypeError(f"has the attribute {name}={value!r}; expected the name of a dtype of numbers")
    return value


_DTYPES = ("to", "dtype")  # attributes that name one
