"""What examples, targets and weights are kept in: it becomes an array here, once, or is read piece by piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from fastnn._validate._base import Array

__all__ = ["as_array", "source"]

# An object with one of these has all its numbers in memory: tables, series, tensors. Series and tables are indexed by
# label, not by place.
_IN_MEMORY = ("to_numpy", "numpy", "iloc", "__array_interface__", "__dlpack__")
_EXPECTED = "an array, a table, a list, or what is indexed like an array"


def source(name: str, values: Any) -> Any:
    """`values` as an array; what reads its numbers when it is indexed, as a dataset of h5py, stays as it is."""
    if isinstance(values, np.ndarray) or not _is_lazy(name, values):
        return as_array(name, values)
    try:
        len(values)
    except TypeError as error:
        hint = f": {name}.toarray()" if hasattr(values, "toarray") else ""
        raise TypeError(f"{name}: got {type(values).__name__} ({error}); expected {_EXPECTED}{hint}") from error
    return values


def as_array(name: str, values: Any) -> Array:
    """`values` as an array with at least one axis; an array stays the same object, unless it holds Python objects."""
    if type(values) is np.ndarray and values.dtype.kind not in "OT" and values.ndim:
        return values
    if isinstance(values, np.ndarray):
        array = values
    elif isinstance(values, str | Mapping | Set):
        raise TypeError(f"{name}: got {type(values).__name__}; expected {_EXPECTED}")
    else:
        try:
            array = _read(values)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # whatever the objects of others stumble over: a graph, a device, uneven rows
            reason = str(error).partition("\n")[0]
            raise TypeError(
                f"{name}: got {type(values).__name__}, which cannot become an array ({reason}); expected {_EXPECTED}"
            ) from error
    if array.dtype.kind in "OT":
        array = _without_objects(name, array)
    if array.ndim == 0:
        raise TypeError(f"{name}: got {type(values).__name__} of shape (); expected at least one axis, the examples")
    if array.dtype.kind == "f" and _lost_missing(values, array):
        raise ValueError(f"{name}: got missing values in {values.dtype}; fill them, or leave those examples out")
    return array


def _is_lazy(name: str, values: Any) -> bool:
    if isinstance(values, list | tuple | range | deque | str | Mapping | Set) or _is_buffer(values):
        return False
    if any(hasattr(values, each) for each in _IN_MEMORY):
        return False
    if not hasattr(values, "__getitem__"):
        if not hasattr(values, "__array__"):
            raise TypeError(f"{name}: got {type(values).__name__}; expected {_EXPECTED}")
        return False
    return hasattr(values, "shape") or not hasattr(values, "__array__")


def _is_buffer(values: Any) -> bool:
    try:
        memoryview(values)
    except (TypeError, ValueError, BufferError):
        return False
    return True


def _read(values: Any) -> Array:
    if hasattr(values, "to_numpy") and not hasattr(values, "__array__"):
        values = values.to_numpy()
    return np.asarray(memoryview(values) if isinstance(values, bytes | bytearray) else values)


def _without_objects(name: str, array: Array) -> Array:
    """Numbers, rows of numbers or texts out of an array of Python objects."""
    items = array.ravel().tolist()
    try:
        found = np.array(array.tolist())
    except ValueError:
        found = array
    if found.dtype.kind in "biufc" or all(isinstance(item, str) for item in items):
        return found.reshape(array.shape) if found.size == array.size else found
    strange = next((item for item in items if not isinstance(item, int | float | np.generic)), items[0])
    hint = "; fill missing values, or leave those examples out" if _is_missing(strange) else ""
    raise TypeError(f"{name}: got an array of objects, {type(strange).__name__} among them; expected numbers{hint}")


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _lost_missing(values: Any, array: Array) -> bool:
    """Whether a series of whole numbers or truth values became floats, since some of its values are missing."""
    dtype = str(getattr(values, "dtype", "")).lower()
    return dtype.startswith(("int", "uint", "bool", "category")) and bool(np.isnan(array).any())
