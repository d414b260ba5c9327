"""Update rules: the course's optim.py. Each takes weights, their gradient and a dict, and returns weights and the dict.

They are a few passes over one array, and keep their state in the course's own form, so they are plain NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._validate import Array

Config = dict[str, Any]


def _with_defaults(config: Config | None, **defaults: Any) -> Config:
    """`config` itself, or a new one, with what it does not have."""
    config = {} if config is None else config
    for name, value in defaults.items():
        config.setdefault(name, value)
    return config


def sgd(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Gradient descent, in place; learning_rate (1e-2)."""
    config = _with_defaults(config, learning_rate=1e-2)
    w -= config["learning_rate"] * dw
    return w, config


def sgd_momentum(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Gradient descent with momentum; learning_rate (1e-2), momentum (0.9), and velocity as state."""
    config = _with_defaults(config, learning_rate=1e-2, momentum=0.9)
    v = config["momentum"] * config.get("velocity", np.zeros_like(w)) - config["learning_rate"] * dw
    config["velocity"] = v
    return w + v, config


def rmsprop(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """RMSProp; learning_rate (1e-2), decay_rate (0.99), epsilon (1e-8), and cache as state."""
    config = _with_defaults(config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, cache=np.zeros_like(w))
    decay = config["decay_rate"]
    config["cache"] = cache = decay * config["cache"] + (1 - decay) * dw**2
    return w - config["learning_rate"] * dw / (np.sqrt(cache) + config["epsilon"]), config


def adam(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Adam; learning_rate (1e-3), beta1 (0.9), beta2 (0.999), epsilon (1e-8), and m, v and t as state."""
    config = _with_defaults(
        config, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, m=np.zeros_like(w), v=np.zeros_like(w), t=0
    )
    beta1, beta2 = config["beta1"], config["beta2"]
    config["t"] = t = config["t"] + 1
    config["m"] = m = beta1 * config["m"] + (1 - beta1) * dw
    config["v"] = v = beta2 * config["v"] + (1 - beta2) * dw**2
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + config["epsilon"])
    return w - config["learning_rate"] * step, config
