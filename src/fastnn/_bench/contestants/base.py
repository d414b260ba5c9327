"""What every contestant is, and the network that all of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastnn import _runtime, layers
from fastnn._bench.cases import Array, BenchCase
from fastnn._bench.settings import Network

Work = Callable[[], object]
MOMENTUM = 0.9
DROPPED = 0.5
CHANNEL_GROUPS = 8  # of group normalisation
NEIGHBOURS = 5  # of local response normalisation
OPTIMISERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
}  # fastnn's names, and PyTorch's
AGREEMENT = 1e-3  # of the largest output: everybody adds float32 in an order of his own


class Contestant(Protocol):
    """`name` is how it is called for; `title` says which version it is."""

    name: str
    title: str

    def threads(self, n: int) -> Any:
        """A context in which it prepares and works on `n` threads."""

    def prepare(self, case: BenchCase, arrays: dict[str, Array]) -> Work:
        """The work of `case`, everything but itself done beforehand."""


def pairs_options(case: BenchCase) -> dict[str, str]:
    """What everybody calls a loss of pairs with: PyTorch warns of the mean over the elements of a divergence."""
    return {"reduction": "batchmean"} if case.family == "kl_div" else {}


def sequential(network: Network) -> layers.Sequential:
    """The network in fastnn, with the weights that everybody's has."""
    net = layers.Sequential(*(_layer(*layer) for layer in network.layers))
    net.load_state_dict(weights(network))
    return net


def weights(network: Network) -> dict[str, Array]:
    """A state dict, under the names that PyTorch has for a Sequential; the same at every call."""
    _runtime.manual_seed(1)
    net = layers.Sequential(*(_layer(*layer) for layer in network.layers))
    images = _runtime.generator().random(network.batch(4).x, dtype=np.float32)
    net(images)  # a batch normalisation has statistics then that can be told from none
    return net.state_dict()


def gradients(network: Network) -> list[Array]:
    """Gradients of all parameters of the network, in its order; the same at every call."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal(p.data.shape, dtype=np.float32) for p in sequential(network).parameters()]


def _layer(kind: str, *arguments: Any) -> layers.Module:
    match kind:
        case "sequential":
            return layers.Sequential(*(_layer(*layer) for layer in arguments))
        case "residual":
            return layers.Residual(*(_layer(*layer) for layer in arguments))
        case "concat":
            return layers.Concat(_layer(*layer) for layer in arguments)
        case "conv":
            i, o, kernel, padding, *stride = arguments
            return layers.Conv2d(i, o, kernel, stride[0] if stride else 1, padding)
        case "linear":
            i, o = arguments
            return layers.Linear(i, o)
        case "maxpool":
            kernel, *stride = arguments
            return layers.MaxPool2d(kernel, stride[0] if stride else None, ceil_mode=bool(stride))
        case "avgpool":
            (kernel,) = arguments
            return layers.AvgPool2d(kernel)
        case "batchnorm":
            (channels,) = arguments
            return layers.BatchNorm2d(channels)
        case "dropout":
            (p,) = arguments
            return layers.Dropout(p)
        case "relu":
            return layers.ReLU()
        case "sigmoid":
            return layers.Sigmoid()
        case "flatten":
            return layers.Flatten()
    raise AssertionError(f"no layer {kind!r}")


def checked(title: str, work: Callable[[], Any], network: Network, x: Array) -> Work:
    """`work`, once its result is found to be the output of the network for `x`.

    Raises
    ------
    AssertionError
        It is another, so that its time would mean nothing.
    """
    expected = sequential(network).eval()(x)
    got = np.asarray(work())
    difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
    if not difference <= AGREEMENT * float(np.abs(expected).max()):
        raise AssertionError(f"{title} computes another network: outputs {got.shape} differ by {difference:.3g}")
    return work
