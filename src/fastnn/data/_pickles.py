"""Pickles of strangers: what arrays of bytes and plain containers are made of is read, and all else is refused.

A pickle is a program that calls functions by name. Here the few names that NumPy's pickles have stand for objects of
this module, so that nothing of the file reaches NumPy, or any other code, but a shape and bytes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np


def read_pickle(content: bytes) -> Any:
    """What was pickled, by Python 2 or 3: numbers, bytes (texts of Python 2 too), texts, containers, `PickledArray`.

    Raises
    ------
    Exception
        Of any kind: the pickle is broken in some way, or asks for another name.
    """
    return _Unpickler(io.BytesIO(content), encoding="bytes").load()


class PickledArray:
    """An array of uint8.

    Attributes
    ----------
    pixels : the array
    """

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, content = state
        if not isinstance(dtype, _Dtype) or dtype.code not in (b"u1", "u1") or type(content) is not bytes:
            raise pickle.UnpicklingError("an array of something else than uint8")
        self.pixels = np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_columns else "C")


class _Dtype:
    def __init__(self, code: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """What follows in the file, byte order and such, says nothing of uint8."""


class _Named:
    """What a name stands for: one object each time, which the file cannot look into."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): lambda *args: None,  # is passed to _reconstruct, and not called
    ("numpy", "dtype"): lambda code, align, copy: _Dtype(code),
    ("numpy.core.multiarray", "_reconstruct"): lambda kind, shape, dtype: PickledArray(),
    ("numpy._core.multiarray", "_reconstruct"): lambda kind, shape, dtype: PickledArray(),
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),  # bytes, as Python 3 writes them for Python 2
}


class _Unpickler(pickle._Unpickler):  # in Python: the one in C takes gigabytes for a large number of its memo
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _Named(_NAMES[module, name])
