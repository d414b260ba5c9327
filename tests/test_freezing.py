"""Frozen parameters: no gradient of them is computed, nothing changes them, and a backward ends where learning ends."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def network(dtype=np.float32):
    fnn.manual_seed(0)
    return fnn.Sequential(
        fnn.Conv2d(2, 3, 3, dtype=dtype), fnn.BatchNorm2d(3, dtype=dtype), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Sequential(fnn.Conv2d(3, 4, 1, dtype=dtype), fnn.ReLU()), fnn.Flatten(), fnn.Linear(16, 5, dtype=dtype),
    )  # fmt: skip


X, DY = normal(3, 2, 6, 6), normal(3, 5, seed=1)
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "4.0.weight", "4.0.bias", "6.weight", "6.bias"]


def gradients(net, **options):
    net(X.astype(np.float64))
    dx = net.backward(DY.astype(np.float64), **options)
    return dx, {name: p.grad for name, p in net.named_parameters()}


@pytest.mark.parametrize("frozen", [NAMES[:2], NAMES[2:3], NAMES[3:5], NAMES[:6], NAMES[1::2], NAMES], ids=str)
@pytest.mark.parametrize("needs_dx", [True, False])
def test_the_other_gradients_are_the_same(frozen, needs_dx):
    net = network(np.float64)
    dx, expected = gradients(net)
    for name, p in net.named_parameters():
        p.requires_grad = name not in frozen
    got_dx, got = gradients(net, needs_dx=needs_dx)
    for name, grad in got.items():
        if name in frozen:
            assert grad is None, name
        else:
            np.testing.assert_allclose(grad, expected[name], rtol=1e-12, atol=1e-13, err_msg=name)
    if needs_dx:
        np.testing.assert_allclose(got_dx, dx, rtol=1e-12, atol=1e-13)
    else:
        assert got_dx is None


def test_nothing_is_computed_for_frozen_parameters(monkeypatch):
    asked = []

    def record(name, function):
        def recorded(*args, **kwargs):
            asked.append((name.removesuffix("_backward"), *kwargs.get("needs", ())))
            return function(*args, **kwargs)

        monkeypatch.setattr(functional, name, recorded)

    for name in ("conv2d_backward", "batch_norm_backward", "linear_backward", "max_pool2d_backward", "relu_backward"):
        record(name, getattr(functional, name))
    net = network()
    net(X)
    net[:4].requires_grad_(False)
    net[6].weight.requires_grad = False
    net.backward(DY, needs_dx=False)
    assert asked == [("linear", "dx", "db"), ("relu",), ("conv2d", "dw", "db")], "it goes on where nothing learns"
    asked.clear()
    net.requires_grad_(False)
    assert net.backward(DY, needs_dx=False) is None
    assert asked == []
    net(X)
    assert net.backward(DY).shape == X.shape
    assert [wanted for _, *wanted in asked if wanted] == [["dx"]] * 4


def test_optimisers_leave_them_alone():
    net = network()
    optimizer = fnn.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    criterion, labels = fnn.CrossEntropyLoss(), np.array([0, 4, 2])

    def step():
        criterion(net(X), labels)
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()

    step()
    net[0].requires_grad_(False)  # it had a gradient and a velocity
    before = net.state_dict()
    optimizer.step()
    step()
    after = net.state_dict()
    for name in NAMES:
        assert (after[name].tobytes() == before[name].tobytes()) == name.startswith("0."), name
    net[0].requires_grad_()
    step()
    assert net[0].weight.data.tobytes() != before["0.weight"].tobytes()


def test_requires_grad_of_networks_and_copies():
    net = network()
    assert all(p.requires_grad for p in net.parameters())
    assert net.learns()
    assert net[:4].requires_grad_(False)[0].weight.requires_grad is False
    assert [name for name, p in net.named_parameters() if not p.requires_grad] == NAMES[:4]
    assert "requires_grad=False" in repr(net[0].weight)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in net.parameters()]
    assert net.requires_grad_(False) is net
    assert not net.learns()
    assert not fnn.Parameter(normal(2), requires_grad=False).requires_grad


def test_a_frozen_parameter_takes_no_gradient():
    """Whatever a layer of somebody else's computes."""
    p = fnn.Parameter(normal(2))
    p.receive(normal(2), accumulate=False)
    p.requires_grad = False
    assert p.grad is None
    p.receive(normal(2), accumulate=True)
    assert p.grad is None


def test_frozen_layers_are_planned_and_copied_into():
    net = network().requires_grad_(False).eval()
    y = net(X)
    net.load_state_dict({name: a * 0 for name, a in net.state_dict().items()})
    assert not net(X).any()
    assert y.any()


@pytest.mark.parametrize("value", [0, None, "no"])
def test_requires_grad_is_true_or_false(value):
    with pytest.raises(TypeError, match=r"^requires_grad: got .*; expected True or False"):
        fnn.Linear(2, 2).requires_grad_(value)
