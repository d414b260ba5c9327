"""How much slower a convolution is where numbers are denormal than where they are not.

    python tools/denormals.py

Prints the ratio of the times for each of the ways that a convolution is made, forward and backward; contestants take
turns. Kernels take denormals as zeros, so it should be about 1, and the script fails above 1.3.
"""

from __future__ import annotations

import time

import numpy as np

import fastnn as fnn

F = fnn.functional
MOST = 1.3
ROUNDS = 15
# x, w, padding
SHAPES = {
    "planes, 3 x 3": ((8, 16, 32, 32), (24, 16, 3, 3), 1),
    "Winograd": ((8, 64, 16, 16), (64, 64, 3, 3), 1),
    "pointwise": ((4, 64, 28, 28), (64, 64, 1, 1), 0),
    "first layer, 5 x 5": ((16, 1, 28, 28), (20, 1, 5, 5), 0),
}


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    rng, worst = np.random.default_rng(0), 0.0
    fnn.set_num_threads(1)
    for dtype in (np.float32, np.float64):
        tiny = np.finfo(dtype).tiny
        for label, (x_shape, w_shape, padding) in SHAPES.items():
            x, w = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape))
            dy = F.conv2d(x, w, padding=padding)
            small = [np.ldexp(a, -8) * tiny for a in (x, w, dy)]
            assert all(np.all(np.abs(a) < tiny) and np.any(a) for a in small)
            for name, usual, denormal in (
                (
                    "forward",
                    lambda x=x, w=w, padding=padding: F.conv2d(x, w, padding=padding),
                    lambda small=small, padding=padding: F.conv2d(*small[:2], padding=padding),
                ),
                (
                    "backward",
                    lambda x=x, w=w, dy=dy, padding=padding: F.conv2d_backward(dy, x, w, padding=padding),
                    lambda small=small, padding=padding: F.conv2d_backward(small[2], *small[:2], padding=padding),
                ),
            ):
                times = np.array([(seconds(usual), seconds(denormal)) for _ in range(ROUNDS)])
                ratio = float(np.median(times[:, 1]) / np.median(times[:, 0]))
                worst = max(worst, ratio)
                print(f"{np.dtype(dtype).name}  {label:20} {name:9} {ratio:.2f}")
    print(f"most: {worst:.2f}")
    if worst > MOST:
        raise SystemExit(f"more than {MOST}")


if __name__ == "__main__":
    main()
