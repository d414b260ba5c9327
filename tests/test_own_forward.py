"""Modules in PyTorch's manner: a forward is traced to a graph, which has a backward, a plan and a summary."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
import fastnn.functional as F
from checks import directional_check
from networks import normal

F8 = {"dtype": np.float64}
X = normal(3, 4, 6, 6, dtype=np.float64)


class Block(fnn.Module):
    def __init__(self, channels=4):
        super().__init__()
        self.conv = fnn.Conv2d(channels, channels, 3, padding=1, bias=False, **F8)
        self.norm = fnn.BatchNorm2d(channels, **F8)
        self.relu = fnn.ReLU()

    def forward(self, x):
        return self.relu(self.norm(self.conv(self.relu(x))) + x)


class Many(fnn.Module):
    """Most of what a forward may do."""

    def __init__(self):
        super().__init__()
        self.blocks = fnn.ModuleList(Block() for _ in range(2))
        self.ways = fnn.ModuleDict({"a": fnn.Conv2d(4, 2, 1, **F8), "b": fnn.Conv2d(4, 3, 3, padding=1, **F8)})
        self.scale = fnn.Parameter(np.full((4, 1, 1), 0.5))
        self.register_buffer("shift", np.full(5, 0.25))
        self.fc = fnn.Linear(5, 5, **F8)
        self.last = fnn.Sequential(fnn.Linear(10, 6, **F8), fnn.Tanh())

    def forward(self, x, doubled=False):
        for block in self.blocks:
            x = block(x) * self.scale
        x = fnn.cat([self.ways["a"](x), self.ways["b"](x)], dim=1)
        x = F.max_pool2d(F.leaky_relu(x, 0.1), 2) - F.avg_pool2d(x, kernel_size=2) / 3
        left, right = x.split([2, 3], dim=1)
        x = fnn.cat((left.transpose(2, 3).contiguous(), 1 - right.permute(0, 1, 3, 2)), 1)
        gates = self.fc(x.mean(dim=(2, 3)) + self.shift).sigmoid()
        x = x * gates.view(x.size(0), -1, 1, 1)
        first, rest = x[:, :, 0], x[:, :, 1:].reshape(x.shape[0], 5, 6).mean(-1)
        y = fnn.cat([first.mean(2), -rest], 1)
        y = F.linear(y, self.last[0].weight) + self.last(y.flatten(1)) ** 2
        return y * 2 if doubled else F.softmax(y, dim=1)


class Twice(fnn.Module):
    """Layers that are called twice, one of them with statistics."""

    def __init__(self):
        super().__init__()
        self.inner = fnn.Sequential(fnn.Linear(4, 4, **F8), fnn.BatchNorm1d(4, **F8), fnn.Tanh())

    def forward(self, x):
        return self.inner(self.inner(x)) + self.inner(x)


def by_halves(make, x):
    return directional_check(make, x, lambda y: normal(*y.shape, seed=5, dtype=np.float64), tolerance=1e-5)


@pytest.mark.parametrize(("make", "x"), [(Block, X), (Many, X), (Twice, X[..., :4])], ids=["Block", "Many", "Twice"])
def test_backward_agrees_with_differences(make, x):
    fnn.manual_seed(1)
    x = x[:, :, 0] if make is Twice else x
    if make is Twice:
        x = x.reshape(-1, 4)
    by_halves(make(), x)


def test_layers_called_twice_have_the_gradients_of_both_calls():
    net, linear = Twice(), fnn.Linear(4, 4, **F8)
    x = normal(5, 4, dtype=np.float64)
    net(x)
    net.backward(np.ones((5, 4)))
    assert net.inner[1].num_batches_tracked.item() == 3
    for _ in range(2):
        net(x)
    assert net.inner[1].num_batches_tracked.item() == 9

    class Powers(fnn.Module):
        def __init__(self):
            self.linear = linear

        def forward(self, x):
            return self.linear(self.linear(x))

    powers = Powers()
    powers(x)
    powers.backward(np.ones((5, 4)))
    w, b, ones = linear.weight.data, linear.bias.data, np.ones((5, 4))
    h = x @ w.T + b
    np.testing.assert_allclose(linear.weight.grad, ones.T @ h + (ones @ w).T @ x)
    np.testing.assert_allclose(linear.bias.grad, ones.sum(0) + (ones @ w).sum(0))


def test_train_mode_and_eval_mode_and_back():
    net = Many()
    trained = net(X)
    np.testing.assert_array_equal(trained, copy.deepcopy(net).train()(X))
    net.eval()
    y = net(X)
    np.testing.assert_array_equal(net(X), y)
    np.testing.assert_array_equal(net.train()(X), trained)
    y = net.eval()(X)
    with fnn.implementation("reference"):
        np.testing.assert_allclose(net(X), y, rtol=1e-11)
    assert len(net._traces) == 2
    np.testing.assert_allclose(net(X[:2]), y[:2], rtol=1e-11)
    assert len(net._traces) == 2, "a batch of another size runs by the same trace"
    assert not np.array_equal(net(X, doubled=True), y)
    assert len(net._traces) == 3


def test_the_first_call_is_one_call():
    """What is traced in train mode is the call itself: statistics and random numbers are those of one call."""
    nets = [fnn.Sequential(fnn.BatchNorm2d(4, **F8), fnn.Dropout(0.5)) for _ in range(2)]

    class Same(fnn.Module):
        def __init__(self, net):
            self.net = net

        def forward(self, x):
            return self.net(x)

    outputs = []
    for net in (nets[0], Same(nets[1])):
        fnn.manual_seed(3)
        outputs += [net(X), net(X)]
    np.testing.assert_array_equal(outputs[0], outputs[2])
    np.testing.assert_array_equal(outputs[1], outputs[3])
    for a, b in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_change_of_an_attribute_is_traced_anew():
    class Chosen(fnn.Module):
        def __init__(self):
            self.layers_used, self.a, self.b = 1, fnn.Linear(4, 4, **F8), fnn.Linear(4, 4, **F8)

        def forward(self, x):
            x = self.a(x)
            return self.b(x) if self.layers_used == 2 else x

    net, x = Chosen(), normal(3, 4, dtype=np.float64)
    np.testing.assert_array_equal(net(x), net.a(x))
    net.layers_used = 2
    np.testing.assert_array_equal(net(x), net.b(net.a(x)))
    net.b = fnn.Linear(4, 2, **F8)
    assert net(x).shape == (3, 2)
    with net.a.register_forward_hook(lambda module, inputs, y: seen.append(y.shape)):
        seen = []
        net(x)
        net(x)
    assert seen == [(3, 4)] * 2


def test_inside_other_networks():
    net = fnn.Sequential(fnn.Conv2d(4, 4, 1, **F8), Block(), fnn.Residual(Block()), fnn.ReLU())
    by_halves(net, X)
    net.eval()
    y = net(X)
    x = net[0](X)
    x = net[1](x)
    np.testing.assert_allclose(y, np.maximum(net[2].body(x) + x, 0), rtol=1e-11)
    assert [type(part).__name__ for part in net._inference.parts] == ["Run"]
    assert "1.conv Conv2d" in net.summary((1, 4, 6, 6))


def test_copies_pickles_and_state_dicts():
    net = Many()
    net(X)
    net.eval()
    y = net(X)
    np.testing.assert_array_equal(copy.deepcopy(net)(X), y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net))(X), y)
    other = Many().eval()
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other(X), y)
    graph = fnn.trace(net, X)
    np.testing.assert_array_equal(graph(X), y)
    others = {name for name in graph.state_dict() if "constant" in name} | {"linear.weight"}
    assert set(graph.state_dict()) == set(net.state_dict()) | others
    assert graph["last.0"].weight is net.last[0].weight
    assert "ways.a Conv2d" in net.summary((1, 4, 6, 6))
    with pytest.raises(TypeError, match=r"module: got fastnn.Linear; expected a Module of a class of your own"):
        fnn.trace(fnn.Linear(2, 2), X)


def test_a_batch_size_that_is_used_as_a_number():
    class Rows(fnn.Module):
        def __init__(self, how):
            self.how = how

        def forward(self, x):
            return self.how(x)

    x = normal(6, 4, dtype=np.float64)
    ways = {
        "rows": lambda x: x.reshape(x.shape[0] * 2, 2),
        "range": lambda x: fnn.cat([x[i : i + 1] for i in range(x.shape[0])]),
        "len": lambda x: x * (1 / len(x)),
        "compared": lambda x: x * 2 if x.shape[0] > 3 else x,
        "turned": lambda x: x.permute(1, 0) * x.permute(1, 0).shape[1],
    }
    for name, how in ways.items():
        net = Rows(how)
        for n in (6, 2, 4, 6):
            got, expected = net(x[:n]), {
                "rows": x[:n].reshape(-1, 2),
                "range": x[:n],
                "len": x[:n] / n,
                "compared": x[:n] * (2 if n > 3 else 1),
                "turned": x[:n].T * n,
            }[name]  # fmt: skip
            np.testing.assert_allclose(got, expected, err_msg=name)
            assert net.backward(np.ones(got.shape)).shape == (n, 4)
        assert len(net._traces) == 3
        assert fnn.Sequential(net, fnn.Tanh()).eval()(x).shape == net(x).shape


def test_a_batch_that_is_cut_and_put_together_again():
    class Tokens(fnn.Module):
        def __init__(self):
            self.linear = fnn.Linear(4, 2, **F8)

        def forward(self, x):
            rows = self.linear(x.view(-1, 4))
            return rows.view(x.size(0), 3, 2).mean(2).view(x.size(0), -1)

    net = Tokens()
    linear = copy.deepcopy(net.linear)
    for n in (6, 1, 4):
        x = normal(n, 3, 4, dtype=np.float64)
        np.testing.assert_allclose(net(x), linear(x).mean(2))
        assert net.backward(np.ones((n, 3))).shape == x.shape
    assert len(net._traces) == 1
    assert net.eval()(np.zeros((0, 3, 4))).shape == (0, 3)


def test_several_inputs_outputs_and_modes():
    class Pair(fnn.Module):
        def __init__(self):
            self.a, self.b = fnn.Linear(4, 3, **F8), fnn.Linear(2, 3, **F8)

        def forward(self, x, z, scale=1.0):
            s = self.a(x) + self.b(z)
            return s * scale, F.dropout(s, 0.5, training=self.training)

    net, x, z = Pair(), normal(5, 4, dtype=np.float64), normal(5, 2, dtype=np.float64)
    s, dropped = net(x, z=z, scale=2.0)
    assert 0 < np.sum(dropped == 0) < 15
    dx, dz = net.backward((np.ones((5, 3)), np.zeros((5, 3))))
    np.testing.assert_allclose(dx, 2 * np.ones((5, 3)) @ net.a.weight.data)
    assert dz.shape == z.shape
    net.eval()
    s, dropped = net(x, z)
    np.testing.assert_array_equal(s, dropped)


def test_a_backward_of_ones_own_is_used_as_before():
    class Both(fnn.Module):
        def forward(self, x):
            self._keep(x)
            return np.sin(x)

        def backward(self, dy, accumulate=False, needs_dx=True):
            return dy * np.cos(self._kept)

    class Uses(fnn.Module):
        def __init__(self):
            self.both = Both()

        def forward(self, x):
            return self.both(x) + self.both(2 * x)

    x = normal(3, 4, dtype=np.float64)
    np.testing.assert_array_equal(Both()(x), np.sin(x))
    net = Uses()
    np.testing.assert_allclose(net(x), np.sin(x) + np.sin(2 * x))
    np.testing.assert_allclose(net.backward(np.ones_like(x)), np.cos(x) + 2 * np.cos(2 * x))


def test_super_and_direct_calls_of_forward():
    class More(Block):
        def forward(self, x):
            return super().forward(x) * 2

    block, more = Block(), More()
    more.load_state_dict(block.state_dict())
    np.testing.assert_allclose(more.forward(X), 2 * block.forward(X))
    assert more.backward(np.ones_like(X)).shape == X.shape


class Wrong(fnn.Module):
    def __init__(self, how):
        self.how = how
        self.linear = fnn.Linear(4, 4, **F8)

    def forward(self, x):
        return self.how(self, x)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda self, x: x if x.mean(1) else -x, r"asks whether a value is true.*self.training"),
        (lambda self, x: x if x.mean(1) > 0 else -x, r"compares a value; forward is run once"),
        (lambda self, x: x * float(x[0, 0]), r"makes a number of a value.*keep it an array"),
        (lambda self, x: x * x[0, 0].item(), r"makes a number of a value"),
        (lambda self, x: sum(row for row in x), r"goes through a value one by one.*x\.split"),
        (lambda self, x: np.tanh(x), r"calls numpy\.tanh; .*fastnn\.functional.*own_layer\.py"),
        (lambda self, x: np.concatenate([x, x]), r"calls numpy\.concatenate"),
        (lambda self, x: np.asarray(x), r"makes an array of a value"),
        (lambda self, x: x.tolist(), r"makes a list of a value"),
        (lambda self, x: x[x], r"an index that is a value"),
        (lambda self, x: x.__setitem__(0, 1), r"writes into a value.*fastnn\.cat"),
        (lambda self, x: x**3, r"the power 3 of a value"),
        (lambda self, x: x.mean(), r"the mean of all elements.*x\.mean\(dim\)"),
        (lambda self, x: F.index_select(x, 0), r"calls functional\.index_select, which no layer does"),
        (lambda self, x: F.linear(x, self.linear.weight.data), r"gets ndarray as its weight; expected the Parameter"),
        (lambda self, x: F.batch_norm(x), r"calls functional\.batch_norm.*BatchNorm2d"),
        (lambda self, x: fnn.Linear(4, 4, **F8)(x), r"calls a Linear that is no part of the network"),
        (lambda self, x: x * fnn.Parameter(np.ones(4)), r"uses a Parameter that is no attribute"),
        (lambda self, x: {"y": x}, r"returns dict; expected a value"),
        (lambda self, x: x + "text", r"got str beside a value"),
    ],
)
def test_what_no_graph_can_do_again(how, message):
    with pytest.raises(TypeError, match=message):
        Wrong(how)(normal(3, 4, dtype=np.float64))


def test_other_wrong_arguments():
    net = Wrong(lambda self, x: self.linear(x))
    with pytest.raises(TypeError, match=r"x: got list; expected a NumPy array"):
        net([1, 2])
    with pytest.raises(ValueError, match=r"layer linear \(Linear\): x: got shape \(3, 5\)"):
        net(normal(3, 5, dtype=np.float64))
    with pytest.raises(AttributeError, match=r"a value has no foo; expected a layer, a function"):
        Wrong(lambda self, x: x.foo())(normal(3, 4, dtype=np.float64))
    with pytest.raises(RuntimeError, match=r"Wrong\.backward: got nothing to go back through"):
        net.backward(np.ones((3, 4)))
    net(normal(3, 4, dtype=np.float64))
    with pytest.raises(ValueError, match=r"layer linear \(Linear\): dy: got shape"):
        net.backward(np.ones((3, 5)))


def test_layers_in_plain_lists_are_noticed():
    class Plain(fnn.Module):
        def __init__(self):
            self.blocks = [fnn.Linear(4, 4, **F8)]

        def forward(self, x):
            return self.blocks[0](x)

    with pytest.warns(UserWarning, match=r"blocks: got a list of layers, .*; expected a ModuleList"):
        net = Plain()
    with pytest.raises(TypeError, match=r"no part of the network.*ModuleList.*it is in the list blocks"):
        net(normal(3, 4, dtype=np.float64))

    class Named(fnn.Module):
        def __init__(self):
            self.ways = {"a": fnn.Linear(4, 4, **F8)}

    with pytest.warns(UserWarning, match=r"ways: got a dict of layers, .*; expected a ModuleDict"):
        Named()


def test_lists_and_dicts_of_layers():
    layers = fnn.ModuleList([fnn.ReLU()])
    layers.append(fnn.Tanh()).extend([fnn.Sigmoid()])
    assert [type(layer).__name__ for layer in layers] == ["ReLU", "Tanh", "Sigmoid"]
    assert len(layers[1:]) == 2
    ways = fnn.ModuleDict({"a": fnn.ReLU()})
    ways["b"] = fnn.Tanh()
    assert list(ways) == list(ways.keys()) == ["a", "b"]
    assert "a" in ways
    assert type(ways.pop("a")) is fnn.ReLU
    del ways["b"]
    assert len(ways) == 0
    for wrong in (3, {"a.b": fnn.ReLU()}, {"a": 3}):
        with pytest.raises((TypeError, ValueError), match="modules"):
            fnn.ModuleDict(wrong)
    with pytest.raises(TypeError, match="modules: got dict; expected a list of layers"):
        fnn.ModuleList({})


def test_threads_may_share_a_network_in_eval_mode():
    from concurrent.futures import ThreadPoolExecutor

    net = Many().eval()
    expected = copy.deepcopy(net)(X)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(lambda _: net(X), range(12)):
            np.testing.assert_array_equal(y, expected)


def test_it_trains_by_trainer_and_training_step():
    from fastnn.training import Trainer

    net = Many()
    trainer = Trainer(net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters(), lr=0.01))
    y = np.arange(3)
    history = trainer.fit((X, y), (X, y), epochs=4, batch_size=2, progress=False)
    losses = history.train_loss if hasattr(history, "train_loss") else None
    assert losses is None or losses[-1] < losses[0]


class Padded(fnn.Module):
    def __init__(self, *settings):
        self.settings = settings

    def forward(self, x):
        return F.pad(x, *self.settings)


@pytest.mark.parametrize(
    "settings",
    [(1,), ((1, 2),), ((1, 2, 0, 3), "reflect"), ((1, 2, 0, 3), "constant", 0.5), ((2, 1), "constant", 0.5)],
    ids=str,
)
def test_pad_is_a_layer(settings):
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
    net = Padded(*settings)
    y = net(x)
    np.testing.assert_array_equal(y, F.pad(x, *settings))
    np.testing.assert_array_equal(net.backward(y), F.pad_backward(y, *settings[:2]))
    np.testing.assert_array_equal(net.eval()(x), y)


def test_pad_of_three_axes_with_a_value_is_refused():
    with pytest.raises(
        TypeError, match=r"functional\.pad gets \(1, 1, 1, 1, 1, 1\) and value=0\.5; expected one or two"
    ):
        Padded((1,) * 6, "constant", 0.5)(np.ones((2, 3, 5, 6)))


TRANSPOSED = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2, "dilation": 2}


class Transposed(fnn.Module):
    def __init__(self, layer, bias=True):
        self.layer = layer
        self.weight = fnn.Parameter(layer.weight.data.copy())
        self.bias = fnn.Parameter(layer.bias.data.copy()) if bias else None

    def forward(self, x):
        function = F.conv_transpose2d if x.ndim == 4 else F.conv_transpose1d
        return function(x, self.weight, self.bias, **TRANSPOSED).relu()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("axes", [1, 2])
def test_transposed_convolutions_by_their_functions(axes, bias):
    fnn.manual_seed(0)
    layer = (fnn.ConvTranspose1d if axes == 1 else fnn.ConvTranspose2d)(4, 6, 3, **TRANSPOSED, **F8)
    if not bias:
        layer.bias.data[...] = 0
    x = normal(3, 4, *(5, 7)[:axes], dtype=np.float64)
    net, same = Transposed(layer, bias), fnn.Sequential(copy.deepcopy(layer), fnn.ReLU())
    y = net(x)
    np.testing.assert_array_equal(y, same(x))
    np.testing.assert_array_equal(net.backward(np.ones_like(y)), same.backward(np.ones_like(y)))
    np.testing.assert_array_equal(net.weight.grad, same[0].weight.grad)
    if bias:
        np.testing.assert_array_equal(net.bias.grad, same[0].bias.grad)
    traced = repr(fnn.trace(net, x)[f"conv_transpose{axes}d"])
    assert traced.replace(", bias=False", "") == repr(layer)
    np.testing.assert_array_equal(net.eval()(x), same.eval()(x))
    with pytest.raises(TypeError, match=rf"functional\.conv_transpose{axes}d gets ndarray as its weight"):
        Wrong(lambda _, x: getattr(F, f"conv_transpose{axes}d")(x, layer.weight.data))(x)


class Patches(fnn.Module):
    """Parameters and buffers that are cut, turned and expanded in a forward."""

    def __init__(self):
        super().__init__()
        self.token = fnn.Parameter(normal(1, 1, 4, dtype=np.float64))
        self.places = fnn.Parameter(normal(1, 9, 4, seed=1, dtype=np.float64))
        self.scale = fnn.Parameter(normal(4, seed=2, dtype=np.float64))
        self.weight = fnn.Parameter(normal(3, 4, seed=3, dtype=np.float64))
        self.vector = fnn.Parameter(normal(3, seed=4, dtype=np.float64))
        self.register_buffer("mask", normal(9, 9, seed=5, dtype=np.float64))

    def forward(self, x):
        x = fnn.cat([self.token.expand(x.size(0), -1, -1), x], 1) + self.places[:, : x.size(1) + 1]
        n = x.size(1)
        x = F.softmax(x @ x.mT + self.mask[:n, :n], -1) @ x
        first, *_ = (x * self.scale[None, None]).unbind(1)
        gates = first.mean(1, keepdim=True).expand_as(first) * (-self.scale * 2)
        y = F.matmul(gates + first, self.weight.T) * self.scale.view(-1, 4)[:, :3]
        return y @ self.vector + (1 - self.vector).sum(0)


def test_parameters_in_a_forward():
    net, x = Patches(), normal(3, 7, 4, seed=6, dtype=np.float64)
    y = net(x)
    token, places, scale, weight, vector, mask = (np.asarray(held) for _, held in net.named_arrays())
    z = np.concatenate([np.broadcast_to(token, (3, 1, 4)), x], 1) + places[:, :8]
    weights = np.exp(z @ z.swapaxes(1, 2) + mask[:8, :8])
    z = weights / weights.sum(-1, keepdims=True) @ z
    first = (z * scale)[:, 0]
    gates = first.mean(1, keepdims=True) * (-scale * 2)
    np.testing.assert_allclose(y, (gates + first) @ weight.T * scale[:3] @ vector + (1 - vector).sum(), rtol=1e-10)
    directional_check(net, x, lambda y: normal(*y.shape, seed=7, dtype=np.float64))
    assert net(normal(5, 7, 4, dtype=np.float64)).shape == (5,)
    assert len(net._traces) == 1
    np.testing.assert_allclose(net.eval()(x), y, rtol=1e-10)


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda p: p[0], TypeError, "a Parameter is indexed outside of a forward; expected its array, data"),
        (lambda p: -p, TypeError, "a Parameter is negated outside of a forward"),
        (lambda p: p + 1, TypeError, "a Parameter is computed with outside of a forward; expected its array, data"),
        (lambda p: p @ p, TypeError, "a Parameter is computed with outside of a forward"),
        (lambda p: p + "1", TypeError, "unsupported operand"),
        (lambda p: p.view(-1), AttributeError, "'Parameter' object has no attribute 'view'"),
    ],
)
def test_a_parameter_outside_of_a_forward_is_no_value(use, error, words):
    with pytest.raises(error, match=words):
        use(fnn.Parameter(np.ones(3)))


class Scaled(fnn.Module):
    """An array or a number of NumPy's beside a parameter."""

    def __init__(self, scaled):
        self.scaled, self.scale = scaled, fnn.Parameter(np.arange(1.0, 4.0))

    def forward(self, x):
        return x * self.scaled(self.scale)


