"""Numbers whose squares leave the range of their dtype, infinities among scores, labels beyond 64 bits."""

import numpy as np
import pytest

import fastnn as fnn

F = fnn.functional
inf = np.inf
BOTH = pytest.mark.parametrize("implementation", ["kernels", "reference"])
# squares overflow, squares vanish, sums overflow
SIZES = [
    *((np.float32, size) for size in (1e-30, 1e-20, 1e15, 1e20, 1e30, 8e37)),
    *((np.float64, size) for size in (1e-250, 1e-160, 1e20, 1e155, 1e200, 4e307)),
]


def close(got, right, dtype):
    np.testing.assert_allclose(got, right, rtol=64 * float(np.finfo(dtype).eps))


@BOTH
def test_layer_norm_of_large_numbers(implementation):
    x = np.array([[1, 2, 3, 4] * 8], np.float32) * np.float32(1e20)
    with fnn.implementation(implementation):
        y = F.layer_norm(x, 32)
    np.testing.assert_allclose(y[0, :4], [-1.3416408, -0.4472136, 0.4472136, 1.3416408], rtol=1e-6)


def steps(shape, dtype):
    """Elements 1 to 4 by turns, along the last axis or down the first."""
    n = np.arange(np.prod(shape)).reshape(shape)
    return (n % 4 + 1).astype(dtype)


def of_rows(function, x, *args, **options):
    """y, dx, dw and db of a normalisation of rows, or of a batch, with a gradient that is not explained by the mean."""
    y, mean, invstd = function(x, *args, **options, return_statistics=True)
    dy = np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
    backward = getattr(F, function.__name__ + "_backward")
    args = args[:1] if function in (F.layer_norm, F.group_norm) else ()
    dx, dw, db = backward(dy, x, *args, None, mean, invstd)
    return y, dx, dw, db, mean, invstd


NORMS = {
    "layer": lambda x: of_rows(F.layer_norm, x, x.shape[1:], eps=0.0),
    "group": lambda x: of_rows(F.group_norm, x, 2, eps=0.0),
    "instance": lambda x: of_rows(F.instance_norm, x, eps=0.0),
    "batch": lambda x: of_rows(F.batch_norm, x, training=True, eps=0.0),
}
SHAPES = ((2, 2, 4), (3, 4, 12), (2, 4, 100), (2, 2, 9000), (8, 6, 2), (300, 3, 1))
# one element of a channel of an image is normalised to nothing
NORMS_OF_SHAPES = [(norm, shape) for norm in NORMS for shape in SHAPES if norm == "batch" or shape[2] > 1]


@BOTH
@pytest.mark.parametrize(("dtype", "size"), SIZES, ids=str)
@pytest.mark.parametrize(("norm", "shape"), NORMS_OF_SHAPES, ids=str)
def test_a_factor_changes_nothing(norm, shape, dtype, size, implementation):
    """Without eps: y, dw and db are those of the elements themselves, and dx is divided by the factor."""
    x = steps(shape, dtype)
    size = 2.0 ** np.floor(np.log2(size))  # exact
    with fnn.implementation(implementation):
        plain, large = NORMS[norm](x), NORMS[norm](x * dtype(size))
    tiny, eps = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)
    close(large[0], plain[0], dtype)
    close(large[4], plain[4] * size, dtype)
    if plain[5].min() / size < tiny:  # 1/std is below the smallest normal number, and kernels take it for 0
        return
    close(large[5], plain[5] / size, dtype)
    np.testing.assert_allclose(large[1] * size, plain[1], rtol=1e3 * eps, atol=1e3 * eps + 8 * tiny * size)
    for i in (2, 3):
        np.testing.assert_allclose(large[i], plain[i], rtol=1e3 * eps, atol=1e3 * eps)


