"""The rules of what `Trainer.fit` is called with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.data.batches import Examples

Data = tuple[Any, Any]  # examples and targets, see `Examples`


def examples_of(name: str, data: Data) -> Examples:
    """`data`, a pair, as examples and targets."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        came = f"{len(data)} things" if isinstance(data, tuple | list) else type(data).__name__
        raise TypeError(f"{name}: got {came}, expected examples and targets, (x, y)")
    examples = Examples(*data)
    for which, source in (("x", examples.x), ("y", examples.y)):
        if isinstance(source, np.ndarray) and source.dtype.kind in "SU":
            hint = "; number the classes, as by np.unique(y, return_inverse=True)" if which == "y" else ""
            raise TypeError(f"{name}: got texts as {which} (dtype {source.dtype}), expected numbers{hint}")
    return examples


def steps_per_epoch(examples: int, batch_size: int, drop_last: bool) -> int:
    """Minibatches of an epoch, at least one."""
    if batch_size < 1:
        raise ValueError(f"batch_size: got {batch_size}, expected at least 1")
    steps = examples // batch_size if drop_last else math.ceil(examples / batch_size)
    if steps == 0:
        raise ValueError(f"train: got {examples} examples, expected at least one minibatch of {batch_size}")
    return steps


def total_steps(iterations: int | None, epochs: int | None, per_epoch: int) -> int:
    """Steps of a `fit`, by the one of the two that is given."""
    if iterations is not None and epochs is None:
        name, given, total = "iterations", iterations, iterations
    elif epochs is not None and iterations is None:
        name, given, total = "epochs", epochs, epochs * per_epoch
    else:
        raise ValueError(f"got iterations={iterations} and epochs={epochs}, expected exactly one of them")
    if given < 0:
        raise ValueError(f"{name}: got {given}, expected at least 0")
    return total
