"""A training step of graphs, and of modules that are traced: what the three lines of a training loop give."""

import copy

import numpy as np
import pytest

import fastnn as fnn
from networks import normal, random_graph
from training_steps import L, Loop, assert_near, assert_same_bits, made, plans


def with_scores(graph, dtype):
    """A graph of planes (3, 4, 4), and scores of five classes after it."""
    (last,) = graph.outputs
    scores = {"flat": (fnn.Flatten(), last), "scores": (L(48, 5, dtype=dtype), "flat")}
    return fnn.Graph({**graph.nodes(), **scores})


def batch(n, seed=0, dtype=np.float32, shape=(3, 4, 4)):
    return normal(n, *shape, seed=seed, dtype=dtype), np.arange(n) % 5


def small_steps(parameters):
    return fnn.SGD(parameters, lr=0.001, momentum=0.5)


def taken(network, x, y, kinds=(fnn.TrainingStep, Loop), times=3):
    steps = [made(kind, network, optimizer=small_steps) for kind in kinds]
    for step in steps:
        fnn.manual_seed(3)
        step.losses = [step(x, y) for _ in range(times)]
    return steps


def planned(step):
    """Whether it is one plan, or how many stretches of it are planned."""
    if plans(step):
        return True
    return sum(len({s.first for s in p._stretches.values() if s}) for p in step._bound._parts.values() if p)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed):
    fnn.manual_seed(seed)
    net = with_scores(random_graph(seed), np.float64)
    step, loop = taken(net, *batch(11, seed, np.float64))
    np.testing.assert_allclose(step.losses, loop.losses, rtol=1e-9)
    assert_near(step, loop, 1e6)
    assert planned(step)
    without = not any(isinstance(module, fnn.Sub) for module in net.modules())
    assert (planned(step) is True) == without


@pytest.mark.parametrize("seed", range(100, 112))
def test_the_same_bits_on_any_number_of_threads(seed):
    fnn.manual_seed(seed)
    net, steps = with_scores(random_graph(seed, dtype=np.float32), np.float32), []
    for threads in (1, 2, 7):
        with fnn.num_threads(threads):
            steps += taken(net, *batch(70, seed), (fnn.TrainingStep,))
    for other in steps[1:]:
        assert_same_bits(steps[0], other)


class Block(fnn.Module):
    def __init__(self, channels, gated):
        self.conv = fnn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = fnn.BatchNorm2d(channels)
        self.gate = fnn.Linear(channels, channels) if gated else None
        self.drop = fnn.Dropout2d(0.3)

    def forward(self, x):
        y = self.drop(self.norm(self.conv(x)).relu())
        if self.gate is not None:
            y = y * self.gate(y.mean((2, 3))).sigmoid().view(y.shape[0], -1, 1, 1)
        return (x + y).relu()


class Net(fnn.Module):
    """As somebody ports it from PyTorch."""

    def __init__(self, gated=False, between=None):
        self.stem = fnn.Conv2d(3, 6, 3, padding=1)
        self.blocks = fnn.Sequential(Block(6, gated), Block(6, False))
        self.between = fnn.Identity() if between is None else between
        self.last = Block(6, gated)
        self.classes = fnn.Linear(12, 5)

    def forward(self, x):
        x = self.between(self.blocks(self.stem(x).relu()))
        x = self.last(x)
        x = fnn.cat([x, x * x.sigmoid()], dim=1)
        return self.classes(x.mean((2, 3)))


class Doubled(fnn.Module):
    def forward(self, x):
        self._keep(True)
        return 2 * x

    def backward(self, dy, accumulate=False, needs_dx=True):
        return 2 * dy


@pytest.mark.parametrize("traced", [True, False], ids=["traced", "graph"])
@pytest.mark.parametrize("gated", [False, True])
def test_a_module_in_the_manner_of_pytorch(gated, traced):
    fnn.manual_seed(0)
    net, (x, y) = Net(gated), batch(8)
    net = net if traced else fnn.trace(copy.deepcopy(net), x)
    step, loop = taken(net, x, y)
    assert planned(step) is True
    np.testing.assert_allclose(step.losses, loop.losses, rtol=1e-5)
    assert_near(step, loop, 1e5)
    step(x[:3], y[:3]), loop(x[:3], y[:3])
    assert len(plans(step)) == 2, "batches of another size go by the same trace"
    assert_near(step, loop, 1e5)


