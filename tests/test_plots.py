"""Pictures."""

import sys

import numpy as np
import pytest

from fastnn import plots
from fastnn.training import History

pytest.importorskip("matplotlib")


def history(steps):
    made = History(accuracy=[])
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
    assert list(lines["validation"].get_ydata()) == [0.1, 0.8]
    assert list(lines["published"].get_xdata()) == [0, 500]
    assert len(lines["training"].get_ydata()) == 60
    assert pixels(figure).std() > 0


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_learning_curves_of_a_short_history(steps):
    assert pixels(plots.learning_curves(history(steps))).std() > 0


def test_learning_curves_without_evaluations():
    made = History(loss=[1.0, 0.5], accuracy=[0.5, 0.7], lr=[0.1, 0.1])
    assert pixels(plots.learning_curves(made)).std() > 0


def test_learning_curves_of_several_runs_have_one_legend_and_a_colour_each():
    runs = {"slow": history(60), "fast": history(30)}
    figure = plots.learning_curves(runs, steps_per_epoch=10, published={"fast": {3: 0.9}})
    loss, accuracy = figure.axes
    assert loss.get_xlabel() == "epoch"
    colors = {line.get_label(): line.get_color() for line in accuracy.lines}
    assert set(colors) == {"slow", "fast"}
    assert colors["slow"] != colors["fast"]
    ends = sorted(line.get_xdata()[-1] for line in accuracy.lines if line.get_linestyle() == "--")
    assert ends == [3, 6]
    (cross,) = [line for line in accuracy.lines if line.get_marker() == "x"]
    assert (cross.get_xdata(), cross.get_ydata(), cross.get_color()) == ([3], [0.9], colors["fast"])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["slow", "fast", "training", "validation", "published"]


def test_evaluations_are_called_as_the_data_are():
    single = plots.learning_curves(history(60), held_out="test").axes[0]
    assert "test" in [line.get_label() for line in single.lines]
    (legend,) = plots.learning_curves({"a": history(60)}, held_out="test").legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "training", "test"]


def test_learning_curves_of_a_sweep_tell_all_runs_apart():
    figure = plots.learning_curves({f"lr {i}": history(3) for i in range(18)})
    assert len({tuple(line.get_color()) for line in figure.axes[0].lines}) == 18
    assert pixels(figure).std() > 0


def test_learning_curves_without_accuracy_are_the_loss_alone():
    figure = plots.learning_curves(History(loss=[1.0, 0.5], eval_iteration=[2], eval_loss=[0.7]))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (log scale)"]


def test_learning_curves_of_another_metric_have_its_scale():
    made = History(loss=[1.0], accuracy=[3.0], lr=[0.1], eval_iteration=[1], eval_loss=[0.7], eval_accuracy=[15.24])
    axes = plots.learning_curves(made, metric="PSNR, dB").axes[1]
    assert axes.get_ylabel() == "PSNR, dB"
    assert axes.get_ylim()[1] > 15.24


def test_learning_curves_of_a_long_run_are_thinned_and_gaps_stay():
    made = history(30_000)
    made.loss[-1] = float("nan")
    (pale, mean, _) = plots.learning_curves(made).axes[0].lines
    assert len(pale.get_xdata()) <= 2000
    assert len(mean.get_xdata()) <= 2000


