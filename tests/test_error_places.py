"""Errors out of a network: they name the layer, and say what to do."""

import gc
import traceback
import weakref

import numpy as np
import pytest

import fastnn as fnn


def f32(*shape):
    return np.ones(shape, np.float32)


def deep():
    body = fnn.Sequential(fnn.Conv2d(2, 2, 3, padding=1), fnn.BatchNorm2d(2), fnn.ReLU())
    branches = fnn.Concat([fnn.Conv2d(2, 1, 1), fnn.Residual(fnn.Sequential(fnn.ReLU(), fnn.Conv2d(2, 2, 1)))])
    return fnn.Sequential(
        *(fnn.Conv2d(1, 2, 1), fnn.ReLU(), fnn.Residual(body), branches),
        *(fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(12, 3)),
    )


class Mine(fnn.Module):
    """A module that somebody has written."""

    def __init__(self, fault=None):
        self.features, self.head, self.fault = fnn.Sequential(fnn.Linear(4, 3), fnn.ReLU()), fnn.Linear(3, 2), fault

    def forward(self, x):
        if self.fault is not None:
            raise self.fault
        return self.head(self.features(x))

    def backward(self, dy, accumulate=False, needs_dx=True):
        return self.features.backward(self.head.backward(dy, accumulate), accumulate, needs_dx)


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("make", "x", "error", "words"),
    [
        (deep, f32(2, 3, 4, 4), ValueError, "layer 0 (Conv2d): x and weight: got shapes"),
        (deep, f32(2, 1, 6, 6), ValueError, "layer 6 (Linear): x: got shape (2, 27); expected (..., 12)"),
        (Mine, f32(2, 5), ValueError, "layer features.0 (Linear): x: got shape (2, 5)"),
        (lambda: fnn.Sequential(fnn.Identity(), Mine()), f32(2, 5), ValueError, "layer 1.features.0 (Linear): x: got"),
        (lambda: fnn.Residual(fnn.Linear(4, 3)), f32(2, 5), ValueError, "layer body (Linear): x: got shape (2, 5)"),
        (lambda: fnn.Sequential(fnn.Residual(fnn.Linear(4, 3))), f32(2, 4), ValueError, "layer 0 (Residual): b: got"),
        (
            lambda: fnn.Sequential(fnn.ReLU(), fnn.Concat([fnn.Linear(4, 3), fnn.Flatten(0)])),
            f32(2, 4),
            ValueError,
            "layer 1 (Concat): arrays[1]: got shape (8,)",
        ),
    ],
    ids=["first", "last", "user's", "user's inside", "residual", "sum", "concat"],
)
def test_forward(make, x, error, words, train):
    net = make().train(train)
    for _ in range(2):  # as planned, too
        with pytest.raises(error) as caught:
            net(x)
        assert str(caught.value).startswith(words)
        assert type(caught.value) is error
        assert caught.value.__cause__ is caught.value.__context__ is None
    assert "During handling" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("path", ["2.body.0", "2.body.1", "3.0", "3.1.body.1"])
def test_every_depth(path):
    net, x = deep(), f32(2, 1, 4, 4)
    layer = net.get_submodule(path)
    held = layer.weight
    layer.weight.data = f32(7, 7, 1, 1) if held.data.ndim == 4 else f32(7)
    kind = type(layer).__name__
    for run in (lambda: net.train()(x), lambda: net.eval()(x), lambda: net.summary(x.shape)):
        with pytest.raises(ValueError, match=rf"^layer {path} \({kind}\): ") as caught:
            run()
        assert str(caught.value).count("layer ") == 1


