"""Checkpoints: resumed runs have the bits of uninterrupted ones, whenever and however they ended."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn.training import BestWeights, Callback, Checkpoint, EarlyStopping, Trainer, load_checkpoint, save_checkpoint
from fastnn.training._archive import read_archive, write_archive
from test_training import blobs, weights


class StopAt(Callback):
    """Ends training after a step."""

    def __init__(self, step=None, how=lambda trainer: trainer.stop("interrupted")):
        self.step, self.how = step, how

    def on_step_end(self, trainer):
        if trainer.history.iterations == self.step:
            self.how(trainer)


def interrupt(_trainer):
    signal.raise_signal(signal.SIGINT)


def make(*callbacks, optimizer=fnn.Adam, layers=(), dropout=0.3):
    """A trainer with all that has a state: dropout, batch norm, momentum, both kinds of schedules."""
    fnn.manual_seed(7)
    net = fnn.Sequential(
        fnn.Linear(2, 9), fnn.BatchNorm1d(9), fnn.ReLU(), fnn.Dropout(dropout), fnn.Linear(9, 3), *layers
    )
    optimizer = optimizer(net.parameters(), lr=0.01)
    schedule = {
        "step": fnn.lr_scheduler.LinearLR(optimizer, total_iters=7),
        "epoch": fnn.lr_scheduler.StepLR(optimizer, 2, gamma=0.5),
    }
    return Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=schedule, callbacks=callbacks)


def jitter(x, rng):
    return x + rng.normal(size=x.shape).astype(x.dtype) * np.float32(0.1)


def fit(trainer, **options):
    trainer.fit(blobs(), blobs(seed=1), epochs=5, batch_size=13, augment=jitter, progress=False, **options)
    return trainer


def state(trainer):
    """All that can be compared, as bytes."""
    optimizer = [
        {name: np.asarray(value).tobytes() for name, value in each.items()}
        for each in trainer.optimizer.state_dict()["state"].values()
    ]
    return weights(trainer), trainer.history, optimizer, fnn._runtime.generator().bit_generator.state


@pytest.mark.parametrize("how", [StopAt().how, interrupt], ids=["stop", "ctrl-c"])
@pytest.mark.parametrize("step", [1, 12, 15, 24])  # the first; in an epoch; at the end of one; the last but one
def test_resumed_to_the_same_bits(tmp_path, step, how):
    def callbacks():
        return EarlyStopping("loss", patience=100), BestWeights("eval_loss")

    whole = fit(make(*callbacks(), StopAt(), Checkpoint(tmp_path / "whole.npz")))
    part = fit(make(*callbacks(), StopAt(step, how), Checkpoint(tmp_path / "part.npz")))
    assert (part.history.iterations, part.stopped) == (step, "interrupted")
    fnn.manual_seed(99)  # forgotten
    resumed = fit(make(*callbacks(), StopAt(), Checkpoint(tmp_path / "part.npz", resume=True)), prefetch=False)
    assert state(resumed) == state(whole)
    assert resumed.history.iterations == 25
    again = fit(make(*callbacks(), StopAt(), Checkpoint(tmp_path / "part.npz", resume=True)))
    assert state(again) == state(whole)  # of a run that is over nothing is left to do


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    def stopper():
        return EarlyStopping("eval_accuracy", patience=0)

    first = fit(make(stopper(), Checkpoint(tmp_path / "c.npz")))
    assert first.stopped
    again = fit(make(stopper(), Checkpoint(tmp_path / "c.npz", resume=True)))
    assert (again.stopped, again.history) == (first.stopped, first.history)


def test_in_the_middle_of_an_epoch_minibatches_must_be_the_same(tmp_path):
    path = tmp_path / "c.npz"
    fit(make(StopAt(7), Checkpoint(path)))
    with pytest.raises(ValueError, match="train: got 3 minibatches an epoch, expected 5: the run that is resumed"):
        make(StopAt(), Checkpoint(path, resume=True)).fit(blobs(), epochs=9, batch_size=20)
    fit(make(StopAt(10), Checkpoint(path)))  # at the end of an epoch they need not
    resumed = make(StopAt(), Checkpoint(path, resume=True))
    resumed.fit(blobs(), iterations=12, batch_size=20)
    assert resumed.history.iterations == 12


def test_a_second_ctrl_c_does_not_wait():
    class Twice(Callback):
        def on_step_end(self, trainer):
            interrupt(trainer)
            interrupt(trainer)

    with pytest.raises(KeyboardInterrupt):
        fit(make(Twice()))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [fnn.Linear(3, 3)]}, "5.weight"),
        ({"optimizer": fnn.SGD}, "options"),
        ({"callback": True}, "callbacks: got none, expected StopAt"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, options, message):
    path = tmp_path / "c.npz"
    save_checkpoint(path, make())
    callbacks = [StopAt()] if options.pop("callback", False) else []
    with pytest.raises(ValueError, match=rf"c\.npz: not a checkpoint of a training like this one: .*{message}"):
        load_checkpoint(path, make(*callbacks, **options))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-30],
        lambda content: (
            content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
        ),
        lambda content: b"\x93NUMPY",
    ],
    ids=["empty", "begun", "no end", "one bit", "another kind"],
)
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    path = tmp_path / "c.npz"
    save_checkpoint(path, make())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"c\.npz: truncated or corrupt"):
        load_checkpoint(path, make())


def test_an_archive_keeps_what_it_was_given(tmp_path):
    tree = {"a": [1, (2.5, None)], 3: {"b": np.arange(3), "": "text"}, "inf": float("inf"), "big": 2**100, "t": True}
    write_archive(tmp_path / "a.npz", tree)
    back = read_archive(tmp_path / "a.npz")
    np.testing.assert_array_equal(back[3].pop("b"), tree[3].pop("b"))
    assert back == tree
    with pytest.raises(TypeError, match="got a set"):
        write_archive(tmp_path / "b.npz", {"a": {1}})
    assert not (tmp_path / "b.npz").exists()


LOOP = """
import sys
sys.path.insert(0, {tests!r})
from test_checkpoint import *
trainer = make(Checkpoint({path!r}, resume=True))
print("ready", flush=True)
trainer.fit(blobs(), blobs(seed=1), iterations=10**9, evaluate_every=1, batch_size=13, augment=jitter, progress=False)
"""


def written(path):
    return path.stat().st_ino if path.exists() else None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_killed_at_any_moment_a_checkpoint_stays_readable(tmp_path):
    """It writes nearly all of the time, so that most kills come in the middle of a write; at least one has to."""
    path = tmp_path / "c.npz"
    code = LOOP.format(tests=str(Path(__file__).parent), path=str(path))
    steps, left = [0], 0
    for i in range(40):
        if i >= 6 and left:
            break
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            before = written(path)
            while written(path) == before:  # a step further than the process before it, however busy the machine is
                time.sleep(0.001)
            time.sleep(0.0037 * i)
            process.send_signal(signal.SIGKILL)
        left += len(list(tmp_path.iterdir())) > 1
        trainer = make(Checkpoint(path))
        load_checkpoint(path, trainer)
        steps.append(trainer.history.iterations)
    assert steps == sorted(set(steps)), "every process went on from where the one before had come to"
    whole = make()
    whole.fit(
        blobs(), blobs(seed=1), iterations=steps[-1], evaluate_every=1, batch_size=13, augment=jitter, progress=False
    )
    assert weights(trainer) == weights(whole)
    assert left, "no kill came in the middle of a write: the test shows nothing"
    trainer.callbacks[0].on_fit_begin(trainer)
    assert [each.name for each in tmp_path.iterdir()] == ["c.npz"]
