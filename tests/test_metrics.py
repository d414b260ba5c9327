"""What is measured: which metric follows from which loss, its name everywhere, and figures of any dtype."""

import copy
import functools
import pickle

import numpy as np
import pytest

import fastnn as fnn
from fastnn import losses, plots
from fastnn.training import (
    BestWeights,
    Checkpoint,
    EarlyStopping,
    History,
    Trainer,
    accuracy,
    binary_accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
    psnr,
    top_k_accuracy,
)
from test_training import blobs, make, weights

DTYPES = [np.bool_, *(np.dtype(code) for code in "bBhHiIqQefd")]


def as_trained(criterion, *layers, metric="auto", **options):
    fnn.manual_seed(3)
    net = fnn.Sequential(*layers)
    return Trainer(net, criterion, fnn.SGD(net.parameters(), lr=0.1), metric=metric, rng=0, **options)


def examples(count=40, outputs=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 4)).astype(np.float32), rng.normal(size=(count, outputs)).astype(np.float32)


# -- what follows from the loss


def test_every_loss_has_an_accuracy_or_no_metric():
    kinds = [kind for kind in vars(losses).values() if isinstance(kind, type) and kind.__mro__[1:2] == (losses.Loss,)]
    measured = {kind.__name__ for kind in kinds if as_trained(kind(), fnn.Linear(4, 3)).history.metric_name}
    assert measured == {"CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss"}
    assert {"MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "KLDivLoss"} <= {kind.__name__ for kind in kinds}


def test_logits_are_cut_at_0_and_each_label_counts():
    x, scores = examples()
    y = (scores > 0).astype(np.float32)
    trainer = as_trained(fnn.BCEWithLogitsLoss(), fnn.Linear(4, 3))
    trainer.fit((x, y), (x, y), epochs=3, progress=False)
    right = (trainer.predict(x) >= 0) == (y == 1)
    assert trainer.history.eval_accuracy[-1] == trainer.evaluate((x, y))[1] == right.mean()
    assert right.mean() != ((trainer.predict(x) >= 0.5) == (y == 1)).mean()


def test_probabilities_are_cut_at_one_half():
    x, scores = examples(outputs=1)
    y = (scores > 0).astype(np.float32)
    trainer = as_trained(fnn.BCELoss(), fnn.Linear(4, 1), fnn.Sigmoid())
    assert trainer.evaluate((x, y))[1] == ((trainer.predict(x) >= 0.5) == (y == 1)).mean()


@pytest.mark.parametrize("ignore_index", [-100, 1, 255])
def test_pixels_count_but_for_those_left_out(ignore_index):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 2, 5, 4)).astype(np.float32), rng.integers(0, 3, (6, 5, 4))
    y[0] = ignore_index
    trainer = as_trained(fnn.CrossEntropyLoss(ignore_index=ignore_index), fnn.Conv2d(2, 3, 3, padding=1))
    trainer.fit((x, y), (x, y), epochs=2, batch_size=3, progress=False)
    counted = y != ignore_index
    expected = (trainer.predict(x).argmax(axis=1) == y)[counted].mean()
    assert trainer.history.eval_accuracy[-1] == pytest.approx(expected)


def test_probabilities_of_classes_are_targets():
    x, scores = examples()
    y = np.eye(3, dtype=np.float32)[scores.argmax(axis=1)] * 0.8 + np.float32(0.2 / 3)
    trainer = as_trained(fnn.CrossEntropyLoss(), fnn.Linear(4, 3))
    expected = (trainer.predict(x).argmax(axis=1) == scores.argmax(axis=1)).mean()
    assert trainer.evaluate((x, y))[1] == expected


def test_one_class_is_always_right():
    x, _ = examples()
    trainer = as_trained(fnn.CrossEntropyLoss(), fnn.Linear(4, 1))
    assert trainer.evaluate((x, np.zeros(40, int)))[1] == 1


