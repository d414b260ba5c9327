"""Trees of dicts, lists, numbers, texts and arrays as one .npz file: no code inside, and damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fastnn._files import atomic_file

_TREE = "tree"  # the entry that says where the arrays belong


def write_archive(path: str | Path, tree: Any) -> None:
    """Write a tree; the file appears whole or not at all, and is on the disk when this returns."""
    arrays: list[np.ndarray] = []
    text = json.dumps(_packed(tree, arrays)).encode()
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


def _packed(value: Any, arrays: list[np.ndarray]) -> Any:
    """`value` as JSON can say it: what JSON has no word for is a list that begins with its kind."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return ["array", len(arrays) - 1]
    if isinstance(value, dict):
        return ["dict", *([_packed(key, arrays), _packed(each, arrays)] for key, each in value.items())]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *(_packed(each, arrays) for each in value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"state: got a {type(value).__name__}; expected numbers, texts, arrays, lists, tuples and dicts")


def _unpacked(value: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(value, list):
        return value
    kind, *content = value
    match kind:
        case "array":
            return arrays[content[0]]
        case "dict":
            return {_unpacked(key, arrays): _unpacked(each, arrays) for key, each in content}
        case "tuple":
            return tuple(_unpacked(each, arrays) for each in content)
        case "list":
            return [_unpacked(each, arrays) for each in content]
    raise ValueError(f"unknown kind {kind!r}")
