"""The training loop, its history, metrics and progress."""

import io
import sys
import types

import numpy as np
import pytest

import fastnn as fnn
from fastnn.training import (
    DivergenceError,
    History,
    Trainer,
    accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
    psnr,
    top_k_accuracy,
)
from fastnn.training.progress import Progress


def blobs(n=60, seed=0):
    """Three classes of points that a linear classifier can tell apart."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    centres = np.array([[3, 0], [-2, 3], [-2, -3]])
    return (centres[y] + rng.normal(size=(n, 2)) * 0.5).astype(np.float32), y


def make(lr=0.1, criterion=None, schedule=lambda optimizer: None, **options):
    fnn.manual_seed(5)
    net = fnn.Sequential(fnn.Linear(2, 8), fnn.ReLU(), fnn.Linear(8, 3))
    optimizer = fnn.SGD(net.parameters(), lr=lr)
    return Trainer(net, criterion or fnn.CrossEntropyLoss(), optimizer, schedule=schedule(optimizer), **options)


def weights(trainer):
    return {name: array.tobytes() for name, array in trainer.net.state_dict().items()}


class FailingLoss:
    """A loss that has the given value from the given call on."""

    reduction = "mean"

    def __init__(self, value, call):
        self.value, self.call, self.calls, self.real = value, call, 0, fnn.CrossEntropyLoss()

    def __call__(self, x, target):
        self.calls += 1
        loss = self.real(x, target)
        return self.value if self.calls >= self.call else loss

    def backward(self):
        return self.real.backward()


# -- Trainer


def test_fit_learns_and_records_every_step():
    x, y = blobs()
    trainer = make()
    history = trainer.fit((x, y), iterations=50, batch_size=16, valid=blobs(seed=1), evaluate_every=20)
    assert history is trainer.history
    assert len(history.loss) == len(history.accuracy) == len(history.lr) == history.iterations == 50
    assert history.eval_iteration == [0, 20, 40, 50]
    assert history.eval_accuracy[-1] > 0.95 > history.eval_accuracy[0]
    assert history.eval_loss[-1] < 0.3 * history.eval_loss[0]
    assert set(history.lr) == {0.1}
    assert trainer.seconds > 0
    assert not trainer.net.training


def test_fit_again_continues():
    x, y = blobs()
    trainer = make()
    trainer.fit((x, y), iterations=4, valid=(x, y), evaluate_every=4)
    trainer.fit((x, y), iterations=4, valid=(x, y), evaluate_every=4)
    assert trainer.history.eval_iteration == [0, 4, 8]


@pytest.mark.parametrize(("drop_last", "steps"), [(False, 8), (True, 6)])
def test_epochs(drop_last, steps):
    x, y = blobs()
    trainer = make()
    trainer.fit((x, y), epochs=2, batch_size=17, drop_last=drop_last, valid=(x, y))
    assert trainer.history.iterations == steps
    assert trainer.history.eval_iteration == [0, steps // 2, steps]


def test_same_seed_same_bits():
    x, y = blobs()
    runs = []
    for options in ({}, {}, {"rng": np.random.default_rng(9)}, {"rng": 9}):
        runs.append(make(**options))
        runs[-1].fit((x, y), iterations=30, batch_size=16)
    assert weights(runs[0]) == weights(runs[1]) != weights(runs[2]) == weights(runs[3])
    assert runs[0].history == runs[1].history


def test_evaluating_does_not_change_training():
    x, y = blobs()
    plain = make()
    plain.fit((x, y), iterations=20, batch_size=16)
    watched = make()
    watched.fit((x, y), iterations=20, batch_size=16, valid=blobs(seed=1), evaluate_every=3)
    assert weights(plain) == weights(watched)


def test_schedule_sets_the_rate_of_each_step():
    trainer = make(lr=0.8, schedule=lambda optimizer: fnn.lr_scheduler.MultiStepLR(optimizer, (2, 4), gamma=0.5))
    trainer.fit(blobs(), iterations=5)
    assert trainer.history.lr == [0.8, 0.8, 0.4, 0.4, 0.2]


def test_schedules_by_step_and_by_epoch_are_multiplied():
    def both(optimizer):
        warm_up = fnn.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        return {"step": warm_up, "epoch": fnn.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)}

    trainer = make(lr=0.8, schedule=both)
    trainer.fit(blobs(), epochs=2, batch_size=20)
    np.testing.assert_allclose(trainer.history.lr, [0.4, 0.6, 0.8, 0.08, 0.08, 0.08])


def test_a_plateau_goes_on_from_a_warm_up():
    def both(optimizer):
        warm_up = fnn.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
        options = {"factor": 0.5, "patience": 0, "threshold": 1e9, "threshold_mode": "abs"}
        return {"step": warm_up, "epoch": fnn.lr_scheduler.ReduceLROnPlateau(optimizer, **options)}

    trainer = make(lr=0.8, schedule=both)
    trainer.fit(blobs(), blobs(seed=1), iterations=8, evaluate_every=2)
    np.testing.assert_allclose(trainer.history.lr, [0.2, 0.4, 0.6, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_a_plateau_is_told_every_evaluation():
    def plateau(optimizer):
        options = {"factor": 0.5, "patience": 0, "threshold": 1e9, "threshold_mode": "abs"}
        return fnn.lr_scheduler.ReduceLROnPlateau(optimizer, **options)

    trainer = make(lr=0.8, schedule=plateau)
    trainer.fit(blobs(), blobs(seed=1), iterations=6, evaluate_every=2)
    assert trainer.history.lr == [0.8, 0.8, 0.8, 0.8, 0.4, 0.4]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda optimizer: {"batch": None}, "got schedules by 'batch', expected 'step', 'epoch' or both"),
        (
            lambda optimizer: {
                "step": fnn.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t)),
                "epoch": fnn.lr_scheduler.StepLR(optimizer, 1),
            },
            "got LambdaLR beside another one",
        ),
    ],
)
def test_schedules_that_do_not_go_together(schedule, message):
    with pytest.raises(ValueError, match=f"schedule: {message}"):
        make(schedule=schedule)


@pytest.mark.parametrize("option", [{"clip_norm": 1e-3}, {"clip_value": 1e-4}])
def test_clipped_gradients_make_small_steps(option):
    free, clipped = make(lr=1.0), make(lr=1.0, **option)
    before = free.net.state_dict()
    for trainer in (free, clipped):
        trainer.fit(blobs(), iterations=1)

    def moved(trainer):
        return np.sqrt(sum(np.sum((a - before[name]) ** 2.0) for name, a in trainer.net.state_dict().items()))

    assert moved(clipped) < 1.01e-3 < moved(free)


def test_a_metric_of_ones_own():
    worst = make(metric=lambda scores, y: float(np.abs(scores).max()))
    worst.fit(blobs(), blobs(seed=1), iterations=1)
    assert worst.history.eval_metric[0] > 1
    none = make(metric=None)
    assert none.fit(blobs(), blobs(), iterations=2).measured == none.history.eval_measured == []
    assert (len(none.history.loss), len(none.history.eval_loss)) == (2, 3)
    assert none.evaluate(blobs())[1] is None
    with pytest.raises(AttributeError, match="history: got 'accuracy', expected one of loss, lr, eval_iteration"):
        _ = none.history.accuracy


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverging_loss_stops_with_a_clear_error(value):
    trainer = make(lr=0.25, criterion=FailingLoss(value, call=4))
    message = rf"at iteration 4: the loss is {value} with learning rate 0\.25; the last .*all layers are finite"
    with pytest.raises(DivergenceError, match=message):
        trainer.fit(blobs(), iterations=10)
    assert trainer.history.iterations == 3
    assert np.isfinite(trainer.history.loss).all()


def test_divergence_names_the_layer_whose_output_went_first():
    trainer = make()
    trainer.net[2].weight.data[1, 3] = np.inf
    with pytest.raises(DivergenceError, match=r"is 2 \(Linear\), whose weight an earlier step made so\. Try a smaller"):
        trainer.fit(blobs(), iterations=1)
    x, y = blobs()
    x *= 1e30
    trainer = make()
    trainer.net[0].weight.data[...] = 1e30
    with pytest.raises(DivergenceError, match=r"is 0 \(Linear\)\. Try .*clip_norm=1, and inputs scaled to 0-1"):
        trainer.fit((x, y), iterations=1)
    x[7] = np.nan
    with pytest.raises(DivergenceError, match="The minibatch itself has NaN"):
        make().fit((x, y), iterations=1)


def test_losses_are_per_example_whatever_the_reduction():
    x, y = blobs()
    mean, total = make(), make(criterion=fnn.CrossEntropyLoss(reduction="sum"))
    np.testing.assert_allclose(mean.evaluate((x, y)), total.evaluate((x, y)), rtol=1e-6)


def test_predict_in_pieces_is_predict_at_once():
    x, _ = blobs(n=601)
    trainer = make()
    trainer.net.eval()
    np.testing.assert_allclose(trainer.predict(x), trainer.net(x), rtol=1e-5, atol=1e-6)
    assert trainer.predict(x[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "iterations=None and epochs=None, expected exactly one"),
        ({"iterations": 1, "epochs": 1}, "iterations=1 and epochs=1, expected exactly one"),
        ({"iterations": -1}, "iterations: got -1"),
        ({"iterations": 1, "batch_size": 0}, "batch_size: got 0"),
        (
            {"iterations": 1, "batch_size": 61, "drop_last": True},
            "train: got 60 examples, expected at least one minibatch of 61",
        ),
        ({"iterations": 1, "evaluate_every": 0}, "evaluate_every: got 0"),
        ({"iterations": 1, "y": np.zeros(59, int)}, "y: got 59 targets, expected 60"),
    ],
)
def test_fit_refuses(options, message):
    x, y = blobs()
    with pytest.raises(ValueError, match=message):
        make().fit((x, options.pop("y", y)), **options)


@pytest.mark.parametrize("data", [blobs()[0], (1, 2, 3, 4), (1,), "xy", {"x": 1}])
def test_fit_takes_pairs(data):
    with pytest.raises(TypeError, match=r"train: got .*, expected examples and targets, \(x, y\)"):
        make().fit(data, epochs=1)


# -- progress


def test_progress_without_a_terminal_is_plain_lines(capsys):
    make().fit(blobs(), iterations=20)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 10
    assert lines[0].startswith("iteration  2/20  loss ")
    assert "accuracy" in lines[-1]


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    pytest.importorskip("tqdm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(3) as progress:
        for loss in (4.0, 2.0, 0.0):
            progress.step(loss, 0.5)
    assert "3/3" in terminal.getvalue()
    assert "loss 2.0000, accuracy 0.500" in terminal.getvalue()


@pytest.mark.parametrize("widgets", [True, False])
def test_progress_in_a_notebook_is_a_bar_of_widgets(monkeypatch, capsys, widgets):
    bars = []

    class Bar:
        def __init__(self, **options):
            if not widgets:
                raise ImportError("IProgress not found")
            self.options, self.n, self.closed = options, 0, False
            bars.append(self)

        def set_postfix_str(self, text, refresh):
            self.text = text

        def refresh(self):
            pass

        def close(self):
            self.closed = True

    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", types.SimpleNamespace(tqdm=Bar))
    make().fit(blobs(), iterations=20)
    if widgets:
        assert (bars[0].n, bars[0].options["total"], bars[0].closed) == (20, 20, True)
        assert "loss" in bars[0].text
    assert len(capsys.readouterr().err.splitlines()) == (0 if widgets else 10)


def test_progress_may_be_silent(capsys):
    make().fit(blobs(), iterations=20, progress=False)
    assert capsys.readouterr() == ("", "")


# -- History


def some_history():
    trainer = make()
    return trainer.fit(blobs(), iterations=5, valid=blobs(seed=1), evaluate_every=2)


@pytest.mark.parametrize("without_accuracy", [False, True])
def test_history_round_trip(tmp_path, without_accuracy):
    history = some_history()
    if without_accuracy:
        history.accuracy, history.eval_accuracy = [], []
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-10], "truncated or corrupt history"),
        (lambda text: "\0\xff", "truncated or corrupt history"),
        (lambda text: "[1, 2]", "not a history: got list"),
        (lambda text: text.replace('"lr"', '"rate"'), "not a history: got .*'rate'"),
        (lambda text: text.replace('"lr": [', '"lr": ["a", '), "not a history: 'lr' is not a list of numbers"),
        (lambda text: text.replace('"lr": [', '"lr": [1, '), "not a history: lists of different lengths"),
    ],
)
def test_a_bad_history_file_is_named(tmp_path, change, message):
    path = tmp_path / "bad.json"
    some_history().save(path)
    path.write_bytes(change(path.read_text()).encode("latin-1"))
    with pytest.raises(ValueError, match=rf"bad\.json: {message}"):
        History.load(path)


# -- metrics

TRUE = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
PREDICTED = np.array([0, 1, 1, 1, 1, 0, 2, 2, 1])


def test_accuracy():
    assert accuracy(PREDICTED, TRUE) == pytest.approx(5 / 9)
    assert accuracy(np.eye(3)[PREDICTED], TRUE) == pytest.approx(5 / 9)
    assert accuracy(np.eye(3)[PREDICTED], np.eye(3)[TRUE]) == pytest.approx(5 / 9)
    assert accuracy(np.array([[0.2], [0.7], [0.5]]), np.array([[0.0], [0.0], [1.0]])) == pytest.approx(2 / 3)
    assert accuracy(np.zeros((0, 3)), np.zeros(0, int)) == 0
    with pytest.raises(ValueError, match=r"target: got shape \(2,\), expected \(9,\)"):
        accuracy(PREDICTED, TRUE[:2])


def test_top_k_accuracy():
    scores, target = np.array([[3, 2, 1], [1, 3, 2], [1, 1, 0]]), np.array([1, 1, 2])
    assert [top_k_accuracy(scores, target, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert top_k_accuracy(scores[:, :1] * 0, np.zeros(3, int), 1) == 1
    with pytest.raises(ValueError, match="k: got 4, expected 1 to 3"):
        top_k_accuracy(scores, target, 4)
    with pytest.raises(ValueError, match=r"got shapes \(3, 3\) and \(2,\)"):
        top_k_accuracy(scores, target[:2], 1)


def test_psnr_is_the_mean_over_examples():
    target = np.zeros((2, 4), np.float32)
    output = np.array([[0.1] * 4, [0.01] * 4], np.float32)
    assert psnr(output, target) == pytest.approx(30)
    assert psnr(255 * output, target, peak=255) == pytest.approx(30)
    assert psnr(target, target) == np.inf
    with pytest.raises(ValueError, match=r"target: got shape \(4,\), expected \(2, 4\)"):
        psnr(output, target[0])


def test_confusion_matrix_has_true_rows_and_every_class():
    matrix = confusion_matrix(TRUE, PREDICTED, classes=4)
    assert matrix.tolist() == [[1, 2, 0, 0], [0, 2, 0, 0], [1, 1, 2, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(confusion_matrix(TRUE, PREDICTED), matrix[:3, :3])


def test_confusion_table():
    table = confusion_table(confusion_matrix(TRUE, PREDICTED), ["cat", "dog", "eel"])
    assert [line.split() for line in table.splitlines()] == [
        ["true", "\\", "predicted", "cat", "dog", "eel"],
        ["cat", "1", "2", "."],
        ["dog", ".", "2", "."],
        ["eel", "1", "1", "2"],
    ]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_most_confused_pairs_worst_first():
    pairs = most_confused_pairs(confusion_matrix(TRUE, PREDICTED), 2, ["cat", "dog", "eel"])
    assert pairs == [("cat", "dog", 2), ("eel", "cat", 1)]
    assert str(pairs[0]) == "cat -> dog x2"
    assert most_confused_pairs(np.diag([3, 4])) == []


def test_classification_report():
    numbers = classification_report(TRUE, PREDICTED, ["cat", "dog", "eel"], as_dict=True)
    assert numbers["dog"] == pytest.approx({"precision": 2 / 5, "recall": 1, "f1-score": 4 / 7, "support": 2})
    assert numbers["accuracy"] == pytest.approx(5 / 9)
    table = classification_report(TRUE, PREDICTED, ["cat", "dog", "eel"])
    assert ["dog", "0.400", "1.000", "0.571", "2"] in [line.split() for line in table.splitlines()]


def test_classification_report_of_a_class_that_is_never_predicted():
    numbers = classification_report(np.array([0, 1]), np.array([0, 0]), as_dict=True)
    assert numbers["1"]["precision"] == 0


def test_class_names_must_suffice():
    with pytest.raises(ValueError, match="class_names: got 2 names, expected 3"):
        classification_report(TRUE, PREDICTED, ["cat", "dog"])


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match=r'sklearn is needed .*pip install "fastnn-kernels\[train\]"'):
        classification_report(TRUE, PREDICTED)
