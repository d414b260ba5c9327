"""Known bugs of a family: Padding."""

import numpy as np

from mutations._base import R, mutant


@mutant("pad2d")
def pad2d_reflects_the_border_too(x, padding, *, mode="zeros"):
    left, right, top, bottom = padding if isinstance(padding, tuple) else (padding,) * 4
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x, sides, "symmetric") if mode == "reflect" else R["pad2d"](x, padding, mode=mode)


@mutant("pad2d_backward", gradients_of="pad2d")
def pad2d_backward_loses_the_frame(dy, padding, *, mode="zeros"):
    return R["pad2d_backward"](dy, padding, mode="zeros")
