"""ReLUs done by their neighbours in train mode: the results are those of the layers one by one."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional
from fastnn.plan.fusion import Fusion, fusion_of
from networks import normal


def network():
    fnn.manual_seed(0)
    return fnn.Sequential(
        fnn.Conv2d(3, 4, 3, padding=1), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Conv2d(4, 4, 3, padding=1), fnn.BatchNorm2d(4), fnn.ReLU(),
        fnn.Conv2d(4, 6, 1), fnn.BatchNorm2d(6), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Residual(fnn.Sequential(fnn.ReLU(), fnn.Conv2d(6, 6, 1))), fnn.ReLU(), fnn.ReLU(),
        fnn.Flatten(), fnn.Linear(24, 5), fnn.ReLU(), fnn.Identity(), fnn.Linear(5, 3),
    )  # fmt: skip


X, DY = normal(5, 3, 8, 8), normal(5, 3)


def gradients_of(net):
    return {name: p.grad.tobytes() for name, p in net.named_parameters()}


def one_by_one(net):
    """The output and the gradient of the input, each layer by its own forward and backward."""
    y, dy = X, DY
    for layer in net:
        y = layer.forward(y)
    for layer in reversed(net.layers):
        dy = layer.backward(dy)
    return y, dy


def test_the_bits_of_the_layers():
    plain, fused = network(), network()
    y, dx = one_by_one(plain)
    assert fused(X).tobytes() == y.tobytes()
    np.testing.assert_array_equal(fused.backward(DY), dx)
    assert gradients_of(fused) == gradients_of(plain)
    assert all(layer._kept is None for layer in fused.modules())


def test_what_is_kept_and_what_is_not(monkeypatch):
    net = network()
    monkeypatch.setattr(fnn.ReLU, "forward", None)
    net[10].body[0].forward = functional.relu  # has no neighbour that can do it
    net[12].forward = functional.relu
    net(X)
    assert net[1]._kept is None, "the pooling after it keeps enough"
    assert net[8]._kept is None
    assert net[5]._kept is not None


def test_parts_called_apart_go_back_together():
    """Two parts of a network share its layers: a ReLU in one of them does not know of the pooling in the other."""
    whole, apart = network(), network()
    whole(X)
    apart[2:](apart[:2](X))
    np.testing.assert_array_equal(apart.backward(DY), whole.backward(DY))
    assert gradients_of(apart) == gradients_of(whole)


@pytest.mark.parametrize("place", [0, 1])
def test_a_hook_sees_what_its_layer_gives(place):
    net, seen = fnn.Sequential(fnn.Linear(3, 4), fnn.ReLU()), []
    with net[place].register_forward_hook(lambda module, inputs, output: seen.append(output)):
        y = net(normal(2, 3))
    linear = net[0].forward(normal(2, 3))
    np.testing.assert_array_equal(seen[0], [linear, functional.relu(linear)][place])
    np.testing.assert_array_equal(y, functional.relu(linear))


class Scaled(fnn.Linear):
    """Its forward is another one, and knows nothing of activations."""

    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, dy, accumulate=False, needs_dx=True):
        return super().backward(2 * dy, accumulate, needs_dx)


class Fusing(Scaled):
    """It knows of them again, and says so."""

    fusion = Fusion(in_forward=True)

    def forward(self, x, activation=None):
        self.activation = activation
        y = super().forward(x)
        return y if activation is None else functional.relu(y)


class Named(fnn.Linear):
    """Its forward is Linear's."""

    def __repr__(self):
        return "Named"


def test_who_changes_a_forward_declares_anew():
    for kind, can in ((Scaled, False), (Fusing, True), (Named, True)):
        fnn.manual_seed(0)
        layer = kind(3, 4)
        net, x, dy = fnn.Sequential(layer, fnn.ReLU()), normal(2, 3), normal(2, 4)
        assert fusion_of(layer).in_forward == can
        y = net(x)
        dx = net.backward(dy)
        np.testing.assert_array_equal(y, functional.relu(layer.forward(x)))
        np.testing.assert_array_equal(dx, layer.backward(dy * (y > 0)))
    fused = Fusing(3, 4)
    fnn.Sequential(fused, fnn.ReLU())(x)
    assert fused.activation == "relu"


def test_a_forward_put_on_a_layer():
    layer = fnn.Linear(3, 4)
    layer.forward = lambda x: np.full((len(x), 4), -1, np.float32)
    assert fusion_of(layer) == Fusion()
    assert not fnn.Sequential(layer, fnn.ReLU())(normal(2, 3)).any()


def test_it_goes_back_no_further_than_it_must():
    """Frozen layers in front: the pairs behind them are the same."""
    plain, frozen = network(), network()
    plain(X)
    plain.backward(DY)
    frozen[:7].requires_grad_(False)
    frozen(X)
    assert frozen.backward(DY, needs_dx=False) is None
    learnt = {name for name, p in frozen.named_parameters() if p.requires_grad}
    assert learnt
    for name, p in plain.named_parameters():
        grad = dict(frozen.named_parameters())[name].grad
        assert (grad is None) if name not in learnt else grad.tobytes() == p.grad.tobytes()