@pytest.mark.parametrize(
    ("net", "x", "dy", "words"),
    [
        (deep(), f32(2, 1, 4, 4), f32(2, 4), "layer 6 (Linear): dy: got shape (2, 4)"),
        (Mine(), f32(2, 4), f32(2, 3), "layer head (Linear): dy: got shape (2, 3)"),
        (fnn.Sequential(Mine()), f32(2, 4), f32(2, 3), "layer 0.head (Linear): dy: got shape (2, 3)"),
        (fnn.Residual(fnn.Linear(4, 4)), f32(2, 4), f32(2, 3), "layer body (Linear): dy: got shape (2, 3)"),
        (fnn.Concat([fnn.Linear(4, 4)]), f32(2, 4), f32(2, 3), "dy: got shape (2, 3); expected (2, 4)"),
        (fnn.Sequential(fnn.Linear(4, 4)), f32(2, 4), 0.5, "layer 0 (Linear): dy: got float; expected"),
        (fnn.Linear(4, 4), f32(2, 4), f32(2, 3), "dy: got shape (2, 3)"),
    ],
    ids=["deep", "user's", "user's inside", "residual", "concat", "a number", "alone"],
)
def test_backward(net, x, dy, words):
    net(x)
    with pytest.raises((ValueError, TypeError)) as caught:
        net.backward(dy)
    assert str(caught.value).startswith(words)


def test_a_loss_is_no_gradient():
    net, criterion = fnn.Sequential(fnn.Linear(4, 3)), fnn.CrossEntropyLoss()
    loss = criterion(net(f32(2, 4)), np.array([0, 2]))
    with pytest.raises(TypeError, match=r"as in net.backward\(criterion.backward\(\)\)"):
        net.backward(loss)


class Own(Exception):
    """Whose text does not come from its arguments."""

    def __str__(self):
        return "as I say"


@pytest.mark.parametrize("fault", [KeyError("k"), OSError(2, "no file"), Own(1), MemoryError(), ZeroDivisionError()])
def test_errors_without_a_text_of_their_own_get_a_note(fault):
    before = fault.args
    net = fnn.Sequential(fnn.Identity(), fnn.Sequential(Mine(fault)))
    with pytest.raises(type(fault)) as caught:
        net(f32(2, 4))
    assert caught.value is fault
    assert fault.args == before
    assert fault.__notes__ == ["in layer 1.0 (Mine)"]


def test_an_error_of_the_network_itself_is_left_alone():
    with pytest.raises(ValueError, match=r"^mine$"):
        Mine(ValueError("mine"))(f32(2, 4))
    with pytest.raises(RuntimeError, match=r"^layer 0 \(Mine\): mine$"):
        fnn.Sequential(Mine(RuntimeError("mine")))(f32(2, 4))


def test_hooks_and_plans_of_others():
    class Planned(fnn.Module):
        def forward(self, x):
            return x

        def plan(self, steps):
            raise LookupError("no plan")

    with pytest.raises(LookupError, match=r"^layer 0.1 \(Planned\): no plan"):
        fnn.Sequential(fnn.Sequential(fnn.ReLU(), Planned())).eval()(f32(2, 4))

    net = fnn.Sequential(fnn.ReLU(), fnn.Tanh())

    def hook(module, inputs, output):
        raise ValueError("seen")

    with net[1].register_forward_hook(hook), pytest.raises(ValueError, match=r"^layer 1 \(Tanh\): seen"):
        net(f32(2, 4))


# Backward out of turn


def test_backward_out_of_turn():
    net = fnn.Sequential(fnn.Linear(4, 3), fnn.Residual(fnn.Linear(3, 3)))
    dy = f32(2, 3)
    with pytest.raises(RuntimeError, match=r"^layer 1.body \(Linear\): .*got nothing .* call it first, as in net\(x\)"):
        net.backward(dy)
    net(f32(2, 4))
    net.backward(dy)
    with pytest.raises(RuntimeError, match=r"got nothing .* lets go of what its layers kept.*call the network again"):
        net.backward(dy)
    net.eval()(f32(2, 4))
    with pytest.raises(RuntimeError, match=r"^layer 1.body \(Linear\): .*got nothing .* call net.train\(\) first"):
        net.backward(dy)
    for criterion in (fnn.CrossEntropyLoss(), fnn.MSELoss(), fnn.KLDivLoss()):
        with pytest.raises(RuntimeError, match=r"call it first, as in criterion\(outputs, targets\)"):
            criterion.backward()


