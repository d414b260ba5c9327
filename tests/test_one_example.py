"""One example without the axis of a batch, where functions take batches: as a batch of one, and as PyTorch has it."""

import inspect

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional, reference

RNG = np.random.default_rng(7)


def f32(*shape):
    return RNG.normal(size=shape).astype(np.float32)


IMAGE, ROW = f32(4, 9, 8), f32(4, 9)
SCORES, PROBABILITIES, CLASSES = f32(5), np.array([0.1, 0.2, 0.3, 0.2, 0.2], np.float32), f32(5) ** 2
ONE, TWO = {"stride": 2, "padding": 1}, {"stride": (2, 1), "padding": (1, 0)}

# function, what has the axis of a batch, the other arguments, keywords
FORWARD = [
    ("conv1d", (ROW,), (f32(6, 2, 3), f32(6)), {**ONE, "groups": 2}),
    ("conv1d", (ROW,), (f32(6, 4, 3),), {"padding": "same", "dilation": 2}),
    ("conv2d", (IMAGE,), (f32(6, 2, 3, 2), f32(6)), {**TWO, "groups": 2}),
    ("conv_transpose1d", (ROW,), (f32(4, 3, 3), f32(6)), {**ONE, "groups": 2, "output_padding": 1}),
    ("conv_transpose2d", (IMAGE,), (f32(4, 3, 3, 2), f32(6)), {**TWO, "groups": 2}),
    ("max_pool1d", (ROW,), (3,), {**ONE, "return_indices": True}),
    ("max_pool2d", (IMAGE,), (3,), {"stride": 2, "ceil_mode": True, "return_indices": True}),
    ("avg_pool1d", (ROW,), (3,), ONE),
    ("avg_pool2d", (IMAGE,), ((3, 2),), {**TWO, "count_include_pad": False}),
    ("adaptive_avg_pool1d", (ROW,), (4,), {}),
    ("adaptive_avg_pool2d", (IMAGE,), ((4, None),), {}),
    ("adaptive_max_pool1d", (ROW,), (4,), {"return_indices": True}),
    ("adaptive_max_pool2d", (IMAGE,), ((4, 3),), {"return_indices": True}),
    ("unfold", (IMAGE,), ((3, 2),), {"padding": 1}),
    ("fold", (f32(12, 30),), ((6, 7), 2), {}),
]
LOSSES = [
    (name, (SCORES, target), {"reduction": reduction, **more})
    for reduction in ("mean", "sum", "none")
    for name, target, more in [
        ("cross_entropy", np.array(3), {}),
        ("cross_entropy", np.array(3), {"weight": CLASSES, "label_smoothing": 0.1}),
        ("cross_entropy", np.array(3), {"ignore_index": 3}),
        ("cross_entropy", PROBABILITIES, {"weight": CLASSES, "label_smoothing": 0.1}),
        ("nll_loss", np.array(3), {}),
        ("nll_loss", np.array(3), {"weight": CLASSES}),
    ]
]
BACKWARD = {  # the function and what it is called with, from a call of the forward
    "conv1d": lambda dy, x, w, *_: ((dy, x), (w,)),
    "conv2d": lambda dy, x, w, *_: ((dy, x), (w,)),
    "conv_transpose1d": lambda dy, x, w, *_: ((dy, x), (w,)),
    "conv_transpose2d": lambda dy, x, w, *_: ((dy, x), (w,)),
    "avg_pool1d": lambda dy, x, *rest: ((dy,), (x.shape[-1], *rest)),
    "avg_pool2d": lambda dy, x, *rest: ((dy,), (x.shape[-2:], *rest)),
    "adaptive_avg_pool1d": lambda dy, x, *_: ((dy,), (x.shape[-1],)),
    "adaptive_avg_pool2d": lambda dy, x, *_: ((dy,), (x.shape[-2:],)),
}


def label(value):
    return value if isinstance(value, str) else ""


def tuple_of(y):
    return y if isinstance(y, tuple) else (y,)


def of_batch(function, examples, rest, named):
    """What a function makes of a batch of one, without the axis where results have it."""
    return tuple_of(function(*(np.asarray(each)[None] for each in examples), *rest, **named))


@pytest.mark.parametrize("module", [functional, reference], ids=["kernels", "reference"])
@pytest.mark.parametrize(("name", "examples", "rest", "named"), FORWARD, ids=label)
def test_forward_is_that_of_a_batch_of_one(module, name, examples, rest, named):
    function = getattr(module, name)
    y = tuple_of(function(*examples, *rest, **named))
    expected = of_batch(function, examples, rest, named)
    assert len(y) == len(expected)
    for one, other in zip(y, expected, strict=True):
        np.testing.assert_array_equal(one, other[0])
    (x,) = examples
    np.testing.assert_array_equal(tuple_of(function(x=x, **keywords(function, rest), **named))[0], y[0])


def keywords(function, rest):
    return dict(zip(list(inspect.signature(function).parameters)[1:], rest, strict=False))


