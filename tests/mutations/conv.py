"""Known bugs of a family: Convolution and the patches it works on."""

import numpy as np

from mutations._base import R, mutant, pair


@mutant("unfold", gradients_of="unfold")
def unfold_wrong_row_stride(x, kernel_size, dilation=1, padding=0, stride=1):
    """Steps from one kernel row to the next by KH elements where there are KW: right for square kernels only."""
    cols = R["unfold"](x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    kh, kw = pair(kernel_size)
    n, rows, places = cols.shape
    taps = cols.reshape(n, rows // (kh * kw), kh * kw, places)
    i, j = np.divmod(np.arange(kh * kw), kw)
    return np.ascontiguousarray(taps[:, :, (i * kh + j) % (kh * kw)]).reshape(cols.shape)


@mutant("conv2d", gradients_of="conv2d")
def conv2d_wrong_row_stride(x, w, b=None, **options):
    kh, kw = w.shape[2:]
    i, j = np.divmod(np.arange(kh * kw), kw)
    mixed = w.reshape(*w.shape[:2], kh * kw)[:, :, (i * kh + j) % (kh * kw)].reshape(w.shape)
    return R["conv2d"](x, mixed, b, **options)


@mutant("conv2d_backward", gradients_of="conv2d")
def conv2d_bias_not_summed(dy, x, w, **options):
    """The bias gradient of the last image only."""
    dx, dw, db = R["conv2d_backward"](dy, x, w, **options)
    if db is not None and len(dy):
        db = dy[-1].sum(axis=(1, 2))
    return dx, dw, db


@mutant("conv2d_backward")
def conv2d_weight_not_summed(dy, x, w, **options):
    dx, _, db = R["conv2d_backward"](dy, x, w, **options)
    return dx, R["conv2d_backward"](dy[-1:], x[-1:], w, **options)[1], db


@mutant("conv2d")
def conv2d_strides_swapped(x, w, b=None, *, stride=1, **options):
    y = R["conv2d"](x, w, b, stride=stride, **options)
    swapped = R["conv2d"](x, w, b, stride=pair(stride)[::-1], **options)
    return swapped if swapped.shape == y.shape else np.zeros_like(y)


@mutant("conv2d")
def conv2d_kernel_flipped(x, w, b=None, **options):
    return R["conv2d"](x, np.ascontiguousarray(w[:, :, ::-1, ::-1]), b, **options)


@mutant("conv2d")
def conv2d_relu_before_bias(x, w, b=None, *, activation=None, **options):
    y = R["conv2d"](x, w, None, activation=activation, **options)
    return y if b is None else y + b[:, None, None]


@mutant("conv2d")
def conv2d_half_precision_sum(x, w, b=None, **options):
    """As exact as products of rounded weights: what a wrong use of bfloat16 tiles would give."""
    rounded = (w.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(w.dtype)
    return R["conv2d"](x, rounded, b, **options)


@mutant("conv2d")
def conv2d_forgets_last_column(x, w, b=None, **options):
    y = R["conv2d"](x, w, b, **options)
    if y.shape[3] % 16 == 1:
        y[..., -1] = 0
    return y


@mutant("conv2d")
def conv2d_nan_lost(x, w, b=None, **options):
    return R["conv2d"](np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf), w, b, **options)


@mutant("conv2d")
def conv2d_groups_interleaved(x, w, b=None, *, groups=1, **options):
    """Output o belongs to group o % groups."""
    mixed = w.reshape(groups, -1, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)
    return R["conv2d"](x, mixed, b, groups=groups, **options)


@mutant("conv2d")
def conv2d_dilation_swapped(x, w, b=None, *, dilation=1, **options):
    y = R["conv2d"](x, w, b, dilation=dilation, **options)
    try:
        swapped = R["conv2d"](x, w, b, dilation=pair(dilation)[::-1], **options)
    except ValueError:
        return np.zeros_like(y)
    return swapped if swapped.shape == y.shape else np.zeros_like(y)


@mutant("conv2d")
def conv2d_same_wider_on_the_left(x, w, b=None, *, padding=0, **options):
    y = R["conv2d"](x, w, b, padding=padding, **options)
    odd = padding == "same" and any(
        n * (k - 1) % 2 for n, k in zip(pair(options.get("dilation", 1)), w.shape[2:], strict=False)
    )
    return np.roll(y, 1, axis=(2, 3)) if odd else y


@mutant("conv2d_backward", gradients_of="conv2d")
def conv2d_backward_first_group_only(dy, x, w, *, groups=1, **options):
    dx, dw, db = R["conv2d_backward"](dy, x, w, groups=groups, **options)
    if dw is not None:
        dw[len(dw) // groups :] = 0
    return dx, dw, db


@mutant("fold", gradients_of="unfold")
def fold_overwrites(cols, output_size, kernel_size, **options):
    """The last patch on a pixel wins, where all should be added."""
    total = R["fold"](cols, output_size, kernel_size, **options)
    count = R["fold"](np.ones_like(cols), output_size, kernel_size, **options)
    return total / np.maximum(count, 1)