def test_stacked_curves_are_below_each_other():
    upper, lower = plots.learning_curves(history(3), stacked=True).axes
    assert upper.get_position().y0 > lower.get_position().y1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (({},), {}, "history: got no runs, expected at least one"),
        (({"a": History()},), {"published": {"b": {1: 0.5}}}, "published: got 'b', expected one of the runs, 'a'"),
        ((History(),), {"steps_per_epoch": 0}, "steps_per_epoch: got 0, expected a whole number of at least 1"),
    ],
)
def test_learning_curves_refuse(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plots.learning_curves(*arguments, **options)


def test_initialisations_show_curves_and_spreads():
    runs = {"zero": history(20), "Glorot": history(20)}
    outputs = {"zero": {"first": np.zeros(9), "last": np.zeros(9)}, "Glorot": {"first": np.eye(3), "last": np.eye(2)}}
    figure = plots.initialisations(runs, outputs=outputs, published={"zero": {20: 0.1136}}, title="MLP")
    loss, accuracy, spread = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss (log scale)", "accuracy")
    zero, zero_marks, glorot, glorot_marks = spread.lines
    assert np.isnan(zero.get_ydata()).all()
    assert list(zero_marks.get_xdata()) == [0, 1]
    assert [label.get_text() for label in spread.get_xticklabels()] == ["first", "last"]
    assert list(glorot.get_ydata()) == [np.eye(3).std(), 0.5]
    assert list(glorot_marks.get_xdata()) == []
    assert len(plots.initialisations(runs).axes) == 2
    upper, lower, spread = plots.initialisations(runs, outputs=outputs, stacked=True).axes
    assert upper.get_position().x0 == lower.get_position().x0
    assert pixels(figure).std() > 0


@pytest.mark.parametrize(
    ("runs", "outputs", "message"),
    [
        ({}, None, "runs: got 0, expected 1 to 7 initialisations"),
        ({"a": History()}, {"b": {"first": np.ones(2)}}, "outputs: got 'b', expected one of the runs, 'a'"),
        (
            {"a": History(), "b": History()},
            {"a": {"first": np.ones(2)}, "b": {"last": np.ones(2)}},
            "outputs: got .*, expected the same layers of each",
        ),
    ],
)
def test_initialisations_refuse(runs, outputs, message):
    with pytest.raises(ValueError, match=message):
        plots.initialisations(runs, outputs=outputs)


def test_gradient_error_marks_zeros_and_draws_the_guide():
    figure = plots.gradient_error({0.1: 1e-3, 0.01: 1e-5, 0.001: 0.0, 1e-4: 1e-8})
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.xaxis_inverted()
    curve, measured, zeros, guide = axes.lines
    np.testing.assert_array_equal(curve.get_ydata(), [1e-8, np.nan, 1e-5, 1e-3])
    assert len(measured.get_xdata()) == 3
    assert list(zeros.get_xdata()) == [0.001]
    np.testing.assert_allclose(guide.get_ydata(), 0.1 * guide.get_xdata() ** 2)
    assert pixels(figure).std() > 0


def test_gradient_error_has_no_guide_where_differences_do_not_fall_as_it_does():
    axes = plots.gradient_error({1.0: 1e-3, 0.1: 5e-4, 0.01: 5e-4, 0.001: 1e-12, 1e-4: 1e-11}).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["measured"]


def test_gradient_error_of_several():
    figure = plots.gradient_error({"float64": {0.1: 1e-3}, "float32": {0.1: 0.0}})
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["float64", "float32"]


@pytest.mark.parametrize("errors", [{}, {"a": {}}, {0.0: 1.0}, {0.1: -1.0}, {0.1: float("nan")}])
def test_gradient_error_refuses(errors):
    with pytest.raises(ValueError, match=r"errors.*: got .*, expected"):
        plots.gradient_error(errors)


def test_benchmark_chart_has_a_bar_for_each_ratio_and_a_line_for_each_spread():
    rows = {"training": {"LeNet": {"1 thread": 2.0, "2 threads": [1.0, 4.0]}, "MLP": {"1 thread": 0.5}}}
    (axes,) = plots.benchmark_chart(rows, title="Ratios", caption="Of one run.").axes
    assert [bar.get_x() + bar.get_width() for bar in axes.patches] == pytest.approx([2, 2, 0.5])
    assert [text.get_text() for text in axes.texts] == ["2.00", "2.00", "0.50"]
    assert [list(line.get_xdata()) for line in axes.lines[:1]] == [[1.0, 4.0]]
    labels = [(label.get_text(), label.get_weight()) for label in axes.get_yticklabels()]
    assert labels == [("training", "bold"), ("LeNet", "normal"), ("MLP", "normal")]
    blue, _, orange = (bar.get_facecolor() for bar in axes.patches)
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]


@pytest.mark.parametrize("rows", [{}, {"a": {"b": {"c": 0.0}}}, {"a": {"b": {"c": []}}}])
def test_benchmark_chart_refuses(rows):
    with pytest.raises(ValueError, match=r"rows: got .*, expected"):
        plots.benchmark_chart(rows)


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