@pytest.mark.parametrize("traced", [True, False], ids=["traced", "graph"])
def test_what_cannot_be_planned_runs_by_itself_between_the_others(traced):
    fnn.manual_seed(0)
    net, (x, y) = Net(between=Doubled()), batch(8)
    net = net if traced else fnn.trace(copy.deepcopy(net), x)
    step, loop = taken(net, x, y)
    assert planned(step) == 2
    assert step.losses == loop.losses
    assert_same_bits(step, loop)


def test_a_traced_module_in_a_list_of_layers():
    fnn.manual_seed(0)
    net = fnn.Sequential(fnn.Conv2d(3, 6, 3, padding=1), Block(6, True), fnn.Flatten(), L(96, 5))
    step, loop = taken(net, *batch(8))
    assert planned(step) is True
    assert_near(step, loop, 1e5)


def test_changes_of_a_traced_module_are_noticed():
    fnn.manual_seed(0)
    net, (x, y) = Net(), batch(8)
    step, loop = taken(net, x, y)
    for each in (step, loop):
        each.net.last.conv.weight.requires_grad = False
        each.net.blocks[0].drop.p = 0.7
        each(x, y)
    assert_near(step, loop, 1e5)
    seen = []
    for each in (step, loop):
        each.net.last.drop = fnn.Identity()
        with each.net.stem.register_forward_hook(lambda *_: seen.append(1)):
            each(x, y)
        each.net.between = Doubled()
        each(x, y)
        each(x, y)
    assert len(seen) == 2
    assert_near(step, loop, 1e5)


def test_a_value_that_a_node_takes_twice():
    nodes = {"a": (L(4, 6), "x"), "sum": (fnn.Add(), "a", "a", "a"), "square": (fnn.Mul(), "sum", "sum"),
             "both": (fnn.Cat(1), "square", "square", "a"), "scores": (L(18, 5), "both")}  # fmt: skip
    net = fnn.Graph(nodes)
    step, loop = taken(net, *batch(20, shape=(4,)))
    assert planned(step) is True
    assert_near(step, loop, 1e4)
    x = batch(20, shape=(4,))[0]
    y = net(x)
    np.testing.assert_allclose(net.eval()(x), y, rtol=1e-5)


CROSSED = {
    "two joined twice": {"p": (fnn.Cat(1), "a", "b"), "q": (fnn.Cat(1), "b", "a"), "y": (fnn.Add(), "p", "q")},
    "the same way": {"p": (fnn.Cat(1), "a", "b"), "q": (fnn.Cat(1), "a", "b"), "y": (fnn.Add(), "p", "q")},
    "a product and a join": {"p": (fnn.Mul(), "a", "b"), "y": (fnn.Cat(1), "a", "p")},
    "a product and a sum": {"p": (fnn.Mul(), "b", "a"), "q": (fnn.Add(), "p", "b"), "y": (fnn.Cat(1), "a", "q")},
    "three readers": {"s": (fnn.Sigmoid(), "a"), "p": (fnn.Mul(), "a", "s"), "q": (fnn.Add(), "a", "p", "b"),
                      "y": (fnn.Cat(1), "q", "q")},
}  # fmt: skip


@pytest.mark.parametrize("nodes", CROSSED.values(), ids=CROSSED)
def test_gradients_of_values_that_several_nodes_read(nodes):
    """What two nodes write of one gradient must not lie in one place."""
    fnn.manual_seed(0)
    net = fnn.Graph({"a": (L(4, 6), "x"), "b": (L(4, 6), "x"), **nodes, "scores": (L(12, 5), "y")})
    step, loop = taken(net, *batch(20, shape=(4,)))
    assert planned(step) is True
    assert_near(step, loop, 100)


