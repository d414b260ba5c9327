"""What is told of training: the protocol, early stopping, best weights."""

import numpy as np
import pytest

from fastnn.training import BestWeights, Callback, EarlyStopping
from test_training import blobs, make, weights


class Diary(Callback):
    """Writes down what it is told."""

    def __init__(self, name="", stop_at=None):
        self.name, self.stop_at, self.lines = name, stop_at, []

    def on_fit_begin(self, trainer):
        self.lines.append("begin")

    def on_step_end(self, trainer):
        self.lines.append(trainer.history.iterations)
        if trainer.history.iterations == self.stop_at:
            trainer.stop("enough")

    def on_epoch_end(self, trainer):
        self.lines.append(f"epoch {trainer.epochs}")

    def on_evaluation(self, trainer):
        self.lines.append("evaluation")

    def on_fit_end(self, trainer):
        self.lines.append("end")


def test_callbacks_are_told_in_order():
    diary = Diary()
    make(callbacks=[diary]).fit(blobs(), epochs=2, batch_size=30)
    first, second = [1, 2, "epoch 1", "evaluation"], [3, 4, "epoch 2", "evaluation"]
    assert diary.lines == ["begin", "evaluation", *first, *second, "end"]


def test_a_callback_may_stop_and_the_next_fit_goes_on():
    diary = Diary(stop_at=3)
    trainer = make(callbacks=[diary])
    trainer.fit(blobs(), iterations=50, evaluate_every=10)
    assert (trainer.history.iterations, trainer.stopped) == (3, "enough")
    assert not trainer.net.training
    trainer.fit(blobs(), iterations=2)
    assert (trainer.history.iterations, trainer.stopped) == (5, None)


def test_the_end_is_told_backwards():
    order = []

    class Last(Callback):
        def __init__(self, name):
            self.name = name

        def on_fit_end(self, trainer):
            order.append(self.name)

    make(callbacks=[Last("a"), Last("b")]).fit(blobs(), iterations=1)
    assert order == ["b", "a"]


class Losses(Callback):
    """Puts losses of one's own in the place of those of the evaluations."""

    def __init__(self, values):
        self.values = list(values)

    def on_evaluation(self, trainer):
        trainer.history.eval_loss[-1] = self.values[len(trainer.history.eval_loss) - 1]


@pytest.mark.parametrize(
    ("losses", "options", "evaluations"),
    [
        ([5, 4, 3, 3.5, 3.4, 3.3, 0], {"patience": 2}, 6),
        ([5, 4, 3, 3.5, 3.4, 2, 3, 3], {"patience": 2}, 8),
        ([5, 4.9, 4.8, 0], {"patience": 1, "min_delta": 0.5}, 3),
        ([5, np.nan, 0], {"patience": 0}, 2),
        ([1, 2, 3, 3, 0], {"patience": 0, "mode": "max"}, 4),
    ],
)
def test_early_stopping(losses, options, evaluations):
    trainer = make(callbacks=[Losses(losses), EarlyStopping(**options)])
    trainer.fit(blobs(), blobs(seed=1), iterations=len(losses) - 1, evaluate_every=1)
    assert len(trainer.history.eval_loss) == evaluations
    assert (trainer.stopped is None) == (evaluations == len(losses))


def test_early_stopping_by_the_training_loss_needs_no_other_data():
    trainer = make(lr=0.0, callbacks=[EarlyStopping("loss", patience=1)])
    trainer.fit(blobs(), iterations=40, batch_size=60, shuffle=False, evaluate_every=2)
    assert trainer.history.iterations == 6
    assert "loss has not become better for 2 evaluations" in trainer.stopped


def test_best_weights_are_given_back():
    class Copies(Callback):
        def __init__(self):
            self.copies = []

        def on_evaluation(self, trainer):
            self.copies.append(weights(trainer))

    copies, best = Copies(), BestWeights("eval_loss")
    trainer = make(callbacks=[Losses([5, 4, 2, 3]), best, copies])
    trainer.fit(blobs(), blobs(seed=1), iterations=6, evaluate_every=2)
    assert (best.iteration, best.value) == (4, 2)
    assert weights(trainer) == copies.copies[2] != copies.copies[3]


@pytest.mark.parametrize(
    ("make_callback", "message"),
    [
        (
            lambda: make(callbacks=[EarlyStopping("f1")]).fit(blobs(), blobs(), iterations=1),
            "monitor: got 'f1', expected one of eval_loss, eval_accuracy, loss, accuracy",
        ),
        (lambda: EarlyStopping(mode="less"), "mode: got 'less'"),
        (lambda: EarlyStopping(patience=-1), "patience: got -1"),
        (lambda: EarlyStopping(min_delta=-1), "min_delta: got -1"),
        (
            lambda: make(callbacks=[BestWeights()]).fit(blobs(), iterations=1),
            "monitor: got 'eval_accuracy', of which there is none",
        ),
    ],
)
def test_callbacks_refuse(make_callback, message):
    with pytest.raises(ValueError, match=message):
        make_callback()
