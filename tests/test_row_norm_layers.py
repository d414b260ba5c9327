"""Layer, group, instance and local response normalisation as layers."""

import copy

import numpy as np
import pytest

import fastnn as fnn
from test_layers import directional_check, normal
from torch_oracles import torch

SHAPE = (3, 4, 5, 6)
MAKERS = [
    lambda **o: fnn.LayerNorm(6, **o),
    lambda **o: fnn.LayerNorm((5, 6), elementwise_affine=False, **o),
    lambda **o: fnn.LayerNorm((4, 5, 6), bias=False, **o),
    lambda **o: fnn.GroupNorm(2, 4, eps=0.01, **o),
    lambda **o: fnn.GroupNorm(4, 4, affine=False, **o),
    lambda **o: fnn.InstanceNorm2d(4, **o),
    lambda **o: fnn.InstanceNorm2d(4, momentum=0.3, affine=True, track_running_stats=True, **o),
    lambda **o: fnn.InstanceNorm2d(4, momentum=None, track_running_stats=True, **o),
    lambda dtype=None: fnn.LocalResponseNorm(3, alpha=0.5),
]
EACH = pytest.mark.parametrize("make", MAKERS, ids=[repr(make()) for make in MAKERS])


def randomised(layer):
    for p in layer.parameters():
        p.data[...] = normal(*p.data.shape, seed=7)
    return layer


@EACH
def test_backward_agrees_with_differences(make):
    layer = randomised(make(dtype=np.float64))
    directional_check(layer, normal(*SHAPE, dtype=np.float64), lambda y: normal(*y.shape, seed=5, dtype=np.float64))


@EACH
@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
def test_is_pytorchs(make):
    """The same repr and state dict make the same layer there; outputs in both modes, gradients and buffers agree."""
    ours = randomised(make(dtype=np.float64))
    theirs = eval(f"nn.{ours!r}", {"nn": torch.nn}).double()
    if getattr(ours, "bias", True) is None and getattr(ours, "weight", None) is not None:
        theirs = torch.nn.LayerNorm((4, 5, 6), bias=False).double()
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    for seed in (1, 2):
        x, dy = normal(*SHAPE, seed=seed, dtype=np.float64) + 1, normal(*SHAPE, seed=9, dtype=np.float64)
        t = torch.from_numpy(x).requires_grad_()
        y = theirs(t)
        theirs.zero_grad()
        y.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(ours(x), y.detach().numpy(), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(ours.backward(dy), t.grad.numpy(), rtol=1e-11, atol=1e-12)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-11, atol=1e-12)
    for name, buffer in theirs.named_buffers():
        np.testing.assert_allclose(ours.state_dict()[name], buffer.numpy(), rtol=1e-12)
    y = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x), y, rtol=1e-11, atol=1e-12)


@EACH
def test_in_a_network_eval_is_layer_by_layer(make):
    layer = make()
    net = fnn.Sequential(fnn.Conv2d(2, 4, 3, padding=1), layer, fnn.ReLU())
    net(normal(3, 2, 5, 6))
    net.eval()
    x = normal(3, 2, 5, 6, seed=3)
    expected = fnn.functional.relu(layer(net[0](x)))
    np.testing.assert_array_equal(net(x), expected)
    for p in layer.parameters():
        p.data[...] += 1
    np.testing.assert_array_equal(net(x), fnn.functional.relu(layer(net[0](x))))


@EACH
def test_eval_keeps_nothing_and_copies_are_whole(make):
    layer = make()
    layer(normal(*SHAPE))
    other = copy.deepcopy(layer)
    y = layer.eval()(normal(*SHAPE))
    np.testing.assert_array_equal(other.eval()(normal(*SHAPE)), y)
    with pytest.raises(RuntimeError, match=type(layer).__name__):
        layer.backward(y)


def test_reset_parameters():
    layer = fnn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    fresh = layer.state_dict()
    randomised(layer)(normal(*SHAPE))
    layer.reset_parameters()
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, fresh[name])


def test_without_dx():
    layer = fnn.LayerNorm(6)
    layer(normal(*SHAPE))
    assert layer.backward(normal(*SHAPE), needs_dx=False) is None
    assert layer.weight.grad.shape == (6,)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fnn.LayerNorm(0), ValueError, "normalized_shape: got 0"),
        (lambda: fnn.LayerNorm(3, eps=-1), ValueError, "eps: got -1"),
        (lambda: fnn.LayerNorm(3, dtype=int), TypeError, "dtype: got"),
        (lambda: fnn.LayerNorm(3)(normal(2, 4)), ValueError, "x: got shape (2, 4); expected (..., 3)"),
        (lambda: fnn.GroupNorm(3, 4), ValueError, "num_groups: got 3; expected a divisor of num_channels, 4"),
        (lambda: fnn.GroupNorm(2, 4)(normal(2, 6, 3)), ValueError, "x: got shape (2, 6, 3); expected (N, 4, ...)"),
        (lambda: fnn.InstanceNorm2d(3)(normal(2, 3, 4)), ValueError, "expected (N, 3, H, W)"),
        (lambda: fnn.InstanceNorm2d(3)(normal(2, 3, 1, 1)), ValueError, "one value for each channel"),
        (lambda: fnn.LocalResponseNorm(0), ValueError, "size: got 0"),
        (lambda: fnn.LocalResponseNorm(3)(normal(2, 3)), ValueError, "x: got shape (2, 3)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)
