"""Batch normalisation folded into the layer before it."""

import copy

import numpy as np
import pytest

import fastnn as fnn
from checks import assert_within
from networks import normal


def trained(net, x):
    """Any state that a training could have come to."""
    for i, p in enumerate(net.parameters()):
        p.data[...] = normal(*p.data.shape, seed=i)
    for i in range(3):
        net(x + i)
    return net


BLOCKS = {
    "conv": lambda dtype: (fnn.Conv2d(3, 5, 3, padding=1, dtype=dtype), fnn.BatchNorm2d(5, dtype=dtype)),
    "conv-without-bias": lambda dtype: (
        fnn.Conv2d(3, 5, 3, stride=2, bias=False, dtype=dtype),
        fnn.BatchNorm2d(5, eps=0.1, dtype=dtype),
    ),
    "norm-without-weights": lambda dtype: (
        fnn.Conv2d(3, 5, 1, dtype=dtype),
        fnn.BatchNorm2d(5, affine=False, momentum=None, dtype=dtype),
    ),
    "grouped": lambda dtype: (fnn.Conv2d(3, 6, 3, groups=3, dtype=dtype), fnn.BatchNorm2d(6, dtype=dtype)),
    "one-dimensional": lambda dtype: (
        fnn.Flatten(2),
        fnn.Conv1d(3, 5, 4, dtype=dtype),
        fnn.BatchNorm1d(5, dtype=dtype),
    ),
    "linear": lambda dtype: (fnn.Flatten(), fnn.Linear(108, 7, dtype=dtype), fnn.BatchNorm1d(7, dtype=dtype)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", BLOCKS)
def test_outputs_are_those_of_both_layers(block, dtype):
    x = normal(4, 3, 6, 6, dtype=dtype)
    net = trained(fnn.Sequential(*BLOCKS[block](dtype)), x).eval()
    folded = fnn.fold_batch_norm(net)
    assert len(folded) == len(net) - 1
    # Both sum K products of a pixel and a weight, a bias and the mean, times s; and add the norm's bias. Each is off by
    # at most K + 2 roundings of that on absolute values, one more for the weights that were rounded, and three for s.
    wide = copy.deepcopy(net)
    layer, norm = wide[-2], wide[-1]
    terms = layer.weight.data[0].size
    for p in (*layer.parameters(), *([norm.bias] if norm.bias else [])):
        p.data = np.abs(p.data.astype(np.float64))
    for held in (norm.running_mean, norm.running_var, *([norm.weight] if norm.weight else [])):
        held.data = held.data.astype(np.float64)
    norm.running_mean.data = -np.abs(norm.running_mean.data)
    if norm.weight:
        norm.weight.data = np.abs(norm.weight.data)
    assert_within(block, folded(x), net(x).astype(np.float64), 2 * terms + 12, wide(np.abs(x).astype(float)), dtype)


def test_the_original_is_untouched():
    x = normal(4, 3, 6, 6)
    net = trained(fnn.Sequential(*BLOCKS["conv"](np.float32), fnn.ReLU()), x)
    state, layers = net.state_dict(), net.layers
    folded = fnn.fold_batch_norm(net)
    assert net.training
    assert net.layers is layers
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    folded[0].weight.data[...] = 0
    np.testing.assert_array_equal(net[0].weight.data, state["0.weight"])


def test_a_folded_network_is_in_eval_mode_and_stands_for_itself():
    x = normal(4, 3, 6, 6)
    net = trained(fnn.Sequential(*BLOCKS["conv"](np.float32), fnn.ReLU()), x)
    folded = fnn.fold_batch_norm(net)
    assert not any(module.training for module in folded.modules())
    assert [type(layer) for layer in folded] == [fnn.Conv2d, fnn.ReLU]
    before = folded(x)
    net(x + 5)  # moves the running statistics of the original
    np.testing.assert_array_equal(folded(x), before)


def test_networks_inside_networks():
    inner = fnn.Sequential(fnn.Conv2d(3, 4, 3), fnn.BatchNorm2d(4), fnn.ReLU())
    outer = fnn.Sequential(inner, fnn.Sequential(fnn.Flatten(), fnn.Linear(64, 5), fnn.BatchNorm1d(5)), fnn.ReLU())
    x = normal(4, 3, 6, 6)
    trained(outer, x).eval()
    folded = fnn.fold_batch_norm(outer)
    assert list(folded.state_dict()) == ["0.0.weight", "0.0.bias", "1.1.weight", "1.1.bias"]
    np.testing.assert_allclose(folded(x), outer(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "layers",
    [
        (fnn.BatchNorm2d(3), fnn.Conv2d(3, 4, 3)),
        (fnn.Conv2d(3, 4, 3), fnn.ReLU(), fnn.BatchNorm2d(4)),
        (fnn.Conv2d(3, 4, 3), fnn.BatchNorm2d(4, track_running_stats=False)),
        (fnn.Conv2d(3, 4, 3), fnn.Sequential(fnn.BatchNorm2d(4))),
        (fnn.Linear(6, 4), fnn.BatchNorm2d(3)),
    ],
    ids=["before", "after-relu", "statistics-of-the-batch", "another-network", "linear-of-images"],
)
def test_what_cannot_be_folded_stays(layers):
    net, x = fnn.Sequential(*layers), normal(4, 3, 6, 6)
    folded = fnn.fold_batch_norm(net)
    assert repr(folded) == repr(net)
    np.testing.assert_array_equal(folded(x), net.eval()(x))


def test_a_layer_alone_and_no_network():
    layer = fnn.Linear(3, 4)
    assert fnn.fold_batch_norm(layer) is not layer
    with pytest.raises(TypeError, match=r"^net: got list; expected a layer"):
        fnn.fold_batch_norm([layer])
