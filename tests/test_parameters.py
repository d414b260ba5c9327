"""Parameters and buffers as arrays: for NumPy, for files, and as attributes that are assigned to."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from networks import normal
from plans import assert_same


def held():
    layer = fnn.BatchNorm1d(3)
    layer.weight.data[...] = 1, 2, 3
    return layer.weight, layer.running_mean


# For NumPy


def test_numpy_takes_it_for_the_array(tmp_path):
    for p in (*held(), fnn.Linear(3, 2).weight):
        a = np.asarray(p)
        assert a is p.data
        assert p.numpy() is p.data
        assert np.array(p) is not p.data
        assert np.array(p).tobytes() == p.data.tobytes()
        assert np.asarray(p, np.float64).dtype == np.float64
        assert not np.shares_memory(p.__array__(copy=True), p.data)
        assert p.__array__(np.float64, copy=True).dtype == np.float64
        assert (p.shape, p.ndim, p.dtype, p.size, p.numel()) == (a.shape, a.ndim, a.dtype, a.size, a.size)
        assert np.linalg.norm(p) == np.linalg.norm(a)
        assert (np.stack([p, p]) == a).all()
        np.savez(tmp_path / "w.npz", w=p)
        with np.load(tmp_path / "w.npz") as archive:
            assert archive["w"].tobytes() == a.tobytes()


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="NumPy 1 copies where it must")
def test_no_copy_is_an_error_where_one_is_needed():
    p = fnn.Linear(2, 2).weight
    assert np.array(p, copy=False) is p.data
    with pytest.raises(ValueError, match="copy"):
        np.array(p, np.float64, copy=False)


def test_arithmetic_with_arrays():
    p, a = fnn.Parameter(normal(3)), normal(3, seed=1)
    for got, expected in ((a + p, a + p.data), (p * a, p.data * a), (np.exp(p), np.exp(p.data))):
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, expected)
    q = p.data
    pairs = [(a < p, a < q), (p == a, q == a), (a // p, a // q), (np.float32(2) * p, 2 * q), (p / np.float32(2), q / 2)]
    pairs += [(np.add.reduce(p), q.sum()), (np.maximum(p, p), q), (np.sum(p), q.sum())]
    for got, expected in pairs:
        np.testing.assert_array_equal(got, expected)
    b = same = a.copy()
    b += p
    assert b is same
    np.testing.assert_array_equal(b, a + q)
    with pytest.raises(TypeError, match="NotImplemented"):
        np.add(a, 1, out=p)


def test_one_element():
    layer = fnn.PReLU()
    assert layer.weight.item() == 0.25
    assert fnn.BatchNorm1d(2).num_batches_tracked.item() == 0
    with pytest.raises(ValueError, match="size 1"):
        fnn.Linear(2, 2).weight.item()


def test_identity_counts_and_truth():
    p, q = fnn.Parameter(normal(2)), fnn.Parameter(normal(2))
    assert p
    assert p != q
    assert len({p, q, p}) == 2


def test_what_numpy_was_given_may_be_written_to():
    """As what `data` gave: a plan notices."""
    net, x = fnn.Sequential(fnn.Linear(4, 4)).eval(), normal(3, 4)
    net(x)
    for given in (np.asarray(net[0].weight), net[0].weight.numpy(), net[0].weight.__array__()):
        for value in (2, 3):
            given[...] = value
            assert_same(net, x)


def test_looking_at_a_shape_costs_a_plan_nothing():
    net = fnn.Sequential(fnn.Linear(4, 4)).eval()
    net(normal(3, 4))
    keeper, seal = net[0].weight.sealed()
    p = net[0].weight
    assert f"{p.shape} {p.ndim} {p.dtype} {p.size} {p.numel()} {p!r}"
    assert p.sealed() == (keeper, seal)


# As attributes


@pytest.mark.parametrize("network", [True, False])
def test_an_array_becomes_the_data(network):
    layer = fnn.Linear(2, 2)
    net = fnn.Sequential(layer).eval() if network else layer
    optimizer, p, x = fnn.SGD(net.parameters(), lr=1.0), layer.weight, normal(3, 2)
    net(x)
    array = np.eye(2, dtype=np.float32)
    layer.weight, layer.bias = array, np.zeros(2, np.float32)
    assert layer.weight is p
    assert layer.weight.data is array
    np.testing.assert_array_equal(net(x), x)
    assert list(layer.state_dict()) == ["weight", "bias"]
    p.grad = np.ones((2, 2), np.float32)
    optimizer.step()
    np.testing.assert_array_equal(layer.weight.data, np.eye(2) - 1)
    layer.weight -= np.ones((2, 2), np.float32)
    assert layer.weight is p
    np.testing.assert_array_equal(p.data, np.eye(2) - 2)


LAYERS = [
    fnn.Linear(2, 3), fnn.Conv1d(1, 2, 3), fnn.Conv2d(1, 2, 3), fnn.ConvTranspose2d(1, 2, 3), fnn.BatchNorm1d(3),
    fnn.BatchNorm2d(3), fnn.LayerNorm(3), fnn.GroupNorm(1, 3), fnn.Embedding(3, 2), fnn.PReLU(),
    fnn.InstanceNorm2d(3, affine=True, track_running_stats=True), fnn.Linear(2, 3, dtype=np.float64),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_every_layer(layer):
    layer = copy.deepcopy(layer)
    for name, p in list(layer.named_arrays()):
        before, array = p.data.copy(), np.array(p.data + 1, p.dtype)
        other = np.float32 if p.dtype == np.float64 else np.float64
        for wrong, error, message in (
            (array[None], ValueError, f"{name}: got shape (1"),
            (array.astype(other), TypeError, f"{name}: got an array of {np.dtype(other)}; expected {p.dtype}"),
            (array.astype(object), TypeError, f"{name}: got an array of object"),
            (array.tolist(), TypeError, f"{name}: got {type(array.tolist()).__name__}; expected a NumPy array of"),
            (0.5, TypeError, f"{name}: got float; expected a NumPy array of"),
            ("w", TypeError, f"{name}: got str"),
            (fnn.ReLU(), TypeError, f"{name}: got ReLU"),
            (fnn.layers.Buffer(before) if isinstance(p, fnn.Parameter) else fnn.Parameter(normal(3)), TypeError,
             f"{name}: got "),
        ):  # fmt: skip
            with pytest.raises(error) as caught:
                setattr(layer, name, wrong)
            assert message in str(caught.value)
            assert getattr(layer, name) is p
            np.testing.assert_array_equal(p.data, before)
        setattr(layer, name, array)
        assert getattr(layer, name) is p
        np.testing.assert_array_equal(layer.state_dict()[name], array)
        new = type(p)(before)
        setattr(layer, name, new)
        assert getattr(layer, name) is new
        delattr(layer, name)
        assert name not in dict(layer.named_arrays())


def test_a_numpy_scalar_is_an_array_without_axes():
    layer = fnn.BatchNorm1d(3)
    layer.num_batches_tracked = layer.num_batches_tracked + np.ones((), np.int64)
    layer.num_batches_tracked = np.int64(7)
    layer(normal(4, 3))
    assert layer.num_batches_tracked.item() == 8


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_none_where_a_layer_can_do_without(layer):
    layer = copy.deepcopy(layer)
    if isinstance(layer, fnn.Linear | fnn.Conv1d | fnn.Conv2d | fnn.ConvTranspose2d | fnn.Embedding | fnn.PReLU):
        with pytest.raises(TypeError, match="weight: got NoneType"):
            layer.weight = None
    if getattr(layer, "bias", None) is None:
        return
    layer.bias = None
    assert "bias" not in layer.state_dict()
    with pytest.raises(TypeError, match=f"bias: got an array; this {type(layer).__name__} has no bias"):
        layer.bias = np.zeros(3, np.float32)
    x = {"Linear": (4, 2), "Conv1d": (2, 1, 5), "BatchNorm1d": (4, 3), "LayerNorm": (4, 3)}.get(type(layer).__name__)
    x = x or ((2, 1, 5, 5) if "Conv" in type(layer).__name__ else (2, 3, 4, 4))
    y = layer(normal(*x, dtype=layer.weight.dtype))
    layer.backward(np.ones_like(y))
    assert layer.weight.grad.shape == layer.weight.shape
    layer.bias = fnn.Parameter(np.zeros(len(layer.weight.data), layer.weight.dtype))
    assert "bias" in layer.state_dict()


class Scale(fnn.Module):
    """A layer of somebody else's."""

    def __init__(self):
        self.factor, self.seen, self.cache = (
            fnn.Parameter(np.ones(3, np.float32)),
            fnn.layers.Buffer(np.zeros(())),
            None,
        )

    def forward(self, x):
        self.cache = x
        return x * self.factor

    def backward(self, dy, accumulate=False, needs_dx=True):
        self.factor.receive((dy * self.cache).sum(0), accumulate)
        return dy * self.factor


