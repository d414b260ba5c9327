"""Weights as .safetensors files: no code inside, readable by PyTorch and many others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastnn._extras import require
from fastnn._files import atomic_file

DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8", "BOOL": "?"},
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


def save_safetensors(
    path: str | Path, state_dict: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a state dict; the file appears whole or not at all.

    Parameters
    ----------
    path : file to write, replaced if it exists
    state_dict : name to array, as `Module.state_dict()` gives it; any layout, stored in C order
    metadata : texts by name, which other programs show and leave alone
    """
    safetensors = require("safetensors.numpy", "saving weights", "weights")
    # safetensors copies the memory behind an array as it lies, so strides must go first.
    arrays = {name: np.asarray(array, order="C") for name, array in state_dict.items()}
    content = safetensors.save(arrays, None if metadata is None else dict(metadata))
    with atomic_file(path) as file:
        file.write(content)


def load_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read a .safetensors file.

    Returns
    -------
    state_dict : name to array, for `Module.load_state_dict`
        Those of float16 and bfloat16 become float32, which holds their numbers exactly.

    Raises
    ------
    ValueError
        The file is truncated or corrupt, or holds a type that NumPy has not, as float8; names the file.
    """
    return read(path)[0]


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a .safetensors file, and its metadata; errors as of `load_safetensors`."""
    safetensors = require("safetensors", "loading weights", "weights")
    content = Path(path).read_bytes()
    try:
        arrays = {name: _array(**stored) for name, stored in safetensors.deserialize(content)}
        # That has looked at the header: 8 bytes with its length, then JSON.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: truncated or corrupt safetensors file ({error})") from error
    except KeyError as error:
        raise ValueError(f"{path}: holds arrays of type {error.args[0]}, which NumPy does not have") from error
    return arrays, header.get("__metadata__") or {}


def _array(dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    """An array of its own memory."""
    values = np.frombuffer(data, DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if dtype == "F16" else values.astype(values.dtype.newbyteorder("="))
