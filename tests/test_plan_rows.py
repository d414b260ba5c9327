"""Linear layers of one row and of few, in plans, which keep packed weights; and calls that repeat the last one."""

import numpy as np
import pytest

import fastnn as fnn
from plans import kernel_plan, only_run

# rows, inputs, outputs: depths of one part and of several, panels whole, half and in part, rows that share sets.
LAYERS = (
    (1, 1, 1),
    (1, 3, 40),
    (1, 4, 16),
    (1, 50, 17),
    (1, 385, 33),
    (1, 784, 100),
    (1, 2050, 10),
    (2, 384, 65),
    (15, 1024, 20),
    (64, 1024, 32),
    (29, 2048, 31),
    (30, 1024, 70),
)
SENTINEL = 7.25


def layer(i, o, dtype, bias=True):
    fnn.manual_seed(i + o)
    net = fnn.Sequential(fnn.Linear(i, o, bias=bias, dtype=dtype)).eval()
    return net


def rows(n, i, dtype):
    return np.random.default_rng(n * i).standard_normal((n, i)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "i", "o"), LAYERS)
def test_values(n, i, o, dtype):
    x = rows(n, i, dtype)
    for bias in (True, False):
        net = layer(i, o, dtype, bias)
        w, b = net[0].weight.data.astype("f8"), net[0].bias.data.astype("f8") if bias else np.zeros(o)
        exact, terms = x @ w.T + b, np.abs(x.astype("f8")) @ np.abs(w.T) + np.abs(b)
        bound = (i + 1) * np.finfo(dtype).eps * terms + np.finfo(dtype).tiny
        assert np.all(np.abs(net(x) - exact) <= bound)
        with_relu = fnn.Sequential(net[0], fnn.ReLU()).eval()
        assert np.all(np.abs(with_relu(x) - np.maximum(exact, 0)) <= bound)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none(special):
    """It goes to the outputs that meet it, and to no others: lanes beyond the layer are not seen."""
    net, x = layer(70, 37, "float32"), rows(1, 70, "float32")
    plain = net(x)
    w = net[0].weight.data
    w[5, 69] = special
    got = net(x)
    assert not np.isfinite(got[0, 5])
    np.testing.assert_array_equal(np.delete(got, 5), np.delete(plain, 5))


@pytest.mark.parametrize(("n", "i", "o"), LAYERS)
def test_the_bits_do_not_depend_on_threads(n, i, o):
    net, x = layer(i, o, "float32"), rows(n, i, "float32")
    results = set()
    for threads in (1, 2, 3, 7):
        with fnn.num_threads(threads):
            results.add(net(x).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "i", "o"), LAYERS)
def test_nothing_else_is_written(n, i, o, threads):
    net, x = layer(i, o, "float32"), rows(n, i, "float32")
    with fnn.num_threads(threads):
        expected = net(x)
        room = np.full(n * o + 64, SENTINEL, np.float32)
        kernel_plan(net).run(x, room[32 : 32 + n * o], only_run(net)._bound.weights)
    np.testing.assert_array_equal(room[32 : 32 + n * o], expected.ravel())
    assert np.all(room[:32] == SENTINEL)
    assert np.all(room[32 + n * o :] == SENTINEL)


def test_so_many_rows_that_they_are_fetched_ahead():
    rng = np.random.default_rng(0)
    for n, i, o in ((70_001, 31, 2), (3_000, 700, 1)):
        x, w, b = (rng.standard_normal(s).astype("f4") for s in ((n, i), (o, i), (o,)))
        results = set()
        for threads in (1, 2, 3, 7):
            with fnn.num_threads(threads):
                y = fnn.functional.linear(x, w, b)
            results.add(y.tobytes())
        assert len(results) == 1
        terms = np.abs(x) @ np.abs(w.T) + np.abs(b)
        assert np.all(np.abs(y - (x.astype("f8") @ w.T + b)) <= (i + 1) * np.finfo("f4").eps * terms)


@pytest.mark.parametrize("shape", [(2, 300, 1024), (40, 20, 1024), (3, 15, 2048), (20, 64, 1024)])
def test_gradients_of_rows_that_share_sets(shape):
    n, o, i = shape
    rng = np.random.default_rng(0)
    dy, x, w = (rng.standard_normal(s).astype("f4") for s in ((n, o), (n, i), (o, i)))
    results = set()
    for threads in (1, 2, 3, 7):
        with fnn.num_threads(threads):
            dx, dw, _ = fnn.functional.linear_backward(dy, x, w)
        results.add((dx.tobytes(), dw.tobytes()))
    assert len(results) == 1
    eps = np.finfo("f4").eps
    assert np.all(np.abs(dw - dy.astype("f8").T @ x) <= (n + 1) * eps * (np.abs(dy).T @ np.abs(x)))
    assert np.all(np.abs(dx - dy.astype("f8") @ w) <= (o + 1) * eps * (np.abs(dy) @ np.abs(w)))


# ---- Calls that repeat the last one ----------------------------------------------------------------------------------


def network():
    fnn.manual_seed(3)
    return fnn.Sequential(fnn.Linear(6, 5), fnn.Tanh(), fnn.Linear(5, 3)).eval()


def one_by_one(net, x):
    for each in net:
        x = fnn.Sequential(each).eval()(x)
    return x


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[::-1],
        lambda x: np.asfortranarray(x),
        lambda x: np.frombuffer(b"?" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
        lambda x: x[:2],
        lambda x: x.reshape(2, 2, 6),
        lambda x: x.astype(">f4"),
        lambda x: np.lib.stride_tricks.as_strided(x, (4, 6), (0, 4)),
    ],
    ids=["backwards", "Fortran order", "unaligned", "fewer rows", "another shape", "bytes swapped", "one row again"],
)
def test_another_input(change):
    net, x = network(), rows(4, 6, "float32")
    for _ in range(2):
        before = net(x)
    try:
        got = net(change(x))
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            network()(change(x))
    else:
        assert got.tobytes() == network()(change(x)).tobytes()
    assert net(x).tobytes() == before.tobytes()


def test_a_subclass_of_arrays():
    class Mine(np.ndarray):
        pass

    net, x = network(), rows(4, 6, "float32")
    for _ in range(2):
        expected = net(x)
    assert np.asarray(net(x.view(Mine))).tobytes() == expected.tobytes()


def test_each_call_has_an_output_of_its_own():
    net, x = network(), rows(4, 6, "float32")
    first = net(x)
    kept = first.copy()
    assert not np.may_share_memory(first, net(2 * x))
    np.testing.assert_array_equal(first, kept)


def test_the_reference_takes_over():
    net, x = network(), rows(4, 6, "float32")
    for _ in range(2):
        expected = net(x)
    with fnn.implementation("reference"):
        np.testing.assert_allclose(net(x), expected, rtol=1e-5)
    assert net(x).tobytes() == expected.tobytes()


def test_weights_are_written_between_calls():
    net, x = network(), rows(4, 6, "float32")
    w = net[0].weight.data
    for _ in range(3):
        w += 1
        assert net(x).tobytes() == one_by_one(net, x).tobytes()
    del w
    for _ in range(3):
        assert net(x).tobytes() == one_by_one(net, x).tobytes()