@pytest.mark.parametrize(
    ("matrix", "names", "message"),
    [
        (np.ones((2, 3), int), None, r"matrix: got shape \(2, 3\), expected \(K, K\) counts"),
        (np.zeros((0, 0), int), None, r"matrix: got shape \(0, 0\)"),
        (np.eye(2, dtype=int), ["cat"], "class_names: got 1, expected 2: one for each class"),
        ([["a"]], None, "matrix: got dtype <U1, expected numbers"),
    ],
)
def test_confusion_matrix_refuses(matrix, names, message):
    with pytest.raises(ValueError, match=message):
        plots.confusion_matrix(matrix, class_names=names)


def test_a_long_title_is_broken_to_the_width_of_the_picture():
    figure = plots.confusion_matrix(np.eye(2, dtype=int), title="LeNet on 5,000 MNIST digits: 18 of 1,000 images wrong")
    pixels(figure)
    box = figure._suptitle.get_window_extent()
    assert "\n" in figure.get_suptitle()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


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


def test_the_look_does_not_depend_on_the_users_settings():
    import matplotlib

    plain = pixels(plots.confusion_matrix(np.eye(2, dtype=int)))
    with matplotlib.rc_context({"font.size": 30, "figure.facecolor": "black", "axes.grid": True}):
        changed = pixels(plots.confusion_matrix(np.eye(2, dtype=int)))
    np.testing.assert_array_equal(plain, changed)


def test_a_notebook_shows_a_figure_once(run_python):
    """As the value of a cell it is a PNG; there is no window of pyplot's for the notebook to show again."""
    figure = plots.confusion_matrix(np.eye(2, dtype=int))
    assert figure._repr_png_().startswith(b"\x89PNG")
    code = (
        "import matplotlib.pyplot as plt, numpy, fastnn.plots as p;"
        "p.confusion_matrix(numpy.eye(2, dtype=int))._repr_png_();"
        "assert plt.get_fignums() == []"
    )
    ended = run_python("-c", code, MPLBACKEND="agg")
    assert ended.returncode == 0, ended.stderr


def charts(text):
    """Each picture with that text wherever a text goes."""
    rng = np.random.default_rng(0)
    run = History(loss=[1.0], accuracy=[0.5], lr=[0.1], eval_iteration=[1], eval_loss=[0.7], eval_accuracy=[0.6])
    images, sure, names = rng.random((2, 3, 8, 8)), np.array([[0.9, 0.1], [0.2, 0.8]]), [text, f"{text}b"]
    maps, spreads = {text: rng.random((4, 5, 5))}, {text: {text: np.eye(3), f"{text}b": np.zeros(3)}}
    ratios = {text: {text: {text: 2.0, f"{text}b": 0.5}}}
    named = {"class_names": names, "title": text}
    return {
        "learning_curves": lambda: plots.learning_curves(run, title=text, metric=text),
        "several learning_curves": lambda: plots.learning_curves({text: run}, title=text, published={text: {1: 0.5}}),
        "initialisations": lambda: plots.initialisations({text: run}, outputs=spreads, title=text),
        "gradient_error": lambda: plots.gradient_error({text: {0.1: 0.1, 0.01: 0.001}}, title=text),
        "benchmark_chart": lambda: plots.benchmark_chart(ratios, title=text, caption=text),
        "confusion_matrix": lambda: plots.confusion_matrix(np.eye(2, dtype=int), **named),
        "most_wrong": lambda: plots.most_wrong(images, sure, np.array([1, 0]), **named),
        "no most_wrong": lambda: plots.most_wrong(images, sure, np.array([0, 1]), **named),
        "most_confusing": lambda: plots.most_confusing(images, sure, np.array([1, 0]), **named),
        "feature_maps": lambda: plots.feature_maps(images[0], maps, title=text),
        "weight_tiles": lambda: plots.weight_tiles({text: rng.random((4, 9))}, (3, 3), title=text),
        "kernels": lambda: plots.kernels(rng.random((4, 3, 3, 3)), title=text),
        "reconstructions": lambda: plots.reconstructions(images, images, title=text),
        "boxes": lambda: plots.boxes(images[0], [(1, 1, 3, 3)], labels=[text], truth=["x"], title=text),
        "decision_regions": lambda: plots.decision_regions(
            rng.random((3, 2)), np.array([0, 1, 0]), lambda p: p[:, 0], title=text
        ),
    }