EVAL = [
    (fnn.Conv2d(1, 2, 3), f32(1, 1, 4, 4)), (fnn.MaxPool2d(2), f32(1, 1, 4, 4)), (fnn.AvgPool2d(2), f32(1, 1, 4, 4)),
    (fnn.BatchNorm2d(1), f32(1, 1, 4, 4)), (fnn.LayerNorm(4), f32(2, 4)), (fnn.Dropout(), f32(2, 4)),
    (fnn.Flatten(), f32(2, 4)), (fnn.ReLU(), f32(2, 4)), (fnn.Softmax(), f32(2, 4)), (fnn.GELU(), f32(2, 4)),
    (fnn.Concat([fnn.ReLU()]), f32(2, 4)), (fnn.Embedding(3, 4), np.array([0, 1])), (fnn.PReLU(), f32(2, 4)),
    (fnn.ZeroPad2d(1), f32(1, 1, 4, 4)), (fnn.Unfold(2), f32(1, 1, 4, 4)), (fnn.Upsample(8), f32(1, 1, 4, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "x"), EVAL, ids=lambda value: type(value).__name__)
def test_backward_in_eval_mode(layer, x):
    y = layer.eval()(x)
    with pytest.raises(RuntimeError, match=r"call net.train\(\) first"):
        layer.backward(y)


# Inputs that are laid out otherwise


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (fnn.Conv2d(1, 2, 3), (64, 28, 28, 1), "looks like NHWC; expected NCHW, .*: x.transpose(0, 3, 1, 2)"),
        (fnn.Conv2d(3, 2, 3), (2, 28, 28, 3), "x.transpose(0, 3, 1, 2)"),
        (fnn.Conv2d(4, 2, 3, groups=2), (2, 9, 9, 4), "x.transpose(0, 3, 1, 2)"),
        (fnn.Conv2d(3, 2, 3, padding_mode="reflect", padding=1), (2, 9, 9, 3), "x.transpose(0, 3, 1, 2)"),
        (
            fnn.Conv2d(3, 2, 3, padding_mode="reflect", padding=1),
            (2, 4, 9, 9),
            "expected 3 channels on the second axis",
        ),
        (fnn.Conv1d(3, 2, 3, padding_mode="reflect", padding=1), (2, 9, 3), "x.transpose(0, 2, 1)"),
        (fnn.ConvTranspose2d(3, 2, 3), (2, 9, 9, 3), "x.transpose(0, 3, 1, 2)"),
        (fnn.BatchNorm2d(3), (2, 9, 9, 3), "x.transpose(0, 3, 1, 2)"),
        (fnn.InstanceNorm2d(3), (2, 9, 9, 3), "x.transpose(0, 3, 1, 2)"),
        (fnn.GroupNorm(1, 3), (2, 9, 9, 3), "x.transpose(0, 3, 1, 2)"),
        (fnn.PReLU(3), (2, 9, 9, 3), "x.transpose(0, 3, 1, 2)"),
        (fnn.Conv1d(3, 2, 3), (2, 9, 3), "looks like NLC; expected NCL, .*: x.transpose(0, 2, 1)"),
        (fnn.BatchNorm1d(3), (2, 9, 3), "x.transpose(0, 2, 1)"),
        (fnn.Conv2d(1, 2, 3), (64, 28, 28), "x[:, None] if it is (N, H, W)"),
        (fnn.MaxPool2d(2), (28, 28), "x[None, None]"),
        (fnn.AdaptiveAvgPool2d(2), (28, 28), "x[None, None]"),
        (fnn.Conv2d(1, 2, 3), (64, 784), "x.reshape(-1, C, H, W)"),
        (fnn.Conv1d(1, 2, 3), (64, 28), "x[:, None] if it is (N, L)"),
        (fnn.MaxPool1d(2), (28,), "x[None, None]"),
        (fnn.Linear(784, 2), (64, 1, 28, 28), "flatten it, by a Flatten() before this layer or x.reshape(len(x), -1)"),
        (fnn.Linear(784, 2), (64, 28, 28), "flatten it"),
        (fnn.Linear(100, 2), (64, 4, 4, 4), "by a Flatten() before this layer, it would have 64"),
        (fnn.Linear(4, 2), (4, 7), "x.T has them"),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_layouts(layer, shape, words, train):
    import re

    pattern = r"^layer 0 \(\w+\): .*" + re.escape(words).replace(r"\.\*", ".*")
    with pytest.raises(ValueError, match=pattern):
        fnn.Sequential(layer).train(train)(f32(*shape))


def test_indices():
    for x, words in (
        ([0, 1], r"list; expected a NumPy array of integers 0 to 2: convert it, as in np.array\(x\)$"),
        (f32(2), r"an array of float32; expected integers 0 to 2: convert it, as in x.astype\(np.int64\)$"),
        (np.array(["a"]), "an array of <U1; expected integers"),
        (None, "NoneType"),
    ):
        with pytest.raises(TypeError, match="^x: got " + words):
            fnn.Embedding(3, 2)(x)


def test_what_is_advised_works():
    x = f32(2, 5, 6, 3)
    assert fnn.Conv2d(3, 2, 3)(x.transpose(0, 3, 1, 2)).shape == (2, 2, 3, 4)
    assert fnn.Linear(90, 2)(x.reshape(len(x), -1)).shape == (2, 2)


# Dtypes


LAYERS = [
    (fnn.Conv1d(1, 1, 1), 3), (fnn.Conv2d(1, 1, 1), 4), (fnn.ConvTranspose2d(1, 1, 1), 4), (fnn.Linear(1, 1), 2),
    (fnn.Conv2d(1, 1, 1, padding_mode="circular"), 4), (fnn.Conv1d(1, 1, 1, padding_mode="circular"), 3),
    (fnn.MaxPool1d(1), 3), (fnn.MaxPool2d(1), 4), (fnn.AvgPool1d(1), 3), (fnn.AvgPool2d(1), 4), (fnn.Softmax(), 2),
    (fnn.AdaptiveAvgPool2d(1), 4), (fnn.AdaptiveMaxPool2d(1), 4), (fnn.Upsample(2), 4),
    (fnn.AdaptiveAvgPool1d(1), 3), (fnn.AdaptiveMaxPool1d(1), 3), (fnn.ConvTranspose1d(1, 1, 1), 3),
    (fnn.LogSoftmax(), 2),
    (fnn.BatchNorm1d(1), 2), (fnn.BatchNorm2d(1), 4), (fnn.LayerNorm(1), 2), (fnn.GroupNorm(1, 1), 4),
    (fnn.InstanceNorm2d(1), 4), (fnn.LocalResponseNorm(1), 4), (fnn.Dropout(), 2), (fnn.Dropout2d(), 4),
    (fnn.Flatten(), 4), (fnn.Unflatten(1, (1, 1)), 2), (fnn.Unfold(1), 4), (fnn.ZeroPad2d(1), 4), (fnn.PReLU(), 2),
    *((kind(), 2) for kind in (fnn.ReLU, fnn.Sigmoid, fnn.Tanh, fnn.LeakyReLU, fnn.ELU, fnn.SELU, fnn.GELU, fnn.SiLU)),
    *((kind(), 2) for kind in (fnn.Softplus, fnn.Hardtanh, fnn.Hardswish)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "ndim"), LAYERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.uint8, r"uint8; .*: convert with x.astype\(np.float32\) and divide by 255$"),
        (np.int64, r"int64; .*: convert with x.astype\(np.float32\), and divide by 255 if"),
        (np.uint16, "uint16; .*divide by 255 if"),
        (np.float16, r"float16; .*: convert it, as in x.astype\(np.float32\)$"),
        (np.complex64, r"complex64; .*: take x.real or np.abs\(x\)"),
        (bool, r"bool; .*x.astype\(np.float32\)$"),
        (object, "object; "),
    ],
)
def test_dtypes(layer, ndim, dtype, words):
    with pytest.raises(TypeError, match=r"^x: got an array of " + words):
        layer.train()(np.ones((2, 2, 2, 2)[-ndim:], dtype))