@pytest.mark.parametrize("module", [functional, reference], ids=["kernels", "reference"])
@pytest.mark.parametrize(
    ("name", "examples", "rest", "named"), [row for row in FORWARD if row[0] in BACKWARD], ids=label
)
def test_backward_is_that_of_a_batch_of_one(module, name, examples, rest, named):
    (x,) = examples
    dy = f32(*tuple_of(getattr(module, name)(x, *rest, **named))[0].shape)
    given, more = BACKWARD[name](dy, x, *rest)
    backward = getattr(module, f"{name}_backward")
    gradients = tuple_of(backward(*given, *more, **named))
    expected = of_batch(backward, given, more, named)
    np.testing.assert_array_equal(gradients[0], expected[0][0])
    assert gradients[0].shape == x.shape
    for one, other in zip(gradients[1:], expected[1:], strict=True):  # of parameters
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("module", [functional, reference], ids=["kernels", "reference"])
@pytest.mark.parametrize(("x", "axes"), [(ROW, 1), (IMAGE, 2)], ids=["1d", "2d"])
def test_backward_of_maxima(module, x, axes):
    size = x.shape[-axes:] if axes == 2 else x.shape[-1]
    pool, back = (getattr(module, f"max_pool{axes}d{each}") for each in ("", "_backward"))
    y, positions = pool(x, 3, 2, return_positions=True)
    np.testing.assert_array_equal(back(y, positions, size, 3, 2), back(y[None], positions[None], size, 3, 2)[0])
    pool, back = (getattr(module, f"adaptive_max_pool{axes}d{each}") for each in ("", "_backward"))
    y, indices = pool(x, 4, return_indices=True)
    np.testing.assert_array_equal(back(y, indices, size), back(y[None], indices[None], size)[0])


@pytest.mark.parametrize("module", [functional, reference], ids=["kernels", "reference"])
@pytest.mark.parametrize(("name", "examples", "named"), LOSSES, ids=label)
def test_losses(module, name, examples, named):
    loss, back = getattr(module, name), getattr(module, f"{name}_backward")
    x, target = examples
    batch = tuple(each[None] for each in examples)
    value, expected = loss(*examples, **named), loss(*batch, **named)
    none = named["reduction"] == "none"
    assert np.shape(value) == ()
    assert type(value) is (np.ndarray if none else float)
    np.testing.assert_array_equal(value, np.reshape(expected, ()))
    for dloss in (1.0, 0.5, *([np.float32(0.5), np.array(0.5, np.float32)] if none else [])):
        dx = back(*examples, **named, dloss=dloss)
        np.testing.assert_array_equal(dx, back(*batch, **named, dloss=float(dloss))[0])
    if target.ndim == 0:
        for number in (int(target), np.int64(target)):
            np.testing.assert_array_equal(loss(x, number, **named), value)


def test_every_function_that_takes_one_example_is_tried():
    ours = {name for name in reference.__all__ if hasattr(getattr(reference, name), "one_example")}
    tried = {row[0] for row in (*FORWARD, *LOSSES)}
    backwards = {f"{name}_backward" for name in tried - {"fold", "unfold"}}
    assert ours == tried | backwards | {"weigh_losses", "weigh_losses_backward"}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, CLASSES], ids=["", "weight"])
@pytest.mark.parametrize("target", [3, np.array(1), PROBABILITIES], ids=["int", "array", "probabilities"])
def test_sample_weights(reduction, weight, target):
    criterion = fnn.CrossEntropyLoss(weight=weight, reduction=reduction)
    value = criterion(SCORES, target, sample_weight=2.5)
    dx = criterion.backward()
    batch = SCORES[None], np.asarray(target)[None]
    np.testing.assert_array_equal(value, np.reshape(criterion(*batch, sample_weight=[2.5]), ()))
    np.testing.assert_array_equal(dx, criterion.backward()[0])


@pytest.mark.parametrize(("name", "examples", "rest", "named"), FORWARD, ids=label)
def test_torch_functions(name, examples, rest, named):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)
    (x,) = examples
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    if None in np.ravel(np.array(rest[0], object)):
        rest = ((4, 8),)
    others = [torch.tensor(each, dtype=torch.float64) if hasattr(each, "dtype") else each for each in rest]
    expected = tuple_of(theirs(leaf, *others, **named))
    y = tuple_of(getattr(functional, name)(x, *rest, **named))
    for one, other in zip(y, expected, strict=True):
        assert one.shape == tuple(other.shape)
        np.testing.assert_allclose(one, other.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(("name", "examples", "named"), LOSSES, ids=label)
def test_torch_losses(name, examples, named):
    torch = pytest.importorskip("torch")
    x, target = examples
    theirs = dict(named)
    if "weight" in theirs:
        theirs["weight"] = torch.tensor(theirs["weight"], dtype=torch.float64)
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    goal = torch.tensor(target, dtype=torch.float64 if target.ndim else torch.int64)
    expected = getattr(torch.nn.functional, name)(leaf, goal, **theirs)
    expected.backward(torch.tensor(0.5, dtype=torch.float64))
    assert tuple(expected.shape) == ()
    np.testing.assert_allclose(getattr(functional, name)(x, target, **named), expected.item(), atol=1e-5)
    dx = getattr(functional, f"{name}_backward")(x, target, **named, dloss=0.5)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), atol=1e-5)


