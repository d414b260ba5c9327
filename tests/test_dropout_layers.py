"""Dropout: the generator against its published values, what is dropped, and the layer's state."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from fastnn.reference.drop import _philox

F = fnn.functional
ONES = np.ones((64, 100), np.float32)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_generator_is_philox(counter, key, words):
    """The known answers that Random123 ships (kat_vectors, philox4x32 10)."""

    def number(low, high):
        return int(low, 16) | int(high, 16) << 32

    c, k = counter.split(), key.split()
    found = _philox(np.array([number(*c[:2])], np.uint64), number(*c[2:]), number(*k))
    assert [f"{int(word[0]):08x}" for word in found] == words.split()


def mask(x, p, key, implementation="kernels"):
    with fnn.implementation(implementation):
        return F.dropout(x, p, key=key) != 0


def test_what_is_dropped_depends_on_key_and_place_alone(run_python):
    """Not on dtype, shape, the number of threads, the instruction set, nor on what comes after."""
    key = (123456789, 7)
    expected = mask(ONES, 0.3, key, "reference").reshape(-1)
    assert np.array_equal(mask(ONES.astype(np.float64), 0.3, key).reshape(-1), expected)
    for n in (1, 2, 7):
        with fnn.num_threads(n):
            assert np.array_equal(mask(ONES, 0.3, key).reshape(-1), expected)
    assert np.array_equal(mask(np.ones(1001, np.float32), 0.3, key), expected[:1001])
    source = (
        "import numpy as np, fastnn as fnn\n"
        f"y = fnn.functional.dropout(np.ones({ONES.shape}, np.float32), 0.3, key={key})\n"
        "print(np.packbits(y != 0).tobytes().hex())"
    )
    for tier in fnn.isa_available():
        process = run_python("-c", source, FASTNN_ISA=tier)
        assert process.stdout.strip() == np.packbits(expected).tobytes().hex(), tier


def test_keys_give_different_masks():
    masks = [mask(ONES, 0.5, key).tobytes() for key in ((0, 0), (1, 0), (0, 1), (2**32, 0), (0, 2**32), (2**63, 5))]
    assert len(set(masks)) == len(masks)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_of_what_is_kept(p):
    """Five standard deviations of a binomial, of the mean over all and of that over neighbours."""
    kept = mask(np.ones(200_000, np.float32), p, (11, 3))
    assert abs(kept.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / kept.size)
    both = (kept[1:] & kept[:-1]).mean()
    assert abs(both - (1 - p) ** 2) < 5 * np.sqrt((1 - p) ** 2 / kept.size)


def test_expectation_is_kept():
    y = F.dropout(np.full(100_000, 2.0), 0.25, key=(5, 0))
    assert set(np.unique(y)) == {0.0, 2 / 0.75}
    assert y.mean() == pytest.approx(2, rel=0.01)


def test_channels_are_dropped_as_wholes():
    x = np.random.default_rng(0).random((8, 10, 5, 6)).astype(np.float32) + 1
    y = F.dropout2d(x, 0.4, key=(9, 9))
    kept = (y != 0).reshape(80, 30)
    assert np.array_equal(kept.all(axis=1), kept.any(axis=1))
    assert 0 < kept.all(axis=1).sum() < 80
    assert np.array_equal(kept[:, 0].reshape(8, 10), mask(np.ones((8, 10)), 0.4, (9, 9)))
    np.testing.assert_array_equal(y[y != 0], (x * np.float32(1 / 0.6))[y != 0])


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_ends(implementation):
    x = np.array([1.0, np.nan, np.inf, -2.0], np.float32)
    with fnn.implementation(implementation):
        np.testing.assert_array_equal(F.dropout(x, 0, key=(1, 1)), x)
        np.testing.assert_array_equal(F.dropout(x, 1, key=(1, 1)), np.zeros(4))
        np.testing.assert_array_equal(F.dropout_backward(x, 1.0, key=(1, 1)), np.zeros(4))
        for function in (F.dropout, F.dropout_backward):
            y = function(x, 0.5, False, key=(1, 1))
            np.testing.assert_array_equal(y, x)
            assert not np.shares_memory(y, x)


def test_bits_of_what_was_kept():
    """A backward that is given the bits makes no random words: what the bits say goes, whatever the key."""
    x = np.random.default_rng(3).standard_normal(1029).astype(np.float32)
    y, kept = F.dropout(x, 0.4, key=(5, 6), return_kept=True)
    np.testing.assert_array_equal(y, F.dropout(x, 0.4, key=(5, 6)))
    np.testing.assert_array_equal(np.unpackbits(kept, count=x.size, bitorder="little"), y != 0)
    np.testing.assert_array_equal(F.dropout_backward(x, 0.4, key=(9, 9), kept=kept), y)
    _, none = F.dropout(x, 1.0, key=(5, 6), return_kept=True)
    assert not none.any()


@pytest.mark.parametrize(
    ("kept", "error", "words"),
    [
        (np.zeros(2, np.uint8), ValueError, r"kept: got shape \(2,\); expected \(3,\), a bit for each of the 17"),
        (np.zeros(3, np.int8), TypeError, "kept: got int8; expected an array of uint8"),
        ([0, 0, 0], TypeError, "kept: got list; expected an array of uint8"),
    ],
)
def test_other_bits_are_refused(kept, error, words):
    with pytest.raises(error, match=words):
        F.dropout_backward(np.ones(17, np.float32), key=(1, 1), kept=kept)


# The layers

LAYERS = pytest.mark.parametrize("make", [fnn.Dropout, fnn.Dropout2d])
X = np.random.default_rng(1).standard_normal((6, 8, 3, 4)).astype(np.float32)


@LAYERS
def test_layer_is_the_function_of_its_key(make):
    fnn.manual_seed(4)
    layer = make(0.3)
    name = {fnn.Dropout: "dropout", fnn.Dropout2d: "dropout2d"}[make]
    forward, backward = getattr(F, name), getattr(F, f"{name}_backward")
    for step in range(3):
        y = layer(X)
        key = (layer.stream, step)
        np.testing.assert_array_equal(y, forward(X, 0.3, key=key))
        np.testing.assert_array_equal(layer.backward(X), backward(X, 0.3, key=key))
        assert layer.step == step + 1


@LAYERS
def test_backward_goes_where_forward_went(make):
    layer = make(0.5)
    y = layer(np.ones_like(X))
    np.testing.assert_array_equal(layer.backward(np.ones_like(X)), y)


@LAYERS
def test_eval_changes_nothing_and_counts_nothing(make):
    layer = make(0.9).eval()
    assert layer(X) is X
    assert (layer.stream, layer.step) == (None, 0)
    with pytest.raises(RuntimeError, match=make.__name__):
        layer.backward(X)
    layer.train()
    with pytest.raises(RuntimeError, match=make.__name__):
        layer.backward(X)


def network():
    return fnn.Sequential(fnn.Linear(20, 30), fnn.Dropout(0.2), fnn.ReLU(), fnn.Linear(30, 30), fnn.Dropout(0.2))


def test_seed_decides_all_masks():
    x = np.random.default_rng(2).standard_normal((4, 20)).astype(np.float32)
    runs = []
    for seed in (3, 3, 4):
        fnn.manual_seed(seed)
        net = network()
        runs.append([net(x) for _ in range(3)])
    for a, b, c in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert not np.array_equal(runs[0][0], runs[0][1]), "every step has its own mask"
    assert net[1].stream != net[4].stream


def test_state_goes_on_where_it_was():
    net = network()
    x = np.random.default_rng(2).standard_normal((4, 20)).astype(np.float32)
    net(x)
    state, layers = net.state_dict(), [layer for layer in net.modules() if isinstance(layer, fnn.Dropout)]
    saved = [(layer.stream, layer.step) for layer in layers]
    assert all(type(number) is int for pair in saved for number in pair)
    other = network()
    other.load_state_dict(state)
    for layer, (stream, step) in zip((other[1], other[4]), saved, strict=True):
        layer.stream, layer.step = stream, step
    copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net)), other
    expected = net(x)
    for twin in copies:
        np.testing.assert_array_equal(twin(x), expected)


def test_network_trains_the_same_on_the_reference():
    x = np.random.default_rng(2).standard_normal((4, 20))
    results = []
    for implementation in ("kernels", "reference"):
        fnn.manual_seed(8)
        net = fnn.Sequential(
            fnn.Linear(20, 30, dtype=np.float64), fnn.Dropout(0.5), fnn.Linear(30, 2, dtype=np.float64)
        )
        with fnn.implementation(implementation):
            y = net(x)
            results.append([y, net.backward(np.ones_like(y))])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_repr_and_summary():
    net = fnn.Sequential(fnn.Conv2d(1, 2, 3), fnn.Dropout2d(0.25), fnn.Flatten(), fnn.Dropout())
    assert "(1): Dropout2d(p=0.25)" in repr(net)
    assert "(3): Dropout(p=0.5)" in repr(net)
    text = net.summary((1, 1, 5, 5))
    assert "1 Dropout2d" in text
    assert "3 Dropout" in text
    assert net[1].step == 0
    assert list(net.state_dict()) == ["0.weight", "0.bias"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fnn.Dropout(1.5), ValueError, "p: got 1.5; expected a number from 0 to 1"),
        (lambda: fnn.Dropout2d(-0.1), ValueError, "p: got -0.1"),
        (lambda: fnn.Dropout(float("nan")), ValueError, "p: got nan"),
        (lambda: fnn.Dropout("0.5"), TypeError, "p: got '0.5'"),
        (lambda: fnn.Dropout2d()(ONES), ValueError, "x: got shape (64, 100); expected 4 axes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


def test_a_wrong_gradient_names_dy():
    layer = fnn.Dropout()
    layer(ONES)
    with pytest.raises(ValueError, match=r"^dy: got shape \(64, 99\)"):
        layer.backward(ONES[:, :99])
