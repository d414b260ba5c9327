"""Data that come as minibatches of somebody else's making or with weights, and several metrics."""

import functools

import numpy as np
import pytest

import fastnn as fnn
from fastnn.training import BestWeights, accuracy, top_k_accuracy
from test_training import blobs, make, weights


def cut(x, y, *more, size=13):
    """A list of minibatches."""
    return [tuple(a[i : i + size] for a in (x, y, *more)) for i in range(0, len(x), size)]


class Stream:
    """Batches without a length, of lists."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter([list(batch) for batch in self.batches])


@pytest.mark.parametrize("keep", [lambda b: b, Stream])
def test_an_iterable_of_batches_is_the_data_unshuffled(keep):
    (x, y), valid = blobs(), blobs(seed=1)
    trainer, other = make(), make()
    trainer.fit(keep(cut(x, y)), keep(cut(*valid)), epochs=3, progress=False)
    other.fit((x, y), valid, epochs=3, batch_size=13, shuffle=False, progress=False)
    assert trainer.history.loss == other.history.loss
    assert weights(trainer) == weights(other)
    assert trainer.history.eval_accuracy == other.history.eval_accuracy
    assert trainer.evaluate(keep(cut(*valid))) == pytest.approx(other.evaluate(valid))  # of batches of another size
    assert trainer.epochs == 3


def test_two_batches_in_a_list_are_no_pair():
    x, y = blobs()
    trainer, other = make(), make()
    trainer.fit(cut(x, y, size=30), epochs=2, progress=False)
    other.fit((x, y), epochs=2, batch_size=30, shuffle=False, progress=False)
    assert weights(trainer) == weights(other)
    assert trainer.history.iterations == 4


def test_augment_and_transform_take_the_batches_of_others():
    x, y = blobs()
    trainer, other = make(rng=1), make(rng=1)
    options = {"augment": lambda x, rng: x + rng.normal(), "transform": lambda x: x.astype(np.float32) / 2}
    trainer.fit(cut(x, y), epochs=2, progress=False, **options)
    other.fit((x, y), epochs=2, batch_size=13, shuffle=False, progress=False, **options)
    assert weights(trainer) == weights(other)


def test_a_loader_of_pytorch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    x, y = blobs()
    loader = data.DataLoader(data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=13)
    trainer, other = make(), make()
    trainer.fit(loader, loader, epochs=2, progress=False)
    other.fit((x, y), epochs=2, batch_size=13, shuffle=False, progress=False)
    assert trainer.history.loss == other.history.loss
    assert weights(trainer) == weights(other)


@pytest.mark.parametrize(
    ("batches", "error", "words"),
    [
        ((b for b in []), TypeError, "train: got generator, which can be gone through only once"),
        (Stream([]), ValueError, "train: got no batches, expected at least one"),
        (Stream([(1, 2, 3, 4)]), TypeError, r"train: got 4 things as batch 0, expected \(x, y\)"),
        ([(np.zeros((3, 2)), np.zeros(2))], ValueError, "y: got 2 targets, expected 3"),
        (
            [(np.zeros((3, 2)), np.zeros(3), np.zeros(2))],
            ValueError,
            r"sample_weight: got shape \(2,\), expected \(3,\)",
        ),
    ],
)
def test_batches_that_are_none_are_refused(batches, error, words):
    with pytest.raises(error, match=words):
        make().fit(batches, epochs=1, progress=False)


def test_a_loader_that_ends_early_is_named():
    class Short(list):
        def __len__(self):
            return 9

    with pytest.raises(ValueError, match="train: got 5 batches in an epoch, expected 9, its length"):
        make().fit(Short(cut(*blobs())), epochs=1, progress=False)
    with pytest.raises(ValueError, match="drop_last: got True, expected False"):
        make().fit(cut(*blobs()), epochs=1, drop_last=True)


# -- weights


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_of_one_change_nothing_and_zeros_leave_out(reduction):
    (x, y), ones = blobs(), np.ones(60)
    plain, weighed, less = (make(0.01, fnn.CrossEntropyLoss(reduction=reduction)) for _ in range(3))
    plain.fit((x, y), (x, y), epochs=3, batch_size=60, progress=False)
    weighed.fit((x, y, ones), (x, y, ones), epochs=3, batch_size=60, progress=False)
    np.testing.assert_allclose(weighed.history.loss, plain.history.loss, rtol=1e-5)
    np.testing.assert_allclose(weighed.history.eval_loss, plain.history.eval_loss, rtol=1e-5)
    some = (np.arange(60) % 4 > 0).astype(np.float32)
    less.fit((x, y, some), epochs=3, batch_size=60, progress=False)
    few = make(0.01, fnn.CrossEntropyLoss(reduction=reduction))
    few.fit((x[some > 0], y[some > 0]), epochs=3, batch_size=60, progress=False)
    np.testing.assert_allclose(less.history.loss, few.history.loss, rtol=1e-5)
    assert less.evaluate((x, y, some))[0] == pytest.approx(few.evaluate((x[some > 0], y[some > 0]))[0], rel=1e-4)


def test_weights_follow_their_examples_through_the_shuffle():
    x, y = blobs()
    trainer, other = make(rng=2), make(rng=2)
    weight = np.random.default_rng(0).random(60)
    trainer.fit((x, y, weight), epochs=2, batch_size=13, progress=False)
    order = [np.random.default_rng([other._seed, epoch]).permutation(60) for epoch in range(2)]
    batches = [cut(x[each], y[each], weight[each]) for each in order]
    for epoch in range(2):
        other.fit(batches[epoch], epochs=1, progress=False)
    assert trainer.history == other.history


def test_a_step_with_weights_is_the_three_lines():
    x, y = blobs()
    one, two = make(), make()
    weight = np.linspace(0, 1, 60)
    step = fnn.TrainingStep(one.net, one.criterion, one.optimizer)
    loss = step(x, y, weight)
    assert loss == two.criterion(two.net(x), y, sample_weight=weight)
    two.net.backward(two.criterion.backward(), needs_dx=False)
    two.optimizer.step()
    assert weights(one) == weights(two)


# -- several metrics

TOP_2 = functools.partial(top_k_accuracy, k=2)


def test_several_metrics_each_have_their_lists(capsys):
    (x, y), valid = blobs(), blobs(seed=1)
    best = BestWeights("eval_top 2", mode="max")
    trainer = make(metrics={"accuracy": accuracy, "top 2": TOP_2}, callbacks=[best])
    history = trainer.fit((x, y), valid, epochs=2, batch_size=30)
    assert history.metric_names == ("accuracy", "top 2")
    assert len(history.accuracy) == len(getattr(history, "top 2")) == 4
    assert len(history.eval_accuracy) == len(getattr(history, "eval_top 2")) == 3
    single = make()
    assert single.fit((x, y), valid, epochs=2, batch_size=30, progress=False).accuracy == history.accuracy
    _, measured = trainer.evaluate(valid)
    scores = trainer.predict(valid[0])
    assert measured == {"accuracy": accuracy(scores, valid[1]), "top 2": TOP_2(scores, valid[1])}
    assert trainer.latest("eval_top 2") == getattr(history, "eval_top 2")[-1]
    shown = capsys.readouterr().err
    assert f", accuracy {history.accuracy[0]:.3f}, top 2 " in shown
    again = make(metrics=["auto", ("top 2", TOP_2)], callbacks=[BestWeights("eval_top 2", mode="max")])
    again.load_state_dict(trainer.state_dict())
    assert again.history == history


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"metrics": [accuracy, accuracy]}, ValueError, "metrics: got 'accuracy' twice, expected a name for each"),
        ({"metrics": [accuracy], "metric": TOP_2}, ValueError, "metric: got one beside metrics"),
        ({"metrics": accuracy}, TypeError, "metrics: got function, expected a dict of functions by name, or a list"),
        ({"metrics": {"loss": accuracy}}, ValueError, "metric: got the name 'loss'"),
    ],
)
def test_metrics_that_are_none_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        make(**options)