def test_layers_of_others():
    layer = Scale()
    p = layer.factor
    layer.factor = np.array([1, 2, 3], np.float32)
    assert layer.factor is p
    np.testing.assert_array_equal(layer(np.ones((2, 3), np.float32)), [[1, 2, 3]] * 2)
    assert fnn.gradcheck(layer, normal(4, 3, dtype=np.float64), show=False)
    layer.seen = np.array(2.0)
    assert layer.state_dict()["seen"] == 2
    with pytest.raises(TypeError, match="factor: got float; expected a NumPy array of float32 and shape"):
        layer.factor = 2.0


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (normal(3), ValueError, r"grad: got shape \(3,\); expected \(2, 2\), the shape of the parameter"),
        (normal(2, 2).astype(np.float64), TypeError, "grad: got an array of float64; expected float32"),
        ([[1, 2], [3, 4]], TypeError, "grad: got list"),
        (0.0, TypeError, "grad: got float"),
    ],
)
def test_gradients_are_like_their_parameter(grad, error, message):
    p = fnn.Parameter(normal(2, 2))
    with pytest.raises(error, match=message):
        p.grad = grad
    assert p.grad is None
    p.grad = kept = normal(2, 2)
    assert p.grad is kept
    p.grad = None
    assert p.grad is None


