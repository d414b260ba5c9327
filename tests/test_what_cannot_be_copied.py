"""Layers that hold what can be neither copied nor pickled: only who asks for a copy of them meets with that."""

import copy
import threading

import numpy as np
import pytest

import fastnn as fnn
from fastnn import training
from networks import normal


class Locked(fnn.Module):
    """A layer of somebody else's, with a lock, a generator, and a linear layer."""

    def __init__(self):
        self.lock, self.numbers, self.seen = threading.Lock(), (n for n in range(3)), []
        self.inner = fnn.Linear(4, 4)

    def forward(self, x):
        with self.lock:
            self.seen.append(len(x))
            return self.inner(x)

    def backward(self, dy, accumulate=False, needs_dx=True):
        return self.inner.backward(dy, accumulate, needs_dx)


def network():
    fnn.manual_seed(0)
    net = fnn.Sequential(fnn.Linear(4, 4), fnn.Residual(fnn.Sequential(fnn.Tanh(), Locked())), fnn.BatchNorm1d(4))
    net[1].body[1].inner.weight = net[0].weight
    return net


X, Y = normal(8, 4), np.arange(8) % 4


def test_a_divergence_is_told_as_one():
    net = network()
    net[0].weight.data[...] = np.nan
    trainer = training.Trainer(net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1))
    with pytest.raises(
        training.DivergenceError, match=r"infinite values is 0 \(Linear\), whose weight an earlier step"
    ):
        trainer.fit((X, Y), epochs=1, progress=False)
    assert net[1].body[1].seen == [8], "of the forward that diverged alone"


def test_a_divergence_of_a_layer_that_runs_but_once_is_told_as_one():
    class Once(fnn.Module):
        def forward(self, x):
            if np.isnan(x).any() and hasattr(self, "called"):
                raise OSError("the camera is gone")
            self.called = True
            return x

        def backward(self, dy, accumulate=False, needs_dx=True):
            return dy

    net = fnn.Sequential(fnn.Linear(4, 4), Once())
    net[0].weight.data[...] = np.nan
    trainer = training.Trainer(net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1))
    with pytest.raises(
        training.DivergenceError,
        match=r"the loss is nan .*OSError: layer 1 \(Once\): the camera is gone.*smaller learning",
    ):
        trainer.fit((X, Y), epochs=1, progress=False)


def test_training_with_all_callbacks(tmp_path):
    net = network()
    trainer = training.Trainer(
        net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters()),
        callbacks=[training.BestWeights("eval_loss"), training.EarlyStopping("eval_loss"),
                   training.Checkpoint(tmp_path / "c.npz")],
    )  # fmt: skip
    trainer.fit((X, Y), (X, Y), epochs=2, progress=False)
    training.load_checkpoint(tmp_path / "c.npz", trainer)
    net.load_state_dict(net.state_dict())


def test_summaries_checks_and_folds():
    net = network()
    assert net.summary((1, 4)).splitlines()[-1].split() == ["total", "32"]
    assert net[1].body[1].seen == []
    assert fnn.gradcheck(net, normal(5, 4, dtype=np.float64), show=False)
    folded = fnn.fold_batch_norm(fnn.Sequential(fnn.Linear(4, 4), fnn.BatchNorm1d(4), Locked()))
    assert len(folded) == 2
    assert folded(X).shape == (8, 4)
    with pytest.raises(TypeError):
        copy.deepcopy(net)
