"""Known bugs of a family: Padding."""

import numpy as np

from mutations._base import R, mutant


@mutant("pad")
def pad_reflects_the_border_too(x, padding, mode="constant", value=None):
    widths = padding if isinstance(padding, tuple) else (padding,) * 4
    if mode != "reflect" or min(widths) < 0:
        return R["pad"](x, padding, mode=mode, value=value)
    pairs = [widths[i : i + 2] for i in range(0, len(widths), 2)]  # the last axis first
    return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1], "symmetric")


@mutant("pad_backward", gradients_of="pad")
def pad_backward_loses_the_frame(dy, padding, mode="constant"):
    return R["pad_backward"](dy, padding, mode="constant")