LAYERS = [
    (lambda: fnn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGE),
    (lambda: fnn.Conv2d(4, 6, 3, stride=2), IMAGE),
    (lambda: fnn.Conv1d(4, 6, 3, padding=1, padding_mode="reflect"), ROW),
    (lambda: fnn.ConvTranspose2d(4, 6, 3, stride=2), IMAGE),
    (lambda: fnn.ConvTranspose1d(4, 6, 3, stride=2), ROW),
    (lambda: fnn.MaxPool2d(2), IMAGE),
    (lambda: fnn.MaxPool1d(2, return_indices=True), ROW),
    (lambda: fnn.AvgPool2d(2), IMAGE),
    (lambda: fnn.AvgPool1d(2), ROW),
    (lambda: fnn.AdaptiveAvgPool2d(3), IMAGE),
    (lambda: fnn.AdaptiveAvgPool1d(3), ROW),
    (lambda: fnn.AdaptiveMaxPool2d(3, return_indices=True), IMAGE),
    (lambda: fnn.AdaptiveMaxPool1d(3), ROW),
    (lambda: fnn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE),
    (lambda: fnn.Unfold(2), IMAGE),
    (lambda: fnn.Fold((6, 7), 2), f32(12, 30)),
    (lambda: fnn.Sequential(fnn.Conv2d(4, 5, 3), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(0)), IMAGE),
]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("make", "x"), LAYERS, ids=[type(make()).__name__ for make, _ in LAYERS])
def test_layers(make, x, training):
    fnn.manual_seed(0)
    one = make().train(training)
    many = make().train(training)
    many.load_state_dict(one.state_dict())
    flat = isinstance(one, fnn.Sequential)
    y = tuple_of(one(x))
    expected = of_batch(fnn.Sequential(*list(many)[:-1], fnn.Flatten()).train(training) if flat else many, (x,), (), {})
    np.testing.assert_allclose(y[0], expected[0][0], rtol=1e-6)
    if training and not flat:
        dy = f32(*y[0].shape)
        dx = one.backward(dy)
        np.testing.assert_array_equal(dx, many.backward(dy[None])[0])
        for p, q in zip(one.parameters(), many.parameters(), strict=True):
            np.testing.assert_array_equal(p.grad, q.grad)


@pytest.mark.parametrize("module", [functional, reference], ids=["kernels", "reference"])
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda F: F.max_pool2d(IMAGE, 10), r"^kernel_size: got \(10, 10\); .*\(input \(9, 8\), padding \(0, 0\)\)$"),
        (
            lambda F: F.conv2d(f32(64, 9, 8), f32(2, 1, 3, 3)),
            r"^x and weight: got .* expected 64, the channels of x: x, of shape \(64, 9, 8\), was taken for one "
            r"example; x\[:, None\] if it is \(N, H, W\), images without an axis of channels$",
        ),
        (lambda F: F.fold(f32(13, 30), (6, 7), 2), r"13 rows; .*: x, of shape \(13, 30\), was taken for one example$"),
        (lambda F: F.cross_entropy(SCORES, np.array([1])), r"^target: got shape \(1, 1\); .*x, of shape \(5,\), was"),
        (lambda F: F.cross_entropy(SCORES, 5), r"^target: got label 5"),
        (lambda F: F.cross_entropy(SCORES, 1.5), r"^target: got float; expected"),
        (lambda F: F.max_pool2d(IMAGE[0], 2), r"^x: got shape \(9, 8\); expected 4 axes"),
        (lambda F: F.conv2d(IMAGE[None, None], f32(2, 4, 3, 3)), r"^x: got shape \(1, 1, 4, 9, 8\); expected 4 axes"),
    ],
)  # fmt: skip
def test_refused(module, call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call(module)


def test_traced_forward_of_one_example():
    class Net(fnn.Module):
        def __init__(self):
            self.conv = fnn.Conv2d(4, 3, 3)

        def forward(self, x):
            return functional.max_pool2d(functional.relu(self.conv(x)), 2)

    net = Net()
    y = net(IMAGE)
    assert y.shape == (3, 3, 3)
    dx = net.backward(np.ones_like(y))
    grad = net.conv.weight.grad.copy()
    np.testing.assert_allclose(net(IMAGE[None])[0], y, rtol=1e-6)
    np.testing.assert_allclose(net.backward(np.ones_like(y)[None])[0], dx, rtol=1e-6)
    np.testing.assert_allclose(net.conv.weight.grad, grad, rtol=1e-6)
