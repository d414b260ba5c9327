"""A loss that became NaN or infinite: which layer went first, and what to try."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.layers import Module
from fastnn.layers.module import copied
from fastnn.plan.training import output_of
from fastnn.training.history import History


class DivergenceError(ArithmeticError):
    """The loss became NaN or infinite.

    Parameters
    ----------
    what : where, and which layer went first
    advice : what to try
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}. {advice}" if advice else what)
        self.what = what


def first_layer_gone(net: Module, x: Any) -> tuple[str, Module] | None:
    """Name and layer of the first layer, in the order of a forward, whose output for `x` has NaN or infinity.

    The forward is taken by a copy: the network stays as it is.
    """
    net = copied(net).train()
    found: list[tuple[str, Module]] = []

    def look(name: str) -> Any:
        def hook(layer: Module, _inputs: object, output: Any) -> None:
            y = output[0] if isinstance(output, tuple) else output
            if not found and not np.isfinite(y).all():
                found.append((name, layer))

        return hook

    for name, layer in net.named_modules():
        if next(layer.named_children(), None) is None:
            layer.register_forward_hook(look(name))
    with np.errstate(all="ignore"):
        output_of(net, x)
    return found[0] if found else None


def explanation(net: Module, x: Any) -> tuple[str, str]:
    """What went first for the minibatch `x`, and what to try."""
    if not all(np.isfinite(each).all() for each in (x if isinstance(x, tuple) else (x,))):
        return "The minibatch itself has NaN or infinite values", "Look at the data"
    try:
        gone = first_layer_gone(net, x)
    except Exception as error:  # layers of others may not be made to be run once more, and the divergence is the news
        return (
            f"Looking for the layer that went first failed ({type(error).__name__}: {error})",
            "Try a smaller learning rate, clip_norm=1, and inputs scaled to 0-1",
        )
    if gone is None:
        return (
            "The outputs of all layers are finite, so it is the loss that overflowed, or took the logarithm of 0",
            "Try a loss that takes scores (CrossEntropyLoss, BCEWithLogitsLoss), and a smaller learning rate",
        )
    name, layer = gone
    label = f"{name} ({type(layer).__name__})" if name else type(layer).__name__
    spoilt = [held for held, array in layer.named_arrays() if not np.isfinite(array.data).all()]
    why = f", whose {' and '.join(spoilt)} an earlier step made so" if spoilt else ""
    return (
        f"The first layer whose output has NaN or infinite values is {label}{why}",
        "Try a smaller learning rate, clip_norm=1, and inputs scaled to 0-1",
    )


def diverged(loss: float, net: Module, x: Any, history: History, lr: float) -> DivergenceError:
    """What to raise after the steps of `history`: the loss of the minibatch `x` is `loss`."""
    before = f"; the last finite loss was {history.loss[-1]:.4g}" if history.loss else ""
    why, advice = explanation(net, x)
    return DivergenceError(
        f"training diverged at iteration {history.iterations + 1}: the loss is {loss} with learning rate "
        f"{lr:g}{before}. {why}",
        advice,
    )
