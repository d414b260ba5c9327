"""Training steps of transposed convolutions, of slices, parts and other orders of axes, and of shared parameters."""

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from networks import normal
from training_steps import OPTIMIZERS, L, Loop, S, assert_near, assert_same_bits, made, plans


@pytest.fixture(autouse=True)
def seeded():
    fnn.manual_seed(0)


def steps_of(net, x, y, criterion=fnn.CrossEntropyLoss, times=3):
    """A training step and the three lines, after some steps each; the step is one plan."""
    steps = [made(kind, net, criterion(), OPTIMIZERS["momentum"]) for kind in (fnn.TrainingStep, Loop)]
    for step in steps:
        step.losses = [step(x, y) for _ in range(times)]
    assert plans(steps[0])
    return steps


def autoencoder(dtype=np.float32):
    d = {"dtype": dtype}
    return S(
        fnn.Conv2d(2, 6, 3, stride=2, padding=1, **d), fnn.ReLU(), fnn.Conv2d(6, 8, 3, stride=2, padding=1, **d),
        fnn.Tanh(), fnn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1, groups=2, **d), fnn.ReLU(),
        fnn.ConvTranspose2d(6, 4, 2, stride=2, bias=False, **d), fnn.BatchNorm2d(4, **d), fnn.ReLU(),
        fnn.ConvTranspose2d(4, 2, 3, padding=(1, 2), dilation=(1, 2), **d), fnn.Sigmoid(),
    )  # fmt: skip


def sequences(dtype=np.float32):
    d = {"dtype": dtype}
    return S(
        fnn.ConvTranspose1d(2, 5, 4, stride=2, padding=1, **d), fnn.ReLU(), fnn.MaxPool1d(2),
        fnn.ConvTranspose1d(5, 3, 1, **d), fnn.ReLU(), fnn.ConvTranspose1d(3, 2, 3, padding=1, output_padding=0, **d),
    )  # fmt: skip


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("make", [autoencoder, sequences], ids=lambda f: f.__name__)
def test_transposed_convolutions(make, dtype, n):
    x = normal(n, *((2, 12, 8) if make is autoencoder else (2, 12)), dtype=dtype)
    step, loop = steps_of(make(dtype), x, x, fnn.MSELoss)
    np.testing.assert_allclose(step.losses, loop.losses, rtol=1e3 * np.finfo(dtype).eps)
    assert_same_bits(step, loop)


@pytest.mark.parametrize("frozen", ["weight", "bias", "4.", "0.", ""])
def test_frozen_transposed_convolutions(frozen):
    net, x = autoencoder(), normal(5, 2, 12, 8)
    for name, p in net.named_parameters():
        p.requires_grad = frozen not in name or (not frozen and name == "4.bias")
    assert_same_bits(*steps_of(net, x, x, fnn.MSELoss))


def test_transposed_convolutions_have_the_same_bits_on_any_number_of_threads():
    x, steps = normal(70, 2, 12), []
    net = sequences()
    for threads in (1, 2, 7):
        with fnn.num_threads(threads):
            steps.append(steps_of(net, x, x, fnn.MSELoss)[0])
    for other in steps[1:]:
        assert_same_bits(steps[0], other)


# ---- Views

