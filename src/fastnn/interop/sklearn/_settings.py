"""The rules of the settings of a perceptron, which scikit-learn has at `fit` and not before."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fastnn import _validate as check

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
CHOICES = {
    "activation": ACTIVATIONS,
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
    "loss": ("squared_error", "poisson", "log_loss"),
}
AT_LEAST_0 = ("alpha", "power_t", "tol")
ABOVE_0 = ("learning_rate_init", "epsilon")
BELOW_1 = ("validation_fraction", "beta_1", "beta_2", "dropout")
COUNTS = ("max_iter", "max_fun")
SWITCHES = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping")


def check_settings(settings: Any) -> None:
    """All settings are such as training can go by; the first that is not is named.

    Raises
    ------
    TypeError, ValueError
    """
    for name, choices in CHOICES.items():
        value = getattr(settings, name)
        if not isinstance(value, str):
            raise TypeError(f"{name}: got {value!r}; expected one of {', '.join(map(repr, choices))}")
        check.choice(name, value, choices)
    for name in AT_LEAST_0:
        check.number(name, getattr(settings, name), 0.0)
    for name in ABOVE_0:
        check.positive(name, getattr(settings, name))
    for name in BELOW_1:
        if check.number(name, getattr(settings, name), 0.0) >= 1:
            raise ValueError(f"{name}: got {getattr(settings, name)!r}; expected a number below 1")
    if check.number("momentum", settings.momentum, 0.0) > 1:
        raise ValueError(f"momentum: got {settings.momentum!r}; expected at most 1")
    for name in COUNTS:
        check.integer(name, getattr(settings, name), 1)
    for name in SWITCHES:
        check.true_or_false(name, getattr(settings, name))
    if settings.n_iter_no_change != math.inf:
        check.integer("n_iter_no_change", settings.n_iter_no_change, 1)
    if settings.batch_size != "auto":
        check.integer("batch_size", settings.batch_size, 1)
    if settings.dropout and settings.solver == "lbfgs":
        raise ValueError("dropout: got it with the solver 'lbfgs'; expected 'adam' or 'sgd', which bear chance")


def widths_of(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """The widths of the hidden layers, one number or several."""
    several = isinstance(hidden_layer_sizes, Iterable) and not isinstance(hidden_layer_sizes, str)
    return tuple(
        check.integer("hidden_layer_sizes", width, 1)
        for width in (hidden_layer_sizes if several else [hidden_layer_sizes])
    )