class Losses(fnn.training.Callback):
    """Puts losses of one's own in the place of those of the evaluations."""

    def on_evaluation(self, trainer):
        trainer.history.eval_loss[-1] = [5.0, 2.0, 3.0][len(trainer.history.eval_loss) - 1]


def test_without_a_metric_all_follow_the_loss(capsys):
    best = BestWeights()
    trainer = as_trained(fnn.MSELoss(), fnn.Linear(4, 3), callbacks=[Losses(), best, EarlyStopping()])
    trainer.fit(examples(), examples(), epochs=2)
    assert (best.iteration, best.value) == (1, 2)
    assert set(trainer.history.as_dict()) == {"loss", "lr", "eval_iteration", "eval_loss"}
    assert trainer.evaluate(examples())[1] is None
    shown = capsys.readouterr().err
    assert "loss" in shown
    assert "," not in shown
    assert len(plots.learning_curves(trainer.history).axes) == 1


def test_a_plateau_of_what_is_not_measured_is_refused():
    net = fnn.Sequential(fnn.Linear(4, 3))
    optimizer = fnn.SGD(net.parameters(), lr=0.1)
    plateau = fnn.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")
    with pytest.raises(ValueError, match="schedule: got ReduceLROnPlateau of mode 'max', expected 'min', or a metric"):
        Trainer(net, fnn.MSELoss(), optimizer, schedule=plateau)
    Trainer(net, fnn.MSELoss(), optimizer, schedule=plateau, metric=psnr)


# -- names


def mae(scores, target):
    return np.abs(scores - target).mean()


class Distance:
    """A metric that is an object."""

    def __call__(self, scores, target):
        return np.float32(0.5)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (mae, "mae"),
        (functools.partial(functools.partial(mae)), "mae"),
        (Distance(), "Distance"),
        (lambda scores, target: 0.25, "metric"),
        (lambda scores, target: np.float64(0.25), "metric"),
        (("PSNR, dB", psnr), "PSNR, dB"),
    ],
)
def test_a_metric_keeps_its_name(tmp_path, capsys, metric, name):
    def trained():
        return as_trained(fnn.MSELoss(), fnn.Linear(4, 3), metric=metric, callbacks=[checkpoint()])

    def checkpoint():
        return Checkpoint(tmp_path / "c.npz", resume=True)

    trainer = trained()
    history = trainer.fit(examples(), examples(), epochs=2)
    assert history.metric_name == name
    assert getattr(history, name) == history.measured
    assert len(history.measured) == 2
    assert getattr(history, f"eval_{name}")[-1] == trainer.evaluate(examples())[1]
    assert all(type(value) is float for value in (*history.measured, *history.eval_measured))
    assert f", {name} {history.measured[0]:.3f}" in capsys.readouterr().err
    assert plots.learning_curves(history).axes[1].get_ylabel() == name
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history
    again = trained()
    assert again.fit(examples(), examples(), epochs=2, progress=False) == history


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        (("loss", mae), ValueError, "metric: got the name 'loss', expected another one"),
        (("lr", mae), ValueError, "metric: got the name 'lr'"),
        (("iteration", mae), ValueError, "metric: got the name 'iteration'"),
        (("eval_f1", mae), ValueError, "metric: got the name 'eval_f1'"),
        (("save", mae), ValueError, "metric: got the name 'save'"),
        (("metric_name", mae), ValueError, "metric: got the name 'metric_name'"),
        (("", mae), ValueError, "metric: got the name ''"),
        ("accuracy", TypeError, "metric: got str, expected a function of scores and targets"),
        (Distance, TypeError, "metric: got the class Distance, expected a function"),
        ({"mae": mae}, TypeError, "metric: got dict, expected a function"),
    ],
)
def test_metrics_refuse(metric, error, message):
    with pytest.raises(error, match=message):
        make(metric=metric)


@pytest.mark.parametrize("value", [np.zeros(2), None, "high"])
def test_a_metric_is_a_number(value):
    with pytest.raises(TypeError, match=r"metric: got .* from metric, expected a number"):
        make(metric=lambda scores, y: value).fit(blobs(), epochs=1, progress=False)


