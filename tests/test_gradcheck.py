"""The public check of gradients: it passes right ones, notices wrong ones, and can be read."""

import numpy as np
import pytest

import fastnn as fnn

LABELS = np.array([0, 3, 1])


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def network(**options):
    fnn.manual_seed(1)
    return fnn.Sequential(
        *(fnn.Conv2d(1, 3, 3, **options), fnn.BatchNorm2d(3, **options), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten()),
        *(fnn.Linear(27, 6, **options), fnn.Tanh(), fnn.Dropout(0.3), fnn.Linear(6, 4, **options)),
    )


@pytest.mark.parametrize(
    "criterion", [None, fnn.CrossEntropyLoss(), fnn.CrossEntropyLoss(normal(4) ** 2, reduction="none")], ids=repr
)
def test_networks_pass(criterion):
    """Also of float32: the copy is of float64. The bias before a batch normalisation has almost no gradient."""
    result = fnn.gradcheck(network(), normal(3, 1, 8, 8), target=LABELS, criterion=criterion, show=False)
    assert result.passed, str(result)
    assert result.largest_error < 1e-5
    names = ["x", "0.weight", "0.bias", "1.weight", "1.bias", "5.weight", "5.bias", "8.weight", "8.bias"]
    assert list(dict.fromkeys(entry.name for entry in result.entries)) == names


@pytest.mark.parametrize("make", [fnn.MSELoss, fnn.HuberLoss, fnn.BCEWithLogitsLoss], ids=lambda m: m.__name__)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_losses_pass(make, reduction):
    target = np.full((4, 5), 0.25, np.float32)
    assert fnn.gradcheck(make(reduction=reduction), normal(4, 5), target=target, samples=None, show=False)


def test_functions_pass():
    x, w, b = normal(2, 3), normal(4, 3), normal(4)

    def backward(dy, x, w, b):
        return fnn.functional.linear_backward(dy, x, w)

    result = fnn.gradcheck(fnn.functional.linear, (x, w, b), backward=backward, samples=None, show=False)
    assert result
    assert len(result.entries) == x.size + w.size + b.size
    assert result.largest_difference < 1e-8


class WrongWeight(fnn.Linear):
    def backward(self, dy, accumulate=False, needs_dx=True):
        dx = super().backward(dy, accumulate, needs_dx)
        self.weight.grad = self.weight.grad * 1.0001
        return dx


class WrongElement(fnn.Linear):
    def backward(self, dy, accumulate=False, needs_dx=True):
        dx = super().backward(dy, accumulate, needs_dx)
        dx[1, 2] = -dx[1, 2]
        return dx


@pytest.mark.parametrize(("layer", "name"), [(WrongWeight, "0.weight"), (WrongElement, "x")])
@pytest.mark.parametrize("criterion", [None, fnn.CrossEntropyLoss()])
def test_a_wrong_gradient_is_noticed(layer, name, criterion):
    fnn.manual_seed(1)
    net = fnn.Sequential(layer(4, 5), fnn.Tanh(), fnn.Linear(5, 4))
    options = {"target": LABELS, "criterion": criterion, "samples": None, "show": False}
    result = fnn.gradcheck(net, normal(3, 4), **options)
    assert not result
    assert result.worst.name == name
    wrong = {entry.name for entry in result.entries if entry.error > result.tolerance}
    assert wrong == {name}
    assert f"{name}[" in next(line for line in str(result).splitlines() if line.endswith("<- apart"))
    assert str(result).splitlines()[-1].startswith("FAILED: largest relative error")


def test_a_wrong_loss_or_function_is_noticed():
    class Doubled(fnn.MSELoss):
        def backward(self, dloss=1.0):
            return 2 * super().backward(dloss)

    assert not fnn.gradcheck(Doubled(), normal(3, 4), target=normal(3, 4)[::-1], show=False)
    assert not fnn.gradcheck(np.sin, normal(3), backward=lambda dy, x: dy, show=False)
    result = fnn.gradcheck(np.sin, normal(3), backward=lambda dy, x: dy * np.nan, show=False)
    assert np.isnan(result.largest_error)
    assert not result.passed


def test_what_is_checked_is_left_alone():
    net, x = network(), normal(3, 1, 8, 8)
    net.eval()
    before, grads = net.state_dict(), [p.grad for p in net.parameters()]
    fnn.gradcheck(net, x, samples=1, show=False)
    assert not net.training
    assert [p.grad for p in net.parameters()] == grads
    for name, array in net.state_dict().items():
        assert array.dtype == before[name].dtype
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(x, normal(3, 1, 8, 8))
    assert net[7].stream is None


