"""`fastnn bench --sweep`: what is drawn, that both libraries compute the same, and what is made of times."""

import json
import math
import warnings

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _bench
from fastnn._bench import sweep
from fastnn._bench.sweep import drawn, summary, works
from fastnn._bench.timing import Times
from fastnn.cli import main


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns on some versions
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


@pytest.mark.parametrize("kind", sweep.KINDS)
def test_shapes_come_from_the_seed(kind):
    first = sweep.draw(kind, seed=3, count=30)
    assert sweep.draw(kind, seed=3, count=40)[:30] == first
    assert sweep.draw(kind, seed=4, count=30) != first
    assert len({each.text for each in first}) > 25
    for each in first:
        assert each.kind == kind
        assert 0 < each.work <= drawn.LARGEST
        assert math.prod(each.x) <= drawn.ELEMENTS
        assert each.trained == (kind == "train")


def test_sizes_are_log_uniform():
    rng = np.random.default_rng(0)
    numbers = [drawn.log_uniform(rng, 1, 63) for _ in range(3000)]
    assert (min(numbers), max(numbers)) == (1, 63)
    octaves = np.bincount([number.bit_length() for number in numbers])[1:]
    assert len(octaves) == 6
    assert octaves.min() > 400
    assert octaves.max() < 600
    assert {drawn.log_uniform(rng, 4, 4) for _ in range(10)} == {4}


@pytest.mark.parametrize("kind", sweep.KINDS)
def test_both_compute_the_same(kind, torch):
    """`works_of` raises otherwise. Each can be called again and again, as it is when it is timed."""
    for each in sweep.draw(kind, seed=5, count=8):
        calls = works.works_of(each)
        assert set(calls) == ({"step"} if kind == "train" else {"forward", "backward"})
        for contestants in calls.values():
            assert next(iter(contestants)) == "fastnn"
            assert len(contestants) == (3 if kind in ("conv", "pool") else 2)
            for work in contestants.values():
                work()
    fnn.manual_seed(0)


def test_another_result_is_not_timed(torch, monkeypatch):
    each = sweep.draw("linear", count=1)[0]
    monkeypatch.setattr(works, "to_torch", lambda layer: torch.nn.Linear(layer.in_features, layer.out_features))
    with pytest.raises(AssertionError, match=r"Linear\(.*\): forward of torch differs by"):
        works.works_of(each)


def measured(kind, text, ours, *theirs, work=100.0, direction="forward"):
    peers = zip(("torch", "torch-nhwc"), theirs, strict=False)
    times = {"fastnn": Times((ours,)), **{who: Times((seconds,)) for who, seconds in peers}}
    return sweep.Measured(sweep.Drawn(kind, (1, 1), text, work, fnn.ReLU), direction, 1, times)


def test_what_is_made_of_times():
    cases = [measured("conv", "a", 1.0, 4.0, 2.0), measured("conv", "b", 1.0, 0.5, 9.0), measured("map", "c", 2.0, 6.0)]
    assert [m.ratio for m in cases] == [2.0, 0.5, 3.0]
    assert sweep.groups(cases) == [
        sweep.Group("conv", "forward", 1, 2, pytest.approx(1.0), 0.5, 0.5),
        sweep.Group("map", "forward", 1, 1, pytest.approx(3.0), 1.0, 3.0),
    ]
    assert [m.drawn.text for m in sweep.worst(cases, 2)] == ["b", "a"]
    text = summary.summary(cases)
    assert "conv forward, 1 thread (2): geometric mean 1.00, 50% at or above 0.9, least 0.50" in text
    assert "busy" not in text


def test_heat_map():
    pytest.importorskip("matplotlib")
    cases = [measured("conv", "a", 1.0, 4.0, work=150.0), measured("conv", "b", 1.0, 1.0, work=900.0)]
    cases += [measured("conv", "c", 2.0, 1.0, work=1000.0), measured("map", "d", 1.0, 3.0, work=12.0)]
    (axes,) = sweep.heat_map(cases, title="a title", caption="a caption").axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(1, 0): "2.00\n(2)", (2, 0): "0.50\n(1)", (0, 1): "3.00\n(1)"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1e1", "1e2", "1e3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv forward, 1 thread", "map forward, 1 thread"]


def test_the_command(torch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("b.json", "b.md", "b.png")]
    arguments = ["--sweep", "linear", "--seed", "2", "--count", "3", "--threads", "1,2", "--seconds", "0"]
    for option, file in zip(("--json", "--markdown", "--chart"), files, strict=True):
        arguments += [option, str(file)]
    assert _bench.main(arguments) == 0
    out = capsys.readouterr().out
    assert "linear forward, 1 thread (3): geometric mean" in out
    assert "linear backward, 2 threads (3): geometric mean" in out
    document = json.loads(files[0].read_text())
    assert document["seed"] == 2
    assert document["machine"]["torch"] == torch.__version__
    assert len(document["rows"]) == 3 * 2 * 2
    assert {row["shape"] for row in document["rows"]} == {each.text for each in sweep.draw("linear", 2, 3)}
    assert "| linear forward | 1 | 3 |" in files[1].read_text()
    assert files[2].read_bytes().startswith(b"\x89PNG")


def test_shapes_are_listed(capsys):
    assert _bench.main(["--sweep", "--count", "2", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [kind for kind in sweep.KINDS for _ in range(2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sweep", "relu"], "argument --sweep: invalid choice: 'relu'"),
        (["--sweep", "--count", "0"], "--count: got '0'; expected a whole number of at least 1"),
        (["--sweep", "--seed", "-1"], "--seed: got '-1'; expected a whole number of at least 0"),
        (["--sweep", "--busy"], "--sweep: it times random shapes"),
        (["--sweep", "--quick"], "--sweep: it times random shapes"),
        (["--sweep", "--cases", "conv"], "--sweep: it times random shapes"),
        (["--sweep", "--against", "openvino"], "--sweep: it times random shapes"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
