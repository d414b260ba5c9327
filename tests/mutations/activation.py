"""Known bugs of a family: Activations."""

import numpy as np

from mutations._base import R, mutant


@mutant("relu")
def relu_drops_nan(x):
    return np.where(x > 0, x, np.zeros((), x.dtype))


@mutant("relu_backward")
def relu_backward_at_zero(dy, y):
    return np.where(y >= 0, dy, np.zeros((), dy.dtype))


@mutant("sigmoid")
def sigmoid_overflows(x):
    e = np.exp(x)
    return e / (1 + e)


@mutant("tanh")
def tanh_cancels_near_zero(x):
    e = np.exp(-2 * np.abs(x))
    return np.copysign((1 - e) / (1 + e), x)


@mutant("leaky_relu")
def leaky_relu_of_the_size(x, negative_slope=0.01):
    return np.where(x > 0, x, np.abs(x) * x.dtype.type(negative_slope))


@mutant("elu")
def elu_cancels_near_zero(x, alpha=1.0):
    return np.where(x > 0, x, x.dtype.type(alpha) * (np.exp(np.minimum(x, 0)) - 1))


@mutant("gelu")
def gelu_always_exact(x, *, approximate="none"):
    return R["gelu"](x)


@mutant("gelu")
def gelu_always_tanh(x, *, approximate="none"):
    return R["gelu"](x, approximate="tanh")


@mutant("gelu_backward", gradients_of="gelu")
def gelu_backward_without_density(dy, x, *, approximate="none"):
    return dy * (R["gelu"](x, approximate=approximate) / np.where(x == 0, 1, x))


@mutant("softplus")
def softplus_overflows(x, beta=1.0, threshold=20.0):
    z = x * x.dtype.type(beta)
    return np.log1p(np.exp(z)) / x.dtype.type(beta)


@mutant("softplus")
def softplus_forgets_beta(x, beta=1.0, threshold=20.0):
    return R["softplus"](x * x.dtype.type(beta), 1.0, threshold)


@mutant("hardtanh")
def hardtanh_drops_nan(x, min_val=-1.0, max_val=1.0):
    return np.fmin(np.fmax(x, min_val), max_val).astype(x.dtype)


@mutant("prelu")
def prelu_of_the_last_axis(x, w):
    return np.where(x > 0, x, x * w) if w.size == x.shape[-1:] else R["prelu"](x, np.roll(w, 1))


@mutant("prelu_backward", gradients_of="prelu")
def prelu_backward_of_all_elements(dy, x, w, *, needs=("dx", "dw")):
    """The gradient of the slopes from where x is positive too."""
    dx, dw = R["prelu_backward"](dy, x, w, needs=needs)
    axes = tuple(i for i in range(x.ndim) if i != 1 or w.size == 1)
    return dx, None if dw is None else (dy * x).sum(axes).reshape(w.shape)