@pytest.mark.parametrize(("layer", "ndim"), LAYERS, ids=lambda value: type(value).__name__)
def test_other_things_than_arrays(layer, ndim):
    x = f32(*(2, 2, 2, 2)[-ndim:])
    for value, words in (
        (x.tolist(), r"list; .*: convert it, as in np.array\(x, np.float32\)"),
        (None, "NoneType; expected a NumPy array"),
        (np.ma.masked_array(x), "numpy.MaskedArray"),
    ):
        with pytest.raises(TypeError, match=r"^x: got " + words):
            layer.train()(value)


def test_arrays_of_other_libraries_are_named():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, 3)
    with pytest.raises(TypeError, match=r"x: got torch.Tensor; .* as in x.detach\(\).cpu\(\).numpy\(\)"):
        fnn.Linear(3, 2)(tensor)
    with pytest.raises(TypeError, match=r"target: got torch.Tensor; .* as in target.detach\(\).cpu\(\).numpy\(\)"):
        fnn.CrossEntropyLoss()(f32(2, 3), tensor)
    with pytest.raises(TypeError, match=r"target: got torch.Tensor"):
        fnn.MSELoss()(f32(2, 3), tensor)
    with pytest.raises(TypeError, match=r"x: got torch.Tensor"):
        fnn.MSELoss()(tensor, f32(2, 3))


