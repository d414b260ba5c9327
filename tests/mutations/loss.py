"""Known bugs of a family: Losses of classes."""

import numpy as np

from mutations._base import R, mutant


@mutant("cross_entropy")
def cross_entropy_always_mean(x, target, *, reduction="mean", **options):
    return R["cross_entropy"](x, target, reduction="mean" if reduction == "sum" and len(x) else reduction, **options)


@mutant("cross_entropy")
def cross_entropy_mean_counts_the_ignored(x, target, *, reduction="mean", **options):
    if reduction != "mean" or target.ndim == x.ndim:
        return R["cross_entropy"](x, target, reduction=reduction, **options)
    return R["cross_entropy"](x, target, reduction="sum", **options) / target.size


@mutant("cross_entropy")
def cross_entropy_weighs_smoothing_by_the_label(x, target, *, label_smoothing=0.0, weight=None, **options):
    if weight is None or target.ndim == x.ndim or not label_smoothing:
        return R["cross_entropy"](x, target, label_smoothing=label_smoothing, weight=weight, **options)
    even = R["cross_entropy"](x, np.full_like(x, 1 / x.shape[1]), **options)
    own = R["cross_entropy"](x, target, weight=weight, **options)
    return (1 - label_smoothing) * own + label_smoothing * even


@mutant("cross_entropy_backward", gradients_of="cross_entropy")
def cross_entropy_backward_ignores_dloss(x, target, *, dloss=1.0, **options):
    return R["cross_entropy_backward"](x, target, **options)


@mutant("cross_entropy_backward", gradients_of="cross_entropy")
def cross_entropy_backward_assumes_unit_sum(x, target, *, reduction="mean", **options):
    """Softmax minus target, forgetting the mean's division."""
    return R["cross_entropy_backward"](x, target, reduction="sum" if reduction == "mean" else reduction, **options)


@mutant("nll_loss_backward", gradients_of="nll_loss")
def nll_loss_backward_of_the_ignored(x, target, *, ignore_index=-100, **options):
    return R["nll_loss_backward"](x, np.where(target == ignore_index, 0, target), ignore_index=ignore_index, **options)
