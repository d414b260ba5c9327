"""Products of matrices, sums and bounds as modules, in graphs and in a forward of one's own."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional
from networks import normal


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 3, 4), (4, 5)),
        ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (6, 4, 1)),
        ((3, 4), (4,)),
        ((4,), (4, 5)),
        ((4,), (4,)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 5)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products(a, b, dtype):
    a, b = normal(*a, dtype=dtype), normal(*b, seed=1, dtype=dtype)
    layer = fnn.MatMul()
    y = layer(a, b)
    np.testing.assert_allclose(y, a @ b, rtol=1e-5, atol=1e-5)
    dy = normal(*y.shape, seed=2, dtype=dtype)
    da, db = layer.backward(dy)
    assert (da.shape, db.shape, da.dtype, db.dtype) == (a.shape, b.shape, dtype, dtype)
    step = 1e-6 if dtype == np.float64 else 1e-2
    for found, other, at in ((da, b, a), (db, a, b)):
        direction = normal(*at.shape, seed=3, dtype=dtype)
        moved = direction @ other if at is a else other @ direction
        np.testing.assert_allclose((found * direction).sum(), (moved * dy).sum(), rtol=1e-4 if step > 1e-3 else 1e-9)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fnn.MatMul()(normal(3), np.ones((), np.float32)), ValueError, r"\(3,\) and \(\); .* at least 1 axis"),
        (lambda: fnn.MatMul()(normal(3), normal(4, 3)), ValueError, "expected as many columns of the first as rows"),
        (lambda: fnn.Expand(4)(normal(3)), ValueError, r"to be expanded to \(4,\); expected the same lengths, or 1"),
        (lambda: fnn.Expand(-1, 3)(normal(3)), ValueError, "expected -1 and 0 for axes alone that the input has"),
        (lambda: fnn.Expand(0, 3)(normal(3)), TypeError, "without a second input; expected one"),
        (lambda: fnn.Expand(-2), ValueError, "sizes: got -2; expected at least -1"),
        (lambda: fnn.MatMul()(normal(2, 3), normal(2, 3)), ValueError, "expected as many columns of the first as rows"),
        (lambda: fnn.MatMul()(normal(2, 3, 4), normal(5, 4, 2)), ValueError, "expected stacks of the same lengths"),
        (lambda: fnn.MatMul()(normal(2, 3)), TypeError, "MatMul: got 1 inputs; expected 2"),
        (lambda: fnn.MatMul()(normal(2, 3), np.ones((3, 2))), TypeError, "expected one dtype"),
        (lambda: fnn.MatMul()([[1.0]], normal(1, 1)), TypeError, "x: got list; expected a NumPy array"),
        (lambda: fnn.Clamp(), ValueError, "min: got None, and max None; expected at least one number"),
        (lambda: fnn.Clamp("a"), TypeError, "min: got 'a'; expected a number"),
        (lambda: fnn.Clamp(max=np.nan), ValueError, "max: got nan; expected a finite number"),
        (lambda: fnn.Clamp(0)(np.ones(2, int)), TypeError, "x: got an array of int64; expected float32 or float64"),
        (lambda: fnn.Sum((0, 0)), ValueError, r"dim: got \(0, 0\); expected at least one axis, and none twice"),
        (lambda: fnn.Sum(2)(normal(3, 4)), ValueError, "dim: got 2; expected -2 to 1 for an array of 2 axes"),
    ],
)  # fmt: skip
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_bounds():
    x = np.array([-2, -1, 0, 1, 2, np.nan], np.float32)
    layer = fnn.Clamp(-1, 1)
    np.testing.assert_array_equal(layer(x), np.array([-1, -1, 0, 1, 1, np.nan], np.float32))
    np.testing.assert_array_equal(layer.backward(np.ones(6, np.float32)), [0, 1, 1, 1, 0, 0])
    layer = fnn.Clamp(max=0)
    np.testing.assert_array_equal(layer(x[:5]), [-2, -1, 0, 0, 0])
    np.testing.assert_array_equal(layer.backward(np.ones(5, np.float32)), [1, 1, 1, 0, 0])


class Attention(fnn.Module):
    """One head of attention, whose weights are bounded and sum to one by a sum of their own."""

    def __init__(self):
        self.query, self.key = fnn.Linear(6, 4), fnn.Linear(6, 4)
        self.mix = fnn.Parameter(normal(6, 3))

    def forward(self, x):
        scores = (self.query(x) @ self.key(x).transpose(1, 2) / 2).clamp(-3.0, 3.0)
        weights = functional.sigmoid(scores)
        return (weights / weights.sum(2, keepdim=True) @ x).matmul(self.mix)


def test_a_forward_of_ones_own(tmp_path):
    fnn.manual_seed(0)
    net = Attention()
    x = normal(5, 7, 6)
    y = net(x)
    q, k = (x @ layer.weight.data.T + layer.bias.data for layer in (net.query, net.key))
    weights = 1 / (1 + np.exp(-np.clip(q @ k.transpose(0, 2, 1) / 2, -3, 3)))
    expected = weights / weights.sum(2, keepdims=True) @ x @ net.mix.data
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net(x[:2]), expected[:2], rtol=1e-4, atol=1e-5)
    net(x)
    assert net.backward(np.ones_like(y)).shape == x.shape
    graph = fnn.trace(net, x)
    fnn.save(graph, tmp_path / "attention.safetensors")
    np.testing.assert_array_equal(fnn.load(tmp_path / "attention.safetensors")(x), graph(x))
    check = Attention().to(np.float64)
    assert fnn.gradcheck(check, normal(2, 3, 6, dtype=np.float64), show=False).passed


def test_a_matrix_on_the_left_is_no_batch():
    class Net(fnn.Module):
        def __init__(self):
            self.mix = fnn.Parameter(normal(4, 4))

        def forward(self, x):
            return functional.matmul(self.mix, x)

    net = Net()
    np.testing.assert_allclose(net(normal(4, 3)), net.mix.data @ normal(4, 3), rtol=1e-5)
    with pytest.raises(fnn.TraceError, match="the sum of all elements"):
        fnn.trace(type("All", (fnn.Module,), {"forward": lambda self, x: x.sum()})(), normal(4, 3))


@pytest.mark.parametrize(
    ("sizes", "shape", "like", "whole"),
    [
        ((-1, 6), (5, 1), None, (5, 6)),
        ((4, -1, 3), (2, 1), None, (4, 2, 3)),
        ((0, -1, -1), (1, 1, 8), (5, 7, 8), (5, 1, 8)),
        ((), (2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5)),
    ],
)
def test_expansions(sizes, shape, like, whole):
    layer = fnn.Expand(*sizes)
    x = normal(*shape)
    others = () if like is None else (normal(*like, seed=1),)
    y = layer(x, *others)
    np.testing.assert_array_equal(y, np.broadcast_to(x, whole))
    dy = normal(*whole, seed=2)
    dx = layer.backward(dy)
    if others:
        dx, rest = dx
        assert rest is None
    np.testing.assert_allclose((dx * x).sum(), (dy * y).sum(), rtol=1e-4)


def test_a_joint_of_one_input_gives_one_gradient_back():
    for layer, shape in ((fnn.Expand(-1, 4), (2, 4)), (fnn.Cat(), (2, 1))):
        graph = fnn.Graph(
            {"linear": (fnn.Linear(3, 1), "x"), "joint": (layer, "linear"), "relu": (fnn.ReLU(), "joint")}
        )
        graph(normal(2, 3))
        assert graph.backward(np.ones(shape, np.float32)).shape == (2, 3)
