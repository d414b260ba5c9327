"""Residual and Concat: what they compute, and how they go into a network."""

import numpy as np
import pytest

import fastnn as fnn
from checks import directional_check
from fastnn import functional


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def conv(inputs, outputs, kernel=3, stride=1, dtype=np.float64):
    return fnn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, dtype=dtype)


def identity_block():
    return fnn.Residual(fnn.Sequential(conv(3, 4), fnn.ReLU(), conv(4, 3)))


def strided_block():
    body = fnn.Sequential(conv(3, 4, 3, 2), fnn.BatchNorm2d(4, dtype=np.float64), fnn.ReLU(), conv(4, 5))
    return fnn.Residual(body, conv(3, 5, 1, 2))


def fire():
    expand = fnn.Concat([fnn.Sequential(conv(2, 3, 1), fnn.ReLU()), fnn.Sequential(conv(2, 4), fnn.Tanh())])
    return fnn.Sequential(conv(3, 2, 1), fnn.ReLU(), expand)


def joined_rows():
    return fnn.Concat([fnn.Linear(6, 2, dtype=np.float64), fnn.Tanh(), fnn.Residual(fnn.Sigmoid())], dim=-1)


MODULES = (identity_block, strided_block, fire, joined_rows)
X = normal(2, 3, 5, 6)


def by_hand(module, x):
    """What the module is, said in NumPy and its layers."""
    if isinstance(module, fnn.Residual):
        return by_hand(module.body, x) + (x if module.shortcut is None else by_hand(module.shortcut, x))
    if isinstance(module, fnn.Concat):
        return np.concatenate([by_hand(branch, x) for branch in module], axis=module.dim)
    for layer in module if isinstance(module, fnn.Sequential) else ():
        x = by_hand(layer, x)
    return x if isinstance(module, fnn.Sequential) else module.forward(x)


@pytest.mark.parametrize("make", MODULES, ids=lambda f: f.__name__)
def test_forward_is_what_it_says(make):
    module = make()
    for mode in (True, False):
        module.train(mode)
        np.testing.assert_array_equal(module(X), by_hand(module, X))
    with fnn.implementation("reference"):
        np.testing.assert_allclose(module(X), by_hand(module, X), rtol=1e-13)


