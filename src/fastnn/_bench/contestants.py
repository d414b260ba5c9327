"""Who is timed: the kernels, their NumPy twin, PyTorch. Each prepares a case as a call without arguments."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Literal, Protocol

import numpy as np

from fastnn import _extras, _runtime, functional, layers, losses, optim, reference
from fastnn._bench.cases import Array, BenchCase, Conv, Network, Pool

Work = Callable[[], object]
MOMENTUM = 0.9


class Contestant(Protocol):
    """`name` is how it is called for; `title` says which version it is."""

    name: str
    title: str

    def threads(self, n: int) -> Any:
        """A context in which it works on `n` threads."""

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        """The work of `case`, everything but itself done beforehand."""


class Operations:
    """fastnn's functions, from `functional` or from `reference`."""

    def __init__(self, name: str, title: str, module: Any):
        self.name, self.title, self.module = name, title, module

    def threads(self, n: int) -> Any:
        return _runtime.num_threads(n) if self.module is functional else _blas_threads(n)

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        if isinstance(case.setting, Network):
            return self._training_step(case.setting, arrays)
        return getattr(self, f"_{case.direction}")(case, arrays)

    def _forward(self, case: BenchCase, a: dict[str, Array]) -> Work:
        F, s = self.module, case.setting
        match case.family:
            case "conv":
                return lambda: F.conv2d(a["x"], a["w"], a["b"], stride=s.stride, padding=s.padding)
            case "maxpool":
                return lambda: F.maxpool2d(a["x"], s.kernel, stride=s.stride, return_positions=True)
            case "avgpool":
                return lambda: F.avgpool2d(a["x"], s.kernel, stride=s.stride)
            case "linear":
                return lambda: F.linear(a["x"], a["w"], a["b"])
            case "cross_entropy":
                return lambda: F.cross_entropy(a["x"], a["labels"])
        function = getattr(F, case.family)
        return lambda: function(a["x"])

    def _backward(self, case: BenchCase, a: dict[str, Array]) -> Work:
        F, s = self.module, case.setting
        match case.family:
            case "conv":
                return lambda: F.conv2d_backward(a["dy"], a["x"], a["w"], stride=s.stride, padding=s.padding)
            case "maxpool":
                positions = F.maxpool2d(a["x"], s.kernel, stride=s.stride, return_positions=True)[1]
                return lambda: F.maxpool2d_backward(a["dy"], positions, s.x[2:], s.kernel, stride=s.stride)
            case "avgpool":
                return lambda: F.avgpool2d_backward(a["dy"], s.x[2:], s.kernel, stride=s.stride)
            case "linear":
                return lambda: F.linear_backward(a["dy"], a["x"], a["w"])
            case "cross_entropy":
                return lambda: F.cross_entropy_backward(a["x"], a["labels"])
        function, y = getattr(F, f"{case.family}_backward"), getattr(F, case.family)(a["x"])
        return lambda: function(a["dy"], y)

    def _step(self, case: BenchCase, a: dict[str, Array]) -> Work:
        p, velocity = a["x"].copy(), np.zeros_like(a["x"])
        return lambda: self.module.sgd_step(p, a["dy"], velocity, lr=1e-3, momentum=MOMENTUM)

    def _training_step(self, network: Network, a: dict[str, Array]) -> Work:
        net = layers.Sequential(*(_layer(*layer) for layer in network.layers))
        criterion = losses.CrossEntropyLoss()
        optimizer = optim.SGD(net.parameters(), lr=1e-3, momentum=MOMENTUM)
        how: Literal["kernels", "reference"] = "kernels" if self.module is functional else "reference"

        def step() -> None:
            with _runtime.implementation(how):
                criterion(net(a["x"]), a["labels"])
                net.backward(criterion.backward(), needs_dx=False)
                optimizer.step()

        return step


def _layer(kind: str, *arguments: int) -> layers.Module:
    match kind:
        case "conv":
            i, o, kernel, padding = arguments
            return layers.Conv2d(i, o, kernel, padding=padding)
        case "linear":
            i, o = arguments
            return layers.Linear(i, o)
        case "maxpool":
            (kernel,) = arguments
            return layers.MaxPool2d(kernel)
        case "relu":
            return layers.ReLU()
        case "flatten":
            return layers.Flatten()
    raise AssertionError(f"no layer {kind!r}")


@contextmanager
def _blas_threads(n: int) -> Iterator[None]:
    threadpoolctl = _extras.require("threadpoolctl", "timing the reference on a number of threads", "bench")
    with threadpoolctl.ThreadpoolController().select(user_api="blas").limit(limits=n):
        yield