# Labels

SCORES = f32(3, 5)


@pytest.mark.parametrize("kind", [fnn.CrossEntropyLoss, fnn.NLLLoss], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ([0, 1, 2], TypeError, r"got list; .*: convert it, as in np.array\(target\)$"),
        (range(3), TypeError, r"got range; .*: convert it, as in np.array\(target\)$"),
        (None, TypeError, "got NoneType"),
        (np.array([0, 1, 2], object), TypeError, r"labels of object.*: convert it, as in target.astype\(np.int64\)$"),
        (np.array(["a", "b", "c"]), TypeError, r"np.unique\(target, return_inverse=True\)"),
        (np.array(["a", "b", "c"], object), TypeError, r"np.unique\(target, return_inverse=True\)"),
        (np.array([True, False, True]), TypeError, r"labels of bool.*: convert it, as in target.astype\(np.int64\)$"),
        (f32(3), TypeError, r"labels of float32.*: convert it, as in target.astype\(np.int64\)$"),
        (
            np.ones((3, 1), int),
            ValueError,
            r"got shape \(3, 1\); expected \(3,\).*: convert it, as in target.ravel\(\)$",
        ),
        (np.ones((1, 3), np.uint8), ValueError, r"got shape \(1, 3\); expected \(3,\).*target.ravel\(\)$"),
        (np.eye(3, 5, dtype=int), ValueError, r"got shape \(3, 5\); expected \(3,\).*one-hot.*target.argmax\(1\)$"),
        (np.eye(3, 5, dtype=bool), TypeError, r"labels of bool.*one-hot.*target.argmax\(1\)$"),
        (np.ones((3, 2), int), ValueError, r"got shape \(3, 2\); expected \(3,\), one label for each place of x$"),
    ],
)
def test_labels(kind, target, error, words):
    with pytest.raises(error, match=f"^target: .*{words}"):
        kind()(SCORES, target)


