"""A network as an ONNX model, which both inference engines read."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastnn import _extras
from fastnn._bench.settings import Network
from fastnn.interop import onnx

INPUT, OUTPUT, BATCH = "x", "y", "N"  # what `onnx.save` calls them


def require_onnx() -> Any:
    """The package that writes models."""
    return _extras.require("onnx", "comparing with inference engines", "bench")


def onnx_model(network: Network) -> bytes:
    """The network in eval mode, for any size of minibatch."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        onnx.save(network.module(), path, network.x)
        return path.read_bytes()
