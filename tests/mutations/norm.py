"""Known bugs of a family: Batch normalisation."""

from mutations._base import R, mutant


@mutant("batch_norm")
def batch_norm_mean_of_squares(x, running_mean=None, running_var=None, w=None, b=None, **options):
    """The variance as the mean of squares less the square of the mean: it cancels."""
    return batch_norm_of_variance(lambda v, axes: (v * v).mean(axes) - v.mean(axes) ** 2, x, running_mean, running_var,
                                  w, b, **options)  # fmt: skip


@mutant("batch_norm")
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


@mutant("batch_norm")
def batch_norm_running_biased(x, running_mean=None, running_var=None, *others, training=False, momentum=0.1, **options):
    before = None if running_var is None else running_var.copy()
    result = R["batch_norm"](x, running_mean, running_var, *others, training=training, momentum=momentum, **options)
    if training and running_var is not None and x.size:
        axes = (0, *range(2, x.ndim))
        running_var[...] = (1 - momentum) * before + momentum * x.var(axes)
    return result


@mutant("batch_norm_backward", gradients_of="batch_norm")
def batch_norm_backward_of_constants(dy, x, w, mean, invstd, *, training=True, **options):
    """Mean and variance as if they did not depend on x."""
    return R["batch_norm_backward"](dy, x, w, mean, invstd, training=False, **options)


@mutant("batch_norm_backward", gradients_of="batch_norm")
def batch_norm_backward_past_the_relu(dy, x, w, mean, invstd, *, y=None, **options):
    return R["batch_norm_backward"](dy, x, w, mean, invstd, **options)