VIEWS = {  # of (6, 4, 5), and the shape of what comes out
    "columns": (lambda: fnn.Slice(..., slice(1, None, 2)), (6, 4, 2)),
    "backwards": (lambda: fnn.Slice(slice(None), slice(None, None, -1), slice(1, 3)), (6, 2, 5)),
    "one": (lambda: fnn.Slice(slice(None), 2, None, ..., -1), (1, 4)),
    "all": (lambda: fnn.Slice(...), (6, 4, 5)),
    "channels last": (lambda: fnn.Permute(0, 2, 3, 1), (4, 5, 6)),
    "turned": (lambda: fnn.Permute(0, 1, 3, 2), (6, 5, 4)),
    "mixed": (lambda: S(fnn.Permute(0, 3, 1, 2), fnn.Slice(..., slice(0, 4, 3)), fnn.Permute(0, 2, 1, 3)), (6, 5, 2)),
    "shuffled": (lambda: S(fnn.Reshape(0, 2, 3, 4, 5), fnn.Permute(0, 2, 1, 3, 4), fnn.Flatten(1, 2)), (6, 4, 5)),
    "smaller": (lambda: S(fnn.Reshape(0, 2, 3, 4, 5), fnn.Slice(..., slice(4)), fnn.PixelUnshuffle(2)), (2, 12, 2, 2)),
    "larger": (lambda: S(fnn.Slice(slice(None), slice(1, 5)), fnn.PixelShuffle(2)), (1, 8, 10)),
    "split in six": (lambda: S(fnn.Reshape(0, 2, 3, 2, 2, 5), fnn.Permute(0, 5, 3, 1, 4, 2), fnn.Slice(..., 1)),
                     (5, 2, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("view", VIEWS)
def test_views(view, dtype):
    make, shape = VIEWS[view]
    size = int(np.prod(shape))
    net = S(fnn.Conv2d(2, 6, 1, dtype=dtype), make(), fnn.Flatten(), fnn.Tanh(), L(size, 5, dtype=dtype))
    x = normal(7, 2, 4, 5, dtype=dtype)
    step, loop = steps_of(net, x, np.arange(7) % 5)
    assert_near(step, loop, 100)
    y = net.eval()(x)
    assert [type(part).__name__ for part in net._inference.parts] == ["Run"]
    np.testing.assert_array_equal(y, net.train()(x))
    with fnn.num_threads(3):
        np.testing.assert_array_equal(y, net.eval()(x))


@pytest.mark.parametrize("view", [fnn.Slice(slice(0, 7)), fnn.Slice(0), fnn.Permute(1, 0), fnn.Slice(None)], ids=repr)
def test_views_across_the_batch_are_not_planned(view):
    net = S(L(4, 8), view)
    x = normal(7, 4)
    y = net(x)
    step = made(fnn.TrainingStep, net, fnn.MSELoss())
    loop = made(Loop, net, fnn.MSELoss())
    target = np.zeros_like(y)
    for _ in range(2):
        assert step(x, target) == pytest.approx(loop(x, target), rel=1e-6)
    assert_near(step, loop, 100)
    np.testing.assert_array_equal(net.eval()(x), y)


def test_an_index_that_an_example_does_not_have():
    net = S(L(4, 8), fnn.Slice(slice(None), 9))
    for call in (made(fnn.TrainingStep, net, fnn.MSELoss()), lambda x, _: net.eval()(x)):
        with pytest.raises(IndexError, match=r"index: got .*9.* for x of shape \(3, 8\)"):
            call(normal(3, 4), normal(3))


def attention(dtype=np.float32):
    """Parts that are used once, twice and not at all, of a split of a split."""
    return fnn.Graph(
        {
            "all": (L(6, 24, dtype=dtype), "x"),
            "parts": (fnn.Split(8), "all"),
            "halves": (fnn.Split((3, 5)), "parts[0]"),
            "gate": (fnn.Sigmoid(), "parts[1]"),
            "mixed": (fnn.Mul(), "gate", "parts[1]"),
            "wide": (L(5, 8, dtype=dtype), "halves[1]"),
            "sum": (fnn.Add(), "mixed", "wide", "parts[1]"),
            "scores": (L(8, 5, dtype=dtype), "sum"),
        }
    )


@pytest.mark.parametrize("n", [1, 11])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_parts(dtype, n):
    net, x = attention(dtype), normal(n, 6, dtype=dtype)
    assert_near(*steps_of(net, x, np.arange(n) % 5), 100)
    y = net(x)
    np.testing.assert_allclose(net.eval()(x), y, rtol=1e-4 if dtype is np.float32 else 1e-9, atol=1e-6)
    assert [type(part).__name__ for part in net._wired()._stages[0].parts] == ["Run"]


class Shuffled(fnn.Module):
    """A block in the manner of ShuffleNet."""

    def __init__(self, channels=6):
        self.conv = fnn.Conv2d(channels // 2, channels // 2, 3, padding=1)
        self.norm = fnn.BatchNorm2d(channels // 2)

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        y = fnn.cat([a, self.norm(self.conv(b)).relu()], dim=1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).flatten(1, 2)


def test_a_traced_module_that_splits_and_shuffles():
    net = S(fnn.Conv2d(2, 6, 3), Shuffled(), Shuffled(), fnn.AdaptiveAvgPool2d(1), fnn.Flatten(), L(6, 5))
    x = normal(8, 2, 7, 7)
    net(x)  # traced modules are planned from their second step on
    step, loop = steps_of(net, x, np.arange(8) % 5)
    assert_near(step, loop, 1000)
    assert_near(*steps_of(net, x[:3], np.arange(3)), 1000)


# ---- Shared parameters


def chain(*layers):
    """As a Sequential, which refuses a layer that is in two places."""
    names = ["x", *(f"n{place}" for place in range(len(layers)))]
    return fnn.Graph({name: (layer, before) for name, layer, before in zip(names[1:], layers, names, strict=False)})


def tied(dtype=np.float32):
    square = [L(8, 8, dtype=dtype) for _ in range(3)]
    net = S(square[0], fnn.Tanh(), square[1], fnn.ReLU(), square[2], L(8, 5, dtype=dtype))
    net[2].weight, net[4].bias = net[0].weight, net[0].bias
    return net


def twice(dtype=np.float32):
    conv, norm = fnn.Conv2d(4, 4, 3, padding=1, dtype=dtype), fnn.BatchNorm2d(4, dtype=dtype)
    drop = fnn.Dropout(0.3)
    drop.stream = 3
    return chain(L(8, 64, dtype=dtype), fnn.Unflatten(1, (4, 4, 4)), conv, norm, fnn.ReLU(), drop, conv, norm,
                 fnn.ReLU(), conv, drop, fnn.Flatten(), L(64, 5, dtype=dtype))  # fmt: skip


def images(dtype=np.float32):
    """By groups of examples, whose gradients are added up too."""
    conv = fnn.Conv2d(4, 4, 3, padding=1, dtype=dtype)
    last = L(8, 5, dtype=dtype)
    return chain(fnn.Unflatten(1, (4, 1, 2)), conv, fnn.ReLU(), conv, fnn.Tanh(), conv, fnn.Flatten(), last)


def slopes(dtype=np.float32):
    """A parameter that is a weight here and a bias there."""
    net = S(L(8, 6, dtype=dtype), fnn.LayerNorm(6, dtype=dtype), fnn.PReLU(6, dtype=dtype), L(6, 5, dtype=dtype))
    net[1].weight = net[1].bias = net[2].weight = net[0].bias
    return net


@pytest.mark.parametrize("n", [1, 5, 900])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("make", [tied, twice, images, slopes], ids=lambda f: f.__name__)
def test_shared_parameters(make, dtype, n):
    x, y = normal(n, 8, dtype=dtype), np.arange(n) % 5
    step, loop = steps_of(make(dtype), x, y)
    np.testing.assert_allclose(step.losses, loop.losses, rtol=1e3 * np.finfo(dtype).eps)
    assert_near(step, loop, 1000)
    if n == 5 and make is not slopes:
        assert_same_bits(step, loop)


def test_shared_parameters_that_are_frozen_and_the_threads():
    x, y, steps = normal(900, 8), np.arange(900) % 5, []
    for threads in (1, 2, 7):
        fnn.manual_seed(0)
        with fnn.num_threads(threads):
            steps.append(steps_of(images(), x, y)[0])
    (plan,) = plans(steps[0])
    assert plan.steps.sizes()[1] < 900, "groups of examples, whose gradients are added up too"
    assert_same_bits(steps[0], steps[1])
    assert_same_bits(steps[0], steps[2])
    net = tied()
    net[0].weight.requires_grad = False
    assert_near(*steps_of(net, x, y), 1000)
    assert steps_of(net, x, y)[0].net[2].weight.grad is None


def test_a_table_that_scores_too():
    net = S(fnn.Embedding(9, 6), fnn.Tanh(), fnn.Flatten(), L(18, 6), L(6, 9, bias=False))
    net[4].weight = net[0].weight
    x = np.random.default_rng(0).integers(0, 9, (40, 3))
    assert_near(*steps_of(net, x, x[:, 0].copy()), 1000)