@pytest.mark.parametrize("kind", [BestWeights, EarlyStopping])
def test_what_is_better_is_said_by_the_name_or_by_you(kind):
    def fit(metric, callback):
        trainer = as_trained(fnn.MSELoss(), fnn.Linear(4, 3), metric=metric, callbacks=[callback])
        trainer.fit(examples(), examples(), epochs=3, progress=False)
        return callback

    with pytest.raises(ValueError, match=f"mode: got None for {kind.__name__}, expected 'min' or 'max': .*'eval_mae'"):
        fit(mae, kind("eval_mae"))
    errors = fit(("mean_error", mae), kind("eval_mean_error"))
    assert errors._best.mode == fit(mae, kind("eval_mae", mode="min"))._best.mode == "min"
    for name in ("f1_score", "balanced_accuracy", "psnr"):
        assert fit((name, mae), kind(f"eval_{name}"))._best.mode == "max"


def test_best_weights_of_an_error_are_those_of_the_smallest():
    best = BestWeights(mode="min")
    trainer = as_trained(fnn.MSELoss(), fnn.Linear(4, 3), metric=mae, callbacks=[best])
    history = trainer.fit(examples(), examples(), epochs=20, progress=False)
    assert best.value == min(history.eval_mae) < history.eval_mae[0]


def test_a_checkpoint_of_another_metric_changes_nothing(tmp_path):
    x, y = examples()
    first = as_trained(fnn.MSELoss(), fnn.Linear(4, 3), metric=mae, callbacks=[Checkpoint(tmp_path / "c.npz")])
    first.fit((x, y), epochs=1, progress=False)
    other = as_trained(fnn.MSELoss(), fnn.Linear(4, 3), callbacks=[Checkpoint(tmp_path / "c.npz", resume=True)])
    before = weights(other)
    with pytest.raises(ValueError, match="metric: got mae, expected None"):
        other.fit((x, y), epochs=1, progress=False)
    assert weights(other) == before


def test_a_criterion_of_another_metric_is_refused_at_the_next_fit():
    trainer = make()
    trainer.fit(blobs(), epochs=1, progress=False)
    trainer.criterion = fnn.MSELoss()
    with pytest.raises(ValueError, match="metric: got None, expected accuracy, that of the history"):
        trainer.fit(blobs(), epochs=1, progress=False)


# -- History


def test_a_history_takes_what_it_has_columns_for():
    with pytest.raises(ValueError, match=r"value: got 0\.5, expected one of the metric, which is None"):
        History().add_step(1.0, 0.5, 0.1)
    with pytest.raises(ValueError, match="value: got None, expected one of the metric, which is f1"):
        History(f1=[]).add_evaluation(1.0, None)
    with pytest.raises(ValueError, match=r"value: got 0\.5, expected one of the metric, which is f1, mae"):
        History(f1=[], mae=[]).add_step(1.0, 0.5, 0.1)
    assert History(f1=[0.5]) != History(f2=[0.5]) != "a"


def test_a_history_of_several_metrics(tmp_path):
    history = History(f1=[], mae=[])
    assert (history.metric_name, history.metric_names) == ("f1", ("f1", "mae"))
    history.add_evaluation(2.0, {"mae": 3.0, "f1": 0.1})
    history.add_step(1.0, {"mae": 2.0, "f1": 0.5}, 0.1)
    assert (history.f1, history.mae, history.eval_f1, history.eval_mae) == ([0.5], [2.0], [0.1], [3.0])
    assert repr(history) == "History(1 steps, 1 evaluations, metrics f1, mae)"
    history.save(tmp_path / "h.json")
    assert History.load(tmp_path / "h.json") == history
    text = (tmp_path / "h.json").read_text().replace('"eval_mae": [3.0]', '"eval_mae": [3.0, 4.0]')
    (tmp_path / "h.json").write_text(text)
    with pytest.raises(ValueError, match=r"h\.json: not a history: lists of different lengths"):
        History.load(tmp_path / "h.json")