@BOTH
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(4, 3, 40), (4, 3, 2), (40, 3, 1)], ids=str)
def test_running_statistics_and_weights_of_a_large_batch(shape, activation, implementation):
    """One channel is large, and its neighbours are not; the variance is that of its values, or infinite."""
    x = steps(shape, np.float32)
    x[:, 1] *= np.float32(1e19)
    w, b = np.array([1, 2, 3], np.float32), np.array([0, 1, -1], np.float32)
    wide = x.astype(np.float64)
    axes = (0, 2)
    right = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    right = right * w[:, None] + b[:, None]
    with fnn.implementation(implementation):
        running = np.zeros(3, np.float32), np.zeros(3, np.float32)
        y = F.batch_norm(x, *running, w, b, training=True, activation=activation)
        np.testing.assert_allclose(y, np.maximum(right, 0) if activation else right, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(running[1], 0.1 * wide.var(axes, ddof=1), rtol=1e-6)
        x[:, 1] *= np.float32(10)
        F.batch_norm(x, *running, w, b, training=True, activation=activation)
        assert running[1][1] == inf
        evaluated = F.batch_norm(x, *running, w, b, activation=activation)
        assert np.isfinite(evaluated).all()


@BOTH
def test_running_variance_of_large_images(implementation):
    x = steps((1, 2, 8), np.float32) * np.float32(3e19)
    running = np.zeros(2, np.float32), np.zeros(2, np.float32)
    with fnn.implementation(implementation):
        F.instance_norm(x, *running)
    np.testing.assert_allclose(running[1], 0.1 * x.astype(np.float64).var(axis=(0, 2), ddof=1), rtol=1e-6)


def test_a_plan_of_large_numbers():
    """Networks in eval mode, normalised by what was given or by the rows, give what their layers give."""
    net = fnn.Sequential(fnn.BatchNorm2d(3), fnn.ReLU(), fnn.GroupNorm(1, 3)).eval()
    net[0].running_var.data = np.full(3, 1e38, np.float32)
    x = steps((2, 3, 6, 6), np.float32) * np.float32(1e19)
    y = x
    for layer in net:
        y = layer(y)
    np.testing.assert_allclose(net(x), y, rtol=1e-6)
    np.testing.assert_allclose(y.std(axis=(1, 2, 3)), 1, rtol=1e-4)


@BOTH
@pytest.mark.parametrize(("dtype", "size"), [(dtype, size) for dtype, size in SIZES if size > 1e-200], ids=str)
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_local_response_norm(beta, dtype, size, implementation):
    """Without k, a factor f of x is one of f^(1 - 2 beta) of y and f^(-2 beta) of dx."""
    x, dy = steps((2, 6, 5), dtype), steps((2, 6, 5), dtype)[:, ::-1].copy()
    size = 2.0 ** np.floor(np.log2(size))
    tiny, eps = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)
    with fnn.implementation(implementation):
        plain = F.local_response_norm(x, 3, k=0.0, beta=beta)
        large = F.local_response_norm(x * dtype(size), 3, k=0.0, beta=beta)
        np.testing.assert_allclose(large, plain.astype(np.float64) * size ** (1 - 2 * beta), rtol=64 * eps, atol=tiny)
        plain = F.local_response_norm_backward(dy, x, 3, k=0.0, beta=beta).astype(np.float64)
        large = F.local_response_norm_backward(dy, x * dtype(size), 3, k=0.0, beta=beta)
    factor = size ** (-2 * beta)
    right = plain * factor
    if np.abs(right).max() < np.finfo(dtype).max:
        np.testing.assert_allclose(large, right, rtol=1e-4 if dtype is np.float32 else 1e-12, atol=4 * tiny)


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_local_response_norm_of_one_large_pixel(dtype, implementation):
    """Its neighbours in the strip are as they would be without it; infinities and NaN stay in their pixel."""
    x = steps((1, 4, 70), dtype)
    with fnn.implementation(implementation):
        plain = F.local_response_norm(x, 5)
        for value in (1e20, inf, np.nan):
            x[0, 2, 33] = value
            y = F.local_response_norm(x, 5)
            others = np.arange(70) != 33
            np.testing.assert_allclose(y[..., others], plain[..., others], rtol=1e-6)
            assert np.isfinite(y[0, :, 33]).all() == (value == 1e20)
    x[0, 2, 33] = 1e20
    d = 1 + 1e-4 / 5 * (x[0, :, 33].astype(np.float64) ** 2).sum()
    with fnn.implementation(implementation):
        np.testing.assert_allclose(F.local_response_norm(x, 5)[0, 2, 33], 1e20 / d**0.75, rtol=1e-5)


