"""Known bugs of a family: Clipping of gradients."""

import numpy as np

from mutations._base import R, mutant


@mutant("clip_grad_norm_")
def clip_norm_amplifies(grads, max_norm, norm_type=2.0, **options):
    norm = R["clip_grad_norm_"](grads, np.finfo(grads.dtype).max, norm_type)
    grads *= max_norm / (norm + 1e-6)
    return norm


@mutant("clip_grad_norm_")
def clip_norm_always_of_squares(grads, max_norm, norm_type=2.0, **options):
    return R["clip_grad_norm_"](grads, max_norm)


@mutant("clip_grad_value_")
def clip_value_loses_nan(grads, clip_value):
    grads[...] = np.fmax(np.fmin(grads, clip_value), -clip_value)
