"""Known bugs put back: each must make a check fail. This tests the tests.

A mutant stands in for a function of `functional` (the kernel's door) or of `reference`; the checks are those that the
other files run over the case list. That the checks pass without the mutant is what those files show.
"""

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES, cases_of
from checks import check_gradient, check_max_pool_ties, check_parity

R = {name: getattr(fnn.reference, name) for name in fnn.reference.__all__}  # the unmutated


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def parity_of(*ops):
    """All parity checks of these operations, of large cases last; raises at the first that fails."""
    with np.errstate(all="ignore"):  # a mutant need not be silent about infinities
        for case in sorted(cases_of(*ops), key=lambda case: case.large):
            for fill in case.fills:
                for dtype in DTYPES:
                    check_parity(case, dtype, fill)


def gradients_of(*ops):
    for case in cases_of(*ops):
        if case.gradient:
            check_gradient(case)


def ties():
    for case in cases_of("max_pool2d"):
        if "ties" in case.fills and not case.large:
            check_max_pool_ties(case, np.float32)


# Convolution


def unfold_wrong_row_stride(x, kernel_size, dilation=1, padding=0, stride=1):
    """Steps from one kernel row to the next by KH elements where there are KW: right for square kernels only."""
    cols = R["unfold"](x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    kh, kw = pair(kernel_size)
    n, rows, places = cols.shape
    taps = cols.reshape(n, rows // (kh * kw), kh * kw, places)
    i, j = np.divmod(np.arange(kh * kw), kw)
    return np.ascontiguousarray(taps[:, :, (i * kh + j) % (kh * kw)]).reshape(cols.shape)


def conv2d_wrong_row_stride(x, w, b=None, **options):
    kh, kw = w.shape[2:]
    i, j = np.divmod(np.arange(kh * kw), kw)
    mixed = w.reshape(*w.shape[:2], kh * kw)[:, :, (i * kh + j) % (kh * kw)].reshape(w.shape)
    return R["conv2d"](x, mixed, b, **options)


def conv2d_bias_not_summed(dy, x, w, **options):
    """The bias gradient of the last image only."""
    dx, dw, db = R["conv2d_backward"](dy, x, w, **options)
    if db is not None and len(dy):
        db = dy[-1].sum(axis=(1, 2))
    return dx, dw, db


def conv2d_weight_not_summed(dy, x, w, **options):
    dx, _, db = R["conv2d_backward"](dy, x, w, **options)
    return dx, R["conv2d_backward"](dy[-1:], x[-1:], w, **options)[1], db


def conv2d_strides_swapped(x, w, b=None, *, stride=1, **options):
    y = R["conv2d"](x, w, b, stride=stride, **options)
    swapped = R["conv2d"](x, w, b, stride=pair(stride)[::-1], **options)
    return swapped if swapped.shape == y.shape else np.zeros_like(y)


def conv2d_kernel_flipped(x, w, b=None, **options):
    return R["conv2d"](x, np.ascontiguousarray(w[:, :, ::-1, ::-1]), b, **options)


def conv2d_relu_before_bias(x, w, b=None, *, activation=None, **options):
    y = R["conv2d"](x, w, None, activation=activation, **options)
    return y if b is None else y + b[:, None, None]


def conv2d_half_precision_sum(x, w, b=None, **options):
    """As exact as products of rounded weights: what a wrong use of bfloat16 tiles would give."""
    rounded = (w.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(w.dtype)
    return R["conv2d"](x, rounded, b, **options)


def conv2d_forgets_last_column(x, w, b=None, **options):
    y = R["conv2d"](x, w, b, **options)
    if y.shape[3] % 16 == 1:
        y[..., -1] = 0
    return y


def conv2d_nan_lost(x, w, b=None, **options):
    return R["conv2d"](np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf), w, b, **options)


def conv2d_groups_interleaved(x, w, b=None, *, groups=1, **options):
    """Output o belongs to group o % groups."""
    mixed = w.reshape(groups, -1, *w.shape[1:]).swapaxes(0, 1).reshape(w.shape)
    return R["conv2d"](x, mixed, b, groups=groups, **options)


def conv2d_dilation_swapped(x, w, b=None, *, dilation=1, **options):
    y = R["conv2d"](x, w, b, dilation=dilation, **options)
    try:
        swapped = R["conv2d"](x, w, b, dilation=pair(dilation)[::-1], **options)
    except ValueError:
        return np.zeros_like(y)
    return swapped if swapped.shape == y.shape else np.zeros_like(y)


def conv2d_same_wider_on_the_left(x, w, b=None, *, padding=0, **options):
    y = R["conv2d"](x, w, b, padding=padding, **options)
    odd = padding == "same" and any(
        n * (k - 1) % 2 for n, k in zip(pair(options.get("dilation", 1)), w.shape[2:], strict=False)
    )
    return np.roll(y, 1, axis=(2, 3)) if odd else y


def conv2d_backward_first_group_only(dy, x, w, *, groups=1, **options):
    dx, dw, db = R["conv2d_backward"](dy, x, w, groups=groups, **options)
    if dw is not None:
        dw[len(dw) // groups :] = 0
    return dx, dw, db


def conv_transpose2d_output_padding_above(x, w, b=None, *, output_padding=0, **options):
    y = R["conv_transpose2d"](x, w, b, output_padding=output_padding, **options)
    return np.roll(y, pair(output_padding), axis=(2, 3))


def conv_transpose2d_backward_turned(dy, x, w, **options):
    dx, dw, db = R["conv_transpose2d_backward"](dy, x, w, **options)
    return dx, None if dw is None else dw[..., ::-1, ::-1].copy(), db


def pad_reflects_the_border_too(x, padding, mode="constant"):
    left, right, top, bottom = padding if isinstance(padding, tuple) else (padding,) * 4
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x, sides, "symmetric") if mode == "reflect" else R["pad"](x, padding, mode=mode)


def pad_backward_loses_the_frame(dy, padding, mode="constant"):
    return R["pad_backward"](dy, padding, mode="constant")


def fold_overwrites(cols, output_size, kernel_size, **options):
    """The last patch on a pixel wins, where all should be added."""
    total = R["fold"](cols, output_size, kernel_size, **options)
    count = R["fold"](np.ones_like(cols), output_size, kernel_size, **options)
    return total / np.maximum(count, 1)


# Pooling


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


def max_pool2d_last_maximum(x, kernel_size, *, return_positions=False, return_indices=False, **options):
    y, positions = R["max_pool2d"](x, kernel_size, return_positions=True, **options)
    kh, kw = pair(kernel_size)
    flipped = R["max_pool2d"](np.ascontiguousarray(x[..., ::-1, ::-1]), kernel_size, return_positions=True, **options)
    last = (kh * kw - 1 - flipped[1][..., ::-1, ::-1].astype(int)).astype(positions.dtype)
    results = y, np.ascontiguousarray(last), positions.astype(np.int64)
    return results[: 1 + return_positions + return_indices] if return_positions else y


def max_pool2d_padding_wins(x, kernel_size, *, padding=0, **options):
    """Padding of zeros, not of minus infinity."""
    result = R["max_pool2d"](x, kernel_size, padding=padding, **options)
    y, *more = result if isinstance(result, tuple) else (result,)
    if padding:
        y = np.maximum(y, 0)
    return (y, *more) if more else y


def max_pool2d_nan_lost(x, kernel_size, **options):
    return R["max_pool2d"](np.where(np.isnan(x), -np.inf, x).astype(x.dtype), kernel_size, **options)


def max_pool2d_starts_at_lowest(x, kernel_size, **options):
    """The most negative finite number as the start of a maximum, where minus infinity is lower."""
    result = R["max_pool2d"](x, kernel_size, **options)
    lowest = np.finfo(x.dtype).min
    if isinstance(result, tuple):
        return np.maximum(result[0], lowest), *result[1:]
    return np.maximum(result, lowest)


def max_pool2d_backward_overwrites(dy, positions, input_size, kernel_size, **options):
    total = R["max_pool2d_backward"](dy, positions, input_size, kernel_size, **options)
    count = R["max_pool2d_backward"](np.ones_like(dy), positions, input_size, kernel_size, **options)
    return total / np.maximum(count, 1)


def avg_pool2d_padding_not_counted(x, kernel_size, **options):
    y = R["avg_pool2d"](x, kernel_size, **options)
    return y / np.maximum(R["avg_pool2d"](np.ones_like(x), kernel_size, **options), 1e-3)


def avg_pool2d_always_counts_padding(x, kernel_size, *, count_include_pad=True, **options):
    return R["avg_pool2d"](x, kernel_size, **options)


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


def avg_pool2d_ceil_counts_all(x, kernel_size, *, padding=0, ceil_mode=False, **options):
    y = R["avg_pool2d"](x, kernel_size, padding=padding, ceil_mode=ceil_mode, **options)
    if ceil_mode:  # the last window hangs over the edge, and is divided as if it did not
        y[..., -1, :] *= 0.5
    return y


# Products, activations, losses, steps


def linear_bias_not_summed(dy, x, w, **options):
    dx, dw, db = R["linear_backward"](dy, x, w, **options)
    if db is not None and dy.size:
        db = np.array(dy.reshape(-1, dy.shape[-1])[-1])
    return dx, dw, db


def matmul_single_precision(a, b):
    return R["matmul"](a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)


def relu_drops_nan(x):
    return np.where(x > 0, x, np.zeros((), x.dtype))


def relu_backward_at_zero(dy, y):
    return np.where(y >= 0, dy, np.zeros((), dy.dtype))


def sigmoid_overflows(x):
    e = np.exp(x)
    return e / (1 + e)


def tanh_cancels_near_zero(x):
    e = np.exp(-2 * np.abs(x))
    return np.copysign((1 - e) / (1 + e), x)


def leaky_relu_of_the_size(x, negative_slope=0.01):
    return np.where(x > 0, x, np.abs(x) * x.dtype.type(negative_slope))


def elu_cancels_near_zero(x, alpha=1.0):
    return np.where(x > 0, x, x.dtype.type(alpha) * (np.exp(np.minimum(x, 0)) - 1))


def gelu_always_exact(x, *, approximate="none"):
    return R["gelu"](x)


def gelu_always_tanh(x, *, approximate="none"):
    return R["gelu"](x, approximate="tanh")


def gelu_backward_without_density(dy, x, *, approximate="none"):
    return dy * (R["gelu"](x, approximate=approximate) / np.where(x == 0, 1, x))


def softplus_overflows(x, beta=1.0, threshold=20.0):
    z = x * x.dtype.type(beta)
    return np.log1p(np.exp(z)) / x.dtype.type(beta)


def softplus_forgets_beta(x, beta=1.0, threshold=20.0):
    return R["softplus"](x * x.dtype.type(beta), 1.0, threshold)


def hardtanh_drops_nan(x, min_val=-1.0, max_val=1.0):
    return np.fmin(np.fmax(x, min_val), max_val).astype(x.dtype)


def prelu_of_the_last_axis(x, w):
    return np.where(x > 0, x, x * w) if w.size == x.shape[-1:] else R["prelu"](x, np.roll(w, 1))


def prelu_backward_of_all_elements(dy, x, w, *, needs=("dx", "dw")):
    """The gradient of the slopes from where x is positive too."""
    dx, dw = R["prelu_backward"](dy, x, w, needs=needs)
    axes = tuple(i for i in range(x.ndim) if i != 1 or w.size == 1)
    return dx, None if dw is None else (dy * x).sum(axes).reshape(w.shape)


def softmax_unshifted(x, *, dim=-1):
    e = np.exp(x)
    return e / e.sum(axis=dim, keepdims=True)


def softmax_wrong_axis(x, *, dim=-1):
    return R["softmax"](x, dim=-1)


def log_softmax_of_softmax(x, *, dim=-1):
    return np.log(R["softmax"](x, dim=dim))


def softmax_backward_no_sum(dy, y, *, dim=-1):
    return y * dy


def cross_entropy_always_mean(x, target, *, reduction="mean", **options):
    return R["cross_entropy"](x, target, reduction="mean" if reduction == "sum" and len(x) else reduction, **options)


def cross_entropy_mean_counts_the_ignored(x, target, *, reduction="mean", **options):
    if reduction != "mean" or target.ndim == x.ndim:
        return R["cross_entropy"](x, target, reduction=reduction, **options)
    return R["cross_entropy"](x, target, reduction="sum", **options) / target.size


def cross_entropy_weighs_smoothing_by_the_label(x, target, *, label_smoothing=0.0, weight=None, **options):
    if weight is None or target.ndim == x.ndim or not label_smoothing:
        return R["cross_entropy"](x, target, label_smoothing=label_smoothing, weight=weight, **options)
    even = R["cross_entropy"](x, np.full_like(x, 1 / x.shape[1]), **options)
    own = R["cross_entropy"](x, target, weight=weight, **options)
    return (1 - label_smoothing) * own + label_smoothing * even


def cross_entropy_backward_ignores_dloss(x, target, *, dloss=1.0, **options):
    return R["cross_entropy_backward"](x, target, **options)


def cross_entropy_backward_assumes_unit_sum(x, target, *, reduction="mean", **options):
    """Softmax minus target, forgetting the mean's division."""
    return R["cross_entropy_backward"](x, target, reduction="sum" if reduction == "mean" else reduction, **options)


def nll_loss_backward_of_the_ignored(x, target, *, ignore_index=-100, **options):
    return R["nll_loss_backward"](x, np.where(target == ignore_index, 0, target), ignore_index=ignore_index, **options)


def mse_loss_always_mean(x, target, *, reduction="mean"):
    return R["mse_loss"](x, target, reduction="mean" if reduction == "sum" and x.size else reduction)


def mse_loss_in_single_precision(x, target, *, reduction="mean"):
    return R["mse_loss"](x.astype(np.float32), target.astype(np.float32), reduction=reduction)


def mse_loss_backward_without_two(x, target, *, reduction="mean", dloss=1.0):
    return R["mse_loss_backward"](x, target, reduction=reduction, dloss=np.multiply(dloss, 0.5))


def huber_loss_of_smooth_l1(x, target, *, delta=1.0, **options):
    return R["smooth_l1_loss"](x, target, beta=delta, **options)


def binary_cross_entropy_log_of_one_minus(x, target, *, weight=None, reduction="mean"):
    """log(1 - x) loses what the rounding of 1 - x loses."""
    no, yes = np.maximum(np.log(1 - x), -100), np.maximum(np.log(x), -100)
    losses = ((target - 1) * no - target * yes) * (1 if weight is None else weight)
    count = max(x.size, 1) if reduction == "mean" else 1
    return losses if reduction == "none" else float(losses.sum(dtype=np.float64)) / count


def binary_cross_entropy_not_clamped(x, target, *, weight=None, reduction="mean"):
    losses = (target - 1) * np.log1p(-x) - target * np.log(x)
    losses = losses * (1 if weight is None else weight)
    return losses if reduction == "none" else float(losses.sum(dtype=np.float64)) / max(x.size, 1)


def logits_pos_weight_of_all(x, target, *, weight=None, pos_weight=None, **options):
    both = weight if pos_weight is None else pos_weight if weight is None else weight * pos_weight
    return R["binary_cross_entropy_with_logits"](x, target, weight=both, **options)


def kl_div_batchmean_is_mean(x, target, *, reduction="mean", **options):
    return R["kl_div"](x, target, reduction="mean" if reduction == "batchmean" else reduction, **options)


def sgd_decay_after_momentum(p, g, momentum_buffer=None, *, lr, weight_decay=0.0, **options):
    decayed = p * (lr * weight_decay)
    R["sgd_step"](p, g, momentum_buffer, lr=lr, **options)
    p -= decayed


def sgd_ignores_nesterov(p, g, momentum_buffer=None, *, nesterov=False, **options):
    R["sgd_step"](p, g, momentum_buffer, **options)


def sgd_dampens_the_momentum(p, g, momentum_buffer=None, *, momentum=0.0, dampening=0.0, **options):
    """1 - dampening on the buffer, not on the gradient."""
    R["sgd_step"](p, g, momentum_buffer, momentum=momentum * (1 - dampening), **options)


def adam_without_bias_correction(p, g, *averages, step, **options):
    R["adam_step"](p, g, *averages, step=100_000, **options)


def adam_counts_steps_from_zero(p, g, *averages, step, **options):
    R["adam_step"](p, g, *averages, step=step + 1, **options)


def adam_decay_never_decoupled(p, g, *averages, decoupled_weight_decay=False, **options):
    R["adam_step"](p, g, *averages, **options)


def adam_decay_after_the_step(p, g, *averages, decoupled_weight_decay=False, weight_decay=0.0, lr=1e-3, **options):
    decoupled = decoupled_weight_decay
    R["adam_step"](p, g, *averages, lr=lr, weight_decay=0.0 if decoupled else weight_decay, **options)
    p *= 1 - lr * weight_decay if decoupled else 1


def adam_forgets_the_largest(p, g, m, v, top=None, **options):
    R["adam_step"](p, g, m, v, **options)
    if top is not None:
        np.maximum(top, v, out=top)


def nadam_with_one_momentum(p, g, m, v, *, step, **options):
    """The momentum of the next step is that of this one."""
    return R["nadam_step"](p, g, m, v, step=step, **{**options, "momentum_decay": 0.0})


def rmsprop_never_centered(p, g, v, buffer=None, m=None, **options):
    R["rmsprop_step"](p, g, v, buffer, **options)


def rmsprop_momentum_of_the_rate(p, g, v, buffer=None, m=None, *, lr=1e-2, momentum=0.0, **options):
    """The rate on its way into the buffer: the same while it stays the same."""
    if momentum:
        buffer /= lr
    R["rmsprop_step"](p, g, v, buffer, m, lr=lr, momentum=momentum, **options)
    if momentum:
        buffer *= lr


def adagrad_decays_from_the_first_step(p, g, v, *, step, **options):
    R["adagrad_step"](p, g, v, step=step + 1, **options)


def clip_norm_amplifies(grads, max_norm, norm_type=2.0, **options):
    norm = R["clip_grad_norm_"](grads, np.finfo(grads.dtype).max, norm_type)
    grads *= max_norm / (norm + 1e-6)
    return norm


def clip_norm_always_of_squares(grads, max_norm, norm_type=2.0, **options):
    return R["clip_grad_norm_"](grads, max_norm)


def clip_value_loses_nan(grads, clip_value):
    grads[...] = np.fmax(np.fmin(grads, clip_value), -clip_value)


def batch_norm_mean_of_squares(x, running_mean=None, running_var=None, w=None, b=None, **options):
    """The variance as the mean of squares less the square of the mean: it cancels."""
    return batch_norm_of_variance(lambda v, axes: (v * v).mean(axes) - v.mean(axes) ** 2, x, running_mean, running_var,
                                  w, b, **options)  # fmt: skip


def batch_norm_unbiased(x, running_mean=None, running_var=None, w=None, b=None, **options):
    """Normalises by the variance that belongs into the running statistics."""
    return batch_norm_of_variance(lambda v, axes: v.var(axes, ddof=1), x, running_mean, running_var, w, b, **options)


def batch_norm_of_variance(variance, x, running_mean, running_var, w, b, *, training=False, **options):
    if not training or x.size == 0:
        return R["batch_norm"](x, running_mean, running_var, w, b, training=training, **options)
    R["batch_norm"](x, running_mean, running_var, w, b, training=True, **options)
    axes = (0, *range(2, x.ndim))
    options.pop("momentum", None)
    return R["batch_norm"](x, x.mean(axes), variance(x, axes), w, b, **options)


def batch_norm_running_biased(x, running_mean=None, running_var=None, *others, training=False, momentum=0.1, **options):
    before = None if running_var is None else running_var.copy()
    result = R["batch_norm"](x, running_mean, running_var, *others, training=training, momentum=momentum, **options)
    if training and running_var is not None and x.size:
        axes = (0, *range(2, x.ndim))
        running_var[...] = (1 - momentum) * before + momentum * x.var(axes)
    return result


def batch_norm_backward_of_constants(dy, x, w, mean, invstd, *, training=True, **options):
    """Mean and variance as if they did not depend on x."""
    return R["batch_norm_backward"](dy, x, w, mean, invstd, training=False, **options)


def batch_norm_backward_past_the_relu(dy, x, w, mean, invstd, *, y=None, **options):
    return R["batch_norm_backward"](dy, x, w, mean, invstd, **options)


def dropout_not_scaled(x, p, *, key):
    return R["dropout"](x, p, key=key) * x.dtype.type(1 - p)


def dropout_the_other_half(x, p, *, key):
    """Keeps where the random word is below the threshold, so the share of p."""
    return np.where(
        R["dropout"](np.ones_like(x), 1 - p, key=key) == 0, x * x.dtype.type(1 / (1 - p) if p < 1 else 0), 0
    )


def dropout_forgets_the_step(x, p, *, key):
    return R["dropout"](x, p, key=(key[0], 0))


def dropout_backward_of_another_step(dy, p, *, key):
    return R["dropout_backward"](dy, p, key=(key[0], key[1] + 1))


def dropout2d_by_elements(x, p, *, key):
    return R["dropout"](x, p, key=key)


every_tie = MaxpoolEveryTie()

WITH_LOGITS = "binary_cross_entropy_with_logits"
MUTANTS = [
    # the function replaced, the mutant, the check that must notice
    ("unfold", unfold_wrong_row_stride, lambda: parity_of("unfold")),
    ("unfold", unfold_wrong_row_stride, lambda: gradients_of("unfold")),
    ("conv2d", conv2d_wrong_row_stride, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_wrong_row_stride, lambda: gradients_of("conv2d")),
    ("conv2d_backward", conv2d_bias_not_summed, lambda: parity_of("conv2d_backward")),
    ("conv2d_backward", conv2d_bias_not_summed, lambda: gradients_of("conv2d")),
    ("conv2d_backward", conv2d_weight_not_summed, lambda: parity_of("conv2d_backward")),
    ("conv2d", conv2d_strides_swapped, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_kernel_flipped, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_relu_before_bias, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_half_precision_sum, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_forgets_last_column, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_nan_lost, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_groups_interleaved, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_dilation_swapped, lambda: parity_of("conv2d")),
    ("conv2d", conv2d_same_wider_on_the_left, lambda: parity_of("conv2d")),
    ("conv2d_backward", conv2d_backward_first_group_only, lambda: gradients_of("conv2d")),
    ("conv_transpose2d", conv_transpose2d_output_padding_above, lambda: parity_of("conv_transpose2d")),
    ("conv_transpose2d_backward", conv_transpose2d_backward_turned, lambda: gradients_of("conv_transpose2d")),
    ("pad", pad_reflects_the_border_too, lambda: parity_of("pad")),
    ("pad_backward", pad_backward_loses_the_frame, lambda: gradients_of("pad")),
    ("fold", fold_overwrites, lambda: parity_of("fold")),
    ("fold", fold_overwrites, lambda: gradients_of("unfold")),
    ("max_pool2d", max_pool2d_last_maximum, lambda: parity_of("max_pool2d")),
    ("max_pool2d", max_pool2d_last_maximum, ties),
    ("max_pool2d", max_pool2d_padding_wins, lambda: parity_of("max_pool2d")),
    ("max_pool2d", max_pool2d_nan_lost, lambda: parity_of("max_pool2d")),
    ("max_pool2d", max_pool2d_starts_at_lowest, lambda: parity_of("max_pool2d")),
    ("max_pool2d_backward", max_pool2d_backward_overwrites, lambda: parity_of("max_pool2d_backward")),
    ("max_pool2d_backward", max_pool2d_backward_overwrites, lambda: gradients_of("max_pool2d")),
    ("avg_pool2d", avg_pool2d_padding_not_counted, lambda: parity_of("avg_pool2d")),
    ("avg_pool2d", avg_pool2d_ceil_counts_all, lambda: parity_of("avg_pool2d")),
    ("avg_pool2d", avg_pool2d_always_counts_padding, lambda: parity_of("avg_pool2d")),
    ("max_pool2d", max_pool2d_indices_not_dilated, lambda: parity_of("max_pool2d")),
    ("linear_backward", linear_bias_not_summed, lambda: parity_of("linear_backward")),
    ("linear_backward", linear_bias_not_summed, lambda: gradients_of("linear")),
    ("matmul", matmul_single_precision, lambda: parity_of("matmul")),
    ("relu", relu_drops_nan, lambda: parity_of("relu")),
    ("relu_backward", relu_backward_at_zero, lambda: parity_of("relu_backward")),
    ("sigmoid", sigmoid_overflows, lambda: parity_of("sigmoid")),
    ("tanh", tanh_cancels_near_zero, lambda: parity_of("tanh")),
    ("leaky_relu", leaky_relu_of_the_size, lambda: parity_of("leaky_relu")),
    ("elu", elu_cancels_near_zero, lambda: parity_of("elu")),
    ("gelu", gelu_always_exact, lambda: parity_of("gelu")),
    ("gelu", gelu_always_tanh, lambda: parity_of("gelu")),
    ("gelu_backward", gelu_backward_without_density, lambda: gradients_of("gelu")),
    ("softplus", softplus_overflows, lambda: parity_of("softplus")),
    ("softplus", softplus_forgets_beta, lambda: parity_of("softplus")),
    ("hardtanh", hardtanh_drops_nan, lambda: parity_of("hardtanh")),
    ("prelu", prelu_of_the_last_axis, lambda: parity_of("prelu")),
    ("prelu_backward", prelu_backward_of_all_elements, lambda: parity_of("prelu_backward")),
    ("prelu_backward", prelu_backward_of_all_elements, lambda: gradients_of("prelu")),
    ("softmax", softmax_unshifted, lambda: parity_of("softmax")),
    ("softmax", softmax_wrong_axis, lambda: parity_of("softmax")),
    ("log_softmax", log_softmax_of_softmax, lambda: parity_of("log_softmax")),
    ("softmax_backward", softmax_backward_no_sum, lambda: parity_of("softmax_backward")),
    ("softmax_backward", softmax_backward_no_sum, lambda: gradients_of("softmax")),
    ("cross_entropy", cross_entropy_always_mean, lambda: parity_of("cross_entropy")),
    ("cross_entropy_backward", cross_entropy_backward_ignores_dloss, lambda: gradients_of("cross_entropy")),
    ("cross_entropy_backward", cross_entropy_backward_assumes_unit_sum, lambda: gradients_of("cross_entropy")),
    ("batch_norm", batch_norm_mean_of_squares, lambda: parity_of("batch_norm")),
    ("batch_norm", batch_norm_unbiased, lambda: parity_of("batch_norm")),
    ("batch_norm", batch_norm_running_biased, lambda: parity_of("batch_norm")),
    ("batch_norm_backward", batch_norm_backward_of_constants, lambda: parity_of("batch_norm_backward")),
    ("batch_norm_backward", batch_norm_backward_of_constants, lambda: gradients_of("batch_norm")),
    ("batch_norm_backward", batch_norm_backward_past_the_relu, lambda: gradients_of("batch_norm")),
    ("dropout", dropout_not_scaled, lambda: parity_of("dropout")),
    ("dropout", dropout_the_other_half, lambda: parity_of("dropout")),
    ("dropout", dropout_forgets_the_step, lambda: parity_of("dropout")),
    ("dropout_backward", dropout_backward_of_another_step, lambda: gradients_of("dropout")),
    ("dropout2d", dropout2d_by_elements, lambda: parity_of("dropout2d")),
    ("cross_entropy", cross_entropy_mean_counts_the_ignored, lambda: parity_of("cross_entropy")),
    ("cross_entropy", cross_entropy_weighs_smoothing_by_the_label, lambda: parity_of("cross_entropy")),
    ("nll_loss_backward", nll_loss_backward_of_the_ignored, lambda: gradients_of("nll_loss")),
    ("huber_loss", huber_loss_of_smooth_l1, lambda: parity_of("huber_loss")),
    ("binary_cross_entropy", binary_cross_entropy_log_of_one_minus, lambda: parity_of("binary_cross_entropy")),
    ("binary_cross_entropy", binary_cross_entropy_not_clamped, lambda: parity_of("binary_cross_entropy")),
    (WITH_LOGITS, logits_pos_weight_of_all, lambda: parity_of(WITH_LOGITS)),
    ("kl_div", kl_div_batchmean_is_mean, lambda: parity_of("kl_div")),
    ("mse_loss", mse_loss_always_mean, lambda: parity_of("mse_loss")),
    ("mse_loss", mse_loss_in_single_precision, lambda: parity_of("mse_loss")),
    ("mse_loss_backward", mse_loss_backward_without_two, lambda: gradients_of("mse_loss")),
    ("sgd_step", sgd_decay_after_momentum, lambda: parity_of("sgd_step")),
    ("sgd_step", sgd_ignores_nesterov, lambda: parity_of("sgd_step")),
    ("sgd_step", sgd_dampens_the_momentum, lambda: parity_of("sgd_step")),
    ("adam_step", adam_without_bias_correction, lambda: parity_of("adam_step")),
    ("adam_step", adam_counts_steps_from_zero, lambda: parity_of("adam_step")),
    ("adam_step", adam_decay_never_decoupled, lambda: parity_of("adam_step")),
    ("adam_step", adam_decay_after_the_step, lambda: parity_of("adam_step")),
    ("adam_step", adam_forgets_the_largest, lambda: parity_of("adam_step")),
    ("nadam_step", nadam_with_one_momentum, lambda: parity_of("nadam_step")),
    ("rmsprop_step", rmsprop_never_centered, lambda: parity_of("rmsprop_step")),
    ("rmsprop_step", rmsprop_momentum_of_the_rate, lambda: parity_of("rmsprop_step")),
    ("adagrad_step", adagrad_decays_from_the_first_step, lambda: parity_of("adagrad_step")),
    ("clip_grad_norm_", clip_norm_amplifies, lambda: parity_of("clip_grad_norm_")),
    ("clip_grad_norm_", clip_norm_always_of_squares, lambda: parity_of("clip_grad_norm_")),
    ("clip_grad_value_", clip_value_loses_nan, lambda: parity_of("clip_grad_value_")),
]


@pytest.mark.parametrize(
    ("name", "mutant", "check"),
    [pytest.param(*row, id=f"{row[1].__name__}-{i}") for i, row in enumerate(MUTANTS)],
)
def test_mutant_of_the_kernel_is_noticed(name, mutant, check, monkeypatch):
    monkeypatch.setattr(fnn.functional, name, mutant)
    with pytest.raises(AssertionError, match=r"\["):  # the case's name
        check()


@pytest.mark.parametrize(
    ("name", "mutant"),
    [pytest.param(*pair, id=pair[1].__name__) for pair in dict.fromkeys(row[:2] for row in MUTANTS)],
)
def test_mutant_of_the_reference_is_noticed(name, mutant, monkeypatch):
    """A wrong twin does not pass for the truth either: the kernel disagrees with it."""
    monkeypatch.setattr(fnn.reference, name, mutant)
    with pytest.raises(AssertionError, match=r"\["):
        parity_of(name)


def test_gradient_to_every_tied_maximum_is_noticed(monkeypatch):
    monkeypatch.setattr(fnn.functional, "max_pool2d", every_tie.max_pool2d)
    monkeypatch.setattr(fnn.functional, "max_pool2d_backward", every_tie.max_pool2d_backward)
    for case in cases_of("max_pool2d"):
        if case.label == "2x2":
            check_gradient(case)  # distinct inputs: nothing to see, which is why ties have a check of their own
    with pytest.raises(AssertionError, match=r"\["):
        ties()
