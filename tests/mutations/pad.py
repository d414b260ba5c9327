"""Known bugs of a family: Padding."""

import numpy as np

from mutations._base import R, mutant


@mutant("pad")
def pad_reflects_the_border_too(x, padding, mode="constant"):
    left, right, top, bottom = padding if isinstance(padding, tuple) else (padding,) * 4
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x, sides, "symmetric") if mode == "reflect" else R["pad"](x, padding, mode=mode)


@mutant("pad_backward", gradients_of="pad")
def pad_backward_loses_the_frame(dy, padding, mode="constant"):
    return R["pad_backward"](dy, padding, mode="constant")
