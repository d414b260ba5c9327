"""Layers, networks, loss, optimiser: they call the functions that the other files test, and hold state rightly."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from checks import check_without_dx, directional_check
from networks import INPUT, lenet_like, normal

F = fnn.functional

# A layer, the shape of an input, what its forward is as a function of the input and the layer.
LAYERS = [
    (
        lambda: fnn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=1),
        (2, 3, 7, 6),
        lambda x, m: F.conv2d(x, m.weight.data, m.bias.data, stride=(2, 1), padding=1),
    ),
    (lambda: fnn.Conv2d(3, 4, 1, bias=False), (2, 3, 5, 5), lambda x, m: F.conv2d(x, m.weight.data)),
    (
        lambda: fnn.Conv2d(4, 6, (2, 3), padding="same", dilation=2, groups=2),
        (2, 4, 6, 7),
        lambda x, m: F.conv2d(x, m.weight.data, m.bias.data, padding="same", dilation=2, groups=2),
    ),
    (
        lambda: fnn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        (2, 4, 9),
        lambda x, m: F.conv1d(x, m.weight.data, stride=2, padding=1, groups=2),
    ),
    (
        lambda: fnn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        (2, 2, 5, 6),
        lambda x, m: F.conv2d(F.pad(x, 1, mode="circular"), m.weight.data, m.bias.data),
    ),
    (
        lambda: fnn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        (2, 4, 5, 4),
        lambda x, m: F.conv_transpose2d(x, m.weight.data, m.bias.data, stride=2, padding=1, output_padding=1, groups=2),
    ),
    (lambda: fnn.Unfold((2, 3), padding=1), (2, 2, 4, 5), lambda x, m: F.unfold(x, (2, 3), padding=1)),
    (lambda: fnn.Fold(4, 2, stride=2), (2, 8, 4), lambda x, m: F.fold(x, 4, 2, stride=2)),
    (lambda: fnn.ZeroPad2d((1, 2, 0, 3)), (2, 2, 4, 5), lambda x, m: F.pad(x, (1, 2, 0, 3))),
    (lambda: fnn.PixelShuffle(2), (2, 8, 3, 4), lambda x, m: F.pixel_shuffle(x, 2)),
    (lambda: fnn.PixelUnshuffle(3), (2, 6, 9), lambda x, m: F.pixel_unshuffle(x, 3)),
    (lambda: fnn.ZeroPad1d(2), (2, 2, 5), lambda x, m: F.pad(x, (2, 2))),
    (lambda: fnn.ConstantPad1d((1, -2), 2.5), (2, 2, 5), lambda x, m: F.pad(x, (1, -2), value=2.5)),
    (lambda: fnn.ConstantPad2d((1, 0, 0, 2), -1), (2, 4, 5), lambda x, m: F.pad(x, (1, 0, 0, 2), value=-1)),
    (lambda: fnn.ReflectionPad1d(2), (2, 2, 5), lambda x, m: F.pad(x, (2, 2), "reflect")),
    (lambda: fnn.ReflectionPad2d((1, 2, 0, -1)), (2, 2, 4, 5), lambda x, m: F.pad(x, (1, 2, 0, -1), "reflect")),
    (lambda: fnn.ReplicationPad1d(2), (2, 5), lambda x, m: F.pad(x, (2, 2), "replicate")),
    (lambda: fnn.ReplicationPad2d(2), (2, 2, 4, 5), lambda x, m: F.pad(x, 2, "replicate")),
    (lambda: fnn.CircularPad1d(2), (2, 2, 5), lambda x, m: F.pad(x, (2, 2), "circular")),
    (lambda: fnn.CircularPad2d(2), (2, 4, 5), lambda x, m: F.pad(x, 2, "circular")),
    (lambda: fnn.Linear(5, 3), (4, 5), lambda x, m: F.linear(x, m.weight.data, m.bias.data)),
    (lambda: fnn.Linear(5, 3, bias=False), (2, 4, 5), lambda x, m: F.linear(x, m.weight.data)),
    (lambda: fnn.MaxPool2d(2), (2, 3, 6, 7), lambda x, m: F.max_pool2d(x, 2)),
    (
        lambda: fnn.MaxPool2d((3, 2), stride=2, padding=1, ceil_mode=True),
        (2, 3, 6, 7),
        lambda x, m: F.max_pool2d(x, (3, 2), stride=2, padding=1, ceil_mode=True),
    ),
    (
        lambda: fnn.AvgPool2d(3, stride=2, padding=1),
        (2, 3, 6, 7),
        lambda x, m: F.avg_pool2d(x, 3, stride=2, padding=1),
    ),
    (
        lambda: fnn.MaxPool2d(3, 2, (1, 0), (1, 2), ceil_mode=True),
        (2, 3, 6, 7),
        lambda x, m: F.max_pool2d(x, 3, stride=2, padding=(1, 0), dilation=(1, 2), ceil_mode=True),
    ),
    (
        lambda: fnn.AvgPool2d(3, 2, 1, True, False),
        (2, 3, 6, 7),
        lambda x, m: F.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    (
        lambda: fnn.AvgPool2d(2, divisor_override=3),
        (2, 3, 6, 7),
        lambda x, m: F.avg_pool2d(x, 2, divisor_override=3),
    ),
    (
        lambda: fnn.MaxPool1d(3, 2, 1, 2, ceil_mode=True),
        (2, 3, 8),
        lambda x, m: F.max_pool1d(x, 3, stride=2, padding=1, dilation=2, ceil_mode=True),
    ),
    (
        lambda: fnn.AvgPool1d(3, 2, 1, True, False),
        (2, 3, 8),
        lambda x, m: F.avg_pool1d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    (lambda: fnn.AdaptiveAvgPool2d((None, 2)), (2, 3, 4, 5), lambda x, m: F.adaptive_avg_pool2d(x, (None, 2))),
    (lambda: fnn.AdaptiveMaxPool2d(2), (2, 3, 4, 5), lambda x, m: F.adaptive_max_pool2d(x, 2)),
    (lambda: fnn.AdaptiveAvgPool1d(2), (2, 3, 5), lambda x, m: F.adaptive_avg_pool1d(x, 2)),
    (lambda: fnn.AdaptiveMaxPool1d(2), (2, 3, 5), lambda x, m: F.adaptive_max_pool1d(x, 2)),
    (
        lambda: fnn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        (2, 4, 5),
        lambda x, m: F.conv_transpose1d(x, m.weight.data, m.bias.data, stride=2, padding=1, output_padding=1, groups=2),
    ),
    (lambda: fnn.Upsample(11, mode="linear"), (2, 3, 5), lambda x, m: F.interpolate(x, 11, mode="linear")),
    (
        lambda: fnn.Upsample(scale_factor=(1.5, 2.3), mode="bicubic", recompute_scale_factor=True),
        (2, 3, 4, 5),
        lambda x, m: F.interpolate(x, None, (1.5, 2.3), "bicubic", None, True),
    ),
    (lambda: fnn.Upsample(scale_factor=2), (2, 3, 4, 5), lambda x, m: F.interpolate(x, None, 2)),
    (
        lambda: fnn.Upsample((7, 9), mode="bilinear", align_corners=True),
        (2, 3, 4, 5),
        lambda x, m: F.interpolate(x, (7, 9), mode="bilinear", align_corners=True),
    ),
    (fnn.ReLU, (3, 4), lambda x, m: F.relu(x)),
    (fnn.Sigmoid, (3, 4), lambda x, m: F.sigmoid(x)),
    (fnn.Tanh, (3, 4), lambda x, m: F.tanh(x)),
    (fnn.Softmax, (3, 4), lambda x, m: F.softmax(x)),
    (lambda: fnn.Softmax(dim=1), (3, 4, 2), lambda x, m: F.softmax(x, dim=1)),
    (fnn.LogSoftmax, (3, 4), lambda x, m: F.log_softmax(x)),
    (fnn.LeakyReLU, (3, 40), lambda x, m: F.leaky_relu(x)),
    (lambda: fnn.LeakyReLU(0.3), (3, 40), lambda x, m: F.leaky_relu(x, 0.3)),
    (fnn.PReLU, (3, 40), lambda x, m: F.prelu(x, m.weight.data)),
    (lambda: fnn.PReLU(5, init=-1), (3, 5, 4, 5), lambda x, m: F.prelu(x, np.full(5, -1, np.float32))),
    (fnn.ELU, (3, 40), lambda x, m: F.elu(x)),
    (lambda: fnn.ELU(0.5), (3, 40), lambda x, m: F.elu(x, 0.5)),
    (fnn.SELU, (3, 40), lambda x, m: F.selu(x)),
    (fnn.GELU, (3, 40), lambda x, m: F.gelu(x)),
    (lambda: fnn.GELU("tanh"), (3, 40), lambda x, m: F.gelu(x, approximate="tanh")),
    (fnn.SiLU, (3, 40), lambda x, m: F.silu(x)),
    (fnn.Softplus, (3, 40), lambda x, m: F.softplus(x)),
    (lambda: fnn.Softplus(0.5, 0.25), (3, 40), lambda x, m: F.softplus(x, 0.5, 0.25)),
    (fnn.Hardtanh, (3, 40), lambda x, m: F.hardtanh(x)),
    (lambda: fnn.Hardtanh(-0.5, 2), (3, 40), lambda x, m: F.hardtanh(x, -0.5, 2)),
    (fnn.Hardswish, (3, 40), lambda x, m: F.hardswish(x)),
    (fnn.ReLU6, (3, 40), lambda x, m: F.relu6(x)),
    (fnn.Flatten, (2, 3, 4), lambda x, m: F.flatten(x)),
    (lambda: fnn.Flatten(0, 1), (2, 3, 4), lambda x, m: x.reshape(6, 4)),
    (lambda: fnn.Unflatten(1, (2, -1)), (3, 6), lambda x, m: x.reshape(3, 2, 3)),
]
EACH_LAYER = pytest.mark.parametrize(
    ("make", "shape", "function"), LAYERS, ids=[f"{i}-{row[0]()!r}" for i, row in enumerate(LAYERS)]
)


@EACH_LAYER
def test_forward_is_the_function(make, shape, function):
    layer, x = make(), normal(*shape)
    np.testing.assert_array_equal(layer(x), function(x, layer))
    np.testing.assert_array_equal(layer.eval()(x), function(x, layer))


def test_identity():
    layer, x = fnn.Identity(3, bias=False), normal(3, 4)
    assert layer(x) is x
    assert layer.backward(x) is x
    net = fnn.Sequential(fnn.Linear(4, 4), fnn.Identity(), fnn.ReLU())
    plain = fnn.Sequential(net[0], fnn.ReLU())
    np.testing.assert_array_equal(net(x), plain(x))


@EACH_LAYER
def test_backward_agrees_with_differences(make, shape, function):
    fnn.manual_seed(1)
    layer = make()
    for p in layer.parameters():
        p.data = p.data.astype(np.float64)
    directional_check(layer, normal(*shape, dtype=np.float64), lambda y: normal(*y.shape, seed=5, dtype=np.float64))


@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_network_backward_agrees_with_differences(implementation):
    fnn.manual_seed(3)
    net = lenet_like()
    with fnn.implementation(implementation):
        directional_check(net, normal(*INPUT, dtype=np.float64), lambda y: normal(*y.shape, seed=5, dtype=np.float64))


def test_network_on_the_reference_is_the_network():
    fnn.manual_seed(3)
    net, x = lenet_like(), normal(*INPUT, dtype=np.float64)
    criterion, labels = fnn.CrossEntropyLoss(), np.array([0, 4, 2, 2])
    results = []
    for implementation in ("kernels", "reference"):
        with fnn.implementation(implementation):
            loss = criterion(net(x), labels)
            dx = net.backward(criterion.backward())
        results.append([np.asarray(loss), dx, *(p.grad for p in net.parameters())])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


# What is kept, and when


@EACH_LAYER
def test_backward_needs_a_forward_in_train_mode(make, shape, function):
    layer, x = make(), normal(*shape)
    dy = np.ones_like(layer.eval()(x))
    name = type(layer).__name__
    with pytest.raises(RuntimeError, match=name) as caught:
        layer.backward(dy)
    assert "train" in str(caught.value)
    layer.train()
    with pytest.raises(RuntimeError, match=name):
        layer.backward(dy)
    layer(x)
    layer.backward(dy)
    layer.eval()
    with pytest.raises(RuntimeError, match=name):
        layer.backward(dy)


def test_eval_keeps_nothing():
    net = lenet_like(np.float32)
    net(normal(*INPUT))
    net.eval()
    net(normal(*INPUT))
    assert all(module._kept is None for module in net.modules())
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())


def test_gradients_are_replaced_or_added():
    layer, x = fnn.Linear(5, 3), normal(4, 5)
    assert layer.weight.grad is None
    dy = np.ones_like(layer(x))
    layer.backward(dy)
    once = layer.weight.grad.copy(), layer.bias.grad.copy()
    layer.backward(dy)
    np.testing.assert_array_equal(layer.weight.grad, once[0])
    layer.backward(dy, accumulate=True)
    np.testing.assert_array_equal(layer.weight.grad, 2 * once[0])
    np.testing.assert_array_equal(layer.bias.grad, 2 * once[1])
    net = fnn.Sequential(layer)
    net(x)
    net.backward(dy, accumulate=True)
    np.testing.assert_allclose(layer.weight.grad, 3 * once[0], rtol=1e-6)


def test_backward_lets_go_of_what_was_kept():
    """Layer by layer, so that memory can be used again; what a pooling goes back through is not kept at all."""
    net = fnn.Sequential(
        *(fnn.Conv2d(1, 2, 3), fnn.ReLU(), fnn.MaxPool2d(2)),
        *(fnn.BatchNorm2d(2), fnn.ReLU(), fnn.Residual(fnn.Sequential(fnn.Conv2d(2, 2, 1), fnn.ReLU())), fnn.Flatten()),
    )
    dy = np.ones_like(net(normal(2, 1, 8, 8)))
    keeping = [name for name, module in net.named_modules() if module._kept is not None]
    assert keeping == ["0", "2", "3", "4", "5.body.0", "5.body.1", "6"]
    net.backward(dy)
    assert all(module._kept is None for module in net.modules())
    with pytest.raises(RuntimeError, match=r"^layer 6 \(Flatten\): Flatten.backward: got nothing .*; expected a call"):
        net.backward(dy)


def test_an_earlier_gradient_is_not_written_over():
    layer = fnn.Linear(5, 3)
    y = layer(normal(4, 5))
    layer.backward(np.ones_like(y))
    held = layer.weight.grad
    kept = held.copy()
    layer(normal(4, 5, seed=1))
    layer.backward(np.full_like(y, 3))
    np.testing.assert_array_equal(held, kept)


def test_without_dx_the_parameters_get_the_same():
    fnn.manual_seed(3)
    net, x = lenet_like(), normal(*INPUT, dtype=np.float64)
    check_without_dx(net, x, np.ones_like(net(x)))


# Fused activations


def test_fused_relu_is_the_relu():
    """A Sequential hands the ReLU to the layer before; one by one, the layers give the same bits."""
    fnn.manual_seed(0)
    net = fnn.Sequential(fnn.Conv2d(2, 3, 3), fnn.ReLU(), fnn.Flatten(), fnn.Linear(48, 5), fnn.ReLU())
    x, dy = normal(2, 2, 6, 6), normal(2, 5, seed=1)
    y, dx = net(x), None
    dx = net.backward(dy)
    grads = [p.grad for p in net.parameters()]
    one = x
    for layer in net:
        one = layer(one)
    np.testing.assert_array_equal(one, y)
    back = dy
    for layer in reversed(list(net)):
        back = layer.backward(back)
    np.testing.assert_array_equal(back, dx)
    for p, grad in zip(net.parameters(), grads, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


def test_a_relu_is_fused_where_it_can_be(monkeypatch):
    calls = []
    monkeypatch.setattr(F, "relu", lambda x: calls.append("relu") or np.maximum(x, 0))
    fnn.Sequential(fnn.Conv2d(1, 2, 3), fnn.ReLU(), fnn.Flatten(), fnn.Linear(32, 3), fnn.ReLU())(normal(1, 1, 6, 6))
    assert calls == []
    fnn.Sequential(fnn.Flatten(), fnn.ReLU())(normal(1, 1, 6, 6))
    assert calls == ["relu"]


def test_a_subclass_of_relu_is_asked():
    class Doubled(fnn.ReLU):
        def forward(self, x):
            return 2 * super().forward(x)

    net = fnn.Sequential(fnn.Linear(3, 4), Doubled())
    x = normal(2, 3)
    np.testing.assert_array_equal(net(x), 2 * F.relu(net[0](x)))


# Parameters and their names


def test_names_are_pytorchs():
    net = fnn.Sequential(fnn.Conv2d(1, 2, 3), fnn.ReLU(), fnn.Sequential(fnn.Flatten(), fnn.Linear(8, 3, bias=False)))
    assert [p.name for p in net.parameters()] == ["0.weight", "0.bias", "2.1.weight"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.1.weight"]
    assert [name for name, _ in net[0].named_parameters()] == ["weight", "bias"]


def test_state_dict_goes_round():
    net, other = lenet_like(np.float32), lenet_like(np.float64)
    state = net.state_dict()
    other.load_state_dict(state)
    assert all(p.data.dtype == np.float64 for p in other.parameters())
    x = normal(*INPUT)
    np.testing.assert_allclose(other(x.astype(np.float64)), net(x), rtol=1e-4, atol=1e-5)
    state["0.weight"][...] = 7
    assert not np.any(net.state_dict()["0.weight"] == 7), "state_dict gives copies"
    assert not np.any(other.state_dict()["0.weight"] == 7), "load_state_dict copies"


def changed(state, **changes):
    state = {**state}
    for name, value in changes.items():
        if value is None:
            del state[name.replace("_", ".")]
        else:
            state[name.replace("_", ".")] = value
    return state


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"7_bias": None}, r"7\.bias is missing"),
        ({"11_weight": np.ones(3)}, r"11\.weight is not in this network"),
        ({"7_bias": np.ones(7, np.float32)}, r"7\.bias: got shape \(7,\); expected \(6,\)"),
        ({"7_bias": np.ones((6, 1), np.float32)}, r"7\.bias: got shape \(6, 1\)"),
        ({"7_bias": np.ones(6, complex)}, r"7\.bias: got complex128"),
        ({"7_bias": np.array(["a"] * 6)}, r"7\.bias: got <U1"),
    ],
)
def test_state_that_does_not_fit_changes_nothing(changes, message):
    net = lenet_like(np.float32)
    before = net.state_dict()
    state = {name: a + 1 for name, a in before.items()}
    with pytest.raises(ValueError, match=message) as caught:
        net.load_state_dict(changed(state, **changes))
    assert str(caught.value).startswith("state_dict: got")
    for name, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[name])


def test_state_that_is_no_dict():
    with pytest.raises(TypeError, match="state_dict: got list"):
        fnn.Linear(2, 3).load_state_dict([])


def test_copies_and_pickles_compute_the_same():
    net, x = lenet_like(np.float32), normal(*INPUT)
    y = net(x)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin(x), y)
        twin.load_state_dict({name: a * 0 for name, a in twin.state_dict().items()})
    np.testing.assert_array_equal(net(x), y)


# The optimiser


@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.9}, {"momentum": 0.9, "weight_decay": 0.01}, {"momentum": 0.9, "nesterov": True}],
    ids=str,
)
def test_sgd_is_the_rule(options):
    layer = fnn.Linear(3, 2, dtype=np.float64)
    optimizer = fnn.SGD(layer.parameters(), lr=0.1, **options)
    p, v = layer.weight.data.copy(), np.zeros((2, 3))
    for i in range(4):
        g = normal(2, 3, seed=i, dtype=np.float64)
        layer.weight.grad = g
        optimizer.step()
        d = g + options.get("weight_decay", 0) * p
        v = options.get("momentum", 0) * v + d
        p = p - 0.1 * (d + options["momentum"] * v if options.get("nesterov") else v)
        np.testing.assert_allclose(layer.weight.data, p, rtol=1e-13)
    assert layer.bias.grad is None


def test_parameters_without_gradient_stay():
    layer = fnn.Linear(3, 2)
    before = layer.state_dict()
    fnn.SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1).step()
    for name, a in layer.state_dict().items():
        np.testing.assert_array_equal(a, before[name])


def test_training_has_the_same_bits_on_any_number_of_threads():
    """A few steps of the whole machinery; every sum in it keeps its order."""
    x, labels = np.abs(normal(32, 1, 28, 28)) / 4, np.arange(32) % 10
    states = []
    for threads in (1, 2, 7):
        with fnn.num_threads(threads):
            fnn.manual_seed(0)
            net = fnn.Sequential(
                fnn.Conv2d(1, 20, 5), fnn.ReLU(), fnn.MaxPool2d(2),
                fnn.Conv2d(20, 50, 5), fnn.ReLU(), fnn.MaxPool2d(2),
                fnn.Flatten(), fnn.Linear(800, 100), fnn.ReLU(), fnn.Linear(100, 10),
            )  # fmt: skip
            criterion = fnn.CrossEntropyLoss()
            optimizer = fnn.SGD(net.parameters(), lr=0.05, momentum=0.9)
            for _ in range(3):
                criterion(net(x), labels)
                net.backward(criterion.backward(), needs_dx=False)
                optimizer.step()
            states.append(net.state_dict())
    for state in states[1:]:
        for name, a in state.items():
            assert a.tobytes() == states[0][name].tobytes(), name


def test_training_learns():
    """Two classes apart in their mean: the loss falls to almost nothing."""
    fnn.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    x = (rng.standard_normal((64, 1, 6, 6)) * 0.3 + labels[:, None, None, None]).astype(np.float32)
    net = fnn.Sequential(fnn.Conv2d(1, 4, 3), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(16, 2))
    criterion, optimizer = fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1, momentum=0.9)
    first = criterion(net(x), labels)
    for _ in range(60):
        criterion(net(x), labels)
        net.backward(criterion.backward())
        optimizer.step()
    net.eval()
    assert criterion(net(x), labels) < 0.1 * first
    assert (net(x).argmax(axis=1) == labels).all()
