"""OpenVINO: networks in eval mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn import _extras
from fastnn._bench.cases import Array, BenchCase
from fastnn._bench.contestants.base import Work, checked
from fastnn._bench.contestants.onnx_model import onnx_model, require_onnx


class OpenVino:
    """A model compiled for latency, in float32 (it would take bfloat16 on AMX); one request, its tensors reused."""

    name = "openvino"

    def __init__(self) -> None:
        require_onnx()  # now, and not when half of the table is there
        self.openvino = _extras.require("openvino", "comparing with OpenVINO", "bench")
        self.title = f"OpenVINO {self.openvino.__version__.partition('-')[0]}"
        self._threads = 1

    @contextmanager
    def threads(self, n: int) -> Iterator[None]:
        before, self._threads = self._threads, n
        try:
            yield
        finally:
            self._threads = before

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        network, x = case.setting, arrays["x"]
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        core = self.openvino.Core()
        model = core.read_model(onnx_model(network))
        model.reshape(list(x.shape))
        compiled = core.compile_model(model, "CPU", settings)
        request = compiled.create_infer_request()
        request.set_input_tensor(self.openvino.Tensor(x, shared_memory=True))
        y = request.get_output_tensor().data

        def infer() -> Any:
            request.infer(share_outputs=True)
            return y

        return checked(self.title, infer, network, x)
