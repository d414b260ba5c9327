"""Initial values of parameters, written in place; names and formulas are PyTorch's.

Random numbers come from the package's generator, which ``fastnn.manual_seed`` seeds. They are drawn in float64, so that
float32 and float64 layers begin with the same values up to rounding.

Every function takes a `Parameter` or an array `p` and returns it. The fans of a weight of shape (outputs, inputs, ...)
are ``fan_in = inputs * KH * KW`` and ``fan_out = outputs * KH * KW``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastnn import _validate as check
from fastnn._runtime import generator

P = TypeVar("P")  # a Parameter or an array
Net = TypeVar("Net")  # a Module


def initialise(net: Net, rules: Mapping[str, str | Callable[[Any], object]]) -> Net:
    """Give the layers of a whole network new initial values, each kind of layer by its rule.

    Parameters
    ----------
    net : Module
        It and all layers inside it are looked at; other layers and parameters keep their values.
    rules : dict
        From the name of a class of layers, whose weights are meant, or a class and a parameter as ``"Linear.bias"``, to
        the name of a function of this module, with or without the underscore at its end, or a function of a parameter.
        A class stands for those derived from it as well; of several rules for a parameter the last counts.

    Returns
    -------
    net

    Raises
    ------
    ValueError
        A rule that no parameter of the network goes by, or that names no function of this module; nothing has changed.

    Examples
    --------
    >>> net = fnn.Sequential(fnn.Conv2d(1, 4, 3), fnn.Flatten(), fnn.Linear(144, 2))
    >>> net = fnn.init.initialise(net, {"Conv2d": "kaiming_normal", "Linear": "xavier_uniform", "Linear.bias": "zeros"})
    >>> net[2].bias.data.tolist()
    [0.0, 0.0]
    """
    chosen: dict[int, tuple[Any, Callable[[Any], object]]] = {}
    modules = check.modules(net)
    for key, rule in check.rules(rules).items():
        if not callable(rule):
            check.choice(f"rules[{key!r}]", rule.removesuffix("_"), _BY_NAME)
            rule = _BY_NAME[rule.removesuffix("_")]
        kind, _, attribute = key.partition(".")
        of_kind = [m for m in modules if kind in (base.__name__ for base in type(m).__mro__)]
        found = [p for p in (getattr(m, attribute or "weight", None) for m in of_kind) if hasattr(p, "data")]
        check.rule_applies(key, found, modules)
        chosen.update((id(p), (p, rule)) for p in found)
    for p, rule in chosen.values():
        rule(p)
    return net


def zeros_(p: P) -> P:
    """Write zeros."""
    check.initialised(p)[...] = 0
    return p


def ones_(p: P) -> P:
    """Write ones."""
    check.initialised(p)[...] = 1
    return p


def constant_(p: P, val: float) -> P:
    """Write `val`."""
    val = check.number("val", val)
    check.initialised(p)[...] = val
    return p


def uniform_(p: P, a: float = 0.0, b: float = 1.0) -> P:
    """Draw uniformly between `a` and `b`."""
    a, b = check.number("a", a), check.number("b", b)
    data = check.initialised(p)
    data[...] = a + (b - a) * generator().random(data.shape)
    return p


def normal_(p: P, mean: float = 0.0, std: float = 1.0) -> P:
    """Draw from the normal distribution of this mean and standard deviation."""
    mean, std = check.number("mean", mean), check.number("std", std, 0.0)
    data = check.initialised(p)
    data[...] = mean + std * generator().standard_normal(data.shape)
    return p


def xavier_uniform_(p: P, gain: float = 1.0) -> P:
    """Draw uniformly from ``±gain * sqrt(6 / (fan_in + fan_out))``.

    From Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    bound = check.number("gain", gain, 0.0) * math.sqrt(6 / sum(check.fans(check.initialised(p).shape)))
    return uniform_(p, -bound, bound)


def xavier_normal_(p: P, gain: float = 1.0) -> P:
    """Draw from the normal distribution of standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    From Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    std = check.number("gain", gain, 0.0) * math.sqrt(2 / sum(check.fans(check.initialised(p).shape)))
    return normal_(p, 0.0, std)


def kaiming_uniform_(p: P, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> P:
    """Draw uniformly from ``±gain * sqrt(3 / fan)``, with ``gain = calculate_gain(nonlinearity, a)``.

    From He et al., "Delving deep into rectifiers", 2015.

    Parameters
    ----------
    p : Parameter or array
    a : float
        Slope of the leaky ReLU below 0.
    mode : "fan_in" or "fan_out"
        Keep the variance of the activations, or that of the gradients.
    nonlinearity : str
        What follows the layer, as for `calculate_gain`.
    """
    bound = math.sqrt(3) * _kaiming_std(check.initialised(p).shape, a, mode, nonlinearity)
    return uniform_(p, -bound, bound)


def kaiming_normal_(p: P, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> P:
    """Draw from the normal distribution of standard deviation ``gain / sqrt(fan)``; see `kaiming_uniform_`."""
    return normal_(p, 0.0, _kaiming_std(check.initialised(p).shape, a, mode, nonlinearity))


def _kaiming_std(shape: tuple[int, ...], a: float, mode: str, nonlinearity: str) -> float:
    check.choice("mode", mode, ("fan_in", "fan_out"))
    fan_in, fan_out = check.fans(shape)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """How much larger weights must be to make up for what a nonlinearity takes from the variance.

    Parameters
    ----------
    nonlinearity : "linear", "conv2d", "sigmoid", "tanh", "relu" or "leaky_relu"
    param : float
        Slope of the leaky ReLU below 0.
    """
    slope = check.number("param", param)
    gains = {
        "linear": 1.0,
        "conv2d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }
    check.choice("nonlinearity", nonlinearity, gains)
    return gains[nonlinearity]


_BY_NAME: dict[str, Callable[[Any], object]] = {
    function.__name__.removesuffix("_"): function
    for function in (
        zeros_,
        ones_,
        uniform_,
        normal_,
        xavier_uniform_,
        xavier_normal_,
        kaiming_uniform_,
        kaiming_normal_,
    )
}
