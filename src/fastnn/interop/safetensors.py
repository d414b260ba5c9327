"""Weights as .safetensors files: no code inside, readable by PyTorch and many others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastnn._extras import require
from fastnn._files import atomic_file


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

    Raises
    ------
    ValueError
        The file is truncated or corrupt, or holds a type that NumPy has not (bfloat16, float8); names the file.
    """
    return read(path)[0]


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a .safetensors file, and its metadata; errors as of `load_safetensors`."""
    safetensors = require("safetensors.numpy", "loading weights", "weights")
    error_type = require("safetensors", "loading weights", "weights").SafetensorError
    content = Path(path).read_bytes()
    try:
        arrays = safetensors.load(content)
        # That has looked at the header: 8 bytes with its length, then JSON.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (error_type, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: truncated or corrupt safetensors file ({error})") from error
    except KeyError as error:  # the package's way of saying this
        raise ValueError(f"{path}: holds arrays of type {error.args[0]}, which NumPy does not have") from error
    copies = {name: array.copy() for name, array in arrays.items()}  # those views are read-only
    return copies, header.get("__metadata__") or {}
