"""PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastnn import _extras
from fastnn._bench.cases import OF_INPUT, Array, BenchCase
from fastnn._bench.contestants.base import (
    CHANNEL_GROUPS,
    DROPPED,
    MOMENTUM,
    NEIGHBOURS,
    OPTIMISERS,
    Work,
    checked,
    gradients,
    options_of,
    pairs_options,
)
from fastnn._bench.settings import Conv, ConvTranspose, Network, Pairs, Pool
from fastnn.interop.torch import to_torch


class Torch:
    """PyTorch's own kernels behind their thinnest doors, no autograd but in the training steps.

    Its modes, in pytorch_modes.py, differ in how they take arrays and networks over, and in what they call.
    """

    name = "torch"

    def __init__(self) -> None:
        self.torch = _extras.require("torch", "comparing with PyTorch", "bench")
        self.title = f"PyTorch {self.torch.__version__}"

    def tensor(self, array: Array) -> Any:
        """An array as a tensor."""
        return self.torch.from_numpy(array)

    def network(self, network: Network) -> Any:
        """A network as a module."""
        return to_torch(network.module())

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in the place of a network, or of a network and its loss."""
        return function

    @contextmanager
    def threads(self, n: int) -> Iterator[None]:
        before = self.torch.get_num_threads()
        self.torch.set_num_threads(n)
        try:
            yield
        finally:
            self.torch.set_num_threads(before)

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        if case.family == "inference":
            return self._inference(case.setting, arrays["x"])
        tensors = {name: self.tensor(a) for name, a in arrays.items()}
        if case.family == "training":
            return self._training_step(case.setting, tensors)
        work = getattr(self, f"_{case.direction}")(case, tensors)

        def without_autograd() -> object:
            with self.torch.inference_mode():
                return work()

        return without_autograd if case.direction != "step" else work

    def _norm_forward(self, case: BenchCase, t: dict[str, Any]) -> Work:
        F, aten, s = self.torch.nn.functional, self.torch.ops.aten, case.setting
        match case.family:
            case "batch_norm":
                running = self.torch.zeros_like(t["w"]), self.torch.ones_like(t["w"])
                return lambda: aten.native_batch_norm(t["x"], t["w"], t["b"], *running, True, 0.1, 1e-5)
            case "layer_norm":
                return lambda: aten.native_layer_norm(t["x"], [s.x[-1]], t["w"], t["b"], 1e-5)
            case "group_norm" | "instance_norm":
                sizes = _group_sizes(case)
                return lambda: aten.native_group_norm(t["x"], t["w"], t["b"], *sizes, 1e-5)
            case "local_response_norm":
                return lambda: F.local_response_norm(t["x"], NEIGHBOURS)
        raise AssertionError(f"no norm {case.family}")

    def _forward(self, case: BenchCase, t: dict[str, Any]) -> Work:
        F, aten, s = self.torch.nn.functional, self.torch.ops.aten, case.setting
        match case.family:
            case "conv":
                return lambda: F.conv2d(t["x"], t["w"], t["b"], s.stride, s.padding, s.dilation, s.groups)
            case "conv_transpose":
                return lambda: F.conv_transpose2d(t["x"], t["w"], t["b"], s.stride, s.padding)
            case "conv1d":
                return lambda: F.conv1d(t["x"], t["w"], t["b"], s.stride, s.padding)
            case "max_pool1d":
                return lambda: F.max_pool1d_with_indices(t["x"], s.kernel, s.stride)
            case "avg_pool1d":
                return lambda: F.avg_pool1d(t["x"], s.kernel, s.stride)
            case "unfold":
                return lambda: F.unfold(t["x"], s.kernel, padding=s.padding)
            case "pad":
                return lambda: F.pad(t["x"], [s.padding] * 4, s.mode)
            case "max_pool2d":
                return lambda: aten.max_pool2d_with_indices(t["x"], *self._window(s))
            case "avg_pool2d":
                return lambda: F.avg_pool2d(t["x"], s.kernel, s.stride)
            case "adaptive_avg_pool2d":
                return lambda: F.adaptive_avg_pool2d(t["x"], s.size)
            case "adaptive_max_pool2d":
                return lambda: aten.adaptive_max_pool2d(t["x"], s.size)
            case "interpolate":
                return lambda: F.interpolate(t["x"], s.size, mode=s.mode)
            case "embedding":
                return lambda: F.embedding(t["x"], t["w"])
            case "index_select":
                return lambda: self.torch.index_select(t["w"], 0, t["x"])
            case "linear":
                return lambda: F.linear(t["x"], t["w"], t["b"])
            case family if family.endswith("_norm"):
                return self._norm_forward(case, t)
            case "dropout":
                return lambda: aten.native_dropout(t["x"], DROPPED, True)
            case "cross_entropy" | "nll_loss":
                loss = getattr(F, case.family)
                return lambda: loss(t["x"], t["labels"])
            case "add":
                return lambda: self.torch.add(t["x"], t["dy"])
            case "cat":
                return lambda: self.torch.cat([t["x"], t["dy"]], 1)
            case "softmax" | "log_softmax":
                function = getattr(self.torch, case.family)
                return lambda: function(t["x"], -1)
            case "prelu":
                return lambda: self.torch.prelu(t["x"], t["w"])
        if isinstance(s, Pairs):
            loss, options = getattr(F, case.family), pairs_options(case)
            return lambda: loss(t["x"], t["target"], **options)
        function = getattr(self.torch, case.family, None) or getattr(self.torch._C._nn, case.family)
        return lambda: function(t["x"])

    def _pairs_backward(self, case: BenchCase, x: Any, target: Any) -> Work:
        """The gradients of means; of a batch's mean for kl_div."""
        torch, aten, n, one = self.torch, self.torch.ops.aten, x.numel(), self.torch.ones(())
        mean = 1  # PyTorch's number of that reduction
        match case.family:
            case "l1_loss":
                return lambda: torch.sign(x - target) / n
            case "binary_cross_entropy_with_logits":
                return lambda: (torch.sigmoid(x) - target) / n
            case "kl_div":
                return lambda: target * (-1 / len(x))
            case "binary_cross_entropy":
                return lambda: aten.binary_cross_entropy_backward(one, x, target, None, mean)
            case "mse_loss":
                return lambda: aten.mse_loss_backward(one, x, target, mean)
        backward = getattr(aten, f"{case.family}_backward")
        return lambda: backward(one, x, target, mean, 1.0)

    def _activation_backward(self, case: BenchCase, dy: Any, x: Any, t: dict[str, Any]) -> Work:
        torch, aten = self.torch, self.torch.ops.aten
        match case.family:
            case "relu":
                y = torch.relu(x)
                return lambda: aten.threshold_backward(dy, y, 0)
            case "softmax" | "log_softmax":
                y = getattr(torch, case.family)(x, -1)
                backward = getattr(aten, f"_{case.family}_backward_data")
                return lambda: backward(dy, y, -1, x.dtype)
            case "prelu":
                w, others = t["w"].reshape(-1, 1, 1), [0, 2, 3]

                def prelu() -> tuple[Any, Any]:
                    dx, terms = aten._prelu_kernel_backward(dy, x, w)
                    return dx, terms.sum(others)

                return prelu
            case "elu" | "selu":
                return lambda: aten.elu_backward(dy, 1.0, 1.0, 1.0, False, x)
            case "leaky_relu":
                return lambda: aten.leaky_relu_backward(dy, x, 0.01, False)
            case "softplus":
                return lambda: aten.softplus_backward(dy, x, 1.0, 20.0)
            case "hardtanh":
                return lambda: aten.hardtanh_backward(dy, x, -1.0, 1.0)
        backward = getattr(aten, f"{case.family}_backward")
        seen = x if case.family in OF_INPUT else getattr(torch, case.family)(x)
        return lambda: backward(dy, seen)

    def _norm_backward(self, case: BenchCase, t: dict[str, Any]) -> Work:
        torch, aten, s = self.torch, self.torch.ops.aten, case.setting
        dy, x = t["dy"], t["x"]
        match case.family:
            case "batch_norm":
                w, running = t["w"], (torch.zeros_like(t["w"]), torch.ones_like(t["w"]))
                statistics = aten.native_batch_norm(x, w, t["b"], *running, True, 0.1, 1e-5)[1:]
                rest = *running, *statistics, True, 1e-5, [True] * 3
                return lambda: aten.native_batch_norm_backward(dy, x, w, *rest)
            case "layer_norm":
                w, b = t["w"], t["b"]
                rest = [s.x[-1]], *aten.native_layer_norm(x, [s.x[-1]], w, b, 1e-5)[1:], w, b, [True] * 3
                return lambda: aten.native_layer_norm_backward(dy, x, *rest)
            case "group_norm" | "instance_norm":
                w, sizes = t["w"], _group_sizes(case)
                rest = *aten.native_group_norm(x, w, t["b"], *sizes, 1e-5)[1:], w, *sizes, [True] * 3
                return lambda: aten.native_group_norm_backward(dy, x, *rest)
            case "local_response_norm":
                x = x.clone().requires_grad_()
                y = torch.nn.functional.local_response_norm(x, NEIGHBOURS)
                return lambda: torch.autograd.grad(y, x, dy, retain_graph=True)
        raise AssertionError(f"no norm {case.family}")

    def _backward(self, case: BenchCase, t: dict[str, Any]) -> Work:
        if isinstance(case.setting, Pairs):
            return self._pairs_backward(case, t["x"], t["target"])
        torch, aten, s = self.torch, self.torch.ops.aten, case.setting
        dy, x = t["dy"], t["x"]
        match case.family:
            case "conv" | "conv_transpose":
                w, geometry = t["w"], _convolution(s)
                wanted = (True, True, True)
                return lambda: aten.convolution_backward(dy, x, w, [s.filters], *geometry, wanted)
            case "conv1d":
                w, geometry = t["w"], ([s.stride], [s.padding], [1], False, [0], 1)
                return lambda: aten.convolution_backward(dy, x, w, [s.filters], *geometry, [True] * 3)
            case "max_pool1d" | "avg_pool1d":
                x = x.clone().requires_grad_()
                pool = getattr(torch.nn.functional, "max_pool1d" if case.family == "max_pool1d" else "avg_pool1d")
                y = pool(x, s.kernel, s.stride)
                return lambda: torch.autograd.grad(y, x, dy, retain_graph=True)
            case "unfold":
                return lambda: torch.nn.functional.fold(dy, s.x[2:], s.kernel, padding=s.padding)
            case "pad":
                return lambda: aten.reflection_pad2d_backward(dy, x, [s.padding] * 4)
            case "max_pool2d":
                window = self._window(s)
                places = aten.max_pool2d_with_indices(x, *window)[1]
                rest = [0, 0], [1, 1], False
                return lambda: aten.max_pool2d_with_indices_backward(dy, x, *window, *rest, places)
            case "avg_pool2d":
                k, stride = self._window(s)
                return lambda: aten.avg_pool2d_backward(dy, x, k, stride, [0, 0], False, True, None)
            case "adaptive_avg_pool2d":
                return lambda: aten._adaptive_avg_pool2d_backward(dy, x)
            case "adaptive_max_pool2d":
                indices = aten.adaptive_max_pool2d(x, s.size)[1]
                return lambda: aten.adaptive_max_pool2d_backward(dy, x, indices)
            case "interpolate":
                if s.mode == "nearest":
                    return lambda: aten.upsample_nearest2d_backward(dy, s.size, s.x, None, None)
                backward = getattr(aten, f"upsample_{s.mode}2d_backward")
                return lambda: backward(dy, s.size, s.x, False, None, None)
            case "embedding":
                return lambda: aten.embedding_dense_backward(dy, x, s.rows, -1, False)
            case "linear":
                w = t["w"]
                return lambda: (dy @ w, dy.t() @ x, dy.sum(0))
            case family if family.endswith("_norm"):
                return self._norm_backward(case, t)
            case "dropout":
                kept = aten.native_dropout(x, DROPPED, True)[1]
                return lambda: aten.native_dropout_backward(dy, kept, 1 / (1 - DROPPED))
            case "cross_entropy":
                one_hot = torch.nn.functional.one_hot(t["labels"], x.shape[1]).to(x.dtype)
                return lambda: (torch.softmax(x, 1) - one_hot) / x.shape[0]
            case "nll_loss":
                one, count = torch.ones(()), torch.tensor(float(len(x)))
                return lambda: aten.nll_loss_backward(one, x, t["labels"], None, 1, -100, count)
        return self._activation_backward(case, dy, x, t)

    @staticmethod
    def _window(s: Pool) -> tuple[list[int], list[int]]:
        return [s.kernel, s.kernel], [s.stride, s.stride]

    def _step(self, case: BenchCase, t: dict[str, Any]) -> Work:
        params = list(to_torch(case.setting.module()).parameters())
        for p, g in zip(params, gradients(case.setting), strict=True):
            p.grad = self.torch.from_numpy(g)
        momentum = {"momentum": MOMENTUM} if case.family == "sgd" else {}
        best = "foreach" if case.family in ("nadam", "rmsprop") else "fused"  # the others have no fused one
        optimizer = getattr(self.torch.optim, OPTIMISERS[case.family])(params, lr=1e-3, **momentum, **{best: True})

        def step() -> object:
            optimizer.step()
            return params

        return step

    def _training_step(self, network: Network, t: dict[str, Any]) -> Work:
        net, nn = self.network(network), self.torch.nn
        criterion = nn.CrossEntropyLoss() if network.classes else nn.MSELoss(reduction="sum")
        optimizer = getattr(self.torch.optim, OPTIMISERS[network.optimizer])(
            net.parameters(), **options_of(network), fused=True
        )
        loss_of = self.called(lambda x, target: criterion(net(x), target))

        def step() -> object:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(t["x"], t["target"])
            loss.backward()
            optimizer.step()
            return loss

        return step

    def _inference(self, network: Network, x: Array) -> Work:
        inference_mode, t = self.torch.inference_mode, self.tensor(x)
        net = self.called(self.network(network).eval())

        def infer() -> Any:
            with inference_mode():
                return net(t)

        return checked(self.title, infer, network, x)


def _group_sizes(case: BenchCase) -> tuple[int, int, int, int]:
    """N, C, the pixels of a channel, and the number of groups."""
    N, C, *pixels = case.setting.x
    return N, C, math.prod(pixels), CHANNEL_GROUPS if case.family == "group_norm" else C


def _convolution(s: Conv | ConvTranspose) -> tuple[Any, ...]:
    """Stride, padding, dilation, transposed, output padding, groups."""
    if isinstance(s, ConvTranspose):
        return [s.stride] * 2, [s.padding] * 2, [1, 1], True, [0, 0], 1
    return [s.stride] * 2, [s.padding] * 2, [s.dilation] * 2, False, [0, 0], s.groups