@pytest.mark.parametrize(
    "scaled", [lambda p: np.full(3, 2.0) * p, lambda p: np.float64(2) * p, lambda p: p * np.full(3, 2.0)]
)
def test_an_array_on_the_left_of_a_parameter_leaves_it_to_be_learnt(scaled):
    net, x = Scaled(scaled), normal(4, 3, dtype=np.float64)
    np.testing.assert_array_equal(net(x), x * [2, 4, 6])
    net.backward(np.ones((4, 3)))
    np.testing.assert_allclose(net.scale.grad, 2 * x.sum(0), rtol=1e-12)


@pytest.mark.parametrize("scaled", [np.exp, np.asarray, lambda p: np.add.reduce(p)])
def test_numpy_takes_no_parameter_for_an_array_in_a_forward(scaled):
    with pytest.raises(fnn.TraceError, match=r"makes an array of a value|calls numpy\.(exp|add)"):
        Scaled(scaled)(normal(4, 3, dtype=np.float64))


class Gain(fnn.Module):
    """A layer with a backward of its own, which computes with its parameter as with an array."""

    def __init__(self):
        self.gain = fnn.Parameter(np.full(3, 2.0))

    def forward(self, x):
        self._keep(x)
        return self.gain * x + np.log(self.gain)

    def backward(self, dy, accumulate=False, needs_dx=True):
        self.gain.receive((dy * self._kept).sum(0) + dy.sum(0) / self.gain.data, accumulate)
        return self.gain.data * dy