def test_histories_are_copied_and_pickled():
    history = History(loss=[1.0], lr=[0.1], f1=[0.5])
    assert copy.deepcopy(history) == pickle.loads(pickle.dumps(history)) == history


# -- pictures


def test_an_accuracy_above_1_is_not_cut_off():
    percent = History(loss=[1.0, 0.5], lr=[0.1, 0.1], accuracy=[50.0, 75.0])
    assert plots.learning_curves(percent).axes[1].get_ylim()[1] >= 75
    share = History(loss=[1.0, 0.5], lr=[0.1, 0.1], accuracy=[0.5, 0.75])
    assert plots.learning_curves(share).axes[1].get_ylim() == (0, 1.03)


def test_runs_of_several_metrics_name_them_all():
    runs = {"a": History(loss=[1.0], lr=[1.0], f1=[0.5]), "b": History(loss=[1.0], lr=[1.0], psnr=[20.0])}
    runs["c"] = History(loss=[1.0], lr=[1.0])
    figure = plots.learning_curves(runs)
    assert figure.axes[1].get_ylabel() == "f1 / psnr"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]
    assert plots.initialisations(runs).axes[1].get_ylabel() == "f1 / psnr"
    assert len(plots.initialisations({"c": runs["c"]}).axes) == 1


def test_a_loss_below_0_has_no_logarithm():
    loss = plots.learning_curves(History(loss=[0.5, -0.5], lr=[0.1, 0.1])).axes[0]
    assert (loss.get_yscale(), loss.get_ylabel()) == ("linear", "loss")