def test_labels_of_images_and_columns_of_floats():
    with pytest.raises(
        ValueError, match=r"^target: got shape \(3, 4\); expected \(3, 2, 2\).*target.reshape\(3, 2, 2\)$"
    ):
        fnn.CrossEntropyLoss()(f32(3, 5, 2, 2), np.zeros((3, 4), int))
    with pytest.raises(ValueError, match=r"^target: got shape \(3, 1\).*target.ravel\(\).astype\(np.int64\)$"):
        fnn.CrossEntropyLoss()(SCORES, f32(3, 1))
    with pytest.raises(TypeError, match=r"^x and target: got float32 and float64.*target.astype\(np.float32\)$"):
        fnn.CrossEntropyLoss()(SCORES, np.eye(3, 5))


POINTWISE = [
    fnn.MSELoss,
    fnn.L1Loss,
    fnn.SmoothL1Loss,
    fnn.HuberLoss,
    fnn.KLDivLoss,
    fnn.BCELoss,
    fnn.BCEWithLogitsLoss,
]


@pytest.mark.parametrize("kind", POINTWISE, ids=lambda kind: kind.__name__)
def test_targets_of_the_shape_of_the_outputs(kind):
    x = f32(3, 1) / 2
    for target, error, words in (
        (np.ones(3, np.float32), ValueError, r"got shape \(3,\); expected \(3, 1\), .*: target.reshape\(3, 1\)$"),
        (np.ones((3, 1), int), TypeError, r"an array of int64; .*target.astype\(np.float32\)$"),
        (np.ones((3, 1), np.uint8), TypeError, r"an array of uint8; .*target.astype\(np.float32\)$"),
        (np.ones((3, 1), object), TypeError, "an array of object"),
        ([[1.0]] * 3, TypeError, "list; .*np.array"),
        (range(3), TypeError, "range; .*np.array"),
        (None, TypeError, "NoneType"),
    ):
        with pytest.raises(error, match=f"^target: (got )?{words}"):
            kind()(x, target)
    with pytest.raises(TypeError, match=r"target: got float32 and float64; .*target.astype\(np.float32\)$"):
        kind()(x, np.ones((3, 1)))


@pytest.mark.parametrize("kind", [*POINTWISE, fnn.CrossEntropyLoss, fnn.NLLLoss], ids=lambda kind: kind.__name__)
def test_outputs_and_targets_in_each_other_s_place(kind):
    with pytest.raises(TypeError, match=r"^x: got an array of int64, and target one of float32; .*outputs, targets\)$"):
        kind()(np.array([0, 1, 2]), SCORES)
    with pytest.raises(TypeError, match=r"^x: got an array of int64; expected float32"):
        kind()(np.array([0, 1, 2]), np.array([0, 1, 2]))


@pytest.mark.parametrize("dloss", [None, "1", [None], 1j])
def test_gradients_of_losses(dloss):
    for name in ("mse_loss_backward", "l1_loss_backward"):
        for module in (fnn.functional, fnn.reference):
            with pytest.raises(TypeError, match=r"^dloss: got \w+; expected a number"):
                getattr(module, name)(SCORES, SCORES, dloss=dloss)
    for module in (fnn.functional, fnn.reference):
        with pytest.raises(TypeError, match=r"^dloss: got \w+; expected a number"):
            module.cross_entropy_backward(SCORES, np.array([0, 1, 2]), dloss=dloss)


@pytest.mark.parametrize("call", [lambda net, x: net(x), lambda net, x: net[:1](x)], ids=["network", "part"])
def test_an_error_lets_go_of_the_arrays(call):
    """Without the collector of circles: a server that refuses an input holds neither it nor the weights, whose plan
    would pack them again at every call."""
    net = deep().eval()
    x = f32(2, 2, 4, 4)
    watched = weakref.ref(x)
    gc.disable()
    try:
        with pytest.raises(ValueError, match=r"layer 0 \(Conv2d\)"):
            call(net, x)
        del x
        assert watched() is None
    finally:
        gc.enable()
