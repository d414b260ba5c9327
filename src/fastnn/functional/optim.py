"""Steps of optimisers, in place: all arrays of a list in one call of compiled code."""

from __future__ import annotations

import fastnn._kernels._optim as _optim
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import use_reference
from fastnn._validate import Arrays, MaybeArrays
from fastnn.functional._update import one_by_one

Rule = tuple[int, tuple[float, ...]]  # of the kernels, and its factors

__all__ = ["adagrad_step", "adam_step", "nadam_step", "rmsprop_step", "sgd_step"]


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
    kind, factors = sgd_rule(lr, momentum, dampening, weight_decay, nesterov, maximize)
    if use_reference():
        return reference.sgd_step(
            p, g, momentum_buffer, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize,
        )  # fmt: skip
    buffers = check.momentum_buffer(momentum_buffer, momentum)
    if not _optim.update(kind, factors, (p, g, buffers)):
        one_by_one(kind, factors, p=p, g=g, momentum_buffer=buffers)


def sgd_rule(lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool) -> Rule:
    """What `sgd_step` applies to its arrays."""
    lr, momentum, dampening, weight_decay = check.sgd_settings(lr, momentum, dampening, weight_decay, nesterov)
    return _optim.SGD, (check.direction(maximize), weight_decay, momentum, 1 - dampening, nesterov, lr)


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
    kind, factors = adam_rule(step, lr, betas, eps, weight_decay, decoupled_weight_decay, maximize)
    if use_reference():
        return reference.adam_step(
            p, g, exp_avg, exp_avg_sq, max_exp_avg_sq, step=step, lr=lr, betas=betas, eps=eps,
            weight_decay=weight_decay, decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip
    if not _optim.update(kind, factors, (p, g, exp_avg, exp_avg_sq, max_exp_avg_sq)):
        one_by_one(kind, factors, p=p, g=g, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq, max_exp_avg_sq=max_exp_avg_sq)


def adam_rule(
    step: int, lr: float, betas: tuple[float, float], eps: float, weight_decay: float, decoupled: bool, maximize: bool
) -> Rule:
    """What `adam_step` applies to its arrays."""
    lr, beta1, beta2, eps, weight_decay = check.adam_settings(lr, betas, eps, weight_decay)
    step = check.steps_taken(step)
    return _optim.ADAM, (
        *_decay_and_averages(lr, beta1, beta2, weight_decay, decoupled, maximize),
        lr / (1 - beta1**step),
        0.0,
        (1 - beta2**step) ** -0.5,
        eps,
    )


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
    settings = check.nadam_settings(lr, betas, eps, weight_decay, momentum_decay)
    lr, beta1, beta2, eps, weight_decay, momentum_decay = settings
    step, mu_product = check.steps_taken(step), check.number("mu_product", mu_product, 0.0)
    if use_reference():
        return reference.nadam_step(
            p, g, exp_avg, exp_avg_sq, step=step, mu_product=mu_product, lr=lr, betas=betas, eps=eps,
            weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    mu_product *= mu
    factors = (
        *_decay_and_averages(lr, beta1, beta2, weight_decay, decoupled_weight_decay, maximize),
        lr * mu_next / (1 - mu_product * mu_next),
        lr * (1 - mu) / (1 - mu_product),
        (1 - beta2**step) ** -0.5,
        eps,
    )
    if not _optim.update(_optim.ADAM, factors, (p, g, exp_avg, exp_avg_sq)):
        one_by_one(_optim.ADAM, factors, p=p, g=g, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq)
    return mu_product


def _decay_and_averages(
    lr: float, beta1: float, beta2: float, weight_decay: float, decoupled: bool, maximize: bool
) -> tuple[float, ...]:
    """The first factors of Adam's rule."""
    apart = check.true_or_false("decoupled_weight_decay", decoupled)
    coupled, shrink = (0.0, 1 - lr * weight_decay) if apart else (weight_decay, 1.0)
    return check.direction(maximize), coupled, 1 - beta1, beta2, 1 - beta2, shrink


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
    lr, alpha, eps, weight_decay, momentum = check.rmsprop_settings(lr, alpha, eps, weight_decay, momentum)
    if use_reference():
        return reference.rmsprop_step(
            p, g, square_avg, momentum_buffer, grad_avg, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay,
            momentum=momentum, maximize=maximize,
        )  # fmt: skip
    buffers = check.momentum_buffer(momentum_buffer, momentum)
    factors = (check.direction(maximize), weight_decay, alpha, 1 - alpha, eps, momentum, lr)
    if not _optim.update(_optim.RMSPROP, factors, (p, g, square_avg, buffers, grad_avg)):
        one_by_one(_optim.RMSPROP, factors, p=p, g=g, square_avg=square_avg, momentum_buffer=buffers, grad_avg=grad_avg)


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
    lr, lr_decay, weight_decay, eps = check.adagrad_settings(lr, lr_decay, weight_decay, eps)
    step = check.steps_taken(step)
    if use_reference():
        return reference.adagrad_step(
            p, g, state_sum, step=step, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, maximize=maximize
        )
    # RMSprop's rule, with sums for averages.
    factors = (check.direction(maximize), weight_decay, 1.0, 1.0, eps, 0.0, lr / (1 + (step - 1) * lr_decay))
    if not _optim.update(_optim.RMSPROP, factors, (p, g, state_sum)):
        one_by_one(_optim.RMSPROP, factors, p=p, g=g, state_sum=state_sum)
