"""A training step as one call: what the three lines of a training loop give."""

import copy
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from fastnn._kernels import _table
from networks import lenet_like, normal
from training_steps import (
    LOSSES,
    NETWORKS,
    OPTIMIZERS,
    L,
    Loop,
    S,
    assert_near,
    assert_same_bits,
    data,
    images,
    made,
    normalised,
    perceptron,
    plans,
    wide,
    winograd,
)  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    fnn.manual_seed(0)


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [(loss, "adam") for loss in LOSSES] + [("cross entropy", optimizer) for optimizer in OPTIMIZERS],
)
@pytest.mark.parametrize("net", NETWORKS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_a_step_is_what_the_loop_gives(dtype, net, loss, optimizer):
    network = net(dtype)
    step, loop = (made(kind, network, LOSSES[loss](), OPTIMIZERS[optimizer]) for kind in (fnn.TrainingStep, Loop))
    x, y = data(net, 50, loss, dtype)
    for _ in range(3):
        got, expected = step(x, y), loop(x, y)
        assert type(got) is type(expected)
        assert got == pytest.approx(float(expected), rel=float(1e3 * np.finfo(dtype).eps))
    assert_near(step, loop, 5000)
    assert plans(step)


@pytest.mark.parametrize("n", [1, 5, 16, 33, 640, 2000])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_gradients_of_batches_of_all_sizes(dtype, n):
    """Against gradients in double precision: groups and chunks may not lose anything."""
    network = perceptron(dtype)
    exact = copy.deepcopy(network).to(np.float64)
    x, y = data(perceptron, n, dtype=dtype)
    still = lambda p: fnn.SGD(p, lr=0.0)  # noqa: E731
    step = made(fnn.TrainingStep, network, optimizer=still)
    loop = made(Loop, exact, optimizer=still)
    loss = step(x, y)
    assert loss == pytest.approx(loop(x.astype(np.float64), y), rel=float(100 * np.finfo(dtype).eps))
    for p, q in zip(step.net.parameters(), loop.net.parameters(), strict=True):
        error = np.abs(p.grad - q.grad).max() / np.abs(q.grad).max()
        assert error <= (32 + 16 + np.sqrt(n)) * np.finfo(dtype).eps


@pytest.mark.parametrize("tier", fnn.isa_available())
def test_every_tier(tier):
    before = fnn.isa()
    try:
        _table.use_isa(tier)
        for net in NETWORKS:
            network = net()
            step, loop = made(fnn.TrainingStep, network), made(Loop, network)
            for n in (40, 2):
                x, y = data(net, n)
                step(x, y), loop(x, y)
            assert_near(step, loop, 5000)
            assert len(plans(step)) == 2
    finally:
        _table.use_isa(before)


@pytest.mark.parametrize("net", NETWORKS, ids=lambda f: f.__name__)
def test_the_same_bits_on_any_number_of_threads(net):
    network, (x, y) = net(), data(net, 3000)
    steps = []
    for threads in (1, 2, 3, 7):
        with fnn.num_threads(threads):
            step = made(fnn.TrainingStep, network)
            for _ in range(3):
                step(x, y)
            assert plans(step)
        steps.append(step)
    for other in steps[1:]:
        assert_same_bits(steps[0], other)


def test_small_layers_go_by_groups_and_wide_ones_step_by_step():
    sizes = []
    for net, n in ((perceptron, 2000), (perceptron, 100), (wide, 100), (images, 500), (winograd, 100)):
        step = made(fnn.TrainingStep, net())
        step(*data(net, n))
        (plan,) = plans(step)
        sizes.append(plan.steps.sizes()[:2])
    small, few, many, maps_of_pixels, many_parameters = sizes
    assert small[0] <= small[1] < 2000
    assert few[1] == 100
    assert many == many_parameters == (100, 100)
    assert maps_of_pixels[0] <= maps_of_pixels[1] < 500
    assert maps_of_pixels[1] % 4 == 0  # whole vectors, on every tier


def test_what_is_not_wanted_at_the_same_time_shares_a_place():
    """The network that `_plan_train_places` draws: a of 64 elements, its pooled maxima, b of 32, 10 scores."""
    net = fnn.Sequential(
        fnn.Conv2d(1, 4, 3, padding=1), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Conv2d(4, 8, 3, padding=1), fnn.ReLU(), fnn.Flatten(), fnn.Linear(32, 10),
    )  # fmt: skip
    step = made(fnn.TrainingStep, net)
    step(normal(20, 1, 4, 4), np.arange(20) % 10)
    (plan,) = plans(step)
    assert plan.steps.sizes()[2] == 100


def test_halves_of_a_step_are_the_step():
    network, (x, y) = perceptron(), data(perceptron, 70)
    whole, halves = made(fnn.TrainingStep, network), made(fnn.TrainingStep, network)
    for _ in range(3):
        expected = copy.deepcopy(halves.net)(x)
        loss, scores = halves.gradients(x, y)
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
        halves.update()
        assert whole(x, y) == loss
    assert_same_bits(halves, whole)


def test_gradients_that_somebody_has_put_in_place_are_what_an_update_goes_by():
    network, (x, y) = perceptron(), data(perceptron, 20)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for each in (step, loop):
        each(x, y)
        for p in each.net.parameters():
            p.grad = np.ones_like(p.data)
        if each is step:
            step.update()
        else:
            loop.optimizer.step()
    assert_near(step, loop, 5000)


# Changes


def changes():
    def weights(step):
        step.net[0].weight.data[...] = 0.1

    def array(step):
        step.net[0].weight = np.full((32, 4), 0.1, np.float32)

    def transposed(step):
        step.net[0].weight.data = np.full((4, 32), 0.1, np.float32).T

    def parameter(step):
        step.net[2].bias = fnn.Parameter(np.ones(16, np.float32))

    def layer(step):
        step.net[1] = fnn.Sigmoid()

    def frozen(step):
        step.net[0].requires_grad_(False)

    def a_bias_frozen(step):
        step.net[2].bias.requires_grad = False

    def thawed(step):
        step.net[0].requires_grad_(True)

    def all_but_the_last_frozen(step):
        for p in list(step.net.parameters())[:-2]:
            p.requires_grad = False

    def rate(step):
        step.optimizer.param_groups[0]["lr"] = 0.5

    def decay(step):
        step.optimizer.param_groups[0].update(weight_decay=0.3, amsgrad=True)

    def state_of_the_optimizer(step):
        step.optimizer.load_state_dict(copy.deepcopy(step.optimizer.state_dict()))

    def smoothing(step):
        step.criterion.label_smoothing = 0.3

    def weights_of_classes(step):
        step.criterion.weight = np.linspace(1, 2, 5, dtype=np.float32)

    def no_gradients(step):
        step.optimizer.zero_grad()

    def another_loss(step):
        step.criterion = fnn.CrossEntropyLoss(reduction="sum")

    def evaluated(step):
        step.net.eval()
        step.net(normal(3, 4))
        step.net.train()

    def shared(step):
        step.net.insert(1, L(32, 32))
        step.net.insert(2, L(32, 32))
        step.net[2].weight = step.net[1].weight

    return {name: change for name, change in locals().items() if callable(change)}


@pytest.mark.parametrize("change", changes().values(), ids=lambda f: f.__name__)
def test_changes_are_noticed(change):
    network, (x, y) = perceptron(), data(perceptron, 40)
    if change.__name__ == "shared":
        fnn.manual_seed(0)
    if change.__name__ == "thawed":
        network[0].requires_grad_(False)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for each in (step, loop):
        each(x, y), each(x, y)
        fnn.manual_seed(3)
        change(each)
        each(x, y), each(x, y)
    assert_near(step, loop, 20000)


def test_an_inference_plan_sees_the_weights_of_the_step():
    step, (x, y) = made(fnn.TrainingStep, perceptron()), data(perceptron, 40)
    for _ in range(3):
        step(x, y)
        step.net.eval()
        for _ in range(2):
            np.testing.assert_allclose(step.net(x), copy.deepcopy(step.net)(x), rtol=0, atol=0)
        step.net.train()


def test_a_hook_is_called_and_its_layers_run_by_themselves():
    step, (x, y) = made(fnn.TrainingStep, perceptron()), data(perceptron, 40)
    loop = made(Loop, step.net)
    seen = []
    with step.net[1].register_forward_hook(lambda *_: seen.append(1)):
        step(x, y)
    assert seen == [1]
    loop(x, y)
    assert_same_bits(step, loop)
    step(x, y)
    assert seen == [1]


def test_a_network_of_images():
    network = lenet_like(np.float32)
    x, y = normal(4, 1, 8, 7), np.arange(4)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for _ in range(3):
        assert step(x, y) == pytest.approx(loop(x, y), rel=1e-4)
    assert_near(step, loop, 20000)
    assert plans(step)


@pytest.mark.parametrize("frozen", [[], [0], [0, 3], ["0.bias"], [0, 3, 7]])
def test_frozen_layers_of_images(frozen):
    network, (x, y) = images(), data(images, 40)
    for name, p in network.named_parameters():
        p.requires_grad = not any(name == each or name.startswith(f"{each}.") for each in frozen)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for _ in range(2):
        step(x, y), loop(x, y)
    assert_near(step, loop, 20000)
    assert plans(step)


def test_images_that_are_one_group_have_the_bits_of_the_loop():
    network, (x, y) = images(), data(images, 3)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for _ in range(2):
        assert step(x, y) == loop(x, y)
    assert_same_bits(step, loop)


@pytest.mark.parametrize("net", [normalised, winograd, wide], ids=lambda f: f.__name__)
def test_a_batch_that_is_one_group_has_the_bits_of_the_loop(net):
    network, (x, y) = net(), data(net, 20)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for each in (step, loop):
        fnn.manual_seed(4)
        for _ in range(3):
            each(x, y)
        each.net.eval()
        each.net(x)
        each.net.train()
        each(x, y)
    assert_same_bits(step, loop)
    assert plans(step)
    for a, b in zip(step.net.modules(), loop.net.modules(), strict=True):
        assert a.get_extra_state() == b.get_extra_state()


def test_an_unknown_label_leaves_the_keys_of_dropout_where_the_loop_has_them():
    network, (x, y) = normalised(), data(normalised, 20)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for each in (step, loop):
        fnn.manual_seed(4)
        each(x, y)
        with pytest.raises(ValueError, match="target"):
            each(x, y + 5)
        each(x, y)
    assert_same_bits(step, loop)


def test_a_layer_in_eval_mode_is_the_error_of_the_loop():
    network, (x, y) = normalised(), data(normalised, 20)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for each in (step, loop):
        fnn.manual_seed(4)
        each(x, y)
        each.net[4].eval()
        with pytest.raises(RuntimeError):
            each(x, y)
        each.net.train()
        each(x, y)
    assert_same_bits(step, loop)


def test_not_a_number_goes_where_the_loop_takes_it():
    network, (x, y) = winograd(), data(winograd, 40)
    x[3, 1, 5, 5], x[7] = np.nan, np.inf
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    with np.errstate(all="ignore"):
        step(x, y), loop(x, y)
    for p, q in zip(step.net.parameters(), loop.net.parameters(), strict=True):
        np.testing.assert_array_equal(np.isnan(p.grad), np.isnan(q.grad))


def test_other_labels_targets_and_layouts():
    network, (x, y) = perceptron(), data(perceptron, 30)
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    probabilities = np.full((30, 5), 0.2, np.float32)
    for inputs, targets in (
        (x, y.astype(np.uint8)), (np.asfortranarray(x), y), (x[::2], y[::2]), (x, probabilities), (x, y),
    ):  # fmt: skip
        assert step(inputs, targets) == pytest.approx(loop(inputs, targets), rel=1e-4)
    assert_near(step, loop, 20000)


# Errors


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (normal(3, 7), np.zeros(3, np.int64)),
        (normal(3, 4), np.zeros(4, np.int64)),
        (normal(3, 4), np.array([0, 1, 5])),
        (normal(3, 4), np.zeros(3)),
        (normal(3, 4, dtype=np.float64), np.zeros(3, np.int64)),
        (np.zeros((3, 4), np.int64), np.zeros(3, np.int64)),
        ([[1.0, 2.0, 3.0, 4.0]], np.zeros(1, np.int64)),
    ],
)
def test_errors_are_those_of_the_loop_and_nothing_changes(x, y):
    network = perceptron()
    step, loop = made(fnn.TrainingStep, network), made(Loop, network)
    for _ in range(2):
        messages = []
        for each in (step, loop):
            with pytest.raises((TypeError, ValueError)) as error:
                each(x, y)
            messages.append((error.type, str(error.value)))
        assert messages[0] == messages[1]
    for p, q in zip(step.net.parameters(), network.parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes()
    assert_good_step(step)


def assert_good_step(step):
    assert np.isfinite(step(*data(perceptron, 10)))
    assert plans(step)


def test_a_network_in_eval_mode_is_the_error_of_the_loop():
    step = made(fnn.TrainingStep, perceptron())
    assert_good_step(step)
    step.net.eval()
    with pytest.raises(RuntimeError):
        step(*data(perceptron, 10))
    step.net.train()
    assert_good_step(step)


def test_nothing_is_kept_for_another_backward():
    step, (x, y) = made(fnn.TrainingStep, perceptron()), data(perceptron, 10)
    step.net(x)
    step(x, y)
    with pytest.raises(RuntimeError):
        step.net.backward(np.zeros((10, 5), np.float32))


# Memory


def test_a_step_takes_no_memory_once_it_has_been_taken():
    for net, n in ((perceptron, 2000), (wide, 60), (images, 200)):
        step, (x, y) = made(fnn.TrainingStep, net(), optimizer=OPTIMIZERS["momentum"]), data(net, n)
        for _ in range(3):
            step(x, y)
        before = _table.memory_stats()
        tracemalloc.start()
        step(x, y)
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            step(x, y)
        used = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert _table.memory_stats() == before
        assert used[0] - start < 500
        assert used[1] - start < 5000


def test_a_gradient_that_somebody_keeps_stays_as_it_is():
    step, (x, y) = made(fnn.TrainingStep, perceptron()), data(perceptron, 40)
    step(x, y)
    first, address = step.net[0].weight.grad, id(step.net[2].weight.grad)
    view, copied = step.net[0].bias.grad[:3], step.net[0].weight.grad.copy()
    of_view = view.copy()
    step(x, y)
    assert first.tobytes() == copied.tobytes()
    assert view.tobytes() == of_view.tobytes()
    assert step.net[0].weight.grad is not first
    assert id(step.net[2].weight.grad) == address, "the others are written anew"


def test_threads_take_turns():
    step, (x, y) = made(fnn.TrainingStep, perceptron()), data(perceptron, 500)
    threads = [threading.Thread(target=lambda: [step(x, y) for _ in range(20)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert step.optimizer.state_dict()["state"][0]["step"] == 60


def test_it_can_be_copied():
    step, (x, y) = made(fnn.TrainingStep, perceptron()), data(perceptron, 40)
    step(x, y)
    for other in (copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        other(x, y)
        assert plans(other)
    assert repr(step).startswith("TrainingStep(Sequential, CrossEntropyLoss(")


def test_an_unscaled_image_is_warned_about_once():
    network = S(fnn.Flatten(), L(16, 5))
    step = made(fnn.TrainingStep, network)
    x = np.random.default_rng(0).integers(0, 256, (4, 4, 4)).astype(np.float32)
    with pytest.warns(UserWarning, match="0-255"):
        step(x, np.arange(4))
    step(x, np.arange(4))
