"""Pictures."""

import sys

import numpy as np
import pytest

from fastnn import plots
from fastnn.training import History

pytest.importorskip("matplotlib")


def history(steps):
    made = History()
    made.add_evaluation(2.3, 0.1)
    for i in range(steps):
        made.add_step(2.3 * 0.9**i, 1 - 0.9**i, 0.1)
    made.add_evaluation(1.0, 0.8)
    return made


def pixels(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def test_learning_curves_show_every_evaluation_and_the_published_figures():
    figure = plots.learning_curves(history(60), title="A net", published={0: 0.104, 500: 0.954})
    loss, accuracy = figure.axes
    assert loss.get_yscale() == "log"
    lines = {line.get_label(): line for line in accuracy.lines}
    assert list(lines["test"].get_ydata()) == [0.1, 0.8]
    assert list(lines["published"].get_xdata()) == [0, 500]
    assert len(lines["training"].get_ydata()) == 60
    assert pixels(figure).std() > 0


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_learning_curves_of_a_short_history(steps):
    assert pixels(plots.learning_curves(history(steps))).std() > 0


def test_learning_curves_without_evaluations():
    made = History(loss=[1.0, 0.5], accuracy=[0.5, 0.7], lr=[0.1, 0.1])
    assert pixels(plots.learning_curves(made)).std() > 0


def test_confusion_matrix_writes_the_counts_and_only_those():
    matrix = np.array([[9, 0, 1], [0, 10, 0], [2, 0, 8]])
    figure = plots.confusion_matrix(matrix, class_names=["cat", "dog", "eel"], title="Animals")
    (axes,) = figure.axes
    texts = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "9", (0, 2): "1", (1, 1): "10", (2, 0): "2", (2, 2): "8"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "eel"]
    assert axes.get_ylabel() == "true"


@pytest.mark.parametrize("classes", [1, 36, 50])
def test_confusion_matrix_of_any_size(classes):
    assert pixels(plots.confusion_matrix(np.eye(classes, dtype=int) * 3)).std() > 0


def test_confusion_matrix_of_a_class_that_never_occurs():
    assert pixels(plots.confusion_matrix(np.zeros((2, 2), int))).std() > 0


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 20, 30)])
def test_feature_maps_on_one_scale_about_zero(shape):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(7, 5, 6))
    figure = plots.feature_maps(rng.random(shape), {"conv1": maps, "after ReLU": np.maximum(maps, 0)})
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 1 + 7 + 7
    limit = np.abs(maps).max()
    assert all(image.get_clim() == (-limit, limit) for image in images[1:])
    np.testing.assert_array_equal(images[3].get_array(), maps[2])
    assert pixels(figure).std() > 0


def test_save_writes_the_format_of_the_ending(tmp_path):
    figure = plots.confusion_matrix(np.eye(2, dtype=int))
    plots.save(figure, tmp_path / "a.png")
    plots.save(figure, tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(ValueError, match=r"path: got the ending '\.txt', expected one of .*png"):
        plots.save(figure, tmp_path / "a.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]


def test_plots_leave_pyplot_alone(run_python):
    code = (
        "import sys, numpy, fastnn.plots as p;"
        "assert not any(name.startswith('matplotlib') for name in sys.modules);"
        "p.confusion_matrix(numpy.eye(2, dtype=int)).canvas.draw();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    ended = run_python("-c", code)
    assert ended.returncode == 0, ended.stderr


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'matplotlib is needed for plots: pip install "fastnn-kernels\[train\]"'):
        plots.confusion_matrix(np.eye(2, dtype=int))