# ---- Losses ----------------------------------------------------------------------------------------------------------


def as_pictures(a):
    return np.ascontiguousarray(np.repeat(np.asarray(a)[:, :, None], 20, axis=2))


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pictures", [False, True])
def test_smoothed_probabilities_of_a_class_that_cannot_be(pictures, dtype, implementation):
    x = np.array([[0, -inf, 1, 2]], dtype)
    target = np.array([[0.5, 0, 0.25, 0.25]], dtype)
    if pictures:
        x, target = as_pictures(x), as_pictures(target)
    with fnn.implementation(implementation):
        for smoothing in (0.2, 1.0):
            assert F.cross_entropy(x, target, label_smoothing=smoothing) == inf
            assert np.all(F.cross_entropy(x, target, label_smoothing=smoothing, reduction="none") == inf)
            assert np.isfinite(F.cross_entropy_backward(x, target, label_smoothing=smoothing)).all()
        assert np.isnan(F.cross_entropy(x, target))  # 0 times infinity, as in PyTorch
        weight = np.array([1, 0, 1, 1], dtype)
        assert np.isnan(F.cross_entropy(x, target, label_smoothing=0.2, weight=weight))


@BOTH
def test_smoothed_labels_of_a_class_that_cannot_be(implementation):
    x = np.array([[0, -inf, 1, 2], [1, 2, 3, 4]], np.float32)
    with fnn.implementation(implementation):
        for shape in (lambda a: a, as_pictures):
            labels = np.array([0, 3]) if shape is not as_pictures else np.repeat([[0], [3]], 20, axis=1)
            assert F.cross_entropy(shape(x), labels, label_smoothing=0.2) == inf
            assert np.isfinite(F.cross_entropy(shape(x), labels))
            assert F.cross_entropy(shape(x), np.where(labels == 0, 1, labels)) == inf


@BOTH
def test_an_infinite_weight_of_a_row_that_is_left_out(implementation):
    x, weight = np.array([[0, 1, 2], [1, 2, 3]], np.float32), np.array([inf, 1, 1], np.float32)
    labels = np.array([-100, 2])
    with fnn.implementation(implementation):
        loss = F.cross_entropy(x, labels, weight=weight)
        assert loss == pytest.approx(-np.log(np.exp(2) / (1 + np.exp(1) + np.exp(2))), rel=1e-6)
        dx = F.cross_entropy_backward(x, labels, weight=weight)
    assert not dx[0].any()
    np.testing.assert_allclose(dx[1], [0.09003057, 0.24472847, -0.33475904], rtol=1e-5)


@BOTH
@pytest.mark.parametrize("label", [2**64 - 100, 2**63, 2**32 - 100, 200])
def test_labels_that_no_signed_number_holds(label, implementation):
    x = np.zeros((2, 3), np.float32)
    labels = np.array([1, label], np.uint64)
    functions = (F.cross_entropy, F.cross_entropy_backward, F.nll_loss, F.nll_loss_backward)
    with fnn.implementation(implementation):
        for function in functions:
            for reduction in ("mean", "none"):
                with pytest.raises(ValueError, match=rf"^target: got label {label} at place 1; expected 0 to 2"):
                    function(x, labels, reduction=reduction)
        pictures = np.zeros((1, 3, 2), np.float32)
        with pytest.raises(ValueError, match=rf"^target: got label {label} at place \(0, 1\)"):
            F.cross_entropy(pictures, labels[None])


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, ">i8"])
def test_labels_of_every_integer_dtype(dtype, implementation):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with fnn.implementation(implementation):
        assert F.cross_entropy(x, np.array([2, 0], dtype)) == F.cross_entropy(x, np.array([2, 0]))
        assert F.cross_entropy(x, np.array([2, 100], dtype), ignore_index=100) == F.cross_entropy(x[:1], np.array([2]))


