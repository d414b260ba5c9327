"""A batch normalisation with a max pool behind it, which a training step takes in one go."""

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from fastnn._kernels import _table
from networks import normal
from training_steps import L, Loop, S, assert_near, assert_same_bits, made, plans

SGD = lambda p: fnn.SGD(p, lr=0.1)  # noqa: E731


@pytest.fixture(autouse=True)
def seeded():
    fnn.manual_seed(0)


def network(channels, side, window, relu, dtype=np.float32, **norm):
    # 3 x 3: all of the gradient of one weight would cancel, because the normalisation undoes its scale.
    layers = [fnn.Conv2d(1, channels, 3, padding=1, bias=False, dtype=dtype)]
    layers += [fnn.BatchNorm2d(channels, dtype=dtype, **norm)]
    layers += [fnn.ReLU()] if relu else []
    layers += [fnn.MaxPool2d(*window), fnn.Flatten()]
    features = S(*layers)(np.zeros((2, 1, side, side), dtype)).shape[1]
    return S(*layers, L(features, 5, dtype=dtype))


def both(net, x, y, times=3):
    step, loop = (made(kind, net, optimizer=SGD) for kind in (fnn.TrainingStep, Loop))
    for _ in range(times):
        loss = step(x, y)
        assert loss == pytest.approx(loop(x, y), rel=float(1e3 * np.finfo(x.dtype).eps))
    return step, loop