TEXTS = {
    "prices": "$5 and $a_{b",
    "formula": r"$\frac{",
    "dollar": "5$",
    "backslash": r"a\$b^c_d\e",
    "underscore": "_x",
    "lines": "a\nb",
    "tab": "a\tb",
    "long": "x" * 250,
    "words": "word " * 60,
    "Chinese": "\N{CJK UNIFIED IDEOGRAPH-732B}",
    "emoji": "\N{CAT}",
    "Hebrew": "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}",
    "no text": "caf\udce9",  # a byte of a file name that is not UTF-8
    "blank": " ",
}


def test_all_pictures_are_tested_with_any_text():
    assert {name.rpartition(" ")[2] for name in charts("")} == set(plots.__all__) - {"DPI", "save"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, f"{TEXTS['formula']}{TEXTS['Chinese']}{TEXTS['lines']}{TEXTS['no text']}") for name in charts("")),
        *((name, TEXTS["long"]) for name in charts("")),
        *(("confusion_matrix", text) for text in TEXTS.values()),
    ],
)
def test_any_text_can_be_in_a_picture(name, text):
    figure = charts(text)[name]()
    pixels(figure)  # a formula that is none, or no room for the picture, fails here or warns


def test_texts_are_shown_as_they_are():
    figure = plots.confusion_matrix(np.eye(2, dtype=int), class_names=["$a$", "b"], title="$x$")
    pixels(figure)
    (axes,) = figure.axes
    for shown in (figure._suptitle, axes.get_xticklabels()[0], axes.get_yticklabels()[0]):
        assert shown.get_text() in ("$x$", "$a$")
        assert not shown.get_parse_math()


def test_numbers_of_logarithmic_scales_are_powers():
    figure = plots.gradient_error({"$": {0.1: 0.1, 0.01: 0.001}})
    pixels(figure)
    labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert all(label.get_text().startswith(r"$\mathdefault{10^{") and label.get_parse_math() for label in labels)
    assert labels


def test_names_with_an_underscore_are_in_the_legend():
    names = ["_a", "b"]
    figure = plots.learning_curves({name: history(3) for name in names})
    assert [text.get_text().lstrip("\N{ZERO WIDTH SPACE}") for text in figure.legends[0].get_texts()][:2] == names
    figure = plots.gradient_error({name: {0.1: 0.1} for name in names})
    legend = figure.axes[0].get_legend()
    assert [text.get_text().lstrip("\N{ZERO WIDTH SPACE}") for text in legend.get_texts()] == names


def test_the_middle_of_a_long_name_is_left_out():
    from fastnn.plots.figure import short

    assert short("a" * 30) == "a" * 30
    assert short("a" * 20 + "b" * 20) == "a" * 15 + "\N{HORIZONTAL ELLIPSIS}" + "b" * 14
    assert short("abcdef\nghi", 4) == "ab\N{HORIZONTAL ELLIPSIS}f\nghi"


def test_missing_matplotlib_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'matplotlib is needed for plots: pip install "fastnn-kernels\[train\]"'):
        plots.confusion_matrix(np.eye(2, dtype=int))


# What is seen of linear RGB without one of the three kinds of cones (Machado, Oliveira and Fernandes 2009).
COLOUR_BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def cielab(linear):
    """CIE 1976 L*a*b* of linear sRGB, for white as of daylight."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(xyz @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", COLOUR_BLIND)
def test_colour_blind_readers_tell_runs_apart(kind):
    """A difference of 2.3 is just seen; of 10, at a glance. Each colour has a mark of its own besides."""
    from fastnn.plots.figure import COLORS, MARKERS

    srgb = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in COLORS])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = [cielab(COLOUR_BLIND[kind] @ color) for color in linear]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(apart) > 10
    assert len(set(MARKERS)) == len(COLORS)
