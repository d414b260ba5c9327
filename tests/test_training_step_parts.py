"""Training steps of networks with branches, and of those of which some layers, or the loss, run by themselves."""

import copy

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from networks import normal
from training_steps import (
    OPTIMIZERS,
    L,
    Loop,
    S,
    assert_near,
    assert_same_bits,
    data,
    joined,
    made,
    perceptron,
    plans,
    residual,
    rows,
)  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    fnn.manual_seed(0)


class Doubled(fnn.Module):
    def forward(self, x):
        return 2 * x

    def backward(self, dy, accumulate=False, needs_dx=True):
        return 2 * dy


class OtherLinear(fnn.Linear):
    def backward(self, dy, accumulate=False, needs_dx=True):
        return super().backward(2 * dy, accumulate, needs_dx)


class OtherLoss(fnn.CrossEntropyLoss):
    def __call__(self, x, target):
        return 2 * super().__call__(x, target)


def parts_of(step):
    """The layers that it runs one after the other, of the one kind of inputs that it has had; None: the loop."""
    (parts,) = step._bound._parts.values()
    return parts


def stretches(step):
    """Places of the layers that are planned together, in order, and whether the loss is with them."""
    known = (each for each in parts_of(step)._stretches.values() if each is not None)
    return sorted({(each.first, each.end, each.has_loss) for each in known})


def steps_of(network, criterion=None, kinds=(fnn.TrainingStep, Loop), optimizer=OPTIMIZERS["adam"]):
    return [made(kind, network, copy.deepcopy(criterion), optimizer) for kind in kinds]


def take(steps, x, y, times=3):
    """The losses of each of them."""
    losses = []
    for each in steps:
        fnn.manual_seed(1)
        losses.append([each(x, y) for _ in range(times)])
    return losses


@pytest.mark.parametrize("net", [residual, joined, rows], ids=lambda f: f.__name__)
@pytest.mark.parametrize("frozen", [[], [0], [0, 2], [0, 2, 4, "11.body"], ["bias"]], ids=str)
def test_frozen_branches(net, frozen):
    network = net()
    for name, p in network.named_parameters():
        p.requires_grad = not any(name.startswith(f"{each}.") or name.endswith(str(each)) for each in frozen)
    steps = steps_of(network)
    take(steps, *data(net, 20))
    assert_near(*steps, 20000)
    assert plans(steps[0])


@pytest.mark.parametrize("net", [residual, rows], ids=lambda f: f.__name__)
def test_a_batch_that_is_one_group_has_the_bits_of_the_loop(net):
    steps = steps_of(net())
    losses = take(steps, *data(net, 3))
    if net is residual:
        assert losses[0] == losses[1]
        assert_same_bits(*steps)
    assert_near(*steps, 20000)
    assert plans(steps[0])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_weights_of_classes(dtype, n, reduction, smoothing):
    criterion = fnn.CrossEntropyLoss(np.linspace(0.2, 2, 5).astype(dtype), 1, reduction, smoothing)
    steps = steps_of(perceptron(dtype), criterion)
    x, y = data(perceptron, n, dtype=dtype)
    for _ in range(2):
        got, expected = (each(x, y) for each in steps)
        assert got == pytest.approx(float(expected), rel=float(1e3 * np.finfo(dtype).eps))
        for each in steps:
            each.criterion.weight[3] = 3  # in place
    assert_near(*steps, 20000)
    assert plans(steps[0])


@pytest.mark.parametrize("integers", [np.int64, np.int32])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_a_table(dtype, integers):
    fnn.manual_seed(0)
    network = S(fnn.Embedding(9, 6, padding_idx=2, dtype=dtype), fnn.LayerNorm(6, dtype=dtype), L(6, 4, dtype=dtype),
                fnn.ReLU(), fnn.Flatten(), L(28, 5, dtype=dtype))  # fmt: skip
    x, y = np.random.default_rng(2).integers(0, 9, (40, 7)).astype(integers), np.arange(40) % 5
    steps = steps_of(network)
    take(steps, x, y)
    assert_near(*steps, 20000)
    assert plans(steps[0])
    for each in steps:
        with pytest.raises(ValueError, match="index 9"):
            each(x + 1, y)
    take(steps, x, y)
    assert_near(*steps, 20000)


