"""What every contestant is, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

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


def options_of(network: Network) -> dict[str, float]:
    """What everybody's optimiser of this network is called with."""
    return {"lr": network.lr} | ({"momentum": MOMENTUM} if network.optimizer == "sgd" else {})


def gradients(network: Network) -> list[Array]:
    """Gradients of all parameters of the network, in its order; the same at every call."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal(p.shape, dtype=np.float32) for p in network.module().parameters()]


def checked(title: str, work: Callable[[], Any], network: Network, x: Array) -> Work:
    """`work`, once its result is found to be the output of the network for `x`.

    Raises
    ------
    AssertionError
        It is another, so that its time would mean nothing.
    """
    expected = network.module().eval()(x)
    got = np.asarray(work())
    difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
    if not difference <= AGREEMENT * float(np.abs(expected).max()):
        raise AssertionError(f"{title} computes another network: outputs {got.shape} differ by {difference:.3g}")
    return work
