"""Known bugs of a family: Dropout."""

import numpy as np

from mutations._base import R, mutant


@mutant("dropout")
def dropout_not_scaled(x, p, *, key):
    return R["dropout"](x, p, key=key) * x.dtype.type(1 - p)


@mutant("dropout")
def dropout_the_other_half(x, p, *, key):
    """Keeps where the random word is below the threshold, so the share of p."""
    return np.where(
        R["dropout"](np.ones_like(x), 1 - p, key=key) == 0, x * x.dtype.type(1 / (1 - p) if p < 1 else 0), 0
    )


@mutant("dropout")
def dropout_forgets_the_step(x, p, *, key):
    return R["dropout"](x, p, key=(key[0], 0))


@mutant("dropout_backward", gradients_of="dropout")
def dropout_backward_of_another_step(dy, p, *, key):
    return R["dropout_backward"](dy, p, key=(key[0], key[1] + 1))


@mutant("dropout2d")
def dropout2d_by_elements(x, p, *, key):
    return R["dropout"](x, p, key=key)
