"""The layers of CS231n: against short NumPy versions with the course's tolerances, and numeric gradients."""

import numpy as np
import pytest

from fastnn.interop import cs231n as c

RNG = np.random.default_rng(231)


def rel_error(a, b):
    """The course's own."""
    return np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b)))


def numeric_gradient(f, x, dout, h=1e-5):
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        up = np.sum(f() * dout)
        x[place] = kept - h
        down = np.sum(f() * dout)
        x[place] = kept
        grad[place] = (up - down) / (2 * h)
    return grad


def check_gradients(forward, backward, arrays, *params, tolerance=1e-6):
    """All gradients of a layer against differences."""
    out, cache = forward(*arrays, *params)
    dout = RNG.standard_normal(out.shape)
    grads = backward(dout, cache)
    for x, grad in zip(arrays, grads if isinstance(grads, tuple) else (grads,), strict=True):
        assert grad.shape == x.shape
        assert grad.dtype == np.float64
        expected = numeric_gradient(lambda: forward(*arrays, *params)[0], x, dout)
        np.testing.assert_allclose(grad, expected, rtol=tolerance, atol=tolerance)


def normal(*shape):
    return RNG.standard_normal(shape)


def naive_conv(x, w, b, stride, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    fh, fw = w.shape[2:]
    out = np.zeros((len(x), len(w), (x.shape[2] - fh) // stride + 1, (x.shape[3] - fw) // stride + 1))
    for n, f, i, j in np.ndindex(out.shape):
        window = x[n, :, i * stride : i * stride + fh, j * stride : j * stride + fw]
        out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out


def naive_pool(x, height, width, stride):
    out = np.zeros((*x.shape[:2], (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1))
    for n, k, i, j in np.ndindex(out.shape):
        out[n, k, i, j] = x[n, k, i * stride : i * stride + height, j * stride : j * stride + width].max()
    return out


NAMES = ("naive", "fast", "im2col", "strides")
CONV = [(1, 1), (2, 1), (3, 0)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stride", "pad"), CONV)
def test_convolution(name, stride, pad):
    forward, backward = getattr(c, f"conv_forward_{name}"), getattr(c, f"conv_backward_{name}")
    x, w, b, param = normal(2, 3, 5, 7), normal(4, 3, 3, 3), normal(4), {"stride": stride, "pad": pad}
    assert rel_error(forward(x, w, b, param)[0], naive_conv(x, w, b, stride, pad)) < 1e-8
    if name == "naive":
        check_gradients(forward, backward, (x, w, b), param)
    else:
        dout = normal(*forward(x, w, b, param)[0].shape)
        naive = c.conv_backward_naive(dout, c.conv_forward_naive(x, w, b, param)[1])
        for got, expected in zip(backward(dout, forward(x, w, b, param)[1]), naive, strict=True):
            assert rel_error(got, expected) < 1e-8


@pytest.mark.parametrize("name", ["naive", "fast", "reshape", "im2col"])
@pytest.mark.parametrize("window", [(2, 2, 2), (3, 2, 1)])
def test_max_pooling(name, window):
    forward, backward = getattr(c, f"max_pool_forward_{name}"), getattr(c, f"max_pool_backward_{name}")
    x, param = normal(2, 3, 4, 6), dict(zip(("pool_height", "pool_width", "stride"), window, strict=True))
    assert rel_error(forward(x, param)[0], naive_pool(x, *window)) < 1e-12
    check_gradients(forward, backward, (x,), param)


def test_affine_and_relu():
    x, w, b = normal(4, 2, 3), normal(6, 5), normal(5)
    out, cache = c.affine_forward(x, w, b)
    np.testing.assert_allclose(out, x.reshape(4, 6) @ w + b, rtol=1e-12, atol=1e-12)
    assert cache[0] is x
    check_gradients(c.affine_forward, c.affine_backward, (x, w, b))
    np.testing.assert_array_equal(c.relu_forward(x)[0], np.maximum(x, 0))
    check_gradients(c.relu_forward, c.relu_backward, (x,))


def test_losses():
    x, y = normal(6, 4), RNG.integers(0, 4, 6)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    loss, dx = c.softmax_loss(x, y)
    assert abs(loss + np.log(p[np.arange(6), y]).mean()) < 1e-12
    np.testing.assert_allclose(dx, (p - np.eye(4)[y]) / 6, rtol=1e-12, atol=1e-14)
    loss, dx = c.svm_loss(x, y)
    expected = sum(max(0, x[i, j] - x[i, y[i]] + 1) for i in range(6) for j in range(4) if j != y[i]) / 6
    assert abs(loss - expected) < 1e-12
    np.testing.assert_allclose(dx, numeric_gradient(lambda: c.svm_loss(x, y)[0], x, 1.0), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("spatial", [False, True])
def test_batch_normalisation(spatial):
    forward, backward = (
        (c.spatial_batchnorm_forward, c.spatial_batchnorm_backward)
        if spatial
        else (c.batchnorm_forward, c.batchnorm_backward)
    )
    shape, axes = ((3, 4, 5, 2), (0, 2, 3)) if spatial else ((7, 4), (0,))
    gamma, beta, param = normal(4), normal(4), {"mode": "train", "momentum": 0.8}
    by_channel = (1, 4, 1, 1) if spatial else (1, 4)
    mean, var = np.zeros(4), np.zeros(4)
    for _ in range(3):
        x = normal(*shape) * 2 + 3
        out, _ = forward(x, gamma, beta, param)
        m, v = x.mean(axis=axes), x.var(axis=axes)
        mean, var = 0.8 * mean + 0.2 * m, 0.8 * var + 0.2 * v
        h = (x - m.reshape(by_channel)) / np.sqrt(v.reshape(by_channel) + 1e-5)
        assert rel_error(out, h * gamma.reshape(by_channel) + beta.reshape(by_channel)) < 1e-8
        np.testing.assert_allclose(param["running_mean"], mean, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(param["running_var"], var, rtol=1e-11)
    check_gradients(forward, backward, (x, gamma, beta), {"mode": "train"}, tolerance=1e-5)
    test = {**param, "mode": "test"}
    h = (x - mean.reshape(by_channel)) / np.sqrt(var.reshape(by_channel) + 1e-5)
    assert rel_error(forward(x, gamma, beta, test)[0], h * gamma.reshape(by_channel) + beta.reshape(by_channel)) < 1e-8
    np.testing.assert_array_equal(test["running_mean"], param["running_mean"])
    with pytest.raises(ValueError, match="mode 'eval'"):
        forward(x, gamma, beta, {"mode": "eval"})


def test_other_normalisation():
    x, gamma, beta = normal(4, 5), normal(5), normal(5)
    h = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    assert rel_error(c.layernorm_forward(x, gamma, beta, {})[0], h * gamma + beta) < 1e-8
    check_gradients(c.layernorm_forward, c.layernorm_backward, (x, gamma, beta), {}, tolerance=1e-5)
    x, gamma, beta = normal(2, 6, 3, 2), normal(1, 6, 1, 1), normal(1, 6, 1, 1)
    g = x.reshape(2, 3, -1)
    h = ((g - g.mean(axis=2, keepdims=True)) / np.sqrt(g.var(axis=2, keepdims=True) + 1e-5)).reshape(x.shape)
    assert rel_error(c.spatial_groupnorm_forward(x, gamma, beta, 3, {})[0], h * gamma + beta) < 1e-8
    check_gradients(c.spatial_groupnorm_forward, c.spatial_groupnorm_backward, (x, gamma, beta), 3, {}, tolerance=1e-5)


def test_dropout():
    x, param = normal(50, 40) + 10, {"mode": "train", "p": 0.7, "seed": 3}
    out, cache = c.dropout_forward(x, param)
    np.random.seed(3)  # noqa: NPY002
    mask = (np.random.rand(50, 40) < 0.7) / 0.7  # noqa: NPY002
    np.testing.assert_array_equal(out, x * mask)
    np.testing.assert_array_equal(c.dropout_backward(x, cache), x * mask)
    out, cache = c.dropout_forward(x, {"mode": "test", "p": 0.7})
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(c.dropout_backward(x, cache), x)


CONV_PARAM, POOL_PARAM = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}
TRAIN = {"mode": "train"}


@pytest.mark.parametrize(
    ("name", "shapes", "params"),
    [
        ("affine_relu", [(3, 2, 2), (4, 5), (5,)], ()),
        ("affine_bn_relu", [(4, 2, 2), (4, 5), (5,), (5,), (5,)], (TRAIN,)),
        ("conv_relu", [(2, 2, 4, 4), (3, 2, 3, 3), (3,)], (CONV_PARAM,)),
        ("conv_bn_relu", [(2, 2, 4, 4), (3, 2, 3, 3), (3,), (3,), (3,)], (CONV_PARAM, TRAIN)),
        ("conv_relu_pool", [(2, 2, 4, 4), (3, 2, 3, 3), (3,)], (CONV_PARAM, POOL_PARAM)),
    ],
)
def test_sandwiches(name, shapes, params):
    forward, backward = getattr(c, f"{name}_forward"), getattr(c, f"{name}_backward")
    params = [dict(param) for param in params]  # batch normalisation writes to its own
    check_gradients(forward, backward, [normal(*shape) for shape in shapes], *params, tolerance=1e-5)


@pytest.mark.parametrize(("padding", "stride"), [(1, 1), (0, 2)])
def test_im2col(padding, stride):
    x = normal(2, 3, 5, 7)
    k, i, j = c.get_im2col_indices(x.shape, 3, 3, padding, stride)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    expected = padded[:, k, i, j].transpose(1, 2, 0).reshape(27, -1)
    cols = c.im2col_indices(x, 3, 3, padding, stride)
    np.testing.assert_array_equal(cols, expected)
    back = np.zeros_like(padded)
    np.add.at(back, (slice(None), k, i, j), cols.reshape(27, -1, 2).transpose(2, 0, 1))
    inside = back[:, :, padding : padding + 5, padding : padding + 7]
    np.testing.assert_allclose(c.col2im_indices(cols, x.shape, 3, 3, padding, stride), inside, rtol=1e-14)


def test_update_rules():
    w, dw, v = (np.linspace(-a, a, 6).reshape(2, 3) for a in (0.4, 0.6, 0.9))
    same, config = c.sgd(w.copy(), dw)
    np.testing.assert_allclose(same, w - 0.01 * dw)
    assert config == {"learning_rate": 1e-2}
    given = {"learning_rate": 1e-3, "velocity": v}
    moved, config = c.sgd_momentum(w, dw, given)
    assert config is given
    np.testing.assert_allclose(config["velocity"], 0.9 * v - 1e-3 * dw)
    np.testing.assert_allclose(moved, w + 0.9 * v - 1e-3 * dw)
    moved, config = c.rmsprop(w, dw, {"cache": v + 1})
    cache = 0.99 * (v + 1) + 0.01 * dw**2
    np.testing.assert_allclose(config["cache"], cache)
    np.testing.assert_allclose(moved, w - 0.01 * dw / (np.sqrt(cache) + 1e-8))
    moved, config = c.adam(w, dw, {"m": v, "v": v + 1, "t": 5})
    m, second = 0.9 * v + 0.1 * dw, 0.999 * (v + 1) + 0.001 * dw**2
    assert config["t"] == 6
    step = m / (1 - 0.9**6) / (np.sqrt(second / (1 - 0.999**6)) + 1e-8)
    np.testing.assert_allclose(moved, w - 1e-3 * step)
    for rule in (c.sgd, c.sgd_momentum, c.rmsprop, c.adam):  # two steps from nothing
        following, config = rule(w.copy(), dw)
        following, config = rule(following, dw, config)
        assert np.all((following - w) * dw <= 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.uint8])
def test_any_dtype_is_computed_in_float64(dtype):
    x, w, b = (
        np.arange(n).reshape(shape).astype(dtype) for n, shape in ((32, (2, 1, 4, 4)), (9, (1, 1, 3, 3)), (1, 1))
    )
    wide = [a.astype(np.float64) for a in (x, w, b)]
    out, cache = c.conv_relu_pool_forward(x, w, b, CONV_PARAM, POOL_PARAM)
    expected, wide_cache = c.conv_relu_pool_forward(*wide, CONV_PARAM, POOL_PARAM)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, expected)
    dout = np.ones(out.shape, dtype)
    for got, want in zip(
        c.conv_relu_pool_backward(dout, cache), c.conv_relu_pool_backward(dout, wide_cache), strict=True
    ):
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, want)
    assert c.relu_forward(x)[0].dtype == np.float64
    loss, dx = c.softmax_loss(x.reshape(8, 4), np.zeros(8, np.uint8))
    assert type(loss) is float
    assert dx.dtype == np.float64


def test_a_star_gives_the_course_all_its_names():
    names = {}
    exec("from fastnn.interop.cs231n import *", names)
    assert set(c.__all__) <= set(names)
    assert all(callable(names[name]) for name in c.__all__)
