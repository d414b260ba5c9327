"""Seconds of an epoch of the recipes' networks here and in PyTorch: the same network, batch and threads, in turns.

    python tools/epoch_times.py [SYSTEM ...] [--threads N] [--rounds N] [--images N]

Systems are those below; by default all. Each round is an epoch of both, every second one in the opposite order; the
median is printed. Images and labels are random, as many as the system has: no step of training depends on what they
show. Both begin with the same weights and shuffle in memory; images are not augmented.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import fastnn as fnn
from fastnn import networks
from fastnn.interop.torch import to_torch
from fastnn.training import Trainer

Optimiser = Callable[[Any, Any], Any]


def sgd(lr: float, momentum: float = 0.0) -> Optimiser:
    return lambda library, params: library.SGD(params, lr=lr, momentum=momentum)


def adam(lr: float) -> Optimiser:
    return lambda library, params: library.Adam(params, lr=lr)


class System(NamedTuple):
    """A network and how it is trained; classes None: it reproduces its input."""

    network: Callable[[], fnn.Module]
    shape: tuple[int, ...]
    classes: int | None
    images: int
    batch_size: int
    optimiser: Optimiser


SIGMOID = {"activation": fnn.Sigmoid}
SYSTEMS = {
    "S2": System(lambda: networks.mlp(1024, (64,), 36, **SIGMOID), (1, 32, 32), 36, 2801, 64, sgd(2e-3)),
    "S4": System(networks.autoencoder, (1024,), None, 2801, 36, sgd(3e-5, 0.9)),
    "S5": System(lambda: networks.mlp(1024, (256,), 36, **SIGMOID), (1, 32, 32), 36, 2801, 32, adam(1e-3)),
    "S6": System(lambda: networks.cnn(36, in_channels=1), (1, 32, 32), 36, 2801, 64, adam(1e-3)),
    "S6-cifar10": System(networks.cnn, (3, 32, 32), 10, 45_000, 64, adam(1e-3)),
    "S7": System(lambda: networks.squeezenet(17), (3, 227, 227), 17, 680, 32, sgd(2e-3, 0.9)),
    "S12": System(networks.vgg11, (3, 64, 64), 2, 15_998, 128, sgd(0.1)),
    "S13": System(networks.resnet, (3, 64, 64), 2, 15_998, 128, sgd(0.1)),
    "S13-without": System(lambda: networks.resnet(batch_norm=False), (3, 64, 64), 2, 15_998, 128, sgd(0.01)),
}


def epochs_of(system: System, images: int) -> dict[str, Callable[[], object]]:
    """An epoch of each library, as a function."""
    rng = np.random.default_rng(0)
    x = rng.random((images, *system.shape), dtype=np.float32)
    y = x if system.classes is None else rng.integers(0, system.classes, images)
    fnn.manual_seed(0)
    net = system.network()
    other = to_torch(net)
    ours = fnn.MSELoss(reduction="sum") if system.classes is None else fnn.CrossEntropyLoss()
    theirs = torch.nn.MSELoss(reduction="sum") if system.classes is None else torch.nn.CrossEntropyLoss()
    trainer = Trainer(net, ours, system.optimiser(fnn, net.parameters()), metric=None)
    optimizer = system.optimiser(torch.optim, other.parameters())
    x_theirs, y_theirs = torch.from_numpy(x), torch.from_numpy(y)

    def in_pytorch() -> None:
        other.train()
        order = torch.randperm(images)
        for start in range(0, images, system.batch_size):
            piece = order[start : start + system.batch_size]
            optimizer.zero_grad()
            theirs(other(x_theirs[piece]), y_theirs[piece]).backward()
            optimizer.step()

    def here() -> None:
        trainer.fit((x, y), epochs=1, batch_size=system.batch_size, progress=False)

    return {"fastnn": here, "PyTorch": in_pytorch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--images", type=int, help="of an epoch; times are of all of the system's then, by proportion")
    options = parser.parse_args()
    unknown = set(options.systems) - set(SYSTEMS)
    if unknown:
        parser.error(f"got {', '.join(unknown)}, expected some of {', '.join(SYSTEMS)}")
    torch.set_num_threads(options.threads)
    fnn.set_num_threads(options.threads)
    print(f"seconds of an epoch, {options.threads} threads, PyTorch {torch.__version__}")
    for name in options.systems or SYSTEMS:
        system = SYSTEMS[name]
        images = min(options.images or system.images, system.images)
        for epoch in epochs_of(system, min(images, 2 * system.batch_size)).values():
            epoch()  # what is made once is made
        epochs = epochs_of(system, images)
        seconds: dict[str, list[float]] = {library: [] for library in epochs}
        for round_ in range(options.rounds):
            for library in list(epochs) if round_ % 2 == 0 else reversed(list(epochs)):
                start = time.perf_counter()
                epochs[library]()
                seconds[library].append((time.perf_counter() - start) * system.images / images)
        medians = {library: statistics.median(times) for library, times in seconds.items()}
        ratio = medians["PyTorch"] / medians["fastnn"]
        print(f"{name:12} " + "  ".join(f"{library} {each:8.3f}" for library, each in medians.items()), end="")
        print(f"  {ratio:.2f} times as long", flush=True)


if __name__ == "__main__":
    main()
