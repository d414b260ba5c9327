"""Who is timed. Each prepares a case as a call without arguments; a package is imported when its contestant is made."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack

from fastnn._bench.cases import BenchCase
from fastnn._bench.contestants.base import Contestant, Work
from fastnn._bench.contestants.onnx_runtime import OnnxRuntime
from fastnn._bench.contestants.openvino import OpenVino
from fastnn._bench.contestants.operations import fastnn_kernels, numpy_reference
from fastnn._bench.contestants.pytorch import Torch

__all__ = ["PEERS", "Contestant", "Work", "all_on", "fastnn_kernels", "installed_peers", "takes_part"]

PEERS: dict[str, Callable[[], Contestant]] = {
    "reference": numpy_reference,
    "torch": Torch,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
}
PACKAGES = {
    "reference": ("threadpoolctl",),
    "torch": ("torch",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
}
INFERENCE_ALONE = ("onnxruntime", "openvino")  # they run networks that others have trained


def installed_peers() -> list[str]:
    """Those whose packages are there, none of them imported for the question."""
    return [name for name in PEERS if all(importlib.util.find_spec(package) for package in PACKAGES[name])]


def takes_part(name: str, case: BenchCase) -> bool:
    """Whether the contestant of that name can run the case."""
    return case.family == "inference" or name not in INFERENCE_ALONE


def all_on(contestants: list[Contestant], n: int) -> ExitStack:
    """A context in which everybody works on `n` threads."""
    with ExitStack() as stack:
        for contestant in contestants:
            stack.enter_context(contestant.threads(n))
        return stack.pop_all()
