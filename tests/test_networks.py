"""Whole networks: built, checked by differences, held against PyTorch, fine-tuned."""

import warnings

import numpy as np
import pytest

import fastnn as fnn
from checks import directional_check
from networks import Maker


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# A network of full width, the size of its images, and how many parameters it has (SqueezeNet: as PyTorch's).
NETWORKS = {
    "cnn": (lambda make: make.cnn(), 32, 627_492),
    "squeezenet": (lambda make: make.squeezenet(), 33, 1_235_496),
    "resnet": (lambda make: make.resnet(), 32, 381_602),
    "vgg": (lambda make: make.vgg(), 64, 5_884_162),
}
EACH = pytest.mark.parametrize("name", NETWORKS)

# The same for finite differences: narrow, on small images.
SMALL = {
    "cnn": (lambda make: make.cnn(size=8), 8, 8),
    "squeezenet": (lambda make: make.squeezenet(classes=3, maps=1), 21, 16),
    "resnet": (lambda make: make.resnet(size=8), 8, 8),
    "vgg": (lambda make: make.vgg(size=16), 16, 16),
}


@EACH
def test_its_size_and_its_table(name):
    make, size, parameters = NETWORKS[name]
    net = make(Maker(np.float32))
    assert sum(p.data.size for p in net.parameters()) == parameters
    assert f"{parameters:,}" in net.summary((1, 3, size, size)).splitlines()[-1]
    assert net.eval()(normal(1, 3, size, size, dtype=np.float32)).ndim == 2
    assert net._planned is not None, "it is one call"


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
    make, size, cut = SMALL[name]
    net = make(Maker(cut=cut))
    x = normal(3, 3, size, size)
    directional_check(Repeatable(net), x, lambda y: normal(*y.shape, seed=5), h=1e-7, directions=1, tolerance=1e-5)


def import_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns on some versions
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def twin(module, torch):
    """The same network in PyTorch, its values not set."""
    nn = torch.nn

    class Residual(nn.Module):
        def __init__(self, body, shortcut):
            super().__init__()
            self.body = body
            if shortcut is not None:
                self.shortcut = shortcut

        def forward(self, x):
            return self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)

    class Concat(nn.ModuleList):
        def forward(self, x):
            return torch.cat([branch(x) for branch in self], module.dim)

    match module:
        case fnn.Sequential():
            return nn.Sequential(*(twin(layer, torch) for layer in module))
        case fnn.Concat():
            return Concat(twin(branch, torch) for branch in module)
        case fnn.Residual():
            return Residual(twin(module.body, torch), module.shortcut and twin(module.shortcut, torch))
        case fnn.Conv2d():
            sizes = module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding
            return nn.Conv2d(*sizes, bias=module.bias is not None, dtype=torch.float64)
        case fnn.Linear():
            return nn.Linear(module.in_features, module.out_features, dtype=torch.float64)
        case fnn.BatchNorm2d():
            return nn.BatchNorm2d(module.num_features, dtype=torch.float64)
        case fnn.MaxPool2d():
            return nn.MaxPool2d(module.kernel_size, module.stride, module.padding, ceil_mode=module.ceil_mode)
        case fnn.AvgPool2d():
            return nn.AvgPool2d(module.kernel_size)
        case fnn.Dropout():
            return nn.Dropout(module.p)
        case fnn.ReLU() | fnn.Flatten():
            return getattr(nn, type(module).__name__)()
    raise TypeError(type(module))


def assert_close(ours, theirs, name):
    """Within what a few thousand additions and twenty layers make of the rounding of float64."""
    assert ours.shape == theirs.shape, name
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * max(np.abs(theirs).max(), 1e-3), err_msg=name)


@EACH
def test_pytorch_agrees(name):
    torch = import_torch()
    make, size, _ = NETWORKS[name]
    fnn.manual_seed(2)
    net = make(Maker(dropout=0.0))  # whose random numbers are not PyTorch's
    other = twin(net, torch)
    other.load_state_dict({name: torch.from_numpy(np.asarray(a)) for name, a in net.state_dict().items()}, strict=True)
    x = normal(2, 3, size, size)
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
    net = Maker(np.float32, cut=4).squeezenet()
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
    planned = features._planned
    assert criterion(net.eval()(x), labels) < first
    changed = {name for name, a in net.state_dict().items() if a.tobytes() != before[name].tobytes()}
    assert changed == {"1.1.weight", "1.1.bias"}
    assert (planned is None) == training, "in eval mode the features are one call"
