"""One network in several Python threads, which take turns as often as they can."""

import sys
import threading

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _runtime
from networks import normal
from plans import assert_same, one_by_one


@pytest.fixture(autouse=True)
def _frequent_turns():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*works):
    """Run all of `works` at once, each in a thread of its own; what one raises is raised here."""
    errors, begin = [], threading.Barrier(len(works))

    def run(work):
        try:
            begin.wait(60)
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def small():
    fnn.manual_seed(0)
    return fnn.Sequential(
        fnn.Linear(4, 5), fnn.BatchNorm1d(5), fnn.ReLU(), fnn.Sequential(fnn.Linear(5, 3), fnn.Tanh())
    ).eval()


SIZES = range(2, 42)  # more than there are plans kept for
INPUTS = [normal(n, 4, seed=n) for n in SIZES]


def calls(net, expected, seed, count=250):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        i = int(rng.integers(len(INPUTS)))
        got = net(INPUTS[i])
        assert got.shape == (len(INPUTS[i]), 3)
        if expected is not None:
            assert got.tobytes() == expected[i].tobytes()


@pytest.mark.parametrize("prepared", [True, False])
def test_eight_threads_and_more_sizes_than_plans(prepared):
    """They make and throw out plans while others look for theirs; the results have their bits."""
    for repeat in range(12):
        net = small()
        expected = [one_by_one(net, x) for x in INPUTS]
        if prepared:
            net(INPUTS[0])
        together(
            *(lambda seed=seed, net=net, e=expected: calls(net, e, seed) for seed in range(8 * repeat, 8 * repeat + 8))
        )


def test_convolutions_whose_weights_are_packed():
    """At the first calls all threads want them at once."""
    for seed in range(10):
        net = fnn.Sequential(
            fnn.Conv2d(8, 16, 3, padding=1), fnn.ReLU(), fnn.Conv2d(16, 8, 3), fnn.Flatten(), fnn.Linear(800, 40)
        ).eval()
        x = normal(2, 8, 12, 12, seed=seed)
        expected = net(x).tobytes()
        net[0].weight.data += 0  # what was packed is forgotten

        def work(net=net, x=x, expected=expected):
            for _ in range(10):
                assert net(x).tobytes() == expected

        together(*[work] * 8)


def test_a_network_that_is_run_layer_by_layer():
    """Each of its layers has a dictionary of attributes that its first forward adds to."""
    for _ in range(10):
        net = small()
        net.append(fnn.Softmax(dim=0))  # no plan: over the batch
        expected = [one_by_one(net, x) for x in INPUTS]
        together(*(lambda seed=seed, net=net, e=expected: calls(net, e, seed, 40) for seed in range(6)))


def change_parameters(net):
    for _ in range(60):
        net[0].weight.data = net[0].weight.data * 1
        net[0].bias = None
        net[0].bias = fnn.Parameter(np.zeros(5, np.float32))
        net[1].running_mean = np.zeros(5, np.float32)
        net.load_state_dict(net.state_dict())


def change_layers(net):
    for _ in range(60):
        net[3][0] = fnn.Linear(5, 3).eval()
        net[0] = fnn.Linear(4, 5).eval()


def change_modes(net):
    for _ in range(100):
        net[3].train()
        net.train()
        net.eval()


def look(net):
    for _ in range(40):
        net.summary((2, 4))
        assert len(list(net.named_parameters())) >= 5
        list(net.named_modules())
        repr(net)


def hooks(net):
    for _ in range(60):
        with net[0].register_forward_hook(lambda *_: None):
            net(INPUTS[0])


@pytest.mark.parametrize(
    "change", [change_parameters, change_layers, change_modes, look, hooks], ids=lambda f: f.__name__
)
def test_while_others_change_it(change):
    """Nothing crashes, and in the end the network is what it is."""
    for repeat in range(3):
        net = small()
        works = [lambda net=net, seed=seed: calls(net, None, seed, 100) for seed in range(4)]
        works += [lambda net=net: change(net)] * (1 if change is change_parameters else 3)  # which states it expects
        together(*works)
        net.eval()
        assert net[0]._hooks == ()
        for x in INPUTS[:3]:
            assert_same(net, x, repeat)


def test_no_two_calls_of_a_dropout_drop_the_same():
    layer = fnn.Dropout()
    x, keys = np.ones(64, np.float32), []

    def work():
        for _ in range(100):
            keys.append(layer(x).tobytes())

    together(*[work] * 6)
    assert len(set(keys)) == len(keys) == layer.step == 600


def test_a_first_use_does_not_replace_the_seeded_generator():
    for seed in range(50):
        _runtime._random.clear()
        together(_runtime.generator, lambda seed=seed: fnn.manual_seed(seed), _runtime.generator)
        assert _runtime.generator().random() == np.random.default_rng(seed).random()
