"""Containers as lists of layers, with the names and manners of PyTorch's."""

import numpy as np
import pytest

import fastnn as fnn


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def five():
    return [fnn.Linear(4, 4), fnn.ReLU(), fnn.Linear(4, 4), fnn.Tanh(), fnn.Linear(4, 3)]


def other():
    return fnn.Sigmoid()


# Each changes a list and a network of the same layers in the same way.
CHANGES = {
    "append": lambda layers, new: layers.append(new),
    "extend": lambda layers, new: layers.extend([new, other()]),
    "extend by a network": lambda layers, new: layers.extend(fnn.Sequential(new, other())),
    "insert first": lambda layers, new: layers.insert(0, new),
    "insert before the last": lambda layers, new: layers.insert(-1, new),
    "insert last": lambda layers, new: layers.insert(5, new),
    "set": lambda layers, new: layers.__setitem__(1, new),
    "set from the end": lambda layers, new: layers.__setitem__(-5, new),
    "delete": lambda layers, new: layers.__delitem__(3),
    "delete from the end": lambda layers, new: layers.__delitem__(-1),
    "delete some": lambda layers, new: layers.__delitem__(slice(1, 4, 2)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_sequential_changes_as_a_list(change):
    layers, new = five(), other()
    net = fnn.Sequential(*layers).eval()
    net(normal(2, 4))  # as planned, which must be noticed
    for changed in (layers, net):
        change(changed, new)
    assert [type(layer) for layer in net] == [type(layer) for layer in layers]
    assert all(layer in layers for layer in net if type(layer) is not fnn.Sigmoid)
    assert len(net) == len(layers)
    expected = normal(2, 4)
    for layer in net:
        expected = layer.forward(expected)
    np.testing.assert_array_equal(net.eval()(normal(2, 4)), expected)
    names = [name for name, _ in net.named_parameters()]
    assert names == [f"{i}.{n}" for i, m in enumerate(net) if isinstance(m, fnn.Linear) for n in ("weight", "bias")]


def test_changes_hand_back_the_network():
    net = fnn.Sequential()
    assert net.append(fnn.ReLU()) is net
    assert net.insert(0, fnn.Linear(2, 2)) is net
    assert net.extend([fnn.Tanh()]) is net
    assert repr(net).splitlines()[1:-1] == [
        "  (0): Linear(in_features=2, out_features=2, bias=True)", "  (1): ReLU()", "  (2): Tanh()"
    ]  # fmt: skip


def test_indices_and_slices():
    layers = five()
    net = fnn.Sequential(*layers).eval()
    for place in range(-5, 5):
        assert net[place] is layers[place]
    for cut in (slice(2), slice(-2, None), slice(None, None, 2), slice(4, 1, -1), slice(9, 12)):
        part = net[cut]
        assert type(part) is fnn.Sequential
        assert list(part) == layers[cut]
        assert not part.training
    x = normal(2, 4)
    np.testing.assert_array_equal(net[3:](net[:3](x)), net(x))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda net: net[5], IndexError, "place: got 5; expected -5 to 4, in a network of 5 layers"),
        (lambda net: net[-6], IndexError, "place: got -6"),
        (lambda net: net["0"], TypeError, "place: got '0'; expected an int"),
        (lambda net: net.__setitem__(5, other()), IndexError, "place: got 5"),
        (lambda net: net.__delitem__(-6), IndexError, "place: got -6"),
        (lambda net: net.insert(6, other()), IndexError, "place: got 6; expected -5 to 5"),
        (lambda net: net.insert(0, 3), TypeError, "layer 0: got int; expected a layer"),
        (lambda net: net.append(fnn.ReLU), TypeError, "layer 5: got the class ReLU"),
        (lambda net: net.extend([None]), TypeError, "layer 5: got NoneType"),
        (lambda net: net.append(net[1]), ValueError, "layer 5: got the ReLU that is also in layer 1"),
        (lambda net: net.append(net), ValueError, "layer 5: got the Sequential itself"),
        (lambda net: net.append(fnn.Sequential(net)), ValueError, "layer 5: got the Sequential itself"),
        (lambda net: net.__setitem__(0, net[4]), ValueError, "layer 4: got the Linear that is also in layer 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_changes_change_nothing(change, error, message):
    layers = five()
    net = fnn.Sequential(*layers)
    with pytest.raises(error) as caught:
        change(net)
    assert message in str(caught.value)
    assert list(net) == layers


def test_layers_have_qualified_names():
    inner = fnn.Sequential(fnn.ReLU(), fnn.Linear(2, 2))
    net = fnn.Sequential(fnn.Linear(2, 2), inner)
    named = dict(net.named_modules())
    assert list(named) == ["", "0", "1", "1.0", "1.1"]
    assert list(named.values()) == list(net.modules())
    assert net.get_submodule("1.1") is inner[1]
    assert net.get_submodule("") is net
    for wrong in ("2", "1.2", "0.weight", None):
        with pytest.raises(AttributeError, match=r"target: got .*expected the name of a layer in this one: '0', '1'"):
            net.get_submodule(wrong)
    with pytest.raises(AttributeError, match="it has none"):
        inner[0].get_submodule("0")


def test_apply_takes_the_layers_inside_first():
    net = fnn.Sequential(fnn.Linear(2, 2), fnn.Sequential(fnn.ReLU()))
    seen = []
    assert net.apply(seen.append) is net
    assert seen == [net[0], net[1][0], net[1], net]


def test_mode():
    net = fnn.Sequential(fnn.ReLU())
    assert not any(module.training for module in net.train(False).modules())
    assert all(module.training for module in net.train(True).modules())
