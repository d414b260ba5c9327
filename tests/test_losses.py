"""Losses as objects: each is the function of its name with its settings, and keeps what its backward needs."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import losses

F = fnn.functional
RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((4, 3)).astype(np.float32)
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
TARGET = RNG.random((4, 3)).astype(np.float32)
LABELS = np.array([0, 2, -100, 1])
WEIGHT = np.array([0.5, 1.0, 2.0], np.float32)

# the loss, its function, x and target, settings, what they are in the repr
ROWS = [
    (fnn.CrossEntropyLoss, "cross_entropy", SCORES, LABELS, {}, "ignore_index=-100, reduction={}, label_smoothing=0.0"),
    (
        fnn.CrossEntropyLoss,
        "cross_entropy",
        SCORES,
        LABELS,
        {"weight": WEIGHT, "ignore_index": -100, "label_smoothing": 0.1},
        "weight=(3 of them), ignore_index=-100, reduction={}, label_smoothing=0.1",
    ),
    (
        fnn.NLLLoss,
        "nll_loss",
        SCORES,
        LABELS,
        {"weight": WEIGHT},
        "weight=(3 of them), ignore_index=-100, reduction={}",
    ),
    (
        fnn.BCELoss,
        "binary_cross_entropy",
        PROBABILITIES,
        TARGET,
        {"weight": WEIGHT},
        "weight=(3 of them), reduction={}",
    ),
    (
        fnn.BCEWithLogitsLoss,
        "binary_cross_entropy_with_logits",
        SCORES,
        TARGET,
        {"pos_weight": WEIGHT},
        "reduction={}, pos_weight=(3 of them)",
    ),
    (fnn.MSELoss, "mse_loss", SCORES, TARGET, {}, "reduction={}"),
    (fnn.L1Loss, "l1_loss", SCORES, TARGET, {}, "reduction={}"),
    (fnn.SmoothL1Loss, "smooth_l1_loss", SCORES, TARGET, {"beta": 0.5}, "reduction={}, beta=0.5"),
    (fnn.HuberLoss, "huber_loss", SCORES, TARGET, {"delta": 0.5}, "reduction={}, delta=0.5"),
    (fnn.KLDivLoss, "kl_div", SCORES, TARGET, {"log_target": True}, "reduction={}, log_target=True"),
]


@pytest.mark.parametrize(("kind", "name", "x", "target", "settings", "shown"), ROWS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_loss_is_its_function(kind, name, x, target, settings, shown, reduction):
    criterion, settings = kind(**settings, reduction=reduction), {**settings, "reduction": reduction}
    with pytest.raises(RuntimeError, match=f"^{kind.__name__}.backward: got nothing"):
        criterion.backward()
    loss = criterion(x, target)
    np.testing.assert_array_equal(loss, getattr(F, name)(x, target, **settings))
    dloss = np.full(np.shape(loss), 0.25, np.float32) if reduction == "none" else 0.25
    expected = getattr(F, f"{name}_backward")(x, target, **settings, dloss=dloss)
    np.testing.assert_array_equal(criterion.backward(dloss), expected)
    assert repr(criterion) == f"{kind.__name__}({shown.format(repr(reduction))})"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fnn.CrossEntropyLoss(reduction="avg"), ValueError, "reduction: got 'avg'"),
        (lambda: fnn.CrossEntropyLoss("mean"), TypeError, "weight: got str"),
        (lambda: fnn.CrossEntropyLoss(np.ones((2, 2))), ValueError, "weight: got shape (2, 2)"),
        (lambda: fnn.CrossEntropyLoss(label_smoothing=2), ValueError, "label_smoothing: got 2"),
        (lambda: fnn.NLLLoss(ignore_index=None), TypeError, "ignore_index: got None"),
        (lambda: fnn.BCELoss([1.0]), TypeError, "weight: got list"),
        (lambda: fnn.BCEWithLogitsLoss(pos_weight=2.0), TypeError, "pos_weight: got float"),
        (lambda: fnn.MSELoss("avg"), ValueError, "reduction: got 'avg'"),
        (lambda: fnn.MSELoss("batchmean"), ValueError, "reduction: got 'batchmean'"),
        (lambda: fnn.SmoothL1Loss(beta=-1), ValueError, "beta: got -1"),
        (lambda: fnn.HuberLoss(delta=0), ValueError, "delta: got 0"),
        (lambda: fnn.KLDivLoss("avg"), ValueError, "reduction: got 'avg'"),
        (lambda: fnn.KLDivLoss(log_target="yes"), TypeError, "log_target: got 'yes'"),
    ],
)
def test_losses_refuse(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_means_over_nothing_are_nan(implementation):
    nothing = np.zeros((0, 3), np.float32)
    with fnn.implementation(implementation):
        for name in ("mse_loss", "l1_loss", "binary_cross_entropy", "kl_div"):
            assert np.isnan(getattr(F, name)(nothing, nothing))
            assert getattr(F, name)(nothing, nothing, reduction="sum") == 0
            assert getattr(F, f"{name}_backward")(nothing, nothing).shape == (0, 3)
        for name in ("cross_entropy", "nll_loss"):
            assert np.isnan(getattr(F, name)(nothing, np.zeros(0, int)))
            assert np.isnan(getattr(F, name)(SCORES, np.full(4, -100)))
            assert not getattr(F, f"{name}_backward")(SCORES, np.full(4, -100)).any()


def test_log_softmax_and_nll_are_cross_entropy():
    log_p = F.log_softmax(SCORES)
    options = {"weight": WEIGHT, "reduction": "none"}
    np.testing.assert_allclose(
        F.nll_loss(log_p, LABELS, **options), F.cross_entropy(SCORES, LABELS, **options), rtol=1e-6
    )
    through = F.log_softmax_backward(F.nll_loss_backward(log_p, LABELS), log_p)
    np.testing.assert_allclose(through, F.cross_entropy_backward(SCORES, LABELS), atol=1e-7)


def test_labels_are_the_probability_one():
    one_hot = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    for smoothing in (0.0, 0.3):
        labels = F.cross_entropy(SCORES, np.array([0, 2, 1, 1]), label_smoothing=smoothing)
        assert labels == pytest.approx(F.cross_entropy(SCORES, one_hot, label_smoothing=smoothing), rel=1e-6)


def test_a_label_out_of_range_is_found_after_the_fact():
    """The kernel tells by NaN; a NaN that the scores have made is no reason to blame the labels."""
    scores = SCORES.copy()
    scores[0, 0] = np.nan
    assert np.isnan(F.cross_entropy(scores, LABELS))
    for function in (F.cross_entropy, F.cross_entropy_backward, F.nll_loss, F.nll_loss_backward):
        for labels in (np.array([0, 1, 2, 3]), np.array([0, 1, 2, 255], np.uint8), np.array([-1, 0, 0, 0], np.int8)):
            for reduction in ("mean", "none"):
                with pytest.raises(ValueError, match=r"^target: got label"):
                    function(scores, labels, reduction=reduction)


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_a_nan_among_the_weights_is_not_blamed_on_the_labels(implementation):
    options = {"weight": np.array([1.0, np.nan, 1.0], np.float32)}
    with fnn.implementation(implementation):
        for function in (F.cross_entropy, F.nll_loss):
            assert np.isnan(function(SCORES, LABELS, **options))
            losses = function(SCORES, LABELS, reduction="none", **options)
            np.testing.assert_array_equal(np.isnan(losses), LABELS == 1)
        dx = F.cross_entropy_backward(SCORES, LABELS, reduction="sum", **options)
        np.testing.assert_array_equal(np.isnan(dx).all(axis=1), LABELS == 1)


WEIGHED = {
    "labels": (lambda: fnn.CrossEntropyLoss(), "scores", "labels"),
    "weights": (lambda: fnn.CrossEntropyLoss(np.array([1, 2, 0.5]), label_smoothing=0.1), "scores", "labels"),
    "ignored": (lambda: fnn.CrossEntropyLoss(ignore_index=1), "scores", "labels"),
    "probabilities": (lambda: fnn.CrossEntropyLoss(np.array([1, 2, 0.5])), "scores", "shares"),
    "nll": (lambda: fnn.NLLLoss(np.array([1, 2, 0.5])), "scores", "labels"),
    "bce": (lambda: fnn.BCELoss(), "shares", "shares"),
    "logits": (lambda: fnn.BCEWithLogitsLoss(pos_weight=np.array([1, 2, 0.5])), "scores", "shares"),
    "mse": (lambda: fnn.MSELoss(), "scores", "shares"),
    "l1": (lambda: fnn.L1Loss(), "scores", "shares"),
    "smooth": (lambda: fnn.SmoothL1Loss(beta=0.5), "scores", "shares"),
    "huber": (lambda: fnn.HuberLoss(delta=0.5), "scores", "shares"),
    "divergence": (lambda: fnn.KLDivLoss("batchmean"), "scores", "shares"),
}


def weighed_data():
    rng = np.random.default_rng(3)
    shares = rng.random((6, 3)) + 0.1
    return {
        "scores": rng.standard_normal((6, 3)),
        "shares": shares / shares.sum(axis=1, keepdims=True),
        "labels": np.array([0, 1, 2, 2, 0, 1]),
    }


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("make", "x", "y"), WEIGHED.values(), ids=WEIGHED)
@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_a_whole_weight_is_as_many_examples(make, x, y, reduction, implementation):
    """As scikit-learn and PyTorch mean them: twice there, once, and not there at all."""
    data, criterion = weighed_data(), make()
    if criterion.reduction == "mean":
        criterion.reduction = reduction
    x, y, times = data[x], data[y], np.array([2, 1, 0, 3, 1, 1])
    with fnn.implementation(implementation):
        loss = criterion(x, y, sample_weight=times)
        gradient = criterion.backward()
        assert type(loss) is losses.LossValue
        repeated = criterion(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0))
        assert loss == pytest.approx(repeated, rel=1e-12)
        of_repeated = criterion.backward()
    starts = np.cumsum(times) - times
    summed = [of_repeated[s : s + n].sum(axis=0) for s, n in zip(starts, times, strict=True)]
    np.testing.assert_allclose(gradient, summed, rtol=1e-12, atol=1e-15)


def test_weights_of_one_example_each_and_none_reduced():
    data, weights = weighed_data(), np.arange(6.0)
    criterion = fnn.CrossEntropyLoss(reduction="none")
    plain = criterion(data["scores"], data["labels"])
    np.testing.assert_array_equal(criterion(data["scores"], data["labels"], weights), plain * weights)
    gradient = criterion.backward(np.ones(6))
    criterion(data["scores"], data["labels"])
    np.testing.assert_allclose(gradient, criterion.backward(weights))
    zero = fnn.MSELoss()
    assert zero(data["scores"], data["shares"], np.zeros(6)) == 0.0
    assert not zero.backward().any()


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        (np.ones(5), ValueError, r"sample_weight: got shape \(5,\); expected \(6,\), one number for each example"),
        ([1, 2, 3, 4, 5, np.nan], ValueError, "sample_weight: got NaN or infinity; expected finite numbers"),
        (list("abcdef"), TypeError, "sample_weight: got an array of <U1; expected numbers"),
        (2.0, TypeError, "sample_weight: got float of shape"),
    ],
)
def test_weights_that_are_none_are_refused(weights, error, words):
    data = weighed_data()
    with pytest.raises(error, match=words):
        fnn.MSELoss()(data["scores"], data["shares"], weights)
