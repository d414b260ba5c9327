"""Whole networks: built, checked by differences, held against PyTorch, fine-tuned."""

import re
import warnings

import numpy as np
import pytest

import fastnn as fnn
from checks import directional_check
from fastnn import networks
from fastnn.interop.torch import to_torch
from plans import only_run


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# Each network: its input, and the same function for finite differences: narrow, with a small input.
NETWORKS = {
    "lenet": ((1, 28, 28), {"widths": (3, 4, 8)}, (1, 28, 28)),
    "lenet5": ((1, 28, 28), {"widths": (3, 4, 8, 5)}, (1, 28, 28)),
    "mlp": ((1, 28, 28), {"in_features": 6, "hidden": (5, 4)}, (6,)),
    "autoencoder": ((1024,), {"in_features": 6, "hidden": (5, 4)}, (6,)),
    "small_vgg": ((1, 28, 28), {"widths": (2, 3, 4), "hidden": (8, 5)}, (1, 28, 28)),
    "cnn": ((3, 32, 32), {"widths": (4, 8, 16, 32), "size": 10}, (3, 10, 10)),
    "vgg11": ((3, 64, 64), {"widths": (2, 4, 8, 16), "hidden": (16, 8), "size": 16}, (3, 16, 16)),
    "resnet": ((3, 64, 64), {"widths": (4, 8, 16)}, (3, 8, 8)),
    "squeezenet": ((3, 33, 33), {"widths": (8, 8, 8, 16, 16, 24, 24, 32, 32), "classes": 3}, (3, 21, 21)),
}
EACH = pytest.mark.parametrize("name", NETWORKS)


def make(name, **options):
    return getattr(networks, name)(**options)


def without_dropout(name):
    """Whose random numbers are not PyTorch's."""
    return {"dropout": 0.0} if name in ("cnn", "squeezenet") else {}


def test_all_networks_are_tested():
    assert set(NETWORKS) == set(networks.__all__)


def layer_table(name):
    """The rows of the docstring's table: layers, outputs, parameters; the last one is the sum."""
    lines = (line.strip() for line in getattr(networks, name).__doc__.splitlines())
    rows = [re.split(r"\s{2,}", row) for row in lines if re.search(r"\S\s{2,}[\d,]+$", row)]
    return [(row[0], row[1:-1], int(row[-1].replace(",", ""))) for row in rows]


@EACH
def test_its_size_and_its_table(name):
    shape, *_ = NETWORKS[name]
    net = make(name)
    parameters = sum(p.data.size for p in net.parameters())
    *rows, (what, _, total) = layer_table(name)
    assert what == "all"
    assert total == parameters == sum(count for *_, count in rows)
    summary = net.summary((1, *shape))
    assert f"{parameters:,}" in summary.splitlines()[-1]
    if name != "squeezenet":  # its table is of larger images
        for _, (output,), _ in rows:
            assert f"1 x {output} " in summary
    assert net.eval()(normal(1, *shape, dtype=np.float32)).ndim == 2
    only_run(net)


def test_published_sizes():
    counts = {name: layer_table(name)[-1][-1] for name in NETWORKS}
    published = {"lenet": 431_080, "mlp": 973_702, "small_vgg": 839_802, "squeezenet": 1_235_496}
    assert counts == counts | published


class Repeatable:
    """A network whose dropout drops the same elements at every call."""

    def __init__(self, net):
        self.net = net
        self.backward, self.named_parameters = net.backward, net.named_parameters

    def __call__(self, x):
        for module in self.net.modules():
            if isinstance(module, fnn.Dropout):
                module.step = 0
        return self.net(x)


@EACH
def test_gradients_agree_with_differences(name):
    """A step so small that hardly any of thousands of activations comes by the kink of its ReLU."""
    fnn.manual_seed(1)
    _, options, shape = NETWORKS[name]
    net = make(name, **options, dtype=np.float64)
    x = normal(3, *shape)
    directional_check(Repeatable(net), x, lambda y: normal(*y.shape, seed=5), h=1e-7, directions=1, tolerance=1e-5)


def import_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns on some versions
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(ours, theirs, name):
    """Within what a few thousand additions and twenty layers make of the rounding of float64."""
    assert ours.shape == theirs.shape, name
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * max(np.abs(theirs).max(), 1e-3), err_msg=name)


@EACH
def test_pytorch_agrees(name):
    torch = import_torch()
    shape, *_ = NETWORKS[name]
    fnn.manual_seed(2)
    net = make(name, **without_dropout(name), dtype=np.float64)
    other = to_torch(net)
    x = normal(2, *shape)
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    y, expected = net(x), other(leaf)
    assert_close(y, expected.detach().numpy(), "train")
    dy = normal(*y.shape, seed=5)
    expected.backward(torch.from_numpy(dy))
    assert_close(net.backward(dy), leaf.grad.numpy(), "dx")
    theirs = dict(other.named_parameters())
    assert list(theirs) == [name for name, _ in net.named_parameters()]
    for name, p in net.named_parameters():
        assert_close(p.grad, theirs[name].grad.numpy(), name)
    for name, a in net.state_dict().items():
        assert_close(a, other.state_dict()[name].numpy(), name)
    with torch.no_grad():
        assert_close(net.eval()(x), other.eval()(torch.from_numpy(x)).numpy(), "eval")


@pytest.mark.parametrize("training", [True, False], ids=["features in train mode", "in eval mode"])
def test_fine_tuning(training):
    """A new last layer on frozen features: it alone learns, whatever the features' own mode."""
    fnn.manual_seed(0)
    net = networks.squeezenet(widths=[width // 4 for width in (64, 128, 128, 256, 256, 384, 384, 512, 512)])
    features, classifier = net
    classifier[1] = fnn.Conv2d(128, 3, 1)
    features.requires_grad_(False)
    before = net.state_dict()
    x, labels = normal(6, 3, 33, 33, dtype=np.float32), np.array([0, 1, 2, 0, 1, 2])
    criterion, optimizer = fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.5, momentum=0.9)
    first = criterion(net.eval()(x), labels)
    net.train()
    features.train(training)
    for _ in range(30):
        criterion(net(x), labels)
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    planned = features._inference
    assert criterion(net.eval()(x), labels) < first
    changed = {name for name, a in net.state_dict().items() if a.tobytes() != before[name].tobytes()}
    assert changed == {"1.1.weight", "1.1.bias"}
    assert (planned is None) == training, "in eval mode the features are one call"
