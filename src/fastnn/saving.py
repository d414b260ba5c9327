"""Whole networks in files: the architecture and the arrays, and no code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.layers.module import Module

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "fastnn"  # of the metadata


def save(net: Module, path: str | Path) -> None:
    """Write a network to a .safetensors file: its arrays, and what it is made of as JSON in the file's metadata.

    It may be made of fastnn's own layers, containers and graphs, as also `interop.onnx.load` gives them. Of a class of
    your own, `trace` makes a graph. Gradients, hooks, and where the random numbers of a dropout are, are left out.

    Parameters
    ----------
    net : Module
    path : file to write, which appears whole or not at all

    Raises
    ------
    ImportError
        The package safetensors is not installed: ``pip install "fastnn-kernels[weights]"``.
    TypeError
        A layer is of a class that a file cannot hold; names it.

    Examples
    --------
    >>> net = fnn.Sequential(fnn.Linear(4, 8), fnn.ReLU(), fnn.Linear(8, 2))
    >>> fnn.save(net, "net.safetensors")  # doctest: +SKIP
    >>> net = fnn.load("net.safetensors")  # doctest: +SKIP
    """
    import json

    from fastnn.interop.safetensors import save_safetensors
    from fastnn.layers.architecture import NotDescribed, describe

    try:
        described, arrays = describe(net)
    except NotDescribed as reason:
        raise TypeError(str(reason)) from None
    save_safetensors(path, arrays, {_KEY: json.dumps(described)})


def load(path: str | Path) -> Module:
    """Read a network that `save` wrote, in the mode that it was in.

    Nothing in the file is run, and no layer is made that is larger than its arrays in the file: it may come from
    anybody.

    Parameters
    ----------
    path : file to read

    Returns
    -------
    Module

    Raises
    ------
    ImportError
        The package safetensors is not installed: ``pip install "fastnn-kernels[weights]"``.
    ValueError
        The file is truncated or corrupt, or does not hold a network; names it.
    OSError
        It cannot be read.
    """
    import json

    from fastnn.interop.onnx.function import Function
    from fastnn.interop.safetensors import read
    from fastnn.layers.architecture import build

    arrays, metadata = read(path)
    if _KEY not in metadata:
        raise ValueError(
            f"{path}: holds arrays without a network; expected a file that fastnn.save wrote: "
            "fastnn.interop.load_safetensors gives the arrays for load_state_dict"
        )
    try:
        return build(json.loads(metadata[_KEY]), arrays, {"Function": Function.restored})
    except MemoryError:
        raise
    except Exception as error:  # a broken file shows in whatever it stumbles over
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ValueError(f"{path}: holds no network that fastnn.save wrote, or a damaged one ({reason})") from error
