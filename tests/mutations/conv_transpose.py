"""Known bugs of a family: Transposed convolution."""

import numpy as np

from mutations._base import R, mutant, pair


@mutant("conv_transpose2d")
def conv_transpose2d_output_padding_above(x, w, b=None, *, output_padding=0, **options):
    y = R["conv_transpose2d"](x, w, b, output_padding=output_padding, **options)
    return np.roll(y, pair(output_padding), axis=(2, 3))


@mutant("conv_transpose2d_backward", gradients_of="conv_transpose2d")
def conv_transpose2d_backward_turned(dy, x, w, **options):
    dx, dw, db = R["conv_transpose2d_backward"](dy, x, w, **options)
    return dx, None if dw is None else dw[..., ::-1, ::-1].copy(), db
