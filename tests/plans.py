"""What the tests of plans share: networks, inputs, and their layers called one by one."""

import numpy as np

import fastnn as fnn
from fastnn import functional
from networks import normal


def one_by_one(net, x):
    """What the layers give, called one after the other as anybody could."""
    if isinstance(net, fnn.Residual):
        return functional.add(one_by_one(net.body, x), one_by_one(net.shortcut, x) if net.shortcut else x)
    if isinstance(net, fnn.Concat):
        return functional.cat([one_by_one(branch, x) for branch in net], net.dim)
    if isinstance(net, fnn.Linear):
        return linear_with_kept_weights(net, x)
    if not isinstance(net, fnn.Sequential):
        return net.forward(x)
    for layer in net:
        x = one_by_one(layer, x)
    return x


def linear_with_kept_weights(layer, x):
    """What a plan of this layer alone gives: its weights are packed before, so another way may be the faster one."""
    planned, plain = fnn.Sequential(layer).eval()(x), layer.forward(x)
    finite = np.isfinite(plain)
    np.testing.assert_array_equal(planned[~finite], plain[~finite])
    with np.errstate(invalid="ignore"):
        terms = np.abs(x) @ np.abs(layer.weight.data.T) + (0 if layer.bias is None else np.abs(layer.bias.data))
        error = np.abs(planned - plain)
    assert np.all((error <= 2 * (layer.in_features + 1) * np.finfo(x.dtype).eps * terms)[finite])
    return planned


def assert_same(net, x, why=""):
    got, expected = net(x), one_by_one(net, x)
    assert got.shape == expected.shape, why
    assert got.dtype == expected.dtype, why
    assert got.tobytes() == expected.tobytes(), why


def lenet(dtype=np.float32):
    fnn.manual_seed(0)
    return fnn.Sequential(
        fnn.Conv2d(1, 6, 5, dtype=dtype), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Sequential(fnn.Conv2d(6, 16, 3, padding=1, dtype=dtype), fnn.Tanh(), fnn.AvgPool2d(2)),
        fnn.Flatten(), fnn.Linear(64, 70, dtype=dtype), fnn.ReLU(), fnn.Linear(70, 10, dtype=dtype),
    ).eval()  # fmt: skip


def x_of(n, seed=0, dtype=np.float32):
    return normal(n, 1, 12, 12, seed=seed, dtype=dtype)
