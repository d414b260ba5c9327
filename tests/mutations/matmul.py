"""Known bugs of a family: Products."""

import numpy as np

from mutations._base import R, mutant


@mutant("linear_backward", gradients_of="linear")
def linear_bias_not_summed(dy, x, w, **options):
    dx, dw, db = R["linear_backward"](dy, x, w, **options)
    if db is not None and dy.size:
        db = np.array(dy.reshape(-1, dy.shape[-1])[-1])
    return dx, dw, db


@mutant("matmul")
def matmul_single_precision(a, b):
    return R["matmul"](a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
