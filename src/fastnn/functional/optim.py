"""Steps of optimisers, in place."""

from __future__ import annotations

import fastnn._kernels._optim as _optim
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import use_reference
from fastnn._validate import Array
from fastnn.functional._door import flat, pick, write_back


def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    lr, momentum, weight_decay = check.sgd_step(p, g, velocity, lr, momentum, weight_decay, nesterov)
    if use_reference():
        return reference.sgd_step(
            p, g, velocity, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
        )
    if momentum == 0.0:
        velocity = None
    flat_p = flat(p)
    flat_v = None if velocity is None else flat(velocity)
    pick(_optim.sgd_step, p.dtype)(flat_p, flat(g), flat_v, lr, momentum, weight_decay, bool(nesterov))
    write_back(p, flat_p)
    if velocity is not None:
        write_back(velocity, flat_v)
