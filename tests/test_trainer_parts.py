"""What a trainer is made with and `fit` is called with: parts that belong together, and one clear error otherwise."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn.data import batches
from fastnn.training import BestWeights, Callback, EarlyStopping, Trainer
from test_training import blobs, make, weights


def network():
    return fnn.Sequential(fnn.Linear(2, 4), fnn.ReLU(), fnn.Linear(4, 3))


def sgd(net):
    return fnn.SGD(net.parameters(), lr=0.1)


def trained(net, optimizer, **options):
    return Trainer(net, fnn.CrossEntropyLoss(), optimizer, rng=0, **options)


# -- an optimiser that would train nothing


def test_an_optimizer_of_another_network_is_refused():
    with pytest.raises(
        ValueError, match=r"optimizer: got 4 parameters, of which 4 are not the network's; expected those"
    ):
        trained(network(), sgd(network()))


def test_a_layer_that_came_later_is_noticed_before_the_first_step():
    net = network()
    trainer = trained(net, sgd(net))
    trainer.fit(blobs(), epochs=1, progress=False)
    net[2] = fnn.Linear(4, 3)
    before = weights(trainer)
    with pytest.raises(ValueError, match=r"optimizer: got 4 parameters, of which 2 are not the network's"):
        trainer.fit(blobs(), epochs=1, progress=False)
    assert weights(trainer) == before
    with pytest.raises(ValueError, match="of which 2 are not the network's"):
        trained(net, trainer.optimizer)
    trainer.optimizer = sgd(net)
    trainer.fit(blobs(), epochs=1, progress=False)
    assert weights(trainer) != before
    trainer.net = network()
    with pytest.raises(ValueError, match="of which 4 are not the network's"):
        trainer.fit(blobs(), epochs=1, progress=False)


def test_one_optimizer_of_two_networks_is_refused():
    net, other = network(), network()
    both = fnn.SGD([*net.parameters(), *other[0].parameters()], lr=0.1)
    with pytest.raises(ValueError, match="got 6 parameters, of which 2 are not the network's"):
        trained(net, both)


def test_a_part_of_the_parameters_may_be_trained():
    net = network()
    trainer = trained(net, sgd(net[2]))
    before = net.state_dict()
    trainer.fit(blobs(), epochs=1, progress=False)
    after = net.state_dict()
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed == {"2.weight", "2.bias"}
    net[2].requires_grad_(False)
    with pytest.raises(ValueError, match="optimizer: got 2 parameters, all of them frozen"):
        trainer.fit(blobs(), epochs=1, progress=False)
    groups = fnn.SGD([{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.01}], lr=0.1)
    trained(net, groups).fit(blobs(), epochs=1, progress=False)


@pytest.mark.parametrize("form", [lambda s: s, lambda s: {"step": s}, lambda s: {"epoch": s}])
@pytest.mark.parametrize("kind", [lambda o: fnn.lr_scheduler.StepLR(o, 1), fnn.lr_scheduler.ReduceLROnPlateau])
def test_a_schedule_of_another_optimizer_is_refused(form, kind):
    net = network()
    optimizer, another = sgd(net), sgd(net)
    with pytest.raises(ValueError, match=r"schedule: got \w+ of another optimizer, expected the trainer's own"):
        trained(net, optimizer, schedule=form(kind(another)))
    trainer = trained(net, optimizer, schedule=form(kind(optimizer)))
    trainer.optimizer = another
    with pytest.raises(ValueError, match=r"schedule: got \w+ of another optimizer"):
        trainer.fit(blobs(), epochs=1, progress=False)


@pytest.mark.parametrize("callback", [BestWeights("loss"), EarlyStopping("loss")])
def test_a_callback_that_followed_another_network_is_refused(callback):
    make(callbacks=[callback]).fit(blobs(), epochs=1, progress=False)
    second = make(callbacks=[callback])
    name = type(callback).__name__
    with pytest.raises(
        ValueError, match=f"callbacks: got a {name} that followed another network, expected a new {name}"
    ):
        second.fit(blobs(), epochs=1, progress=False)
    assert second.history.iterations == 0


def test_best_weights_that_no_longer_fit_are_noticed_before_the_first_step():
    net = network()
    trainer = trained(net, sgd(net), callbacks=[BestWeights("loss")])
    trainer.fit(blobs(), epochs=1, progress=False)
    net[2] = fnn.Linear(4, 5)
    trainer.optimizer = sgd(net)
    with pytest.raises(ValueError, match=r"callbacks: the weights that BestWeights keeps do not fit: .*2\.weight"):
        trainer.fit(blobs(), epochs=1, progress=False)
    assert trainer.history.iterations == 1


def test_a_state_of_another_training_changes_nothing():
    trainer = make()
    trainer.fit(blobs(), epochs=1, progress=False)
    state = trainer.state_dict()
    state["optimizer"] = {"state": {}, "param_groups": []}
    other = make()
    other.net[0].weight.data[...] = 1
    before = weights(other)
    with pytest.raises(ValueError, match="state_dict: got groups"):
        other.load_state_dict(state)
    assert weights(other) == before
    assert other.history.iterations == 0


# -- what is of the wrong kind


class Loss:
    """Without a reduction."""

    def __call__(self, x, target):
        return 0.0

    def backward(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        ({"net": fnn.Sequential}, {}, "net: got the class Sequential, expected a network, as Sequential"),
        ({"net": network().parameters()}, {}, "net: got generator, expected a network"),
        ({"criterion": fnn.CrossEntropyLoss}, {}, "criterion: got the class CrossEntropyLoss, expected a loss"),
        ({"criterion": fnn.functional.cross_entropy}, {}, "criterion: got function, expected a loss"),
        ({"criterion": Loss()}, {}, "criterion: got Loss, expected a loss, .* with a call, a backward and a reduction"),
        ({"optimizer": fnn.SGD}, {}, "optimizer: got the class SGD, expected one, as SGD"),
        ({"optimizer": 0.1}, {}, "optimizer: got float, expected one, as SGD"),
        ({}, {"callbacks": [BestWeights]}, "callbacks: got the class BestWeights, expected a Callback"),
        ({}, {"callbacks": BestWeights()}, "callbacks: got BestWeights, expected a list of callbacks"),
        ({}, {"callbacks": [print]}, "callbacks: got builtin_function_or_method, expected a Callback"),
        ({}, {"schedule": fnn.lr_scheduler.StepLR}, "schedule: got the class StepLR, expected one, as StepLR"),
        ({}, {"schedule": {"epoch": 0.1}}, "schedule: got float, expected one"),
        ({}, {"rng": "5"}, "rng: got '5', expected a seed"),
        ({}, {"rng": 1.5}, "rng: got 1.5, expected a seed"),
        ({}, {"clip_norm": "1"}, "clip_norm: got '1'; expected a number"),
        ({}, {"clip_value": [1]}, r"clip_value: got \[1\]; expected a number"),
    ],
)
def test_trainers_take_objects(parts, options, message):
    net = network()
    made = {"net": net, "criterion": fnn.CrossEntropyLoss(), "optimizer": sgd(net), **parts}
    with pytest.raises(TypeError, match=message):
        Trainer(*made.values(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": fnn.CrossEntropyLoss(reduction="none")}, "criterion: got reduction='none', expected 'mean' or"),
        ({"clip_norm": -1}, "clip_norm: got -1"),
        ({"clip_value": np.nan}, "clip_value: got nan"),
        ({"rng": -1}, "rng: got -1, expected a seed"),
    ],
)
def test_trainers_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_reduction_that_was_changed_is_noticed():
    trainer = make()
    trainer.criterion.reduction = "none"
    with pytest.raises(ValueError, match="criterion: got reduction='none'"):
        trainer.fit(blobs(), epochs=1, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"batch_size": value}, f"batch_size: got {value!r}; expected an int") for value in ("4", 4.0, None, True)),
        *(({"epochs": value}, f"epochs: got {value!r}; expected an int") for value in ("2", 2.0, True)),
        *(({"shuffle": value}, f"shuffle: got {value!r}; expected True or False") for value in ("no", 1, None)),
        ({"epochs": None, "iterations": 2.0}, "iterations: got 2.0; expected an int"),
        ({"evaluate_every": "3"}, "evaluate_every: got '3'; expected an int"),
        ({"drop_last": "no"}, "drop_last: got 'no'; expected True or False"),
        ({"progress": "bar"}, "progress: got 'bar'; expected True or False"),
        ({"prefetch": "yes"}, "prefetch: got 'yes'; expected True or False"),
        ({"augment": fnn.ReLU}, "augment: got the class ReLU, expected a function of the examples"),
        ({"augment": 3}, "augment: got int, expected a function of the examples"),
    ],
)
def test_fit_takes_numbers_and_switches(options, message):
    trainer = make()
    with pytest.raises(TypeError, match=message):
        trainer.fit(blobs(), **{"epochs": 1, "progress": False, **options})
    assert trainer.history.iterations == 0


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_numbers_of_numpy_are_ints(kind):
    x, y = blobs(600)
    trainer = make()
    trainer.fit((x, y), epochs=kind(1), batch_size=kind(200), evaluate_every=kind(1), progress=False)
    assert trainer.history.iterations == 3
    assert sum(len(part) for part, _ in batches(x, y, kind(200))) == 600


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": "4"}, TypeError, "batch_size: got '4'; expected an int"),
        ({"batch_size": 4.0}, TypeError, "batch_size: got 4.0; expected an int"),
        ({"batch_size": None}, TypeError, "batch_size: got None; expected an int"),
        ({"batch_size": 4, "shuffle": "no"}, TypeError, "shuffle: got 'no'; expected True or False"),
        ({"batch_size": 4, "drop_last": None}, TypeError, "drop_last: got None; expected True or False"),
    ],
)
def test_batches_take_numbers_and_switches(options, error, message):
    with pytest.raises(error, match=message):
        next(batches(*blobs(), **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": "3"}, "patience: got '3'; expected an int"),
        ({"patience": 2.5}, "patience: got 2.5; expected an int"),
        ({"min_delta": "0"}, "min_delta: got '0'; expected a number"),
    ],
)
def test_early_stopping_takes_numbers(options, message):
    with pytest.raises(TypeError, match=message):
        EarlyStopping(**options)


def test_callbacks_of_ones_own_are_callbacks():
    class Mine(Callback):
        """Does nothing."""

    make(callbacks=iter([Mine()])).fit(blobs(), epochs=1, progress=False)
