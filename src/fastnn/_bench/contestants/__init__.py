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
from fastnn._bench.contestants.pytorch_modes import ChannelsLast, Compiled

__all__ = ["PEERS", "Contestant", "Work", "all_on", "fastnn_kernels", "installed_peers", "takes_part"]

PEERS: dict[str, Callable[[], Contestant]] = {
    "reference": numpy_reference,
    "torch": Torch,
    "torch-nhwc": ChannelsLast,
    "torch-compile": Compiled,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
}
PACKAGES = {
    "reference": ("threadpoolctl",),
    "torch": ("torch",),
    "torch-nhwc": ("torch",),
    "torch-compile": ("torch",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
}
ON_REQUEST = ("torch-compile",)  # it compiles every network for half a minute
INFERENCE_ALONE = ("onnxruntime", "openvino")  # they run networks that others have trained
NETWORKS = ("training", "inference")
OF_IMAGES = (*NETWORKS, "conv", "conv_transpose", "maxpool", "avgpool", "batch_norm")  # that a layout may matter for


def installed_peers() -> list[str]:
    """Those whose packages are there, none of them imported for the question, but those on request."""
    there = [name for name in PEERS if all(importlib.util.find_spec(package) for package in PACKAGES[name])]
    return [name for name in there if name not in ON_REQUEST]


def takes_part(name: str, case: BenchCase) -> bool:
    """Whether the contestant of that name runs the case: a mode of PyTorch's only where it makes a difference."""
    if name in INFERENCE_ALONE:
        return case.family == "inference"
    if name == "torch-nhwc":
        return case.family in OF_IMAGES and len(case.setting.x) == 4
    return name != "torch-compile" or case.family in NETWORKS


def all_on(contestants: list[Contestant], n: int) -> ExitStack:
    """A context in which everybody works on `n` threads."""
    with ExitStack() as stack:
        for contestant in contestants:
            stack.enter_context(contestant.threads(n))
        return stack.pop_all()
