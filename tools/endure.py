"""Train networks of random shapes for a while, and watch the memory of the process.

    python tools/endure.py [MINUTES]

Each round makes a network (convolutions, normalisation, pools, dropout, linear layers), trains it for some steps on
minibatches of random size, evaluates it through a plan, and forgets it. The largest of all such networks comes first,
for the allocator keeps as much as was ever needed at once, and a little more: what grows after that is lost. Every half
minute the resident memory is printed; at the end the script fails where the last quarter needs more than the second one
by over 5 %, the first being for blocks to gather in the cache.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import fastnn as fnn

PAGE = 4096
ALLOWED = 1.05


def resident() -> float:
    """MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


def network(rng: np.random.Generator, channels: int, size: int, classes: int) -> fnn.Sequential:
    net = fnn.Sequential()
    for _ in range(int(rng.integers(1, 4))):
        outputs = int(rng.integers(1, 65))
        kernel, groups = int(rng.choice([1, 3, 5])), 1
        if rng.random() < 0.2:
            outputs, groups = channels, channels
        net.append(fnn.Conv2d(channels, outputs, kernel, padding=kernel // 2, groups=groups))
        if rng.random() < 0.5:
            net.append(fnn.BatchNorm2d(outputs))
        net.append(fnn.ReLU() if rng.random() < 0.7 else fnn.GELU())
        if size >= 4 and rng.random() < 0.8:
            net.append(fnn.MaxPool2d(2) if rng.random() < 0.7 else fnn.AvgPool2d(2))
            size //= 2
        channels = outputs
    net.extend([fnn.Dropout(0.2), fnn.Flatten(), fnn.Linear(channels * size * size, classes)])
    return net


def largest() -> tuple[fnn.Sequential, tuple[int, int, int], int]:
    """The network, the shape of its images, and its classes."""
    net = fnn.Sequential()
    for channels in (4, 64, 64):
        net.extend([fnn.Conv2d(channels, 64, 5, padding=2), fnn.BatchNorm2d(64), fnn.GELU()])
    net.extend([fnn.Dropout(0.2), fnn.Flatten(), fnn.Linear(64 * 40 * 40, 100)])
    return net, (4, 40, 40), 100


def drawn(rng: np.random.Generator) -> tuple[fnn.Sequential, tuple[int, int, int], int]:
    channels, size, classes = int(rng.integers(1, 5)), int(rng.integers(4, 41)), int(rng.integers(2, 101))
    return network(rng, channels, size, classes), (channels, size, size), classes


def train(
    rng: np.random.Generator, net: fnn.Sequential, image: tuple[int, int, int], classes: int, batches: list[int]
) -> None:
    criterion = fnn.CrossEntropyLoss()
    make = (fnn.SGD, fnn.Adam, fnn.RMSprop)[int(rng.integers(3))]
    optimizer = make(net.parameters(), lr=1e-3)
    for n in batches:
        x = rng.standard_normal((n, *image)).astype(np.float32)
        criterion(net(x), rng.integers(0, classes, n))
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    net.eval()
    net(x)


def main() -> None:
    seconds = 60 * float(sys.argv[1] if len(sys.argv) > 1 else 60)
    rng, start = np.random.default_rng(0), time.monotonic()
    fnn.manual_seed(0)
    train(rng, *largest(), [64, 64])
    rounds = steps = 0
    seen: list[tuple[float, float]] = []
    shown = 0.0
    while (passed := time.monotonic() - start) < seconds:
        batches = [int(n) for n in rng.integers(1, 65, int(rng.integers(1, 12)))]
        train(rng, *drawn(rng), batches)
        rounds, steps = rounds + 1, steps + len(batches)
        seen.append((passed, resident()))
        if passed >= shown:
            print(f"{passed:6.0f} s  {rounds:6} networks  {steps:7} steps  {seen[-1][1]:7.1f} MiB", flush=True)
            shown += 30
    quarters = [max(mib for at, mib in seen if k <= 4 * at / seconds < k + 1) for k in range(4)]
    print(
        f"{rounds} networks, {steps} steps; most memory in each quarter: {', '.join(f'{q:.1f}' for q in quarters)} MiB"
    )
    if quarters[3] > ALLOWED * quarters[1]:
        raise SystemExit("memory grew")


if __name__ == "__main__":
    main()
