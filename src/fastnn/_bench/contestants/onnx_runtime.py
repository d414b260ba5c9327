"""ONNX Runtime: networks in eval mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fastnn import _extras
from fastnn._bench.cases import Array, BenchCase
from fastnn._bench.contestants.base import Work, checked
from fastnn._bench.contestants.onnx_model import BATCH, INPUT, OUTPUT, onnx_model, require_onnx


class OnnxRuntime:
    """A session with all optimisations of the graph; input and output bound beforehand, the shortest call it has."""

    name = "onnxruntime"

    def __init__(self) -> None:
        require_onnx()  # now, and not when half of the table is there
        self.onnxruntime = _extras.require("onnxruntime", "comparing with ONNX Runtime", "bench")
        self.title = f"ONNX Runtime {self.onnxruntime.__version__}"
        self._threads = 1

    @contextmanager
    def threads(self, n: int) -> Iterator[None]:
        before, self._threads = self._threads, n
        try:
            yield
        finally:
            self._threads = before

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        ort, network, x = self.onnxruntime, case.setting, arrays["x"]
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name(BATCH, len(x))
        session = ort.InferenceSession(onnx_model(network), options, providers=["CPUExecutionProvider"])
        y = np.empty_like(network.module().eval()(x))
        binding = session.io_binding()
        binding.bind_cpu_input(INPUT, x)
        binding.bind_output(OUTPUT, "cpu", 0, np.float32, y.shape, y.ctypes.data)

        def infer() -> Array:
            session.run_with_iobinding(binding)
            return y

        return checked(self.title, infer, network, x)
