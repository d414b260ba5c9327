"""Known bugs of a family: Steps of optimisers."""

import numpy as np

from mutations._base import R, mutant


@mutant("sgd_step")
def sgd_decay_after_momentum(p, g, momentum_buffer=None, *, lr, weight_decay=0.0, **options):
    decayed = p * (lr * weight_decay)
    R["sgd_step"](p, g, momentum_buffer, lr=lr, **options)
    p -= decayed


@mutant("sgd_step")
def sgd_ignores_nesterov(p, g, momentum_buffer=None, *, nesterov=False, **options):
    R["sgd_step"](p, g, momentum_buffer, **options)


@mutant("sgd_step")
def sgd_dampens_the_momentum(p, g, momentum_buffer=None, *, momentum=0.0, dampening=0.0, **options):
    """1 - dampening on the buffer, not on the gradient."""
    R["sgd_step"](p, g, momentum_buffer, momentum=momentum * (1 - dampening), **options)


@mutant("adam_step")
def adam_without_bias_correction(p, g, *averages, step, **options):
    R["adam_step"](p, g, *averages, step=100_000, **options)


@mutant("adam_step")
def adam_counts_steps_from_zero(p, g, *averages, step, **options):
    R["adam_step"](p, g, *averages, step=step + 1, **options)


@mutant("adam_step")
def adam_decay_never_decoupled(p, g, *averages, decoupled_weight_decay=False, **options):
    R["adam_step"](p, g, *averages, **options)


@mutant("adam_step")
def adam_decay_after_the_step(p, g, *averages, decoupled_weight_decay=False, weight_decay=0.0, lr=1e-3, **options):
    decoupled = decoupled_weight_decay
    R["adam_step"](p, g, *averages, lr=lr, weight_decay=0.0 if decoupled else weight_decay, **options)
    p *= 1 - lr * weight_decay if decoupled else 1


@mutant("adam_step")
def adam_forgets_the_largest(p, g, m, v, top=None, **options):
    R["adam_step"](p, g, m, v, **options)
    if top is not None:
        np.maximum(top, v, out=top)


@mutant("nadam_step")
def nadam_with_one_momentum(p, g, m, v, *, step, **options):
    """The momentum of the next step is that of this one."""
    return R["nadam_step"](p, g, m, v, step=step, **{**options, "momentum_decay": 0.0})


@mutant("rmsprop_step")
def rmsprop_never_centered(p, g, v, buffer=None, m=None, **options):
    R["rmsprop_step"](p, g, v, buffer, **options)


@mutant("rmsprop_step")
def rmsprop_momentum_of_the_rate(p, g, v, buffer=None, m=None, *, lr=1e-2, momentum=0.0, **options):
    """The rate on its way into the buffer: the same while it stays the same."""
    if momentum:
        buffer /= lr
    R["rmsprop_step"](p, g, v, buffer, m, lr=lr, momentum=momentum, **options)
    if momentum:
        buffer *= lr


@mutant("adagrad_step")
def adagrad_decays_from_the_first_step(p, g, v, *, step, **options):
    R["adagrad_step"](p, g, v, step=step + 1, **options)
