"""Convolutions as layers: their settings, their places in networks, and PyTorch's, which they agree with."""

import numpy as np
import pytest

import fastnn as fnn
from plans import only_run


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# A layer by its name and settings, which PyTorch's has too, and the shape of an input.
SETTINGS = [
    ("Conv2d", (4, 6, 3), {"padding": 2, "dilation": 2}, (2, 4, 9, 8)),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "groups": 2, "bias": False}, (3, 4, 9, 8)),
    ("Conv2d", (5, 10, 3), {"padding": "same", "groups": 5}, (2, 5, 6, 7)),
    ("Conv2d", (2, 3, (3, 5)), {"padding": "same", "dilation": (2, 1)}, (2, 2, 6, 7)),
    ("Conv2d", (2, 3, 3), {"padding": "valid", "stride": 2}, (2, 2, 6, 7)),
    ("Conv1d", (4, 6, 3), {"padding": 1, "stride": 2}, (2, 4, 20)),
    ("Conv2d", (3, 4, (3, 4)), {"padding": (1, 2), "padding_mode": "reflect"}, (2, 3, 6, 7)),
    ("Conv2d", (3, 4, (3, 4)), {"padding": "same", "padding_mode": "circular", "bias": False}, (2, 3, 6, 7)),
    ("Conv2d", (4, 4, 3), {"padding": 1, "stride": 2, "groups": 2, "padding_mode": "replicate"}, (2, 4, 6, 7)),
    ("Conv1d", (3, 4, 4), {"padding": "same", "padding_mode": "reflect"}, (2, 3, 9)),
    ("ConvTranspose2d", (4, 6, 4), {"stride": 2, "padding": 1}, (2, 4, 5, 6)),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2, "dilation": 2}, (2, 4, 5, 6)),
    ("Conv1d", (4, 8, 5), {"padding": "same", "dilation": 2, "groups": 4, "bias": False}, (2, 4, 20)),
]
EACH = pytest.mark.parametrize(("name", "arguments", "options", "shape"), SETTINGS)


@EACH
def test_pytorch_agrees(name, arguments, options, shape):
    """Repr, state dict, output and gradients."""
    torch = pytest.importorskip("torch")
    fnn.manual_seed(0)
    ours = getattr(fnn, name)(*arguments, **options, dtype=np.float64)
    theirs = getattr(torch.nn, name)(*arguments, **options, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({key: torch.from_numpy(a) for key, a in ours.state_dict().items()})
    x = normal(*shape)
    leaf = torch.from_numpy(x).requires_grad_()
    y, expected = ours(x), theirs(leaf)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = normal(*y.shape, seed=1)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(ours.backward(dy), leaf.grad.numpy(), rtol=1e-12, atol=1e-12)
    for key, p in theirs.named_parameters():
        np.testing.assert_allclose(getattr(ours, key).grad, p.grad.numpy(), rtol=1e-12, atol=1e-12)


@EACH
def test_planned_is_the_layer(name, arguments, options, shape):
    fnn.manual_seed(0)
    layer = getattr(fnn, name)(*arguments, **options)
    net, x = fnn.Sequential(layer, fnn.ReLU()).eval(), normal(*shape, dtype=np.float32)
    assert net(x).tobytes() == fnn.functional.relu(layer(x)).tobytes()
    only_run(net)
    x[1, 1, 2] = np.nan
    assert net(x).tobytes() == fnn.functional.relu(layer(x)).tobytes()


@EACH
def test_fused_relu_and_no_dx(name, arguments, options, shape):
    fnn.manual_seed(0)
    layer, x = getattr(fnn, name)(*arguments, **options), normal(*shape, dtype=np.float32)
    net = fnn.Sequential(layer, fnn.ReLU())
    y = net(x)
    assert y.tobytes() == fnn.functional.relu(layer(x)).tobytes()
    net(x)
    dy = normal(*y.shape, seed=1, dtype=np.float32)
    net.backward(dy)
    gradients = [p.grad.tobytes() for p in net.parameters()]
    net(x)
    assert net.backward(dy, needs_dx=False) is None
    assert [p.grad.tobytes() for p in net.parameters()] == gradients


# Without parameters
PLAIN = [
    ("Unfold", ((2, 3),), {"padding": 1, "stride": (2, 1)}, (2, 3, 6, 7)),
    ("Fold", ((6, 7), 2), {"dilation": 2}, (2, 12, 20)),
    ("ZeroPad2d", (2,), {}, (2, 3, 4, 5)),
    ("ZeroPad2d", ((1, 0, 2, 3),), {}, (2, 3, 4, 5)),
]


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), PLAIN)
def test_patches_and_frames_are_pytorchs(name, arguments, options, shape):
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(fnn, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options)
    assert repr(ours) == repr(theirs)
    x = normal(*shape)
    leaf = torch.from_numpy(x).requires_grad_()
    expected = theirs(leaf)
    y = ours(x)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    dy = normal(*y.shape, seed=1)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(ours.backward(dy), leaf.grad.numpy(), rtol=1e-12)


def test_a_weight_shared_by_layers_of_other_groups():
    """What a plan has packed of it for one layer is not what the other one needs."""
    one, two = fnn.Conv2d(3, 4, 3, bias=False), fnn.Conv2d(6, 4, 3, groups=2, bias=False)
    mix = fnn.Conv2d(4, 6, 1)
    two.weight = one.weight
    net, x = fnn.Sequential(one, mix, two).eval(), normal(2, 3, 9, 9, dtype=np.float32)
    assert net(x).tobytes() == two(mix(one(x))).tobytes()


@pytest.mark.parametrize("groups", [1, 2, 12])
@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
def test_one_image_or_group_does_not_change_another(groups, spoilt):
    layer, x = fnn.Conv2d(12, 24, 3, padding=2, dilation=2, groups=groups), normal(5, 12, 14, 13, dtype=np.float32)
    expected = layer(x)
    x[2, 3, 4, 5] = spoilt
    got = layer(x)
    assert not np.isfinite(got[2]).all()
    others = np.arange(5) != 2
    assert got[others].tobytes() == expected[others].tobytes()
    of = 3 // (12 // groups)
    apart = np.arange(24) // (24 // groups) != of
    assert got[2][apart].tobytes() == expected[2][apart].tobytes()


def test_strides_of_any_size_take_no_time():
    """The step from tap to tap was sought one by one, without the GIL."""
    x, w = np.ones((64, 16, 3, 3), np.float32), np.ones((32, 16, 3, 3), np.float32)
    y = fnn.functional.conv2d(x, w, stride=2**31 - 1, padding=1)
    dx, dw, _ = fnn.functional.conv2d_backward(y, x, w, stride=2**31 - 1, padding=1)
    with fnn.implementation("reference"):
        expected = fnn.functional.conv2d_backward(y, x, w, stride=2**31 - 1, padding=1)
    np.testing.assert_allclose(dx, expected[0], rtol=1e-5)
    np.testing.assert_allclose(dw, expected[1], rtol=1e-5)


def test_a_softmax_of_nothing_takes_no_time():
    assert fnn.functional.softmax(np.zeros((2**20, 0, 2**20), np.float32), 1).size == 0
