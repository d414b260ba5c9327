"""Hooks see the output of any layer: in both modes, and also where the network would not compute it by itself."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def network():
    fnn.manual_seed(0)
    return fnn.Sequential(
        fnn.Conv2d(2, 3, 3), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Sequential(fnn.BatchNorm2d(3), fnn.ReLU()), fnn.Flatten(), fnn.Linear(12, 5), fnn.ReLU(),
        fnn.Residual(fnn.Sequential(fnn.Linear(5, 5), fnn.ReLU()), fnn.Linear(5, 5)), fnn.ReLU(),
        fnn.Concat([fnn.Linear(5, 2), fnn.Sequential(fnn.Linear(5, 3), fnn.ReLU())]),
    )  # fmt: skip


X = normal(3, 2, 6, 6)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_hooks_see_what_every_layer_gives(training):
    net = network().train(training)
    expected = {}

    def run(module, x, name):
        parts = {part: f"{name}.{part}".lstrip(".") for part, _ in module.named_children()}
        y = x
        if isinstance(module, fnn.Sequential):
            for part, path in parts.items():
                y = run(module.get_submodule(part), y, path)
        elif parts:
            outputs = [run(module.get_submodule(part), x, path) for part, path in parts.items()]
            y = np.concatenate(outputs, axis=1) if isinstance(module, fnn.Concat) else sum(outputs)
        else:
            y = module.forward(x)
        expected[name] = x, y
        return y

    state = net.state_dict()
    y = run(net, X, "")
    net.load_state_dict(state)  # running statistics moved
    np.testing.assert_array_equal(net(X), y)
    seen = {}
    for name, module in net.named_modules():
        module.register_forward_hook(lambda m, inputs, output, name=name: seen.update({name: (m, inputs, output)}))
    net.load_state_dict(state)
    np.testing.assert_array_equal(net(X), y)
    assert list(seen) == list(expected), "inner ones first"
    for name, (module, inputs, output) in seen.items():
        assert module is net.get_submodule(name)
        assert type(inputs) is tuple
        assert len(inputs) == 1
        np.testing.assert_array_equal(inputs[0], expected[name][0], name)
        np.testing.assert_array_equal(output, expected[name][1], name)
    if training:
        assert net.backward(np.ones_like(y)).shape == X.shape


@pytest.mark.parametrize("name", ["0", "1", "3", "3.1", "6", "7", "7.body.1", "8", "9.1.0"])
def test_a_hook_comes_and_goes_with_its_handle(name, monkeypatch):
    net, seen = network().eval(), []
    y = net(X)
    handle = net.get_submodule(name).register_forward_hook(lambda m, i, o: seen.append(o))
    np.testing.assert_array_equal(net(X), y)
    assert len(seen) == 1
    handle.remove()
    handle.remove()
    np.testing.assert_array_equal(net(X), y)
    with net.get_submodule(name).register_forward_hook(lambda m, i, o: seen.append(o)):
        net(X)
    monkeypatch.setattr(fnn.Flatten, "forward", None)  # without hooks the network is one call again
    np.testing.assert_array_equal(net(X), y)
    assert len(seen) == 2


def test_a_hook_on_the_network_leaves_it_one_call(monkeypatch):
    net, seen = network().eval(), []
    y = net(X)
    net.register_forward_hook(lambda m, i, o: seen.append((i, o)))
    monkeypatch.setattr(fnn.Flatten, "forward", None)
    assert net(X) is seen[0][1]
    assert seen[0][0][0] is X
    np.testing.assert_array_equal(seen[0][1], y)


def test_hooks_are_called_in_order_and_may_change_the_output():
    layer = fnn.ReLU().eval()
    layer.register_forward_hook(lambda m, i, o: o + 1)
    layer.register_forward_hook(lambda m, i, o: 2 * o)
    x = normal(2, 3)
    np.testing.assert_array_equal(layer(x), 2 * (functional.relu(x) + 1))
    np.testing.assert_array_equal(fnn.Sequential(fnn.Tanh(), layer).eval()(x), layer(fnn.Tanh().forward(x)))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_what_hooks_may_not_return(training):
    layer = fnn.ReLU().train(training)
    layer.register_forward_hook(lambda m, i, o: o if training else 3)
    error = RuntimeError if training else TypeError
    message = "hook: got ndarray from a hook of ReLU in train mode; expected None" if training else "of a hook: got int"
    with pytest.raises(error, match=message):
        layer(normal(2))


def test_a_hook_is_a_function():
    with pytest.raises(TypeError, match="hook: got str; expected a function of"):
        fnn.ReLU().register_forward_hook("print")


def test_copies_have_no_hooks():
    net, seen = network(), []
    net[0].register_forward_hook(lambda m, i, o: seen.append(o))
    net.register_forward_hook(lambda m, i, o: seen.append(o))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        twin(X)
    net.summary((1, 2, 6, 6))
    assert seen == []


def test_a_handle_does_not_keep_the_network():
    gc.disable()
    try:
        net = network()
        handle = net[0].register_forward_hook(lambda m, i, o: None)
        gone = weakref.ref(net[0])
        del net
        assert gone() is None
        handle.remove()
    finally:
        gc.enable()
