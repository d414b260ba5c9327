"""Batch normalisation as a layer: its buffers, its two modes, its place in a network."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from checks import check_without_dx, directional_check
from networks import normal
from test_plan import assert_same

F = fnn.functional
MAKERS = [
    (fnn.BatchNorm1d, (6, 4)),
    (fnn.BatchNorm1d, (3, 4, 21)),
    (fnn.BatchNorm2d, (3, 4, 5, 6)),
]
EACH = pytest.mark.parametrize(("make", "shape"), MAKERS, ids=[f"{m.__name__}-{s}" for m, s in MAKERS])


def randomised(layer):
    for p in layer.parameters():
        p.data[...] = normal(*p.data.shape, seed=7)
    return layer


@EACH
def test_modes_are_the_function(make, shape):
    layer, x = randomised(make(4)), normal(*shape)
    w, b = layer.weight.data, layer.bias.data
    mean, var = np.zeros(4, np.float32), np.ones(4, np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(layer(x), F.batch_norm(x, mean, var, w, b, training=True))
        np.testing.assert_array_equal(layer.running_mean.data, mean)
        np.testing.assert_array_equal(layer.running_var.data, var)
        x = x + 1
    assert layer.num_batches_tracked.data == 3
    layer.eval()
    np.testing.assert_array_equal(layer(x), F.batch_norm(x, mean, var, w, b))
    np.testing.assert_array_equal(layer.running_mean.data, mean)
    assert layer.num_batches_tracked.data == 3


@EACH
@pytest.mark.parametrize("affine", [True, False])
def test_backward_agrees_with_differences(make, shape, affine):
    layer = make(4, affine=affine, dtype=np.float64)
    directional_check(
        randomised(layer), normal(*shape, dtype=np.float64), lambda y: normal(*y.shape, seed=5, dtype=np.float64)
    )


def test_without_running_statistics_every_batch_is_its_own():
    layer, x = fnn.BatchNorm2d(4, track_running_stats=False), normal(3, 4, 5, 6) + 3
    assert layer.running_mean is layer.running_var is layer.num_batches_tracked is None
    assert list(layer.state_dict()) == ["weight", "bias"]
    y = layer(x)
    np.testing.assert_array_equal(layer.eval()(x), y)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)


def test_without_affine_there_is_nothing_to_learn():
    layer, x = fnn.BatchNorm1d(4, affine=False), normal(6, 4)
    assert list(layer.parameters()) == []
    assert list(layer.state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    y = layer(x)
    assert layer.backward(np.ones_like(y)).shape == x.shape
    assert layer.backward(np.ones_like(y), needs_dx=False) is None


def test_momentum_none_is_the_average_of_all_batches():
    layer = fnn.BatchNorm1d(3, momentum=None, dtype=np.float64)
    batches = [normal(5, 3, seed=i, dtype=np.float64) + i for i in range(4)]
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean.data, np.mean([x.mean(axis=0) for x in batches], axis=0), rtol=1e-12)
    expected = np.mean([x.var(axis=0, ddof=1) for x in batches], axis=0)
    np.testing.assert_allclose(layer.running_var.data, expected, rtol=1e-12)


def test_eval_keeps_nothing_and_backward_says_so():
    layer = fnn.BatchNorm2d(4).eval()
    y = layer(normal(3, 4, 5, 6))
    with pytest.raises(RuntimeError, match="BatchNorm2d"):
        layer.backward(y)


def test_a_refused_batch_is_not_counted():
    layer = fnn.BatchNorm1d(3)
    with pytest.raises(ValueError, match=r"^x: got shape \(1, 3\), one value for each channel"):
        layer(normal(1, 3))
    assert layer.num_batches_tracked.data == 0
    assert not layer.running_mean.data.any()
    layer.eval()(normal(1, 3))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fnn.BatchNorm2d(0), ValueError, "num_features: got 0"),
        (lambda: fnn.BatchNorm2d(3, eps=-1), ValueError, "eps: got -1"),
        (lambda: fnn.BatchNorm1d(3, momentum="x"), TypeError, "momentum: got 'x'"),
        (lambda: fnn.BatchNorm1d(3, dtype=int), TypeError, "dtype: got"),
        (lambda: fnn.BatchNorm2d(3)(normal(2, 3)), ValueError, "x: got shape (2, 3); expected (N, 3, H, W)"),
        (lambda: fnn.BatchNorm2d(3)(normal(2, 4, 5, 5)), ValueError, "expected (N, 3, H, W)"),
        (lambda: fnn.BatchNorm1d(3)(normal(2, 3, 1, 1)), ValueError, "expected (N, 3) or (N, 3, L)"),
        (lambda: fnn.BatchNorm1d(3)(np.ones((2, 3))), TypeError, "float64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


# Buffers


def network(dtype=np.float32):
    return fnn.Sequential(
        fnn.Conv2d(2, 4, 3, dtype=dtype), fnn.BatchNorm2d(4, dtype=dtype), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Conv2d(4, 3, 2, dtype=dtype), fnn.BatchNorm2d(3, dtype=dtype), fnn.ReLU(), fnn.Flatten(),
        fnn.Linear(12, 5, dtype=dtype), fnn.BatchNorm1d(5, dtype=dtype), fnn.ReLU(),
    )  # fmt: skip


INPUT = (4, 2, 8, 8)


def test_names_are_pytorchs():
    net = fnn.Sequential(fnn.Conv2d(2, 4, 3), fnn.Sequential(fnn.BatchNorm2d(4), fnn.ReLU()), fnn.BatchNorm2d(4))
    bn = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = ["0.weight", "0.bias", *(f"1.0.{n}" for n in bn), *(f"2.{n}" for n in bn)]
    assert list(net.state_dict()) == names
    assert [n for n, _ in net.named_buffers()] == [n for n in names if n.split(".")[-1] in bn[2:]]
    assert [p.name for p in net.parameters()] == [n for n in names if n.split(".")[-1] in bn[:2]]


def test_state_goes_round():
    net, other = network(), network(np.float64)
    for i in range(3):
        net(normal(*INPUT, seed=i))
    state = net.state_dict()
    assert state["1.num_batches_tracked"].dtype == np.int64
    assert state["1.num_batches_tracked"].shape == ()
    other.load_state_dict(state)
    assert other[1].running_var.data.dtype == np.float64
    assert other[1].num_batches_tracked.data == 3
    x = normal(*INPUT)
    np.testing.assert_allclose(other.eval()(x.astype(np.float64)), net.eval()(x), rtol=1e-4, atol=1e-5)
    state["1.running_mean"][...] = 7
    assert not np.any(net[1].running_mean.data == 7)
    assert not np.any(other[1].running_mean.data == 7)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("1.running_mean", None, "is missing"),
        ("1.running_mean", np.ones(5), r"got shape \(5,\); expected \(4,\)"),
        ("1.num_batches_tracked", np.array(2.0), "got float64; expected an integer"),
        ("1.num_batches_tracked", np.array([2]), r"got shape \(1,\); expected \(\)"),
    ],
)
def test_state_that_does_not_fit_changes_nothing(name, value, message):
    net = network()
    net(normal(*INPUT))
    before = net.state_dict()
    state = {n: a + 1 for n, a in before.items()}
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ValueError, match=f"{name.replace('.', '[.]')}.*{message}"):
        net.load_state_dict(state)
    for n, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[n])


def test_copies_have_buffers_of_their_own():
    net = network()
    net(normal(*INPUT))
    before = net.state_dict()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        for name, a in twin.state_dict().items():
            np.testing.assert_array_equal(a, before[name])
        twin(normal(*INPUT, seed=1) + 3)
        assert twin[1].num_batches_tracked.data == 2
    for name, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[name])


def test_running_statistics_are_forgotten():
    layer = fnn.BatchNorm1d(3)
    layer(normal(5, 3) + 2)
    layer.weight.data[...] = 4
    layer.reset_running_stats()
    assert not layer.running_mean.data.any()
    assert (layer.running_var.data == 1).all()
    assert layer.num_batches_tracked.data == 0
    assert (layer.weight.data == 4).all()
    layer.reset_parameters()
    assert (layer.weight.data == 1).all()


# In a network


def test_fused_relu_is_the_relu():
    """A Sequential applies and goes back through the ReLU in one step; layer by layer the bits are the same."""
    net = network()
    for layer in net:
        if hasattr(layer, "running_mean"):
            randomised(layer)
    x, dy = normal(*INPUT), normal(4, 5, seed=1)
    twin = copy.deepcopy(net)
    y = net(x)
    one = x
    for layer in twin:
        one = layer(one)
    np.testing.assert_array_equal(one, y)
    dx = net.backward(dy)
    back = dy
    for layer in reversed(list(twin)):
        back = layer.backward(back)
    np.testing.assert_array_equal(back, dx)
    assert np.any(dx)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad, p.name)


def test_neither_relu_nor_its_gradient_is_computed_apart(monkeypatch):
    calls = []
    monkeypatch.setattr(F, "relu", lambda x: calls.append("relu"))
    monkeypatch.setattr(F, "relu_backward", lambda dy, y: calls.append("relu_backward"))
    net = fnn.Sequential(fnn.BatchNorm2d(4), fnn.ReLU())
    net.backward(np.ones_like(net(normal(3, 4, 5, 6))))
    assert calls == []


@pytest.mark.parametrize("first", [False, True], ids=["conv-first", "norm-first"])
def test_without_dx_the_parameters_get_the_same(first):
    net = fnn.Sequential(fnn.BatchNorm2d(2), fnn.ReLU()) if first else network()
    x = normal(*INPUT)
    check_without_dx(net, x, normal(*net(x).shape, seed=3))


def test_network_backward_agrees_with_differences():
    fnn.manual_seed(3)
    net = network(np.float64)[:-1]  # no kink at the end
    directional_check(net, normal(*INPUT, dtype=np.float64), lambda y: normal(*y.shape, seed=5, dtype=np.float64))


# Plans: in eval mode all layers in one call


def planned_network(dtype=np.float32):
    """Normalisations of planes, of small planes and of columns, some with a ReLU after them; and dropout."""
    net = fnn.Sequential(
        fnn.BatchNorm2d(2, dtype=dtype), fnn.Conv2d(2, 20, 3, dtype=dtype), fnn.BatchNorm2d(20, dtype=dtype),
        fnn.ReLU(), fnn.Dropout2d(0.2), fnn.MaxPool2d(2),
        fnn.BatchNorm2d(20, eps=0.1, affine=False, dtype=dtype), fnn.Flatten(),
        fnn.Linear(180, 33, dtype=dtype), fnn.BatchNorm1d(33, dtype=dtype), fnn.ReLU(), fnn.Dropout(),
        fnn.Linear(33, 5, dtype=dtype),
    )  # fmt: skip
    for i, (_, p) in enumerate(net.named_parameters()):
        p.data[...] = normal(*p.data.shape, seed=i)
    for i in range(3):
        net(normal(6, *INPUT[1:], seed=i, dtype=dtype) + i)
    return net.eval()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 4, 50])
def test_a_plan_has_the_bits_of_the_layers(n, dtype):
    net = planned_network(dtype)
    for threads in (1, 2, 7):
        with fnn.num_threads(threads):
            assert_same(net, normal(n, *INPUT[1:], seed=9, dtype=dtype))


def test_no_layer_runs_by_itself(monkeypatch):
    net = planned_network()

    def forward(self, x, activation=None):
        raise AssertionError(f"{type(self).__name__} was run by itself")

    for kind in {type(layer) for layer in net}:
        monkeypatch.setattr(kind, "forward", forward)
    net(normal(*INPUT))


@pytest.mark.parametrize(
    "change",
    [
        lambda bn: bn.running_mean.data.__setitem__(0, 5),
        lambda bn: bn.running_var.data.fill(3),
        lambda bn: setattr(bn, "running_var", fnn.Buffer(np.full(20, 0.25, np.float32))),
        lambda bn: setattr(bn.running_mean, "data", np.full(20, 0.25, np.float32)),
        lambda bn: bn.weight.data.fill(2),
        lambda bn: bn.bias.data.fill(2),
        lambda bn: setattr(bn, "eps", 1.5),
        lambda bn: bn.reset_running_stats(),
        lambda bn: setattr(bn, "bias", None),
        lambda bn: bn.train()(normal(4, 20, 6, 6)) is None or bn.eval(),
    ],
)
def test_changes_of_a_planned_network_are_noticed(change):
    net, x = planned_network(), normal(*INPUT)
    held = net[2].running_mean.data
    before = net(x)
    change(net[2])
    assert_same(net, x)
    assert not np.array_equal(net(x), before)
    held += 1
    assert_same(net, x, "written to by whoever had it before")


def test_statistics_of_batches_have_no_plan():
    net = fnn.Sequential(fnn.Linear(5, 4), fnn.BatchNorm1d(4, track_running_stats=False)).eval()
    assert_same(net, normal(6, 5))


def test_errors_are_those_of_the_layer():
    net = fnn.Sequential(fnn.Flatten(), fnn.BatchNorm2d(4)).eval()
    with pytest.raises(ValueError, match=r"^layer 1 \(BatchNorm2d\): x: got shape \(3, 80\); expected \(N, 4, H, W\)"):
        net(normal(3, 4, 20))


def test_repr_and_summary():
    net = network()
    line = "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"
    assert line in repr(net)
    text = net.summary((1, *INPUT[1:]))
    row = next(line for line in text.splitlines() if "1 BatchNorm2d" in line)
    assert "1 x 4 x 6 x 6" in row
    assert row.split()[-1] == "8"
    assert net[1].num_batches_tracked.data == 0
    assert "BatchNorm1d" in fnn.Sequential(fnn.BatchNorm1d(3, track_running_stats=False)).summary((2, 3))


def test_training_has_the_same_bits_on_any_number_of_threads():
    x, labels = normal(16, 2, 8, 8), np.arange(16) % 5
    states = []
    for threads in (1, 2, 7):
        with fnn.num_threads(threads):
            fnn.manual_seed(0)
            net = network()
            criterion, optimizer = fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.05, momentum=0.9)
            for _ in range(3):
                criterion(net(x), labels)
                net.backward(criterion.backward(), needs_dx=False)
                optimizer.step()
            states.append(net.state_dict())
    for state in states[1:]:
        for name, a in state.items():
            assert a.tobytes() == states[0][name].tobytes(), name


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"momentum": 0.3, "eps": 0.1}], ids=str)
def test_training_is_pytorchs(options):
    """Three steps and an evaluation of both libraries: outputs, gradients, running statistics."""
    torch = pytest.importorskip("torch")
    ours, theirs = fnn.BatchNorm2d(4, **options, dtype=np.float64), torch.nn.BatchNorm2d(4, **options).double()
    if ours.affine:
        randomised(ours)
    theirs.load_state_dict({name: torch.from_numpy(a) for name, a in ours.state_dict().items()})
    for i in range(3):
        x, dy = (normal(3, 4, 5, 6, seed=10 * i + j, dtype=np.float64) * (i + 1) + i for j in range(2))
        tensor = torch.from_numpy(x).requires_grad_()
        result = theirs(tensor)
        theirs.zero_grad()
        result.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(ours(x), result.detach().numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.backward(dy), tensor.grad.numpy(), rtol=1e-9, atol=1e-11)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-10, atol=1e-12)
        for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
            assert name == other
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-12)
    ours.eval()
    theirs.eval()
    np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-10, atol=1e-12)