@pytest.mark.parametrize("shapes", [((5, 1, 1), (5, 3, 4)), ((5, 3, 4), (5, 3, 1)), ((1, 1, 1), (5, 3, 4))], ids=str)
def test_products_of_rows(shapes):
    """A number for each row, on either side; one for each image."""
    fnn.manual_seed(0)
    nodes = {}
    for name, shape in zip("ab", shapes, strict=True):
        size = int(np.prod(shape))
        nodes |= {name: (L(7, size), "x"), f"{name}s": (fnn.Unflatten(1, shape), name)}
    nodes |= {"y": (fnn.Mul(), "as", "bs"), "flat": (fnn.Flatten(), "y"), "scores": (L(60, 5), "flat")}
    net = fnn.Graph(nodes)
    step, loop = taken(net, *batch(30, shape=(7,)))
    assert planned(step) is True
    assert_near(step, loop, 1e4)
    x = batch(30, shape=(7,))[0]
    y = net(x)
    assert [type(part).__name__ for part in net.eval()._wired()._cut()[0].parts] == ["Run"]
    np.testing.assert_allclose(net(x), y, rtol=1e-5, atol=1e-6)


class Normalised(fnn.Module):
    """Constants, differences and quotients between layers that are planned."""

    def __init__(self):
        self.register_buffer("mean", normal(3, 1, 1, seed=4))
        self.register_buffer("std", 1 + np.abs(normal(3, 1, 1, seed=5)))
        self.conv, self.scores = fnn.Conv2d(3, 6, 3), L(24, 5)
        self.gain = fnn.Parameter(1 + normal(6, 1, 1, seed=6) / 10)

    def forward(self, x):
        y = self.conv((x - self.mean) / self.std).relu() * self.gain
        return self.scores((y / (2 + y * y) - y).flatten(1))


def test_differences_quotients_and_constants_run_by_themselves():
    fnn.manual_seed(0)
    step, loop = taken(Normalised(), *batch(9))
    assert planned(step) == 2
    assert step.losses == loop.losses
    assert_same_bits(step, loop)


class Pair(fnn.Module):
    """Two inputs, and scores from the middle besides."""

    def __init__(self):
        self.image, self.row = fnn.Conv2d(3, 4, 3), L(7, 16)
        self.middle, self.scores = L(16, 5), L(32, 5)

    def forward(self, x, row):
        a, b = self.image(x).relu().flatten(1), self.row(row).tanh()
        return self.scores(fnn.cat([a, b], dim=1)), self.middle(a)


class WithAuxiliary:
    def __init__(self):
        self.loss, self.auxiliary = fnn.CrossEntropyLoss(), fnn.CrossEntropyLoss()

    def __call__(self, outputs, y):
        return self.loss(outputs[0], y) + 0.4 * self.auxiliary(outputs[1], y)

    def backward(self):
        return self.loss.backward(), self.auxiliary.backward(0.4)


@pytest.mark.parametrize("traced", [True, False], ids=["traced", "graph"])
def test_several_inputs_and_outputs(traced):
    fnn.manual_seed(0)
    net, (x, y), row = Pair(), batch(9), normal(9, 7, seed=3)
    net = net if traced else fnn.trace(net, x, row)
    step = made(fnn.TrainingStep, net, WithAuxiliary(), small_steps)
    loop = made(Loop, net, WithAuxiliary(), small_steps)
    for _ in range(3):
        loss = loop.criterion(loop.net(x, row), y)
        loop.net.backward(loop.criterion.backward(), needs_dx=False)
        loop.optimizer.step()
        assert step((x, row), y) == loss
    assert_same_bits(step, loop)
    loss, (scores, middle) = step.gradients((x, row), y)
    assert scores.shape == middle.shape == (9, 5)
    assert loss == loop.criterion(loop.net(x, row), y)


def test_several_outputs_of_one_input():
    fnn.manual_seed(0)
    nodes = {"a": (L(4, 6), "x"), "act": (fnn.Tanh(), "a"), "middle": (L(6, 5), "a"), "scores": (L(6, 5), "act")}
    net = fnn.Graph(nodes, outputs=("scores", "middle"))
    x, y = batch(9, shape=(4,))
    step, loop = made(fnn.TrainingStep, net, WithAuxiliary()), made(Loop, net, WithAuxiliary())
    for _ in range(3):
        assert step(x, y) == loop(x, y)
    assert_same_bits(step, loop)