def images(n, side, dtype=np.float32):
    return normal(n, 1, side, side, dtype=dtype), np.arange(n) % 5


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize(
    ("channels", "side", "window"),
    [
        (3, 32, (2,)),
        (20, 15, (2,)),
        (33, 17, (3, 2)),
        (17, 12, (3, 2, 1)),
        (16, 64, (2,)),
        (16, 14, (2,)),
        (4, 68, (2,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("relu", [True, False])
def test_one_go_gives_what_the_layers_give(dtype, channels, side, window, relu):
    step, loop = both(network(channels, side, window, relu, dtype), *images(9, side, dtype))
    assert_near(step, loop, 500)
    assert plans(step)


@pytest.mark.parametrize("window", [(2,), (3, 2, 1)], ids=str)
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("channels", [3, 20])
def test_weights_of_either_sign_and_zeros(channels, relu, window):
    """A negative weight makes the smallest x the maximum. With a zero all are equal, and the first counts."""
    side = 32 if channels == 3 else 16
    net, (x, y) = network(channels, side, window, relu), images(9, side)
    weights = np.array([-1.5, 0.7, 0, -0.0, 1e-3, -1e-3], np.float32)
    net[1].weight.data[:] = np.resize(weights, channels)
    net[1].bias.data[:] = normal(channels)
    step, loop = (made(kind, net, optimizer=SGD) for kind in (fnn.TrainingStep, Loop))
    assert step(x, y) == pytest.approx(loop(x, y), rel=1e-5)
    assert_near(step, loop, 500)


def test_the_output_has_the_bits_of_the_layers():
    net, (x, _) = network(20, 16, (2,), True), images(9, 16)
    net[1].weight.data[:] = normal(20)
    expected = net[:4](x)
    step = fnn.TrainingStep(S(*net[:4], fnn.Flatten()), fnn.MSELoss(), SGD(net[:4].parameters()))
    _, got = step.gradients(x, np.zeros((9, expected.size // 9), np.float32))
    assert plans(step)
    np.testing.assert_array_equal(got, expected.reshape(9, -1))


def test_it_is_one_step():
    counts = []
    for side, channels in ((32, 3), (15, 20), (15, 3), (68, 4), (4, 20)):
        step = made(fnn.TrainingStep, network(channels, side, (2,), True))
        step(*images(4, side))
        counts.append(len(plans(step)[0].steps))
    assert counts == [3, 3, 4, 4, 4]


def test_what_is_needed_between_the_two_is_kept():
    conv = fnn.Conv2d(1, 3, 1, bias=False)
    net = S(conv, fnn.BatchNorm2d(3), fnn.Residual(S(fnn.Conv2d(3, 3, 3, padding=1), fnn.BatchNorm2d(3))),
            fnn.MaxPool2d(2), fnn.Flatten(), L(768, 5))  # fmt: skip
    step, loop = both(net, *images(6, 32))
    assert_near(step, loop, 20000)


def test_the_gradient_of_x_lies_over_x():
    pixels = 20 * 32 * 32
    step, loop = both(network(20, 32, (2,), True), *images(6, 32))
    (plan,) = plans(step)
    assert pixels <= plan.steps.sizes()[2] < 2 * pixels
    assert_near(step, loop, 500)


@pytest.mark.parametrize("between", [fnn.ReLU, fnn.Tanh], ids=lambda b: b.__name__)
def test_the_gradient_of_an_x_that_others_need(between):
    norm = S(fnn.BatchNorm2d(20), fnn.MaxPool2d(3, stride=1, padding=1))
    net = S(fnn.Conv2d(1, 20, 3, padding=1), between(), fnn.Residual(norm), fnn.Flatten(), L(5120, 5))
    step, loop = both(net, *images(6, 16))
    assert plans(step)
    assert_near(step, loop, 500)


@pytest.mark.parametrize("side", [32, 15])
def test_the_same_bits_on_any_number_of_threads(side):
    net, (x, y), steps = network(20, side, (2,), True), images(40, side), []
    for threads in (1, 2, 3, 7):
        with fnn.num_threads(threads):
            steps.append(made(fnn.TrainingStep, net, optimizer=SGD))
            for _ in range(2):
                steps[-1](x, y)
    for other in steps[1:]:
        assert_same_bits(steps[0], other)


@pytest.mark.parametrize("tier", fnn.isa_available())
def test_every_tier(tier):
    before = fnn.isa()
    try:
        _table.use_isa(tier)
        for side, channels in ((32, 3), (15, 20)):
            step, loop = both(network(channels, side, (2,), True), *images(9, side))
            assert_near(step, loop, 500)
    finally:
        _table.use_isa(before)


@pytest.mark.parametrize("side", [32, 15])
@pytest.mark.parametrize("factor", [1e19, 1e-30])
def test_squares_out_of_range(side, factor):
    net, (x, y) = network(20, side, (2,), True), images(6, side)
    net[0].weight.data[3] *= np.float32(factor)
    steps = [made(kind, net, optimizer=lambda p: fnn.SGD(p, lr=0.0)) for kind in (fnn.TrainingStep, Loop)]
    with np.errstate(all="ignore"):
        losses = [each(x, y) for each in steps]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name in ("1.running_mean", "1.running_var"):
        got, expected = (each.net.state_dict()[name] for each in steps)
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_nan_goes_where_the_layers_take_it():
    net, (x, y) = network(20, 15, (2,), True), images(6, 15)
    x[2, 0, 3, 3] = np.nan
    step, loop = (made(kind, net, optimizer=SGD) for kind in (fnn.TrainingStep, Loop))
    with np.errstate(all="ignore"):
        step(x, y), loop(x, y)
    for p, q in zip(step.net.parameters(), loop.net.parameters(), strict=True):
        np.testing.assert_array_equal(np.isnan(p.grad), np.isnan(q.grad))


@pytest.mark.parametrize("frozen", [["0.weight"], ["0.weight", "1.weight"], ["1.weight", "1.bias"]], ids=str)
def test_frozen_parameters(frozen):
    net = network(20, 15, (2,), True)
    for name, p in net.named_parameters():
        p.requires_grad = name not in frozen
    step, loop = both(net, *images(6, 15))
    assert_near(step, loop, 500)


def test_without_scale_or_running_statistics():
    for norm in ({"affine": False}, {"track_running_stats": False}):
        step, loop = both(network(20, 15, (2,), True, **norm), *images(6, 15))
        assert_near(step, loop, 500)