@pytest.mark.parametrize("dtype", [np.uint64, np.uint32, np.int64, np.int8])
def test_indices_beyond_the_rows(dtype):
    """Whose bits, read as those of another dtype, would be rows."""
    table = np.zeros((5, 2), np.float32)
    most = np.iinfo(dtype).max
    for index in (most, most - 99):
        with pytest.raises(ValueError, match=rf"^x: got index {index} at place \(0,\); expected 0 to 4"):
            F.embedding(np.array([index], dtype), table)
        with pytest.raises(ValueError, match=rf"^index: got index {index}"):
            F.index_select(table, 0, np.array([index], dtype))


@BOTH
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**70])
def test_an_ignore_index_that_no_label_can_be(value, implementation):
    x, labels = np.zeros((2, 3), np.float32), np.array([0, 1])
    with fnn.implementation(implementation), pytest.raises(ValueError, match=rf"^ignore_index: got {value}"):
        F.cross_entropy(x, labels, ignore_index=value)
    with pytest.raises(ValueError, match=rf"^ignore_index: got {value}"):
        fnn.NLLLoss(ignore_index=value)


SPECIAL = np.array([-inf, -3e38, -1e20, -100, 0, 1e20, 3e38, inf])


@BOTH
def test_losses_of_pairs_at_the_ends_of_the_range(implementation):
    with fnn.implementation(implementation), np.errstate(over="ignore"):
        x, zero, one = SPECIAL.astype(np.float32), np.zeros(8, np.float32), np.ones(8, np.float32)
        each = {"reduction": "none"}
        np.testing.assert_array_equal(F.l1_loss(x, zero, **each), np.abs(x))
        np.testing.assert_array_equal(F.mse_loss(x, zero, **each), x * x)
        np.testing.assert_array_equal(F.huber_loss_backward(x, zero, **each), np.sign(x))
        # but for log(1) times infinity, NaN as in PyTorch
        no = F.binary_cross_entropy_with_logits(x, zero, **each)
        np.testing.assert_allclose(no[[1, 2, 3, 5, 6, 7]], np.maximum(x, 0)[[1, 2, 3, 5, 6, 7]], atol=1e-38)
        yes = F.binary_cross_entropy_with_logits(x, one, **each)
        np.testing.assert_allclose(yes[[0, 1, 2, 3, 5, 6]], np.maximum(-x, 0)[[0, 1, 2, 3, 5, 6]], atol=1e-38)
        slopes = F.binary_cross_entropy_with_logits_backward(x, one, **each)
        np.testing.assert_allclose(slopes, [-1, -1, -1, -1, -0.5, 0, 0, 0], atol=1e-30)
        probabilities, targets = np.array([0, 1, 0, 1], np.float32), np.array([0, 1, 1, 0], np.float32)
        assert F.binary_cross_entropy(probabilities, targets, **each).tolist() == [0, 0, 100, 100]
        assert F.kl_div(np.array([-inf, -inf], np.float32), np.array([0.5, 1], np.float32), **each).tolist() == [
            inf,
            inf,
        ]
        assert np.isnan(F.kl_div(np.array([-inf], np.float32), np.array([0], np.float32)))  # 0 times infinity


@pytest.mark.parametrize("rooms", [fnn.functional, fnn.reference], ids=["kernels", "reference"])
@pytest.mark.parametrize("loss", ["cross_entropy_backward", "nll_loss_backward"])
def test_gradients_of_large_class_weights(rooms, loss):
    """A mean divides by the sum of the weights: the factor alone is below the smallest normal float."""
    x, labels = np.log(np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], np.float32)), np.array([0, 2])
    weights = np.array([1, 2, 1], np.float32)
    backward = getattr(rooms, loss)
    np.testing.assert_allclose(
        backward(x, labels, weight=weights * np.float32(1e38)), backward(x, labels, weight=weights), rtol=1e-6
    )
