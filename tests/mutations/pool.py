"""Known bugs of a family: Pooling."""

import numpy as np

from cases import cases_of
from checks import check_max_pool_ties
from mutations._base import R, mutant, pair


def ties():
    for case in cases_of("max_pool2d"):
        if "ties" in case.fills and not case.large:
            check_max_pool_ties(case, np.float32)


class MaxpoolEveryTie:
    """Backward to every element that equals the maximum, which it finds by looking at the input again."""

    def max_pool2d(self, x, kernel_size, **options):
        self.x = x
        return R["max_pool2d"](x, kernel_size, **options)

    def max_pool2d_backward(self, dy, positions, input_size, kernel_size, **options):
        dx = np.zeros_like(self.x)
        y = R["max_pool2d"](self.x, kernel_size, **options)
        kh, kw = pair(kernel_size)
        for place in range(kh * kw):
            here = np.full_like(positions, place)
            ones = R["max_pool2d_backward"](np.ones_like(dy), here, input_size, kernel_size, **options)
            value = R["max_pool2d_backward"](y, here, input_size, kernel_size, **options)
            share = R["max_pool2d_backward"](dy, here, input_size, kernel_size, **options)
            dx += np.where((ones == 1) & (value == self.x), share, 0)
        return dx


@mutant("max_pool2d", noticed_by=ties)
def max_pool2d_last_maximum(x, kernel_size, *, return_positions=False, return_indices=False, **options):
    y, positions = R["max_pool2d"](x, kernel_size, return_positions=True, **options)
    kh, kw = pair(kernel_size)
    flipped = R["max_pool2d"](np.ascontiguousarray(x[..., ::-1, ::-1]), kernel_size, return_positions=True, **options)
    last = (kh * kw - 1 - flipped[1][..., ::-1, ::-1].astype(int)).astype(positions.dtype)
    results = y, np.ascontiguousarray(last), positions.astype(np.int64)
    return results[: 1 + return_positions + return_indices] if return_positions else y


@mutant("max_pool2d")
def max_pool2d_padding_wins(x, kernel_size, *, padding=0, **options):
    """Padding of zeros, not of minus infinity."""
    result = R["max_pool2d"](x, kernel_size, padding=padding, **options)
    y, *more = result if isinstance(result, tuple) else (result,)
    if padding:
        y = np.maximum(y, 0)
    return (y, *more) if more else y


@mutant("max_pool2d")
def max_pool2d_nan_lost(x, kernel_size, **options):
    return R["max_pool2d"](np.where(np.isnan(x), -np.inf, x).astype(x.dtype), kernel_size, **options)


@mutant("max_pool2d")
def max_pool2d_starts_at_lowest(x, kernel_size, **options):
    """The most negative finite number as the start of a maximum, where minus infinity is lower."""
    result = R["max_pool2d"](x, kernel_size, **options)
    lowest = np.finfo(x.dtype).min
    if isinstance(result, tuple):
        return np.maximum(result[0], lowest), *result[1:]
    return np.maximum(result, lowest)


@mutant("max_pool2d_backward", gradients_of="max_pool2d")
def max_pool2d_backward_overwrites(dy, positions, input_size, kernel_size, **options):
    total = R["max_pool2d_backward"](dy, positions, input_size, kernel_size, **options)
    count = R["max_pool2d_backward"](np.ones_like(dy), positions, input_size, kernel_size, **options)
    return total / np.maximum(count, 1)


@mutant("avg_pool2d")
def avg_pool2d_padding_not_counted(x, kernel_size, **options):
    y = R["avg_pool2d"](x, kernel_size, **options)
    return y / np.maximum(R["avg_pool2d"](np.ones_like(x), kernel_size, **options), 1e-3)


@mutant("avg_pool2d")
def avg_pool2d_always_counts_padding(x, kernel_size, *, count_include_pad=True, **options):
    return R["avg_pool2d"](x, kernel_size, **options)


@mutant("max_pool2d")
def max_pool2d_indices_not_dilated(x, kernel_size, *, return_indices=False, **options):
    """As if the pixels of a window were neighbours."""
    if not return_indices:
        return R["max_pool2d"](x, kernel_size, **options)
    y, positions = R["max_pool2d"](x, kernel_size, **{**options, "return_positions": True})
    dense = {k: v for k, v in options.items() if k not in ("dilation", "return_positions")}
    plain = {"stride": None, "padding": 0, **dense}
    (sh, sw), (ph, pw) = pair(plain["stride"] or kernel_size), pair(plain["padding"])
    oh, ow = np.indices(y.shape[2:])
    kh, kw = np.divmod(positions.astype(np.int64), pair(kernel_size)[1])
    indices = (oh * sh - ph + kh) * x.shape[3] + ow * sw - pw + kw
    return (y, positions, indices) if options.get("return_positions") else (y, indices)


@mutant("avg_pool2d")
def avg_pool2d_ceil_counts_all(x, kernel_size, *, padding=0, ceil_mode=False, **options):
    y = R["avg_pool2d"](x, kernel_size, padding=padding, ceil_mode=ceil_mode, **options)
    if ceil_mode:  # the last window hangs over the edge, and is divided as if it did not
        y[..., -1, :] *= 0.5
    return y
