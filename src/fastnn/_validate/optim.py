"""Steps of an optimiser, its settings, and the state it saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn._validate._base import Array, float_array, has_shape, number, same_dtype


def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[float, float, float]:
    """Return lr, momentum and weight_decay as floats."""
    float_array("p", p)
    same_dtype("p", p, "g", g)
    has_shape("g", g, p.shape, "the shape of p")
    if not p.flags.writeable:
        raise ValueError("p: got a read-only array; expected a writable one, it is updated in place")
    if p is g or p is velocity or (g is velocity and g is not None):
        raise ValueError("p, g, velocity: got one array twice; expected three that share no memory")
    lr, momentum, weight_decay = sgd_settings(lr, momentum, weight_decay, nesterov)
    if momentum:
        if velocity is None:
            raise ValueError(f"velocity: got None; expected an array like p, since momentum is {momentum}")
        same_dtype("p", p, "velocity", velocity)
        has_shape("velocity", velocity, p.shape, "the shape of p")
        if not velocity.flags.writeable:
            raise ValueError("velocity: got a read-only array; expected a writable one, it is updated in place")
    return lr, momentum, weight_decay


def sgd_settings(lr: float, momentum: float, weight_decay: float, nesterov: bool) -> tuple[float, float, float]:
    """Return lr, momentum and weight_decay as floats."""
    lr = number("lr", lr, 0.0)
    momentum = number("momentum", momentum, 0.0)
    weight_decay = number("weight_decay", weight_decay, 0.0)
    if nesterov and momentum == 0.0:
        raise ValueError("nesterov: got True with momentum 0; expected a momentum above 0")
    return lr, momentum, weight_decay


def sgd_state(state: Mapping[str, Any], shapes: list[tuple[int, ...]]) -> list[Array | None]:
    """The velocities in the state of an SGD, if they fit parameters of these `shapes`."""
    wanted = {"lr", "momentum", "weight_decay", "nesterov", "velocities"}
    if not isinstance(state, Mapping) or set(state) != wanted:
        came = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"state_dict: got {came}; expected a dict of {', '.join(sorted(wanted))}")
    sgd_settings(state["lr"], state["momentum"], state["weight_decay"], state["nesterov"])
    velocities = [None if v is None else np.asarray(v) for v in state["velocities"]]
    if len(velocities) != len(shapes):
        raise ValueError(
            f"state_dict: got {len(velocities)} velocities; expected {len(shapes)}, one for each parameter"
        )
    for place, (v, wanted_shape) in enumerate(zip(velocities, shapes, strict=True)):
        if v is not None:
            has_shape(f"state_dict: velocity {place}", v, wanted_shape, "the shape of its parameter")
    return velocities
