"""fastnn itself: the kernels, and their NumPy twin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from fastnn import _extras, _runtime, functional, losses, optim, reference
from fastnn._bench.cases import OF_INPUT, Array, BenchCase
from fastnn._bench.contestants.base import (
    CHANNEL_GROUPS,
    DROPPED,
    MOMENTUM,
    NEIGHBOURS,
    OPTIMISERS,
    Contestant,
    Work,
    checked,
    gradients,
    options_of,
    pairs_options,
)
from fastnn._bench.settings import Conv, Network, Pairs
from fastnn.plan.training import TrainingStep


class Operations:
    """fastnn's functions, from `functional` or from `reference`."""

    def __init__(self, name: str, title: str, module: Any):
        self.name, self.title, self.module = name, title, module

    def threads(self, n: int) -> Any:
        return _runtime.num_threads(n) if self.module is functional else _blas_threads(n)

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        if case.family == "training":
            return self._training_step(case.setting, arrays)
        if case.family == "inference":
            return self._inference(case.setting, arrays["x"])
        return getattr(self, f"_{case.direction}")(case, arrays)

    def _norm_forward(self, case: BenchCase, a: dict[str, Array]) -> Work:
        F, s = self.module, case.setting
        match case.family:
            case "batch_norm":
                running = np.zeros_like(a["w"]), np.ones_like(a["w"])
                options = {"training": True, "return_statistics": True}
                return lambda: F.batch_norm(a["x"], *running, a["w"], a["b"], **options)
            case "layer_norm":
                return lambda: F.layer_norm(a["x"], s.x[-1], a["w"], a["b"], return_statistics=True)
            case "group_norm":
                return lambda: F.group_norm(a["x"], CHANNEL_GROUPS, a["w"], a["b"], return_statistics=True)
            case "instance_norm":
                return lambda: F.instance_norm(a["x"], None, None, a["w"], a["b"], return_statistics=True)
            case "local_response_norm":
                return lambda: F.local_response_norm(a["x"], NEIGHBOURS)
        raise AssertionError(f"no norm {case.family}")

    def _forward(self, case: BenchCase, a: dict[str, Array]) -> Work:
        F, s = self.module, case.setting
        match case.family:
            case "conv":
                options = _conv_options(s)
                return lambda: F.conv2d(a["x"], a["w"], a["b"], **options)
            case "conv_transpose":
                return lambda: F.conv_transpose2d(a["x"], a["w"], a["b"], stride=s.stride, padding=s.padding)
            case "conv1d":
                return lambda: F.conv1d(a["x"], a["w"], a["b"], stride=s.stride, padding=s.padding)
            case "max_pool1d":
                return lambda: F.max_pool1d(a["x"], s.kernel, stride=s.stride, return_positions=True)
            case "avg_pool1d":
                return lambda: F.avg_pool1d(a["x"], s.kernel, stride=s.stride)
            case "unfold":
                return lambda: F.unfold(a["x"], s.kernel, padding=s.padding)
            case "pad":
                return lambda: F.pad(a["x"], s.padding, mode=s.mode)
            case "max_pool2d":
                return lambda: F.max_pool2d(a["x"], s.kernel, stride=s.stride, return_positions=True)
            case "avg_pool2d":
                return lambda: F.avg_pool2d(a["x"], s.kernel, stride=s.stride)
            case "adaptive_avg_pool2d":
                return lambda: F.adaptive_avg_pool2d(a["x"], s.size)
            case "adaptive_max_pool2d":
                return lambda: F.adaptive_max_pool2d(a["x"], s.size, return_indices=True)
            case "interpolate":
                return lambda: F.interpolate(a["x"], s.size, mode=s.mode)
            case "embedding":
                return lambda: F.embedding(a["x"], a["w"])
            case "index_select":
                return lambda: F.index_select(a["w"], 0, a["x"])
            case "linear":
                return lambda: F.linear(a["x"], a["w"], a["b"])
            case family if family.endswith("_norm"):
                return self._norm_forward(case, a)
            case "dropout":
                return lambda: F.dropout(a["x"], DROPPED, key=(0, 0))
            case "cross_entropy" | "nll_loss":
                loss = getattr(F, case.family)
                return lambda: loss(a["x"], a["labels"])
            case "add":
                return lambda: F.add(a["x"], a["dy"])
            case "cat":
                return lambda: F.cat([a["x"], a["dy"]], 1)
            case "prelu":
                return lambda: F.prelu(a["x"], a["w"])
        function = getattr(F, case.family)
        if isinstance(s, Pairs):
            reduction = pairs_options(case)
            return lambda: function(a["x"], a["target"], **reduction)
        return lambda: function(a["x"])

    def _norm_backward(self, case: BenchCase, a: dict[str, Array]) -> Work:
        F, s = self.module, case.setting
        match case.family:
            case "batch_norm":
                statistics = F.batch_norm(a["x"], training=True, return_statistics=True)[1:]
                return lambda: F.batch_norm_backward(a["dy"], a["x"], a["w"], *statistics)
            case "layer_norm":
                statistics = F.layer_norm(a["x"], s.x[-1], return_statistics=True)[1:]
                return lambda: F.layer_norm_backward(a["dy"], a["x"], s.x[-1], a["w"], *statistics)
            case "group_norm":
                statistics = F.group_norm(a["x"], CHANNEL_GROUPS, return_statistics=True)[1:]
                return lambda: F.group_norm_backward(a["dy"], a["x"], CHANNEL_GROUPS, a["w"], *statistics)
            case "instance_norm":
                statistics = F.instance_norm(a["x"], return_statistics=True)[1:]
                return lambda: F.instance_norm_backward(a["dy"], a["x"], a["w"], *statistics)
            case "local_response_norm":
                return lambda: F.local_response_norm_backward(a["dy"], a["x"], NEIGHBOURS)
        raise AssertionError(f"no norm {case.family}")

    def _backward(self, case: BenchCase, a: dict[str, Array]) -> Work:
        F, s = self.module, case.setting
        match case.family:
            case "conv":
                options = _conv_options(s)
                return lambda: F.conv2d_backward(a["dy"], a["x"], a["w"], **options)
            case "conv_transpose":
                arrays, options = (a["dy"], a["x"], a["w"]), {"stride": s.stride, "padding": s.padding}
                return lambda: F.conv_transpose2d_backward(*arrays, **options)
            case "conv1d":
                signals = a["dy"], a["x"], a["w"]
                return lambda: F.conv1d_backward(*signals, stride=s.stride, padding=s.padding)
            case "max_pool1d":
                positions = F.max_pool1d(a["x"], s.kernel, stride=s.stride, return_positions=True)[1]
                return lambda: F.max_pool1d_backward(a["dy"], positions, s.x[2], s.kernel, stride=s.stride)
            case "avg_pool1d":
                return lambda: F.avg_pool1d_backward(a["dy"], s.x[2], s.kernel, stride=s.stride)
            case "unfold":
                return lambda: F.fold(a["dy"], s.x[2:], s.kernel, padding=s.padding)
            case "pad":
                return lambda: F.pad_backward(a["dy"], s.padding, mode=s.mode)
            case "max_pool2d":
                positions = F.max_pool2d(a["x"], s.kernel, stride=s.stride, return_positions=True)[1]
                return lambda: F.max_pool2d_backward(a["dy"], positions, s.x[2:], s.kernel, stride=s.stride)
            case "avg_pool2d":
                return lambda: F.avg_pool2d_backward(a["dy"], s.x[2:], s.kernel, stride=s.stride)
            case "adaptive_avg_pool2d":
                return lambda: F.adaptive_avg_pool2d_backward(a["dy"], s.x[2:])
            case "adaptive_max_pool2d":
                indices = F.adaptive_max_pool2d(a["x"], s.size, return_indices=True)[1]
                return lambda: F.adaptive_max_pool2d_backward(a["dy"], indices, s.x[2:])
            case "interpolate":
                return lambda: F.interpolate_backward(a["dy"], s.x[2:], s.size, mode=s.mode)
            case "embedding":
                return lambda: F.embedding_backward(a["dy"], a["x"], s.rows)
            case "linear":
                return lambda: F.linear_backward(a["dy"], a["x"], a["w"])
            case family if family.endswith("_norm"):
                return self._norm_backward(case, a)
            case "dropout":
                return lambda: F.dropout_backward(a["dy"], DROPPED, key=(0, 0))
            case "cross_entropy" | "nll_loss":
                backward = getattr(F, f"{case.family}_backward")
                return lambda: backward(a["x"], a["labels"])
            case "prelu":
                return lambda: F.prelu_backward(a["dy"], a["x"], a["w"])
        if isinstance(s, Pairs):
            slope, reduction = getattr(F, f"{case.family}_backward"), pairs_options(case)
            return lambda: slope(a["x"], a["target"], **reduction)
        function = getattr(F, f"{case.family}_backward")
        seen = a["x"] if case.family in OF_INPUT else getattr(F, case.family)(a["x"])
        return lambda: function(a["dy"], seen)

    def _step(self, case: BenchCase, a: dict[str, Array]) -> Work:
        params = list(case.setting.module().parameters())
        for p, g in zip(params, gradients(case.setting), strict=True):
            p.grad = g
        momentum = {"momentum": MOMENTUM} if case.family == "sgd" else {}
        optimizer = getattr(optim, OPTIMISERS[case.family])(params, lr=1e-3, **momentum)

        def step() -> object:
            optimizer.step()
            return params

        def on_reference() -> object:
            with _runtime.implementation("reference"):
                return step()

        return step if self._implementation == "kernels" else on_reference

    @property
    def _implementation(self) -> Literal["kernels", "reference"]:
        return "kernels" if self.module is functional else "reference"

    def _training_step(self, network: Network, a: dict[str, Array]) -> Work:
        how, net = self._implementation, network.module()
        criterion = losses.CrossEntropyLoss() if network.classes else losses.MSELoss("sum")
        optimizer = getattr(optim, OPTIMISERS[network.optimizer])(net.parameters(), **options_of(network))
        step = TrainingStep(net, criterion, optimizer)

        def take() -> object:
            with _runtime.implementation(how):
                return step(a["x"], a["target"])

        return take

    def _inference(self, network: Network, x: Array) -> Work:
        net = network.module().eval()
        if self._implementation == "kernels":
            return lambda: net(x)

        def infer() -> Array:
            with _runtime.implementation("reference"):
                return net(x)

        return checked(self.title, infer, network, x)


def _conv_options(s: Conv) -> dict[str, int]:
    return {"stride": s.stride, "padding": s.padding, "dilation": s.dilation, "groups": s.groups}


@contextmanager
def _blas_threads(n: int) -> Iterator[None]:
    threadpoolctl = _extras.require("threadpoolctl", "timing the reference on a number of threads", "bench")
    with threadpoolctl.ThreadpoolController().select(user_api="blas").limit(limits=n):
        yield


def fastnn_kernels() -> Contestant:
    return Operations("fastnn", "fastnn kernels", functional)


def numpy_reference() -> Contestant:
    return Operations("reference", f"NumPy {np.__version__} (the reference)", reference)