# Read-only arrays


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def train(net):
    optimizer = fnn.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.train()(normal(3, 4))
    net.backward(normal(3, 4, seed=1))
    fnn.clip_grad_norm_(net.parameters(), 0.1)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("way", ["data", "attribute", "parameter", "state", "pickled"])
@pytest.mark.parametrize("kind", ["read-only", "mapped", "broadcast"])
def test_networks_of_read_only_arrays_can_be_trained(way, kind, tmp_path):
    a = normal(4, 4)
    if kind == "mapped":
        np.save(tmp_path / "w.npy", a)
        a = np.load(tmp_path / "w.npy", mmap_mode="r")
    else:
        a = read_only(a) if kind == "read-only" else np.broadcast_to(a[:1], (4, 4))
    layer = fnn.Linear(4, 4)
    net = fnn.Sequential(layer, fnn.BatchNorm1d(4))
    if way == "data":
        layer.weight.data = a
    elif way == "attribute":
        layer.weight = a
    elif way == "parameter":
        layer.weight = fnn.Parameter(a)
    elif way == "state":
        net.load_state_dict({**net.state_dict(), "0.weight": a})
    else:
        layer.weight.__setstate__((a, a, "weight", True))
    before = np.array(a)
    np.testing.assert_array_equal(layer.weight.data, before)
    train(net)
    assert (layer.weight.data != before).any()
    np.testing.assert_array_equal(a, before)
    fnn.init.zeros_(layer.weight)
    net.load_state_dict(net.state_dict())


def test_arrays_that_can_be_written_to_are_not_copied():
    a = normal(4, 4)
    p = fnn.Parameter(a)
    assert p.data is a
    p.grad = a
    assert p.grad is a


def test_arrays_out_of_a_pickle_are_sealed():
    """A plan in a worker process, to which networks come as pickles, keeps packed weights; BatchNorm has buffers."""
    net = fnn.Sequential(fnn.Linear(100, 200), fnn.BatchNorm1d(200)).eval()
    twin = pickle.loads(pickle.dumps(net))
    assert all(held.sealed()[1] is not None for _, held in twin.named_arrays())
    x = np.ones((2, 100), np.float32)
    np.testing.assert_array_equal(twin(x), net(x))


def test_optimisers_out_of_a_pickle_of_read_only_arrays():
    """Out-of-band buffers are read-only, as the files are that joblib maps."""
    net = fnn.Sequential(fnn.Linear(4, 4))
    optimizer = train(net)
    buffers = []
    data = pickle.dumps((net, optimizer), protocol=5, buffer_callback=buffers.append)
    twin, others = pickle.loads(data, buffers=[bytes(b.raw()) for b in buffers])
    assert buffers
    for some, steps in ((net, optimizer), (twin, others)):
        some(normal(3, 4))
        some.backward(normal(3, 4, seed=1))
        fnn.clip_grad_norm_(some.parameters(), 0.1)
        steps.step()
    for name, a in net.state_dict().items():
        assert a.tobytes() == twin.state_dict()[name].tobytes()
