"""Networks written in PyTorch's manner, once for both packages: traced, trained, and equal to PyTorch's.

In float64 a step of training differs from PyTorch's by the order of sums alone. Each sum of K terms is within
(K + 2) eps of its scale; K is that of the longest sum, a weight's gradient over batch and pixels.
"""

import warnings

import numpy as np
import pytest

import fastnn as fnn
import fastnn.functional
from fastnn.interop.torch import from_torch, to_torch
from networks import normal

EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(scope="module", autouse=True)
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns on some versions
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def resnet18(nn, functional, cat):
    """ResNet-18 for small images, with a quarter of an eighth of its channels."""

    class BasicBlock(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            identity = x
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            if self.downsample is not None:
                identity = self.downsample(x)
            out += identity
            return self.relu(out)

    class ResNet(nn.Module):
        def __init__(self, widths=(4, 6, 8, 10), classes=5):
            super().__init__()
            self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(widths[0])
            self.relu = nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            inputs = widths[0]
            for place, outputs in enumerate(widths, 1):
                blocks = [BasicBlock(inputs, outputs, 1 if place == 1 else 2), BasicBlock(outputs, outputs, 1)]
                setattr(self, f"layer{place}", nn.Sequential(*blocks))
                inputs = outputs
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(inputs, classes)

        def forward(self, x):
            x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
            x = self.layer2(self.layer1(x))
            x = self.layer4(self.layer3(x))
            x = self.avgpool(x)
            return self.fc(x.view(x.size(0), -1))

    return ResNet()


def mobilenet_v2(nn, functional, cat):
    """MobileNet-v2 of few stages: expansion, depthwise convolution, projection; a sum where the shapes allow."""

    class ConvNorm(nn.Sequential):
        def __init__(self, inputs, outputs, kernel=3, stride=1, groups=1):
            super().__init__(
                nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU6(inplace=True),
            )

    class InvertedResidual(nn.Module):
        def __init__(self, inputs, outputs, stride, expansion):
            super().__init__()
            self.adds = stride == 1 and inputs == outputs
            hidden = inputs * expansion
            layers = [] if expansion == 1 else [ConvNorm(inputs, hidden, 1)]
            layers += [
                ConvNorm(hidden, hidden, 3, stride, hidden),
                nn.Conv2d(hidden, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            ]
            self.conv = nn.Sequential(*layers)

        def forward(self, x):
            if self.adds:
                return x + self.conv(x)
            return self.conv(x)

    class MobileNet(nn.Module):
        def __init__(self, classes=5):
            super().__init__()
            features = [ConvNorm(3, 4, 3, 2)]
            inputs = 4
            for expansion, outputs, count, stride in ((1, 4, 1, 1), (3, 6, 2, 2), (3, 8, 2, 1)):
                for place in range(count):
                    features.append(InvertedResidual(inputs, outputs, stride if place == 0 else 1, expansion))
                    inputs = outputs
            features.append(ConvNorm(inputs, 16, 1))
            self.features = nn.Sequential(*features)
            self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(16, classes))

        def forward(self, x):
            x = self.features(x)
            x = x.mean([2, 3])
            return self.classifier(x)

    return MobileNet()


def densely(nn, functional, cat):
    """Layers in lists and dicts, functions, arrays that are joined and cut."""

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(3 + 4 * place, 4, 3, padding=1) for place in range(3)])
            self.heads = nn.ModuleDict({"a": nn.Linear(15, 5), "b": nn.Linear(15, 5)})

        def forward(self, x):
            for layer in self.layers:
                x = cat([x, functional.relu(layer(functional.max_pool2d(x, 3, 1, 1)))], dim=1)
            x = functional.avg_pool2d(x, 4)
            left, right = x.flatten(2).split(32, dim=2)
            pooled = left.permute(0, 2, 1).mean(1) * (1 - right[:, :, 1:].mean(-1) / 2)
            return self.heads["a"](pooled) + functional.softmax(self.heads["b"](pooled), dim=1)

    return Dense()


def written_twice(make, torch, x):
    theirs = make(torch.nn, torch.nn.functional, torch.cat).double()
    ours = make(fnn, fastnn.functional, fnn.cat).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def from_pytorch(make, torch, x):
    theirs = make(torch.nn, torch.nn.functional, torch.cat).double()
    ours = from_torch(theirs)
    assert type(ours) is fnn.Graph
    return ours, theirs


def to_pytorch(make, torch, x):
    ours = make(fnn, fastnn.functional, fnn.cat).double()
    return ours, to_torch(ours, x)


def there_and_back(make, torch, x):
    theirs = make(torch.nn, torch.nn.functional, torch.cat).double()
    return from_torch(to_torch(from_torch(theirs))), theirs


WAYS = [written_twice, from_pytorch, to_pytorch, there_and_back]


@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("make", [resnet18, mobilenet_v2, densely], ids=lambda f: f.__name__)
def test_five_steps_are_those_of_pytorch(make, way, torch):
    torch.manual_seed(0)
    fnn.manual_seed(0)
    x, labels = normal(6, 3, 32, 32, dtype=np.float64), np.arange(6) % 5
    ours, theirs = way(make, torch, x)
    their_optimizer = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9)
    our_optimizer = fnn.SGD(ours.parameters(), lr=0.01, momentum=0.9)
    their_criterion, our_criterion = torch.nn.CrossEntropyLoss(), fnn.CrossEntropyLoss()
    terms = 6 * 32 * 32
    learnt = dict(theirs.named_parameters())
    assert set(learnt) == {name for name, _ in ours.named_parameters()}
    for step in range(5):
        their_optimizer.zero_grad()
        their_loss = their_criterion(theirs(torch.from_numpy(x)), torch.from_numpy(labels))
        their_loss.backward()
        loss = our_criterion(ours(x), labels)
        ours.backward(our_criterion.backward(), needs_dx=False)
        bound = (terms + 2) * EPS * 10**step  # each step works on from the difference of the last one
        assert abs(loss - their_loss.item()) <= bound * abs(loss)
        for name, p in ours.named_parameters():
            scale, grad = max(1.0, float(learnt[name].grad.abs().max())), learnt[name].grad.numpy()
            np.testing.assert_allclose(p.grad, grad, rtol=0, atol=bound * scale, err_msg=f"{step} {name}")
        their_optimizer.step()
        our_optimizer.step()
    state = ours.state_dict()
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_allclose(state[name], tensor.numpy(), rtol=1e-7, atol=1e-9, err_msg=name)
    ours.eval()
    expected = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(x), expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours(x[:2]), expected[:2], rtol=1e-6, atol=1e-7)
    if type(ours) is fnn.Graph:
        wiring = ours._wired()
    else:
        wiring = ours._traces[-1].wiring
        assert len(ours._traces) == 2  # one in train mode, one in eval mode
        assert set(fnn.trace(ours, x).state_dict()) >= set(ours.state_dict())
    if make is not densely:
        (stage,) = wiring._stages
        assert [type(part).__name__ for part in stage.parts] == ["Run"]