@pytest.mark.parametrize("make", MODULES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("implementation", ["kernels", "reference"])
def test_backward_agrees_with_differences(make, implementation):
    fnn.manual_seed(1)
    with fnn.implementation(implementation):
        directional_check(make(), X, lambda y: normal(*y.shape, seed=5))


@pytest.mark.parametrize("make", MODULES, ids=lambda f: f.__name__)
def test_gradients_are_replaced_or_added_and_without_dx_the_same(make):
    module = make()
    dy = normal(*module(X).shape, seed=5)
    module.backward(dy)
    once = [p.grad for p in module.parameters()]
    module(X)
    assert module.backward(dy, needs_dx=False) is None
    for p, grad in zip(module.parameters(), once, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    module(X)
    module.backward(dy, accumulate=True)
    for p, grad in zip(module.parameters(), once, strict=True):
        np.testing.assert_array_equal(p.grad, 2 * grad)


def test_branches_that_do_not_learn_are_left_out(monkeypatch):
    calls = []
    backward = fnn.Conv2d.backward

    def recorded(self, *args, **kwargs):
        calls.append(self)
        return backward(self, *args, **kwargs)

    monkeypatch.setattr(fnn.Conv2d, "backward", recorded)
    for make, frozen, left in ((strided_block, "shortcut", ("body.3", "body.0")), (fire, "2.1", ("2.0.0", "0"))):
        module = make()
        dy = np.ones_like(module(X))
        module.get_submodule(frozen).requires_grad_(False)
        if make is fire:
            module[0].requires_grad_(False)
            left = left[:1]
        calls.clear()
        module.backward(dy, needs_dx=False)
        assert calls == [module.get_submodule(name) for name in left]
        module(X)
        assert module.requires_grad_(False).backward(dy, needs_dx=False) is None
        assert module.backward(dy).shape == X.shape


def test_the_relu_behind_a_sum_is_applied_in_its_store(monkeypatch):
    net = fnn.Sequential(identity_block(), fnn.ReLU())
    dy, expected = normal(*X.shape, seed=5), functional.relu(net[0](X))
    monkeypatch.setattr(fnn.ReLU, "forward", lambda self, x: pytest.fail("ReLU was run by itself"))
    np.testing.assert_array_equal(net(X), expected)
    dx = net.backward(dy)
    net[0](X)
    np.testing.assert_array_equal(dx, net[0].backward(functional.relu_backward(dy, expected)))


def test_names_texts_and_tables():
    net = fnn.Sequential(strided_block(), fnn.Concat([conv(5, 2, 1), fnn.Sequential(conv(5, 3))]))
    assert list(net.state_dict()) == [
        "0.body.0.weight", "0.body.0.bias", "0.body.1.weight", "0.body.1.bias", "0.body.1.running_mean",
        "0.body.1.running_var", "0.body.1.num_batches_tracked", "0.body.3.weight", "0.body.3.bias",
        "0.shortcut.weight", "0.shortcut.bias", "1.0.weight", "1.0.bias", "1.1.0.weight", "1.1.0.bias",
    ]  # fmt: skip
    assert not any(module.training for module in net.eval().modules())
    assert repr(net[1]).splitlines()[1:3] == [
        "  (0): Conv2d(5, 2, kernel_size=(1, 1), stride=(1, 1))", "  (1): Sequential("
    ]  # fmt: skip
    assert "(shortcut): Conv2d(3, 5" in repr(net[0])
    lines = net.summary((1, 3, 8, 8)).splitlines()
    assert [line.split()[:2] for line in lines[2:-2]] == [
        ["0.body.0", "Conv2d"], ["0.body.1", "BatchNorm2d"], ["0.body.2", "ReLU"], ["0.body.3", "Conv2d"],
        ["0.shortcut", "Conv2d"], ["0", "Residual"], ["1.0", "Conv2d"], ["1.1.0", "Conv2d"], ["1", "Concat"],
    ]  # fmt: skip
    assert "1 x 3 x 8 x 8" in lines[7]
    assert "1 x 5 x 4 x 4" in lines[7]
    assert f"{sum(p.data.size for p in net.parameters()):,}" in lines[-1]


def test_concat_is_a_list_of_branches():
    branches = [fnn.Tanh(), fnn.Sigmoid(), fnn.ReLU()]
    module = fnn.Concat(branches, dim=2)
    assert list(module[1:]) == branches[1:]
    assert type(module[:2]) is fnn.Concat
    assert module[:2].dim == 2
    module.append(fnn.Dropout()).eval()
    del module[0]
    np.testing.assert_array_equal(module(X), by_hand(module, X))
    assert module(X).shape == (2, 3, 15, 6)


def test_features_are_not_taken_for_pixels():
    """A network inside is not at the beginning, whatever its input looks like."""
    block = fnn.Residual(fnn.Sequential(fnn.ReLU()), fnn.Concat([fnn.Sequential(fnn.Tanh())]))
    block(np.abs(X) * 50)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fnn.Residual(fnn.ReLU), TypeError, "layer 0: got the class ReLU"),
        (lambda: fnn.Residual(fnn.ReLU(), 3), TypeError, "layer 1: got int"),
        (lambda: fnn.Residual(net := fnn.ReLU(), net), ValueError, "layer 1: got the ReLU that is also in layer 0"),
        (lambda: fnn.Concat(fnn.ReLU()), TypeError, "branches: got ReLU; expected a list"),
        (lambda: fnn.Concat([]), ValueError, "branches: got none"),
        (lambda: fnn.Concat([fnn.ReLU(), None]), TypeError, "layer 1: got NoneType"),
        (lambda: fnn.Concat([fnn.ReLU()], dim=0.5), TypeError, "dim: got 0.5"),
        (lambda: fnn.Residual(conv(3, 4))(X), ValueError, "b: got shape (2, 3, 5, 6); expected (2, 4, 5, 6)"),
        (lambda: fnn.Concat([conv(3, 4), conv(3, 4, 3, 2)])(X), ValueError, "arrays[1]: got shape (2, 4, 3, 3)"),
        (lambda: fnn.Concat([fnn.ReLU()]).backward(X), RuntimeError, "Concat.backward: got nothing to go back"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


def test_a_wrong_gradient_names_dy():
    module = fire()
    module(X)
    with pytest.raises(ValueError, match=r"^layer 2 \(Concat\): dy: got shape \(2, 6, 5, 6\); expected \(2, 7, 5, 6\)"):
        module.backward(X.repeat(2, axis=1))
