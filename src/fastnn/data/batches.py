"""Minibatches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastnn._runtime import generator


def batches(
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    *,
    shuffle: bool = True,
    drop_last: bool = False,
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch of minibatches.

    Parameters
    ----------
    x, y : examples and targets, the same length along axis 0
    batch_size : examples per minibatch
    shuffle : a new order, drawn from `rng`; otherwise the given order
    drop_last : leave out a last minibatch that would be smaller than `batch_size`
    rng : source of the order; by default the package's generator, which `fastnn.manual_seed` seeds

    Yields
    ------
    x, y : copies when shuffled, views otherwise
    """
    if len(x) != len(y):
        raise ValueError(f"y: got {len(y)} targets, expected {len(x)}: one for each example of x")
    if batch_size < 1:
        raise ValueError(f"batch_size: got {batch_size}, expected at least 1")
    end = len(x) - len(x) % batch_size if drop_last else len(x)
    if not shuffle:
        for start in range(0, end, batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]
        return
    order = (generator() if rng is None else rng).permutation(len(x))
    for start in range(0, end, batch_size):
        chosen = order[start : min(start + batch_size, end)]
        yield x[chosen], y[chosen]