PARTS = {
    "another's": (lambda: S(L(4, 8), Doubled(), L(8, 5)), [(0, 1, False), (2, 3, True)]),
    "another's, nested": (lambda: S(S(L(4, 8), fnn.Tanh()), S(Doubled(), fnn.Tanh(), L(8, 5))), None),
    "a subclass": (lambda: S(L(4, 8), fnn.Tanh(), OtherLinear(8, 5)), [(0, 2, False)]),
    "two of them": (lambda: S(Doubled(), L(4, 8), Doubled(), Doubled(), L(8, 5), Doubled()), None),
    "a momentum": (lambda: S(L(4, 8), fnn.BatchNorm1d(8, momentum=None), L(8, 5)), [(0, 1, False), (2, 3, True)]),
    "running statistics": (lambda: S(L(4, 8), fnn.Unflatten(1, (2, 2, 2)),
                                     fnn.InstanceNorm2d(2, track_running_stats=True), fnn.Flatten(), L(8, 5)),
                           [(0, 2, False), (3, 5, True)]),
    "no steps": (lambda: S(L(4, 8), fnn.Unflatten(1, (2, 2, 2)), fnn.LocalResponseNorm(2), fnn.ReLU(),
                           fnn.BatchNorm2d(2), fnn.Flatten(), L(8, 5)), [(0, 2, False), (3, 7, True)]),
    "first": (lambda: S(Doubled(), L(4, 8), fnn.ReLU(), L(8, 5)), [(1, 4, True)]),
    "in a branch": (lambda: S(L(4, 8), fnn.Residual(S(L(8, 8), Doubled())), L(8, 5)), [(0, 1, False), (2, 3, True)]),
}  # fmt: skip


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("frozen", [False, True])
def test_layers_by_themselves_between_planned_ones_give_what_the_loop_gives(parts, frozen):
    fnn.manual_seed(0)
    make, expected = PARTS[parts]
    network = make()
    first = next(iter(network.parameters()))
    first.requires_grad = not frozen
    steps = steps_of(network)
    losses = take(steps, *data(perceptron, 30))
    if parts == "first" or frozen:  # nothing learns before the last stretch, which then goes by groups of examples
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert_near(*steps, 20000)
    else:
        assert losses[0] == losses[1]
        assert_same_bits(*steps)
    if expected is not None and not frozen:
        assert stretches(steps[0]) == expected


@pytest.mark.parametrize(
    "criterion",
    [OtherLoss(), fnn.L1Loss("sum"), fnn.HuberLoss(), lambda: fnn.BCEWithLogitsLoss()],
    ids=["subclass", "l1", "huber", "bce"],
)
def test_a_loss_by_itself_gives_the_bits_of_the_loop(criterion):
    criterion = criterion if isinstance(criterion, fnn.losses.Loss) else criterion()
    x, y = data(perceptron, 30, "cross entropy" if type(criterion) is OtherLoss else "squared error")
    steps = steps_of(S(L(4, 8), fnn.Tanh(), L(8, 5)), criterion)
    losses = take(steps, x, np.abs(y))
    assert losses[0] == losses[1]
    assert_same_bits(*steps)
    assert stretches(steps[0]) == [(0, 3, False)]
    loss, scores = steps[0].gradients(x, np.abs(y))
    assert scores.shape == (30, 5)
    assert loss == losses[0][0] or loss < losses[0][0]


def test_layers_that_share_a_parameter_are_the_loop():
    network = S(L(4, 4), Doubled(), L(4, 4), L(4, 5))
    network[2].weight = network[0].weight
    steps = steps_of(network)
    take(steps, *data(perceptron, 30))
    assert_same_bits(*steps)
    assert parts_of(steps[0]) is None


def test_hooks_of_a_layer_in_a_branch_and_of_the_network():
    network = S(L(4, 8), fnn.Residual(S(L(8, 8), fnn.Tanh())), L(8, 5))
    steps, seen = steps_of(network), []
    x, y = data(perceptron, 30)
    with steps[0].net[1].body[0].register_forward_hook(lambda *_: seen.append(1)):
        take(steps, x, y)
    assert len(seen) == 3
    assert_same_bits(*steps)
    with steps[0].net.register_forward_hook(lambda *_: seen.append(2)):
        take(steps, x, y, 1)
    assert seen[3:] == [2]
    assert_same_bits(*steps)


def test_errors_name_the_layer():
    step = made(fnn.TrainingStep, S(L(4, 8), Doubled(), L(9, 5)))
    with pytest.raises(ValueError, match=r"layer 2 \(Linear\)"):
        step(normal(3, 4), np.zeros(3, np.int64))


def test_a_label_that_is_none_after_a_layer_by_itself():
    fnn.manual_seed(0)
    network = S(L(4, 8), Doubled(), fnn.BatchNorm1d(8), fnn.Dropout(0.3), L(8, 5))
    network[3].stream = 7
    steps = steps_of(network)
    x, y = data(perceptron, 30)
    for each in steps:
        each(x, y)
        with pytest.raises(ValueError, match="target"):
            each(x, y + 5)
        each(x, y)
    assert_same_bits(*steps)
    assert steps[0].net[3].step == steps[1].net[3].step


def test_a_parameter_is_frozen_and_thawed_beside_a_layer_by_itself():
    steps = steps_of(S(L(4, 8), Doubled(), L(8, 5)))
    x, y = data(perceptron, 30)
    for wanted in (True, False, True):
        for each in steps:
            each.net[0].requires_grad_(wanted)
        take(steps, x, y)
        assert_near(*steps, 20000)


def test_batches_of_many_sizes_in_parts():
    steps = steps_of(S(L(4, 8), Doubled(), L(8, 5)))
    for n in range(1, 70):
        take(steps, *data(perceptron, n), 1)
    assert_same_bits(*steps)
    assert len(parts_of(steps[0])._stretches) <= 48
