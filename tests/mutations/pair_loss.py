"""Known bugs of a family: Losses of pairs."""

import numpy as np

from mutations._base import R, mutant


@mutant("mse_loss")
def mse_loss_always_mean(x, target, *, reduction="mean"):
    return R["mse_loss"](x, target, reduction="mean" if reduction == "sum" and x.size else reduction)


@mutant("mse_loss")
def mse_loss_in_single_precision(x, target, *, reduction="mean"):
    return R["mse_loss"](x.astype(np.float32), target.astype(np.float32), reduction=reduction)


@mutant("mse_loss_backward", gradients_of="mse_loss")
def mse_loss_backward_without_two(x, target, *, reduction="mean", dloss=1.0):
    return R["mse_loss_backward"](x, target, reduction=reduction, dloss=np.multiply(dloss, 0.5))


@mutant("huber_loss")
def huber_loss_of_smooth_l1(x, target, *, delta=1.0, **options):
    return R["smooth_l1_loss"](x, target, beta=delta, **options)


@mutant("binary_cross_entropy")
def binary_cross_entropy_log_of_one_minus(x, target, *, weight=None, reduction="mean"):
    """log(1 - x) loses what the rounding of 1 - x loses."""
    no, yes = np.maximum(np.log(1 - x), -100), np.maximum(np.log(x), -100)
    losses = ((target - 1) * no - target * yes) * (1 if weight is None else weight)
    count = max(x.size, 1) if reduction == "mean" else 1
    return losses if reduction == "none" else float(losses.sum(dtype=np.float64)) / count


@mutant("binary_cross_entropy")
def binary_cross_entropy_not_clamped(x, target, *, weight=None, reduction="mean"):
    losses = (target - 1) * np.log1p(-x) - target * np.log(x)
    losses = losses * (1 if weight is None else weight)
    return losses if reduction == "none" else float(losses.sum(dtype=np.float64)) / max(x.size, 1)


@mutant("binary_cross_entropy_with_logits")
def logits_pos_weight_of_all(x, target, *, weight=None, pos_weight=None, **options):
    both = weight if pos_weight is None else pos_weight if weight is None else weight * pos_weight
    return R["binary_cross_entropy_with_logits"](x, target, weight=both, **options)


@mutant("kl_div")
def kl_div_batchmean_is_mean(x, target, *, reduction="mean", **options):
    return R["kl_div"](x, target, reduction="mean" if reduction == "batchmean" else reduction, **options)