def test_large_counts_are_written_in_full():
    figure = plots.confusion_matrix(np.array([[1_234_567, 0], [0, 3]]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["1234567", "3"]
    with pytest.raises(ValueError, match="matrix: got nan to nan, expected counts"):
        plots.confusion_matrix(np.array([[1, np.nan], [0, 3]]))


def test_the_surest_mistakes_of_whole_probabilities():
    image = np.zeros((3, 4, 4))
    for kind in (np.uint8, np.bool_, np.float32):
        certain = np.eye(3, dtype=kind)[[1, 1, 2]]
        assert "0 \N{RIGHTWARDS ARROW} 1" in _texts(plots.most_wrong(image, certain, np.array([0, 1, 2])))


def test_regions_between_whole_points():
    points = np.array([[0, 0], [1, 1], [0, 1], [1, 0]], np.uint8)
    seen = []

    def probability(p):
        seen.append(p)
        return (p[:, 0] > 0.5).astype(np.float32)

    plots.decision_regions(points, np.array([0, 1, 0, 1]), probability)
    assert seen[0].dtype == np.float32
    assert len(np.unique(seen[0])) > 100
    with pytest.raises(ValueError, match=r"labels: got \[0.0, 0.5, 1.0\], expected 0 and 1"):
        plots.decision_regions(points, np.array([0, 1, 0.5, 1]), probability)


def _texts(figure):
    from matplotlib.text import Text

    return " ".join(text.get_text() for text in figure.findobj(Text))


# -- figures of any dtype


def scores_of(dtype, N=30, K=5):
    rng = np.random.default_rng(2)
    if dtype.kind == "b":
        return rng.integers(0, 2, (N, K)).astype(bool)
    if np.issubdtype(dtype, np.floating):
        return rng.normal(size=(N, K)).astype(dtype)
    ends = np.iinfo(dtype)
    scores = rng.integers(ends.min, ends.max, (N, K), dtype=dtype, endpoint=True)
    scores[rng.random((N, K)) < 0.3] = ends.min  # ties, and what has no negative
    return scores


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_of_any_dtype(dtype):
    scores, y = scores_of(np.dtype(dtype)), np.arange(30) % 5
    for k in range(1, 6):
        best = [sorted(range(5), key=lambda j, row=row: (-row[j], j))[:k] for row in scores.astype(object)]
        expected = np.mean([true in those for true, those in zip(y, best, strict=True)])
        assert top_k_accuracy(scores, y, k) == expected
    assert accuracy(scores, y) == top_k_accuracy(scores, y, 1)


def test_top_k_of_the_smallest_numbers():
    assert top_k_accuracy(np.array([[0, 1, 2]], np.uint8), np.array([0]), 1) == 0
    assert top_k_accuracy(np.array([[-128, 1, 2]], np.int8), np.array([0]), 1) == 0
    assert top_k_accuracy(np.array([[False, True]]), np.array([0]), 1) == 0


def test_top_k_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, y = scores_of(np.dtype(float)), np.arange(30) % 5
    for k in (1, 2, 3, 4):
        assert top_k_accuracy(scores, y, k) == sklearn.top_k_accuracy_score(y, scores, k=k)


def test_scores_of_nan_are_never_right():
    scores = np.array([[np.nan, 2.0], [0.0, np.nan], [0.0, 1.0]])
    assert accuracy(scores, np.array([0, 1, 1])) == pytest.approx(1 / 3)
    assert top_k_accuracy(scores, np.array([0, 1, 1]), 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(scores[:2], np.array([1, 0]), 1) == 0  # NaN is above
    assert binary_accuracy(scores, np.zeros((3, 2)), 0.5) == pytest.approx(2 / 6)


def test_binary_accuracy():
    assert binary_accuracy(np.array([[0.4, 0.6], [0.5, 0.1]]), np.array([[1, 1], [1, 0]])) == 0.75
    assert binary_accuracy(np.array([-0.1, 0.1]), np.array([0, 1]), threshold=0) == 1
    assert binary_accuracy(np.zeros((0, 3)), np.zeros((0, 3))) == 0
    with pytest.raises(ValueError, match=r"target: got shape \(2,\), expected \(2, 1\)"):
        binary_accuracy(np.zeros((2, 1)), np.zeros(2))


@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        (np.array([0.2, 0.7]), np.array([0, 1]), "scores: got fractions"),
        (
            np.eye(3),
            np.array([[0], [1], [2]]),
            r"target: got shape \(3, 1\), expected \(3,\) classes, or probabilities",
        ),
        (np.ones((2, 1)), np.array([0, 2]), "target: got 0 to 2, expected 0 to 1"),
        (np.zeros((2, 3, 4, 4)), np.zeros((2, 4)), r"target: got shape \(2, 4\), expected \(2, 4, 4\) classes"),
        (np.zeros((2, 0)), np.zeros(2), r"scores: got shape \(2, 0\)"),
        (np.float64(1), np.float64(1), r"scores: got shape \(\)"),
    ],
)
def test_accuracy_refuses(scores, target, message):
    with pytest.raises(ValueError, match=message):
        accuracy(scores, target)


def test_accuracy_leaves_a_class_out():
    scores = np.eye(3)[[0, 1, 2, 2]]
    assert accuracy(scores, np.array([0, 2, 255, 2], np.uint8), ignore_index=255) == pytest.approx(2 / 3)
    assert accuracy(scores.argmax(1), np.array([0, 2, 255, 2]), ignore_index=255) == pytest.approx(2 / 3)
    assert accuracy(np.array([[0.9], [0.1]]), np.array([-1, 0]), ignore_index=-1) == 1
    assert accuracy(scores, np.full(4, 255), ignore_index=255) == 0
    assert accuracy([[0.1, 0.9]], [1.0]) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64, np.float32])
def test_confusion_matrix_of_any_dtype(dtype):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    target, predicted = rng.integers(0, 5, (2, 90)).astype(dtype)
    matrix = confusion_matrix(target, predicted, 5)
    np.testing.assert_array_equal(matrix, sklearn.confusion_matrix(target, predicted, labels=range(5)))
    assert matrix.dtype == np.int64
    text = classification_report(target, predicted)
    assert text == classification_report(target.astype(int), predicted.astype(int))