def test_a_layer_inside_of_a_traced_forward_has_parameters_that_are_arrays():
    class Net(fnn.Module):
        def __init__(self):
            self.own, self.scale = Gain(), fnn.Parameter(np.ones(3))

        def forward(self, x):
            return self.own(x) * self.scale

    net, x = Net(), normal(4, 3, dtype=np.float64)
    np.testing.assert_array_equal(net(x), 2 * x + np.log(2.0))
    np.testing.assert_array_equal(net.backward(np.ones((4, 3))), np.full((4, 3), 2.0))
    assert net.own.gain.grad is not None
    assert net.scale.grad is not None


def test_a_parameter_of_nobody_in_a_forward():
    stray = fnn.Parameter(np.ones((1, 5)))
    net = Wrong(lambda self, x: x * stray[:, :1])
    with pytest.raises(TypeError, match="uses a Parameter that is no attribute of a module"):
        net(normal(3, 5, dtype=np.float64))


class TwoInputs(fnn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = fnn.Linear(4, 8), fnn.Linear(5, 8)

    def forward(self, x, z):
        return F.relu(self.left(x) + self.right(z))


def test_a_summary_of_two_inputs():
    lines = TwoInputs().summary((2, 4), (2, 5)).splitlines()
    assert [line.split()[0] for line in lines] == ["layer", lines[1], "left", "right", "add", "relu", lines[1], "total"]
    assert lines[-1].split()[-1] == "88"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'z'"):
        TwoInputs().summary((2, 4))


def test_a_norm_that_is_called_twice_takes_its_statistics_in_the_order_of_the_calls():
    class Net(fnn.Module):
        def __init__(self):
            self.norm, self.first = fnn.BatchNorm1d(3, **F8), fnn.Linear(3, 3, **F8)

        def forward(self, x):
            z = x + x
            y = self.norm(self.first(x))
            return y + self.norm(z)

    net, x = Net(), normal(8, 3, dtype=np.float64)
    for _ in range(3):  # the first call is traced
        mean = net.norm.running_mean.data.copy()
        net(x)
        for batch in (net.first(x), 2 * x):
            mean = 0.9 * mean + 0.1 * batch.mean(0)
        np.testing.assert_allclose(net.norm.running_mean.data, mean, rtol=1e-12)