def test_it_prints_a_table(capsys):
    x = np.array([[1.0, 2.0]])
    result = fnn.gradcheck(np.square, x, backward=lambda dy, x: 2 * x * dy, samples=None)
    printed = capsys.readouterr().out
    assert printed == f"{result}\n"
    header, first, second, last = printed.splitlines()
    assert header.split() == ["gradient", "of", "analytic", "numeric", "relative", "error"]
    assert first.startswith("0[0, 0] ")
    assert second.startswith("0[0, 1] ")
    _, _, analytic, numeric, error = second.split()
    assert float(analytic) == pytest.approx(result.entries[1].analytic, rel=1e-8)
    assert float(numeric) == pytest.approx(result.entries[1].numeric, rel=1e-8)
    assert float(error) == pytest.approx(result.entries[1].error, rel=0.06)
    assert last.startswith("passed")
    fnn.gradcheck(np.square, x, backward=lambda dy, x: 2 * x * dy, show=False)
    assert capsys.readouterr().out == ""


def test_samples_follow_the_seed():
    net, x = network(), normal(3, 1, 8, 8)

    def places(**options):
        return [e.place for e in fnn.gradcheck(net, x, samples=3, names=["5.weight"], show=False, **options).entries]

    assert places() == places()
    assert places() != places(seed=1)
    assert len(set(places())) == 3


def test_frozen_parameters_are_not_checked():
    net = fnn.Sequential(fnn.Linear(4, 3), fnn.Linear(3, 2))
    net[1].requires_grad_(False)
    result = fnn.gradcheck(net, normal(2, 4), show=False)
    assert {entry.name for entry in result.entries} == {"x", "0.weight", "0.bias"}


def test_differences_fall_with_eps():
    fnn.manual_seed(1)
    net = fnn.Sequential(fnn.Linear(6, 5), fnn.Tanh(), fnn.Linear(5, 4))
    options = {"target": LABELS, "criterion": fnn.CrossEntropyLoss(), "names": ["2.weight"], "show": False}
    apart = [fnn.gradcheck(net, normal(3, 6), eps=1 / n, **options).largest_difference for n in (1, 10, 1000, 100_000)]
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 1e-9 < 1e-4 < apart[0]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((np.square, normal(3)), {}, TypeError, "backward: got NoneType; expected a function"),
        ((None, normal(3)), {}, TypeError, "function: got NoneType; expected"),
        ((np.square, [1.0]), {"backward": np.square}, TypeError, "inputs: got list; expected"),
        ((np.square, normal(3)), {"backward": lambda dy, x: dy[:1]}, ValueError, "0: got a gradient of shape (1,)"),
        ((np.square, normal(3)), {"backward": lambda dy, x: (dy, dy)}, ValueError, "backward: got 2 gradients"),
        ((np.square, np.arange(3)), {"backward": lambda dy, x: dy}, TypeError, "0: got an array of int64"),
        ((fnn.MSELoss(), normal(3)), {}, ValueError, "target: got None; expected"),
        ((fnn.ReLU(), normal(3)), {"criterion": fnn.MSELoss()}, ValueError, "target: got None; expected"),
        ((fnn.ReLU(), (normal(3), normal(3))), {}, TypeError, "inputs: got 2 values; expected one array"),
        ((fnn.ReLU(), normal(3)), {"names": ["y"]}, ValueError, "names: got 'y'; expected some of 'x'"),
        ((fnn.ReLU(), normal(3)), {"eps": 0}, ValueError, "eps: got 0; expected"),
        ((fnn.ReLU(), normal(3)), {"tolerance": -1}, ValueError, "tolerance: got -1; expected"),
        ((fnn.ReLU(), normal(3)), {"samples": 0}, ValueError, "samples: got 0; expected"),
    ],
)
def test_refused(arguments, options, error, words):
    with pytest.raises(error) as caught:
        fnn.gradcheck(*arguments, **options)
    assert words in str(caught.value)


def test_a_layer_that_forgets_a_gradient_is_told():
    class Forgetful(fnn.Linear):
        def backward(self, dy, accumulate=False, needs_dx=True):
            return dy @ self.weight.data

    with pytest.raises(ValueError, match=r"^weight: got no gradient; expected one of shape \(2, 3\)"):
        fnn.gradcheck(Forgetful(3, 2), normal(4, 3), show=False)


def test_numeric_gradient():
    x = normal(2, 3)
    before = x.copy()
    gradient = fnn.numeric_gradient(lambda x: float((x**3).sum()), x)
    np.testing.assert_allclose(gradient, 3 * x.astype(np.float64) ** 2, rtol=1e-6, atol=1e-8)
    assert gradient.dtype == np.float64
    np.testing.assert_array_equal(x, before)


def test_gradients_of_zero_are_true_or_false():
    """Where the floor decides, which is a number of NumPy's."""
    result = fnn.gradcheck(lambda x: x * 0, np.ones(3), backward=lambda dy, x: dy * 0, show=False)
    assert bool(result) is True
    assert result.passed is True
