"""Trees of dicts, lists, numbers, texts and arrays as one .npz file: no code inside, and damage is noticed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fastnn._files import atomic_file

_TREE = "tree"  # the entry that says where the arrays belong


def check_tree(name: str, tree: Any) -> None:
    """Raise a TypeError where `tree`, which the error calls `name`, has what `write_archive` does not write."""
    _packed(tree, [], name)


def write_archive(path: str | Path, tree: Any) -> None:
    """Write a tree; the file appears whole or not at all, and is on the disk when this returns.

    Raises
    ------
    TypeError
        There are objects in it, which only a pickle could keep; says where. Nothing has been written.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(_packed(tree, arrays, "state"), allow_nan=False).encode()
    entries = {str(i): array for i, array in enumerate(arrays)}
    with atomic_file(path, durable=True) as file:
        np.savez(file, **{_TREE: np.frombuffer(text, np.uint8)}, **entries)  # type: ignore[arg-type]


def read_archive(path: str | Path) -> Any:
    """Read what `write_archive` wrote.

    Raises
    ------
    ValueError
        The file is truncated, corrupt or of another kind; names the file.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                tree = json.loads(archive[_TREE].tobytes())
                arrays = [archive[str(i)] for i in range(len(archive.files) - 1)]
            return _unpacked(tree, arrays)
        except MemoryError:
            raise
        except Exception as error:  # a broken file shows in whatever zipfile, zlib, NumPy or json stumble over
            raise ValueError(f"{path}: truncated or corrupt, or not a file of this kind ({error})") from error


def _packed(value: Any, arrays: list[np.ndarray], where: str) -> Any:
    """`value` as JSON can say it: what JSON has no word for is a list that begins with its kind."""
    if isinstance(value, np.ndarray | np.generic) and _is_plain(value):
        arrays.append(np.asarray(value))
        return ["array" if isinstance(value, np.ndarray) else "scalar", len(arrays) - 1]
    if isinstance(value, dict):
        pairs = [
            (_packed(key, arrays, where), _packed(each, arrays, f"{where}[{key!r}]")) for key, each in value.items()
        ]
        return ["dict", *pairs]
    if type(value) in (list, tuple):
        return [type(value).__name__, *(_packed(each, arrays, f"{where}[{i}]") for i, each in enumerate(value))]
    if isinstance(value, float) and not math.isfinite(value):
        return ["float", str(value)]
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
        return value
    came = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    raise TypeError(
        f"{where}: got {came}; expected numbers, texts, arrays of them, lists, tuples and dicts: no pickles"
    )


def _is_plain(value: np.ndarray | np.generic) -> bool:
    """Whether an .npz file has all of it: no Python objects, no mask, no dtype that other packages bring."""
    if value.dtype.hasobject or isinstance(value, np.ma.MaskedArray):
        return False
    return np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(value.dtype)) == value.dtype


def _unpacked(value: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(value, list):
        return value
    kind, *content = value
    match kind:
        case "array":
            return arrays[content[0]]
        case "scalar":
            return arrays[content[0]][()]
        case "float":
            return float(content[0])
        case "dict":
            return {_unpacked(key, arrays): _unpacked(each, arrays) for key, each in content}
        case "tuple":
            return tuple(_unpacked(each, arrays) for each in content)
        case "list":
            return [_unpacked(each, arrays) for each in content]
    raise ValueError(f"unknown kind {kind!r}")
