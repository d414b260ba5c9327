"""Sums of very many equal terms: in one float32 accumulator they lose three digits, and no random data shows it.

Every sum that is no product of matrices is right to 1e-6, whatever its length, on every tier; products to 1e-4.
"""

import numpy as np
import pytest

import fastnn as fnn

F = fnn.functional
TENTH = np.float32(0.1)
VALUE = float(TENTH)
MILLION = 1 << 20
SUMS = 1e-6
PRODUCTS = 1e-4


def tenths(*shape):
    return np.full(shape, TENTH)


def zeros(*shape):
    return np.zeros(shape, np.float32)


def two_values(n):
    """Values of a normalisation whose sums, of squares too, are of equal terms by turns, and what they become."""
    x = np.where(np.arange(n) % 2, np.float32(0.3), -TENTH)
    wide = x.astype(np.float64)
    return x, (wide - wide.mean()) / wide.std()


IMAGE = (1, 1, 1024, 1024)
AVERAGES = {
    "adaptive, one": lambda: F.adaptive_avg_pool2d(tenths(*IMAGE), 1),
    "adaptive, rows": lambda: F.adaptive_avg_pool2d(tenths(*IMAGE), (3, 1)),
    "adaptive, columns": lambda: F.adaptive_avg_pool2d(tenths(*IMAGE), (1, 3)),
    "adaptive, both": lambda: F.adaptive_avg_pool2d(tenths(*IMAGE), 3),
    "windows": lambda: F.avg_pool2d(tenths(*IMAGE), 512, stride=100),
    "wide windows": lambda: F.avg_pool2d(tenths(1, 1, 300, 5000), (300, 2000)),
    "many windows": lambda: F.avg_pool2d(tenths(1, 1, 300, 2600), (300, 800), stride=(1, 50)),
    "a column": lambda: F.avg_pool2d(tenths(1, 1, MILLION, 1), (MILLION, 1)),
    "a row": lambda: F.avg_pool1d(tenths(1, 1, MILLION), MILLION),
    "rows": lambda: F.avg_pool1d(tenths(1, 1, MILLION), MILLION // 2, stride=1 << 17),
    "windows, backward": lambda: F.avg_pool2d_backward(tenths(1, 1, 401, 401), 800, 400, stride=1)[..., 400, 400],
    "l1_loss": lambda: F.l1_loss(tenths(MILLION), zeros(MILLION)),
    "nll_loss": lambda: F.nll_loss(-tenths(MILLION, 1), np.zeros(MILLION, np.int64)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_an_average_of_equal_numbers_is_that_number(name):
    np.testing.assert_allclose(AVERAGES[name](), VALUE, rtol=SUMS)


# not those that loop in Python over a million places of a window
@pytest.mark.parametrize("name", [name for name in AVERAGES if "adaptive" in name or "loss" in name])
def test_so_it_is_by_the_reference(name):
    with fnn.implementation("reference"):
        np.testing.assert_allclose(AVERAGES[name](), VALUE, rtol=SUMS)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_an_average_of_some_thousand(implementation):
    with fnn.implementation(implementation):
        np.testing.assert_allclose(F.avg_pool2d(tenths(1, 1, 70, 70), 64, stride=3), VALUE, rtol=SUMS)
        dx = F.avg_pool2d_backward(tenths(1, 1, 31, 31), 61, 31, stride=1)
        np.testing.assert_allclose(dx[..., 30, 30], VALUE, rtol=SUMS)


# x, w, padding: each is one way of the weight gradient, which sums the bias on its way
CONVOLUTIONS = (
    ((1, 1, 1024, 1024), (1, 1, 3, 3), 1),
    ((4, 3, 512, 512), (8, 3, 3, 3), 1),
    ((4, 64, 128, 128), (32, 64, 5, 5), 2),
    ((2048, 16, 16, 16), (16, 16, 3, 3), 1),
    ((4096, 40, 8, 8), (40, 40, 1, 1), 0),
)


@pytest.mark.parametrize("needs", [("db",), ("dw", "db"), ("dx", "dw", "db")], ids=len)
@pytest.mark.parametrize(("x", "w", "padding"), CONVOLUTIONS, ids=str)
def test_the_bias_of_a_convolution(x, w, padding, needs):
    dy = tenths(x[0], w[0], *x[2:])
    db = F.conv2d_backward(dy, zeros(*x), zeros(*w), padding=padding, needs=needs)[2]
    np.testing.assert_allclose(db, VALUE * dy.size / w[0], rtol=SUMS)


@pytest.mark.parametrize(("x", "w", "padding"), CONVOLUTIONS, ids=str)
def test_the_weights_of_a_convolution(x, w, padding):
    dy = tenths(x[0], w[0], *x[2:])
    dw = F.conv2d_backward(dy, tenths(*x), zeros(*w), padding=padding, needs=("dw",))[1]
    np.testing.assert_allclose(dw[..., w[2] // 2, w[3] // 2], VALUE**2 * dy.size / w[0], rtol=PRODUCTS)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
@pytest.mark.parametrize(("rows", "outputs"), [(MILLION, 2), (100_000, 40), (3000, 300)])
def test_the_bias_of_a_linear_layer(rows, outputs, implementation):
    with fnn.implementation(implementation):
        db = F.linear_backward(tenths(rows, outputs), zeros(rows, 1), zeros(outputs, 1), needs=("db",))[2]
        np.testing.assert_allclose(db, VALUE * rows, rtol=SUMS)


def test_the_bias_of_a_transposed_convolution():
    x, w = zeros(1, 3, 1024, 1024), zeros(3, 2, 1, 1)
    db = F.conv_transpose2d_backward(tenths(1, 2, 1024, 1024), x, w, needs=("dw", "db"))[2]
    np.testing.assert_allclose(db, VALUE * MILLION, rtol=SUMS)


PRODUCT_SHAPES = ((1, MILLION, 1), (1, MILLION // 8, 1500), (3, MILLION, 4), (64, MILLION // 16, 64))


@pytest.mark.parametrize(("m", "k", "n"), PRODUCT_SHAPES)
def test_products(m, k, n):
    right = VALUE**2 * k
    np.testing.assert_allclose(F.matmul(tenths(m, k), tenths(k, n)), right, rtol=PRODUCTS)
    np.testing.assert_allclose(F.linear(tenths(m, k), tenths(n, k)), right, rtol=PRODUCTS)
    np.testing.assert_allclose(
        F.linear_backward(tenths(k, m), tenths(k, n), zeros(m, n), needs=("dw",))[1], right, rtol=PRODUCTS
    )


# rows of elements of one channel: planes, columns, and what is in between
@pytest.mark.parametrize("implementation", ["kernels", "reference"])
@pytest.mark.parametrize("shape", [(1, 2, MILLION), (MILLION, 2, 1), (1000, 2, 1000), (20000, 3, 50)], ids=str)
def test_normalisation_over_channels(shape, implementation):
    N, C, P = shape
    values, right = two_values(N * P)
    x = np.ascontiguousarray(np.broadcast_to(values.reshape(N, 1, P), shape))
    dy = np.where(x > 0, TENTH, np.float32(0))
    running = zeros(C), zeros(C)
    with fnn.implementation(implementation):
        y, mean, invstd = F.batch_norm(x, *running, training=True, momentum=1.0, eps=0.0, return_statistics=True)
        dx, dw, db = F.batch_norm_backward(dy, x, None, mean, invstd)
    np.testing.assert_allclose(y, np.broadcast_to(right.reshape(N, 1, P), shape), rtol=SUMS)
    np.testing.assert_allclose(running[1], values.astype(np.float64).var(ddof=1), rtol=SUMS)
    np.testing.assert_allclose(db, VALUE * (N * P // 2), rtol=SUMS)
    np.testing.assert_allclose(dw, VALUE * right[1] * (N * P // 2), rtol=SUMS)
    np.testing.assert_allclose(dx, 0, atol=2e-6)  # of two values, all is explained by mean and scale


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_normalisation_of_a_long_row(implementation):
    x, right = two_values(MILLION)
    w = np.where(x > 0, np.float32(2), np.float32(1))
    h = np.where(x > 0, right[1], right[0])
    with fnn.implementation(implementation):
        y, mean, invstd = F.layer_norm(x[None], MILLION, eps=0.0, return_statistics=True)
        np.testing.assert_allclose(y[0], right, rtol=SUMS)
        dx = F.layer_norm_backward(tenths(1, MILLION), x[None], MILLION, w, mean, invstd)[0]
        np.testing.assert_allclose(dx, 0, atol=2e-6)
        y, mean, invstd = F.instance_norm(x[None, None], eps=0.0, return_statistics=True)
        np.testing.assert_allclose(y[0, 0], right, rtol=SUMS)
        dy = np.where(x > 0, TENTH, np.float32(0))[None, None]
        _, dw, db = F.instance_norm_backward(dy, x[None, None], None, mean, invstd)
    np.testing.assert_allclose(db, VALUE * (MILLION // 2), rtol=SUMS)
    np.testing.assert_allclose(dw, (h * (x > 0)).sum() * VALUE, rtol=SUMS)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
@pytest.mark.parametrize(("rows", "width"), [(1 << 18, 3), (1 << 16, 40), (9000, 300)])
def test_the_weights_of_normalised_rows(rows, width, implementation):
    x, right = two_values(width)
    x, dy = np.broadcast_to(x, (rows, width)).copy(), tenths(rows, width)
    with fnn.implementation(implementation):
        _, mean, invstd = F.layer_norm(x, width, eps=0.0, return_statistics=True)
        _, dw, db = F.layer_norm_backward(dy, x, width, None, mean, invstd)
    np.testing.assert_allclose(db, VALUE * rows, rtol=SUMS)
    np.testing.assert_allclose(dw, VALUE * rows * right, rtol=SUMS)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
@pytest.mark.parametrize("K", [600, 50_000, MILLION])
def test_many_classes(K, implementation):
    x = zeros(2, K)
    x[:, 0] = 2.3
    wide = x[0].astype(np.float64)
    log_p = wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())
    p, labels = np.exp(log_p), np.array([0, 1])
    close = {"rtol": SUMS}
    with fnn.implementation(implementation):
        np.testing.assert_allclose(F.softmax(x)[1], p, **close)
        np.testing.assert_allclose(F.log_softmax(x)[1], log_p, **close)
        np.testing.assert_allclose(F.cross_entropy(x, labels, reduction="none"), -log_p[:2], **close)
        smooth = F.cross_entropy(x, labels, reduction="none", label_smoothing=0.3)
        np.testing.assert_allclose(smooth, -0.7 * log_p[:2] - 0.3 * log_p.mean(), **close)
        even = np.full((2, K), 1 / K, np.float32)
        np.testing.assert_allclose(F.cross_entropy(x, even), -(even[0] * log_p).sum(), **close)
        slopes = F.cross_entropy_backward(x, labels, reduction="sum")
        np.testing.assert_allclose(slopes[0, 1:], p[1:], **close)
        # of equal gradients nothing is left
        assert np.abs(F.softmax_backward(tenths(2, K), F.softmax(x)) / p).max() < SUMS
        right = VALUE - p * VALUE * K
        slopes = F.log_softmax_backward(tenths(2, K), F.log_softmax(x))[0]
        np.testing.assert_allclose(slopes, right, rtol=SUMS, atol=SUMS * VALUE)
        pictures = np.ascontiguousarray(np.repeat(x[:1, :, None], 5, axis=2))
        losses = F.cross_entropy(pictures, np.zeros((1, 5), np.int64), reduction="none")
        np.testing.assert_allclose(losses, -log_p[0], **close)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
@pytest.mark.parametrize("shape", [(1, 1, MILLION), (MILLION, 1), (4, 3, 100_000), (100_000, 3, 2)], ids=str)
def test_the_slopes_of_a_prelu(shape, implementation):
    ones = np.ones(shape, np.float32)
    with fnn.implementation(implementation):
        dw = F.prelu_backward(ones, -tenths(*shape), tenths(shape[1]))[1]
    np.testing.assert_allclose(dw, -VALUE * ones.size / shape[1], rtol=SUMS)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_a_row_of_a_table_that_is_picked_often(implementation):
    """And its neighbours, picked a few times, none, and once less than often."""
    counts = np.array([1_000_000, 3, 0, 31, 32, 33])
    indices = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    with fnn.implementation(implementation):
        dw = F.embedding_backward(tenths(len(indices), 5), indices, len(counts))
        np.testing.assert_allclose(dw, np.repeat(VALUE * counts[:, None], 5, axis=1), rtol=SUMS)
        without = F.embedding_backward(tenths(len(indices), 5), indices, len(counts), padding_idx=0)
    assert not without[0].any()
    np.testing.assert_array_equal(without[1:], dw[1:])


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_pixel_that_was_made_a_million(mode, implementation):
    with fnn.implementation(implementation):
        dx = F.interpolate_backward(tenths(*IMAGE), 1, size=1024, mode=mode)
    np.testing.assert_allclose(dx, VALUE * MILLION, rtol=SUMS)


def test_norms_of_gradients():
    grads = [tenths(MILLION)]
    assert F.clip_grad_norm_(grads, 1e9) == pytest.approx(VALUE * 1024, rel=SUMS)
    assert F.clip_grad_norm_(grads, 1e9, 1.0) == pytest.approx(VALUE * MILLION, rel=SUMS)


@pytest.mark.parametrize("threads", [2, 7])
def test_the_same_bits_on_any_number_of_threads(threads):
    x, _ = two_values(MILLION // 4)
    x = x.reshape(4096, 64)
    indices = np.arange(4096) % 5

    def results():
        y, mean, invstd = F.layer_norm(x, 64, return_statistics=True)
        rows = F.layer_norm_backward(y, x, 64, None, mean, invstd)
        return (
            *rows,
            F.adaptive_avg_pool2d(x.reshape(4, 4, 128, 128), 1),
            F.linear_backward(x, x, zeros(64, 64), needs=("db",))[2],
            F.embedding_backward(x, indices, 7),
            F.conv2d_backward(x.reshape(4, 16, 64, 64), x.reshape(4, 16, 64, 64), zeros(16, 16, 3, 3), padding=1)[2],
            F.matmul(x[:1].repeat(40, axis=1), x.reshape(-1, 32)[:2560]),
        )

    with fnn.num_threads(1):
        alone = results()
    with fnn.num_threads(threads):
        for one, other in zip(alone, results(), strict=True):
            np.testing.assert_array_equal(one, other)
