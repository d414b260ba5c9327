"""Known bugs of a family: Softmax."""

import numpy as np

from mutations._base import R, mutant


@mutant("softmax")
def softmax_unshifted(x, *, dim=-1):
    e = np.exp(x)
    return e / e.sum(axis=dim, keepdims=True)


@mutant("softmax")
def softmax_wrong_axis(x, *, dim=-1):
    return R["softmax"](x, dim=-1)


@mutant("log_softmax")
def log_softmax_of_softmax(x, *, dim=-1):
    return np.log(R["softmax"](x, dim=dim))


@mutant("softmax_backward", gradients_of="softmax")
def softmax_backward_no_sum(dy, y, *, dim=-1):
    return y * dy