def test_confusion_matrix_of_nothing_and_of_many():
    assert confusion_matrix(np.zeros(0, int), np.zeros(0, int), 2).tolist() == [[0, 0], [0, 0]]
    assert confusion_matrix([True, False], [True, True]).tolist() == [[0, 1], [0, 1]]
    many = np.zeros(300, np.uint8)
    assert confusion_matrix(many, many).tolist() == [[300]]


@pytest.mark.parametrize(
    ("target", "predicted", "classes", "message"),
    [
        ([0, 1, 7], [0, 1, 1], 3, "target: got class 7, expected 0 to 2"),
        ([0, 1, 1], [0, 1, 3], 3, "predicted: got class 3, expected 0 to 2"),
        ([0, 1, -1], [0, 1, 1], None, "target: got class -1, expected at least 0"),
        ([0, 1, 1.5], [0, 1, 1], None, "target: got class 1.5, expected whole numbers"),
        ([0, 1, np.nan], [0, 1, 1], None, "target: got class nan"),
        ([0, 1], [0], None, "predicted: got 1 classes, expected 2"),
        ([0, 1], np.eye(2), None, r"predicted: got shape \(2, 2\), expected \(N,\) classes"),
        ([0], [0], 0, "classes: got 0; expected at least 1"),
    ],
)
def test_classes_that_are_none_are_refused(target, predicted, classes, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(target), np.array(predicted), classes)
    if classes is None:
        with pytest.raises(ValueError, match=message):
            classification_report(np.array(target), np.array(predicted))


def test_a_report_of_nothing_is_refused():
    with pytest.raises(ValueError, match="target: got no examples, expected at least one"):
        classification_report(np.zeros(0, int), np.zeros(0, int))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int64, np.float64])
def test_the_most_confused_pairs_of_counts_of_any_dtype(dtype):
    matrix = np.array([[3, 9], [200, 4]], dtype)
    assert most_confused_pairs(matrix) == [("1", "0", 200), ("0", "1", 9)]
    assert confusion_table(matrix).splitlines()[1].split() == ["0", "3", "9"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3), int), r"matrix: got shape \(2, 3\), expected \(K, K\) counts"),
        (np.array([[0.5, 0], [0, 1]]), "matrix: got an array of float64, expected counts"),
        (np.array([[0, -1], [0, 1]]), "matrix: got an array of int64, expected counts"),
    ],
)
def test_what_is_no_confusion_matrix(matrix, message):
    for function in (most_confused_pairs, confusion_table):
        with pytest.raises(ValueError, match=message):
            function(matrix)


def test_tables_have_as_many_names_as_classes():
    with pytest.raises(ValueError, match="class_names: got 3 names, expected 2"):
        confusion_table(np.eye(2, dtype=int), ["a", "b", "c"])
    with pytest.raises(ValueError, match="count: got -1; expected at least 0"):
        most_confused_pairs(np.eye(2, dtype=int), -1)


@pytest.mark.parametrize("shape", [(0, 3), (0, 1, 8, 8), (2, 0), (0, 0)])
def test_psnr_of_nothing_is_0(shape):
    assert psnr(np.zeros(shape), np.zeros(shape)) == 0


def test_psnr_of_whole_numbers():
    low, high = np.zeros((1, 4), np.uint8), np.full((1, 4), 255, np.uint8)
    assert psnr(low, high, peak=np.uint8(255)) == psnr(high, low, peak=255) == 0
    assert psnr([[1, 0]], [[0, 0]]) == pytest.approx(10 * np.log10(2))
    assert psnr(np.array([[True]]), np.array([[False]])) == 0
    assert psnr(high, high) == np.inf
    assert np.isnan(psnr(np.array([[np.inf]]), np.array([[np.inf]])))
    with pytest.raises(ValueError, match="peak: got 0; expected a finite number above 0"):
        psnr(low, high, peak=0)
