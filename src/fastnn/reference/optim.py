"""The step of stochastic gradient descent."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.reference._windows import quiet


@quiet
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
    """One step of gradient descent, in place on `p` and `velocity`.

    ``g = g + weight_decay*p``; ``velocity = momentum*velocity + g``; ``p = p - lr*velocity``, or with `nesterov`
    ``p = p - lr*(g + momentum*velocity)``. This is PyTorch's rule (dampening 0), after Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013.

    Parameters
    ----------
    p : array of float32 or float64, any shape
        Parameters, updated.
    g : array like `p`
        Gradient, left alone.
    velocity : array like `p`, or None
        Updated; zeros before the first step. Not used when `momentum` is 0.
    lr, momentum, weight_decay : float, at least 0
    nesterov : bool
        Needs a momentum above 0.
    """
    lr, momentum, weight_decay = check.sgd_step(p, g, velocity, lr, momentum, weight_decay, nesterov)
    if weight_decay:
        g = g + weight_decay * p
    if velocity is not None and momentum:
        velocity *= momentum
        velocity += g
        g = g + momentum * velocity if nesterov else velocity
    p -= lr * g
