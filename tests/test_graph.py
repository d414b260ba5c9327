"""Graphs: what they compute, their gradients, how they are run, and what they refuse."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest

import fastnn as fnn
from checks import directional_check
from networks import normal, random_graph

F8 = {"dtype": np.float64}
X = normal(2, 4, 6, 6, dtype=np.float64)


def squeeze_and_excite():
    return fnn.Graph(
        {
            "conv": (fnn.Conv2d(4, 6, 3, padding=1, **F8), "x"),
            "mean": (fnn.Mean((2, 3)), "conv"),
            "fc": (fnn.Linear(6, 6, **F8), "mean"),
            "gate": (fnn.Sigmoid(), "fc"),
            "planes": (fnn.Reshape(0, 6, 1, 1), "gate"),
            "scaled": (fnn.Mul(), "conv", "planes"),
        }
    )


def dense():
    """Each layer gets all that came before it."""
    nodes = {"first": (fnn.Conv2d(4, 3, 3, padding=1, **F8), "x")}
    names = ["x", "first"]
    for place in range(3):
        inputs = 4 + 3 * (place + 1)
        nodes[f"cat{place}"] = (fnn.Cat(1), *names)
        nodes[f"norm{place}"] = (fnn.BatchNorm2d(inputs, **F8), f"cat{place}")
        nodes[f"relu{place}"] = (fnn.ReLU(), f"norm{place}")
        nodes[f"conv{place}"] = (fnn.Conv2d(inputs, 3, 3, padding=1, **F8), f"relu{place}")
        names.append(f"conv{place}")
    return fnn.Graph({**nodes, "last": (fnn.Cat(1), *names)})


def split_and_swap():
    return fnn.Graph(
        {
            "split": (fnn.Split((1, 3)), "x"),
            "tanh": (fnn.Tanh(), "split[1]"),
            "padded": (fnn.Pad((1, 0, 0, 1), "replicate"), "split[0]"),
            "cut": (fnn.Slice(..., slice(None, -1), slice(1, None)), "padded"),
            "joined": (fnn.Cat(1), "tanh", "cut"),
            "turned": (fnn.Permute(0, 1, 3, 2), "joined"),
            "ratio": (fnn.Div(), "turned", "large"),
            "large": (fnn.Softplus(), "x"),
            "difference": (fnn.Sub(), "ratio", "x"),
        }
    )


def shared_layers():
    conv, relu = fnn.Conv2d(4, 4, 3, padding=1, **F8), fnn.ReLU()
    return fnn.Graph(
        {
            "conv": (conv, "x"),
            "relu": (relu, "conv"),
            "again": (conv, "relu"),
            "relu2": (relu, "again"),
            "sum": (fnn.Add(), "relu2", "relu", "x"),
            "relu3": (relu, "sum"),
        }
    )


GRAPHS = (squeeze_and_excite, dense, split_and_swap, shared_layers)
every_graph = pytest.mark.parametrize("make", GRAPHS, ids=lambda f: f.__name__)


def by_hand(net, *inputs):
    """The nodes one after the other."""
    values = dict(zip(net.inputs, inputs, strict=True))

    def value(name):
        base, _, part = name.partition("[")
        return values[base][int(part[:-1])] if part else values[base]

    for name, (module, *sources) in net.nodes().items():
        values[name] = module(*map(value, sources))
    return tuple(map(value, net.outputs))


@every_graph
def test_a_graph_is_its_nodes_one_after_the_other(make):
    net = make()
    np.testing.assert_array_equal(net(X), by_hand(net, X)[0])
    net.eval()
    np.testing.assert_allclose(net(X), by_hand(net, X)[0], rtol=1e-12, atol=1e-13)
    with fnn.implementation("reference"):
        np.testing.assert_allclose(net(X), by_hand(net, X)[0], rtol=1e-12, atol=1e-13)


@every_graph
def test_backward_agrees_with_differences(make):
    fnn.manual_seed(1)
    directional_check(make(), X, lambda y: normal(*y.shape, seed=5, dtype=np.float64), tolerance=1e-5)


@every_graph
def test_gradients_are_replaced_or_added_and_without_dx_the_same(make):
    net = make()
    dy = normal(*net(X).shape, seed=5, dtype=np.float64)
    net.backward(dy)
    once = [p.grad for p in net.parameters()]
    net(X)
    assert net.backward(dy, needs_dx=False) is None
    for p, grad in zip(net.parameters(), once, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    net(X)
    net.backward(dy, accumulate=True)
    for p, grad in zip(net.parameters(), once, strict=True):
        np.testing.assert_allclose(p.grad, 2 * grad, rtol=1e-12)
    with pytest.raises(RuntimeError, match="lets go"):
        net.backward(dy)


@every_graph
def test_copies_and_pickles_are_networks_of_their_own(make):
    net = make()
    y = net.eval()(X)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other(X), y)
        assert list(other.state_dict()) == list(net.state_dict())
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            assert p is not q
    other = make().eval()
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other(X), y)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed):
    fnn.manual_seed(seed)
    net = random_graph(seed)
    x = normal(2, 3, 4, 4, seed=seed, dtype=np.float64)
    np.testing.assert_array_equal(net(x), by_hand(net, x)[0])
    directional_check(
        net, x, lambda y: normal(*y.shape, seed=5, dtype=np.float64) / len(net), tolerance=1e-4, directions=1
    )
    net.eval()
    for n in (1, 2):
        np.testing.assert_allclose(net(x[:n]), by_hand(net, x[:n])[0], rtol=1e-11, atol=1e-11)


def test_several_inputs_and_outputs():
    net = fnn.Graph(
        {
            "left": (fnn.Linear(3, 4, **F8), "a"),
            "right": (fnn.Linear(2, 4, **F8), "b"),
            "sum": (fnn.Add(), "left", "right"),
            "relu": (fnn.ReLU(), "sum"),
            "scores": (fnn.Linear(4, 5, **F8), "relu"),
        },
        inputs=("a", "b"),
        outputs=("scores", "relu"),
    )
    a, b = normal(6, 3, dtype=np.float64), normal(6, 2, seed=1, dtype=np.float64)
    y = net(a, b)
    for got, expected in zip(y, by_hand(net, a, b), strict=True):
        np.testing.assert_array_equal(got, expected)
    dy = tuple(normal(*each.shape, seed=3, dtype=np.float64) for each in y)
    da, db = net.backward(dy)
    h = 1e-6
    step = normal(6, 3, seed=4, dtype=np.float64)
    change = sum(np.sum(d * (p - m)) for d, p, m in zip(dy, net(a + h * step, b), net(a - h * step, b), strict=True))
    assert np.isclose(change / (2 * h), np.sum(da * step), rtol=1e-6)
    assert db.shape == b.shape
    net.eval()
    for got, expected in zip(net(a, b), y, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert "scores Linear" in net.summary((1, 3), (1, 2))
    with pytest.raises(TypeError, match=r"Graph: got 1 inputs; expected 2: a, b"):
        net(a)
    net.train()(a, b)
    with pytest.raises(TypeError, match=r"dy: got 1 gradients; expected a tuple of 2 arrays"):
        net.backward(dy[0])


def test_an_output_without_a_gradient_is_left_out():
    net = fnn.Graph({"a": (fnn.Linear(2, 2, **F8), "x"), "b": (fnn.Linear(2, 2, **F8), "x")}, outputs=("a", "b"))
    net(np.ones((3, 2)))
    net.backward((np.ones((3, 2)), None))
    assert net["a"].weight.grad is not None
    assert net["b"].weight.grad is None


def test_all_of_a_network_is_one_call():
    """A residual network as a graph is one run, as it is of containers."""
    net = fnn.Graph(
        {
            "conv": (fnn.Conv2d(3, 8, 3, padding=1), "x"),
            "bn": (fnn.BatchNorm2d(8), "conv"),
            "relu": (fnn.ReLU(), "bn"),
            "conv2": (fnn.Conv2d(8, 8, 3, padding=1), "relu"),
            "sum": (fnn.Add(), "conv2", "relu"),
            "relu2": (fnn.ReLU(), "sum"),
            "pool": (fnn.Mean((2, 3)), "relu2"),
            "fc": (fnn.Linear(8, 5), "pool"),
        }
    ).eval()
    x = normal(2, 3, 8, 8)
    np.testing.assert_allclose(net(x), by_hand(net, x)[0], rtol=1e-5, atol=1e-6)
    (stage,) = net._wiring._stages
    assert [type(part).__name__ for part in stage.parts] == ["Run"]
    outer = fnn.Sequential(net, fnn.ReLU()).eval()
    np.testing.assert_array_equal(outer(x), np.maximum(net(x), 0))
    assert [type(part).__name__ for part in outer._inference.parts] == ["Run"]


def test_a_change_of_a_layer_is_noticed():
    net = squeeze_and_excite().eval()
    before = net(X)
    net["fc"].weight = net["fc"].weight.data * 2
    assert not np.array_equal(net(X), before)
    np.testing.assert_allclose(net(X), by_hand(net, X)[0], rtol=1e-12)
    net["conv"].padding = (0, 0)
    assert net(X).shape == (2, 6, 4, 4)


def test_it_trains():
    net, criterion = squeeze_and_excite(), fnn.MSELoss()
    optimizer = fnn.SGD(net.parameters(), lr=0.1)
    target = normal(2, 6, 6, 6, seed=3, dtype=np.float64)
    losses = []
    for _ in range(20):
        losses.append(criterion(net(X), target))
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    step = fnn.TrainingStep(net, criterion, optimizer)
    losses += [step(X, target) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert all(after < before for before, after in pairwise(losses))


def test_a_hook_sees_several_inputs():
    net, seen = squeeze_and_excite(), []
    with net["scaled"].register_forward_hook(lambda module, inputs, y: seen.append((len(inputs), y.shape))):
        net(X)
    assert seen == [(2, (2, 6, 6, 6))]


NODES = {"conv": (fnn.ReLU(), "x"), "sum": (fnn.Add(), "conv", "x")}


@pytest.mark.parametrize(
    ("nodes", "kwargs", "error", "message"),
    [
        ({"a": (fnn.ReLU(), "y")}, {}, ValueError, r"node 'a': takes 'y'; expected the name of an input or a node"),
        ({"a": (fnn.ReLU(), "b"), "b": (fnn.ReLU(), "a")}, {}, ValueError, r"nodes: 'a', 'b' wait for one another"),
        ({"a": (fnn.ReLU(), "x"), "b": (fnn.ReLU(), "x")}, {}, ValueError, r"nodes: nobody takes 'a'"),
        (NODES, {"inputs": ("x", "y")}, ValueError, r"inputs: nobody takes 'y'"),
        ({"x": (fnn.ReLU(), "x")}, {}, ValueError, r"inputs and nodes: got 'x', 'x'; expected no name twice"),
        ({"a[0]": (fnn.ReLU(), "x")}, {}, ValueError, r"nodes: got 'a\[0\]'"),
        ({"a": "relu"}, {}, TypeError, r"node 'a': got str; expected a layer and its inputs"),
        ({"a": (fnn.ReLU(), 3)}, {}, TypeError, r"node 'a': got int as an input"),
        (NODES, {"outputs": "sun"}, ValueError, r"outputs: takes 'sun'; .*: 'sum' is one"),
        (NODES, {"outputs": ()}, ValueError, r"outputs: got none"),
        (NODES, {"outputs": 3}, TypeError, r"outputs: got 3"),
    ],
)
def test_what_no_graph_can_be_made_of(nodes, kwargs, error, message):
    with pytest.raises(error, match=message):
        fnn.Graph(nodes, **kwargs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fnn.Add()(), r"Add: got 0 inputs; expected at least 2"),
        (lambda: fnn.Mul()(X, X, X), r"Mul: got 3 inputs; expected 2"),
        (
            lambda: fnn.Mul()(X, np.ones((3, 1))),
            r"Mul: got inputs of shapes .*; expected the same, or axes of length 1",
        ),
        (lambda: fnn.Add()(X, X.astype(np.float32)), r"x and input 1: got float64 and float32"),
        (lambda: fnn.Split((1, 2))(X), r"sizes: got \(1, 2\); expected lengths whose sum is 4"),
        (lambda: fnn.Split(0), r"sizes: got 0; expected at least 1"),
        (lambda: fnn.Reshape(0, 5)(X), r"shape: got \(0, 5\); expected lengths whose product is 288"),
        (lambda: fnn.Reshape(-1, -1), r"shape: got \(-1, -1\); expected -1 once"),
        (lambda: fnn.Permute(0, 1)(X), r"dims: got \(0, 1\); expected each of the 4 axes of x once"),
        (lambda: fnn.Slice(np.ones(3)), r"index: got .*ndarray; .* picks by values"),
        (lambda: fnn.Slice(9)(X), r"index: got \(9,\) for x of shape"),
        (lambda: fnn.Mean((0, 0)), r"dim: got \(0, 0\); expected at least one axis, and none twice"),
        (lambda: fnn.Pad(1, "mirror"), r"mode: got 'mirror'"),
        (lambda: fnn.ModuleList()(X), r"a ModuleList is not called"),
        (lambda: fnn.ModuleDict()(X), r"a ModuleDict is not called"),
        (lambda: squeeze_and_excite()["gat"], r"'gat' is no node; expected one of 'conv'"),
    ],
)
def test_modules_of_nodes_say_what_is_wrong(call, message):
    with pytest.raises((TypeError, ValueError, IndexError, NotImplementedError, KeyError), match=message):
        call()


def test_texts():
    text = repr(squeeze_and_excite())
    assert "(scaled): Mul() of conv, planes" in text
    assert "Reshape(0, 6, 1, 1)" in text
    assert "(x) to (scaled)" in text
    assert "Slice(..., :-1, 1:)" in repr(split_and_swap())
    rows = squeeze_and_excite().summary((1, 4, 6, 6)).splitlines()
    assert rows[2].split()[:2] == ["conv", "Conv2d"]
    assert rows[-1].split() == ["total", "264"]


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        (fnn.MaxPool2d(2, return_indices=True), (2, 3, 4, 6)),
        (fnn.MaxPool1d(2, return_indices=True), (2, 3, 6)),
        (fnn.AdaptiveMaxPool2d(2, return_indices=True), (2, 3, 4, 6)),
    ],
    ids=["2d", "1d", "adaptive"],
)
def test_indices_of_a_pool_have_no_gradient(pool, shape):
    x = np.random.default_rng(0).normal(size=shape)
    for outputs in ("pool[0]", ("pool[0]", "pool[1]")):
        net = fnn.Graph({"pool": (pool, "x")}, outputs=outputs)
        y = net(x)
        dy = np.ones_like(y[0] if isinstance(y, tuple) else y)
        dx = net.backward((dy, None) if isinstance(y, tuple) else dy)
        pool(x)
        np.testing.assert_array_equal(dx, pool.backward(dy))