class Torch:
    """PyTorch's own kernels behind their thinnest doors, no autograd but in the training steps."""

    name = "torch"

    def __init__(self) -> None:
        self.torch = _extras.require("torch", "comparing with PyTorch", "bench")
        self.title = f"PyTorch {self.torch.__version__}"

    @contextmanager
    def threads(self, n: int) -> Iterator[None]:
        before = self.torch.get_num_threads()
        self.torch.set_num_threads(n)
        try:
            yield
        finally:
            self.torch.set_num_threads(before)

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        tensors = {name: self.torch.from_numpy(a) for name, a in arrays.items()}
        if isinstance(case.setting, Network):
            return self._training_step(case.setting, tensors)
        work = getattr(self, f"_{case.direction}")(case, tensors)

        def without_autograd() -> object:
            with self.torch.inference_mode():
                return work()

        return without_autograd if case.direction != "step" else work

    def _forward(self, case: BenchCase, t: dict[str, Any]) -> Work:
        F, aten, s = self.torch.nn.functional, self.torch.ops.aten, case.setting
        match case.family:
            case "conv":
                return lambda: F.conv2d(t["x"], t["w"], t["b"], s.stride, s.padding)
            case "maxpool":
                return lambda: aten.max_pool2d_with_indices(t["x"], *self._window(s))
            case "avgpool":
                return lambda: F.avg_pool2d(t["x"], s.kernel, s.stride)
            case "linear":
                return lambda: F.linear(t["x"], t["w"], t["b"])
            case "cross_entropy":
                return lambda: F.cross_entropy(t["x"], t["labels"])
            case "softmax" | "log_softmax":
                function = getattr(self.torch, case.family)
                return lambda: function(t["x"], -1)
        function = getattr(self.torch, case.family)
        return lambda: function(t["x"])

    def _backward(self, case: BenchCase, t: dict[str, Any]) -> Work:
        torch, aten, s = self.torch, self.torch.ops.aten, case.setting
        dy, x = t["dy"], t["x"]
        match case.family:
            case "conv":
                w, geometry = t["w"], _convolution(s)
                wanted = (True, True, True)
                return lambda: aten.convolution_backward(dy, x, w, [s.filters], *geometry, wanted)
            case "maxpool":
                window = self._window(s)
                places = aten.max_pool2d_with_indices(x, *window)[1]
                rest = [0, 0], [1, 1], False
                return lambda: aten.max_pool2d_with_indices_backward(dy, x, *window, *rest, places)
            case "avgpool":
                k, stride = self._window(s)
                return lambda: aten.avg_pool2d_backward(dy, x, k, stride, [0, 0], False, True, None)
            case "linear":
                w = t["w"]
                return lambda: (dy @ w, dy.t() @ x, dy.sum(0))
            case "cross_entropy":
                one_hot = torch.nn.functional.one_hot(t["labels"], x.shape[1]).to(x.dtype)
                return lambda: (torch.softmax(x, 1) - one_hot) / x.shape[0]
            case "relu":
                y = torch.relu(x)
                return lambda: aten.threshold_backward(dy, y, 0)
            case "softmax" | "log_softmax":
                y = getattr(torch, case.family)(x, -1)
                backward = getattr(aten, f"_{case.family}_backward_data")
                return lambda: backward(dy, y, -1, x.dtype)
        y, backward = getattr(torch, case.family)(x), getattr(aten, f"{case.family}_backward")
        return lambda: backward(dy, y)

    @staticmethod
    def _window(s: Pool) -> tuple[list[int], list[int]]:
        return [s.kernel, s.kernel], [s.stride, s.stride]

    def _step(self, case: BenchCase, t: dict[str, Any]) -> Work:
        p = t["x"].clone().requires_grad_()
        p.grad = t["dy"]
        return self.torch.optim.SGD([p], lr=1e-3, momentum=MOMENTUM, fused=True).step

    def _training_step(self, network: Network, t: dict[str, Any]) -> Work:
        nn = self.torch.nn
        make = {
            "conv": lambda i, o, kernel, padding: nn.Conv2d(i, o, kernel, padding=padding),
            "linear": nn.Linear,
            "maxpool": nn.MaxPool2d,
            "relu": nn.ReLU,
            "flatten": nn.Flatten,
        }
        net = nn.Sequential(*(make[kind](*arguments) for kind, *arguments in network.layers))
        criterion = nn.CrossEntropyLoss()
        optimizer = self.torch.optim.SGD(net.parameters(), lr=1e-3, momentum=MOMENTUM, fused=True)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            criterion(net(t["x"]), t["labels"]).backward()
            optimizer.step()

        return step


def _convolution(s: Conv) -> tuple[Any, ...]:
    """Stride, padding, dilation, transposed, output padding, groups."""
    return [s.stride] * 2, [s.padding] * 2, [1, 1], False, [0, 0], 1


def fastnn_kernels() -> Operations:
    return Operations("fastnn", "fastnn kernels", functional)


PEERS: dict[str, Callable[[], Contestant]] = {
    "reference": lambda: Operations("reference", f"NumPy {np.__version__} (the reference)", reference),
    "torch": Torch,
}


def installed_peers() -> list[str]:
    """Those whose packages are there, none of them imported for the question."""
    needs = {"reference": "threadpoolctl", "torch": "torch"}
    return [name for name in PEERS if importlib.util.find_spec(needs[name]) is not None]


def all_on(contestants: list[Contestant], n: int | None) -> ExitStack:
    """A context in which everybody works on `n` threads (None: on as many as they like)."""
    with ExitStack() as stack:
        for contestant in contestants:
            stack.enter_context(nullcontext() if n is None else contestant.threads(n))
        return stack.pop_all()
