"""The steps of optimisers, in place."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, Arrays, MaybeArrays
from fastnn.reference._windows import quiet

__all__ = ["adagrad_step", "adam_step", "nadam_step", "rmsprop_step", "sgd_step"]


def _direction(p: Array, g: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient that a rule goes by."""
    g = check.direction(maximize) * g
    return g + weight_decay * p if weight_decay else g


@quiet
def sgd_step(
    p: Arrays,
    g: Arrays,
    momentum_buffer: MaybeArrays = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None:
    """One step of gradient descent, in place on `p` and `momentum_buffer`.

    ``g = g + weight_decay*p``; ``buffer = momentum*buffer + (1 - dampening)*g``; ``p = p - lr*buffer``, or with
    `nesterov` ``p = p - lr*(g + momentum*buffer)``. This is PyTorch's rule, after Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013. PyTorch begins the buffer with the first
    gradient: call the first step with zeros and without dampening.

    Parameters
    ----------
    p : array of float32 or float64, any shape
        Parameters, updated. Or a list of such arrays, all of which are updated in one call; then the other arguments
        that are arrays are lists too, of as many.
    g : array like `p`
        Gradient, left alone.
    momentum_buffer : array like `p`, or None
        Updated; zeros before the first step. Not used when `momentum` is 0.
    lr, momentum, weight_decay : float, at least 0
    dampening : float
    nesterov : bool
        Needs a momentum above 0 and no dampening.
    maximize : bool
        Go up, along -g.

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> F.sgd_step(p, g, lr=0.1)
    >>> print(p.round(4))
    [0.95 2.05]
    """
    lr, momentum, dampening, weight_decay = check.sgd_settings(lr, momentum, dampening, weight_decay, nesterov)
    buffers = check.momentum_buffer(momentum_buffer, momentum)
    rows = check.updated(p=p, g=g, momentum_buffer=buffers)
    for w, d, buffer in rows:
        d = _direction(w, d, weight_decay, maximize)
        if buffer is not None:
            buffer *= momentum
            buffer += (1 - dampening) * d
            d = d + momentum * buffer if nesterov else buffer
        w -= lr * d


@quiet
def adam_step(
    p: Arrays,
    g: Arrays,
    exp_avg: Arrays,
    exp_avg_sq: Arrays,
    max_exp_avg_sq: MaybeArrays = None,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> None:
    """One step of Adam, in place on `p` and the averages.

    ``m = beta1*m + (1 - beta1)*g``; ``v = beta2*v + (1 - beta2)*g**2``;
    ``p = p - lr * (m / (1 - beta1**step)) / (sqrt(v / (1 - beta2**step)) + eps)``, with m, v for `exp_avg` and
    `exp_avg_sq`: PyTorch's rule, after Kingma and Ba, "Adam: a method for stochastic optimization", 2015. The largest v
    so far instead of v is AMSGrad (Reddi et al., "On the convergence of Adam and beyond", 2018).

    Parameters
    ----------
    p : array of float32 or float64, any shape
        Parameters, updated. Or a list of such arrays, all of which are updated in one call; then the other arguments
        that are arrays are lists too, of as many.
    g : array like `p`
        Gradient, left alone.
    exp_avg, exp_avg_sq : arrays like `p`
        Updated; zeros before the first step.
    max_exp_avg_sq : array like `p`, or None
        With it, the step is AMSGrad's: updated; zeros before the first step.
    step : int
        The number of this step, from 1.
    lr, weight_decay : float, at least 0
    eps : float, above 0
    betas : two floats, at least 0 and below 1
    decoupled_weight_decay : bool
        ``p = (1 - lr*weight_decay)*p`` first, instead of ``g = g + weight_decay*p``: AdamW (Loshchilov and Hutter,
        "Decoupled weight decay regularization", 2019).
    maximize : bool
        Go up, along -g.

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> F.adam_step(p, g, np.zeros(2), np.zeros(2), step=1)  # the averages begin with zeros
    >>> print(p.round(4))
    [0.999 2.001]
    """
    lr, beta1, beta2, eps, weight_decay = check.adam_settings(lr, betas, eps, weight_decay)
    step = check.steps_taken(step)
    columns = {"exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq, "max_exp_avg_sq": max_exp_avg_sq}
    check.true_or_false("decoupled_weight_decay", decoupled_weight_decay)
    rows = check.updated(p=p, g=g, **columns)
    for w, d, m, v, most in rows:
        d = _direction(w, d, 0.0 if decoupled_weight_decay else weight_decay, maximize)
        if decoupled_weight_decay:
            w *= 1 - lr * weight_decay
        m += (1 - beta1) * (d - m)
        v *= beta2
        v += (1 - beta2) * (d * d)
        if most is not None:
            np.maximum(most, v, out=most)
        denominator = np.sqrt(v if most is None else most) / (1 - beta2**step) ** 0.5 + eps
        w -= lr / (1 - beta1**step) * (m / denominator)


@quiet
def nadam_step(
    p: Arrays,
    g: Arrays,
    exp_avg: Arrays,
    exp_avg_sq: Arrays,
    *,
    step: int,
    mu_product: float,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> float:
    """One step of Adam with Nesterov's momentum, in place on `p` and the averages.

    With m, v as in `adam_step`, ``mu(t) = beta1 * (1 - 0.96**(t*momentum_decay) / 2)`` and M the product of mu(1) to
    mu(step), ``p = p - lr * ((1 - mu(step))/(1 - M) * g + mu(step + 1)/(1 - M*mu(step + 1)) * m) / (sqrt(v / (1 -
    beta2**step)) + eps)``: PyTorch's rule, after Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    Parameters
    ----------
    p : array of float32 or float64, any shape
        Parameters, updated. Or a list of such arrays, all of which are updated in one call; then the other arguments
        that are arrays are lists too, of as many.
    g : array like `p`
        Gradient, left alone.
    exp_avg, exp_avg_sq : arrays like `p`
        Updated; zeros before the first step.
    step : int
        The number of this step, from 1.
    mu_product : float
        What the step before returned; 1 for the first.
    lr, weight_decay, momentum_decay : float, at least 0
    eps : float, above 0
    betas : two floats, at least 0 and below 1
    decoupled_weight_decay : bool
        ``p = (1 - lr*weight_decay)*p`` first, instead of ``g = g + weight_decay*p``.
    maximize : bool
        Go up, along -g.

    Returns
    -------
    float
        The product of the factors mu up to this step.

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> mu_product = F.nadam_step(p, g, np.zeros(2), np.zeros(2), step=1, mu_product=1.0)
    >>> print(p.round(4))
    [0.9979 2.0021]
    """
    settings = check.nadam_settings(lr, betas, eps, weight_decay, momentum_decay)
    lr, beta1, beta2, eps, weight_decay, momentum_decay = settings
    step, mu_product = check.steps_taken(step), check.number("mu_product", mu_product, 0.0)
    mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
    mu_product *= mu
    check.true_or_false("decoupled_weight_decay", decoupled_weight_decay)
    rows = check.updated(p=p, g=g, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq)
    for w, d, m, v in rows:
        d = _direction(w, d, 0.0 if decoupled_weight_decay else weight_decay, maximize)
        if decoupled_weight_decay:
            w *= 1 - lr * weight_decay
        m += (1 - beta1) * (d - m)
        v *= beta2
        v += (1 - beta2) * (d * d)
        denominator = np.sqrt(v / (1 - beta2**step)) + eps
        w -= lr * ((1 - mu) / (1 - mu_product) * d + mu_next / (1 - mu_product * mu_next) * m) / denominator
    return mu_product


@quiet
def rmsprop_step(
    p: Arrays,
    g: Arrays,
    square_avg: Arrays,
    momentum_buffer: MaybeArrays = None,
    grad_avg: MaybeArrays = None,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    maximize: bool = False,
) -> None:
    """One step of RMSprop, in place on `p` and the other averages.

    ``v = alpha*v + (1 - alpha)*g**2``; ``buffer = momentum*buffer + g / (sqrt(v) + eps)``; ``p = p - lr*buffer``,
    with v for `square_avg`: PyTorch's rule, after Tieleman and Hinton, "Lecture 6.5", 2012. With `grad_avg`, the
    average m of g, ``sqrt(v - m**2)`` stands for ``sqrt(v)`` (Graves, "Generating sequences with recurrent neural
    networks", 2013); a difference that rounding made negative counts as 0.

    Parameters
    ----------
    p : array of float32 or float64, any shape
        Parameters, updated. Or a list of such arrays, all of which are updated in one call; then the other arguments
        that are arrays are lists too, of as many.
    g : array like `p`
        Gradient, left alone.
    square_avg : array like `p`
        Updated; zeros before the first step.
    momentum_buffer : array like `p`, or None
        Updated; zeros before the first step. Not used when `momentum` is 0.
    grad_avg : array like `p`, or None
        With it, the step is centered: updated; zeros before the first step.
    lr, weight_decay, momentum : float, at least 0
    eps : float, above 0
    alpha : float, 0 to 1
    maximize : bool
        Go up, along -g.

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> F.rmsprop_step(p, g, np.zeros(2))
    >>> print(p.round(4))
    [0.9 2.1]
    """
    lr, alpha, eps, weight_decay, momentum = check.rmsprop_settings(lr, alpha, eps, weight_decay, momentum)
    buffers = check.momentum_buffer(momentum_buffer, momentum)
    rows = check.updated(p=p, g=g, square_avg=square_avg, momentum_buffer=buffers, grad_avg=grad_avg)
    for w, d, v, buffer, m in rows:
        d = _direction(w, d, weight_decay, maximize)
        v *= alpha
        v += (1 - alpha) * (d * d)
        square = v
        if m is not None:
            m += (1 - alpha) * (d - m)
            square = np.maximum(v - m * m, 0)
        d = d / (np.sqrt(square) + eps)
        if buffer is not None:
            buffer *= momentum
            buffer += d
            d = buffer
        w -= lr * d


@quiet
def adagrad_step(
    p: Arrays,
    g: Arrays,
    state_sum: Arrays,
    *,
    step: int,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> None:
    """One step of Adagrad, in place on `p` and `state_sum`.

    ``g = g + weight_decay*p``; ``v = v + g**2``; ``p = p - lr / (1 + (step - 1)*lr_decay) * g / (sqrt(v) + eps)``, with
    v for `state_sum`: PyTorch's rule, after Duchi et al., "Adaptive subgradient methods for online learning and
    stochastic optimization", 2011.

    Parameters
    ----------
    p : array of float32 or float64, any shape
        Parameters, updated. Or a list of such arrays, all of which are updated in one call; then the other arguments
        that are arrays are lists too, of as many.
    g : array like `p`
        Gradient, left alone.
    state_sum : array like `p`
        Updated; zeros, or more, before the first step.
    step : int
        The number of this step, from 1.
    lr, lr_decay, weight_decay : float, at least 0
    eps : float, above 0
    maximize : bool
        Go up, along -g.

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> F.adagrad_step(p, g, np.zeros(2), step=1)
    >>> print(p.round(4))
    [0.99 2.01]
    """
    lr, lr_decay, weight_decay, eps = check.adagrad_settings(lr, lr_decay, weight_decay, eps)
    step = check.steps_taken(step)
    rows = check.updated(p=p, g=g, state_sum=state_sum)
    for w, d, v in rows:
        d = _direction(w, d, weight_decay, maximize)
        v += d * d
        w -= lr / (1 + (step - 1) * lr_decay) * (d / (np.sqrt(v) + eps))
