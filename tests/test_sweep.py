"""Sweeps: every combination once, what is done is not done again, the best is named."""

import csv
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn.cli import main
from fastnn.recipes import mlp
from fastnn.recipes._frame.settings import UsageError
from fastnn.recipes._frame.sweep import parse_grid
from fastnn.training import sweep
from test_training import blobs, make

pytest.importorskip("joblib")
pytest.importorskip("matplotlib")


def table(folder):
    with open(folder / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


class Runs:
    """A training that counts its calls, in files since they may be made by other processes."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def __call__(self, lr, width):
        (self.folder / f"{lr} {width}").touch(exist_ok=False)
        return {"valid_accuracy": 1 / (abs(lr - 0.1) + width), "parts": {"train": 0.5}}

    def calls(self):
        return sorted(path.name for path in self.folder.iterdir())


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_combination_once(tmp_path, jobs, capsys):
    runs = Runs(tmp_path / "calls")
    found = sweep(runs, {"lr": [0.1, 0.2], "width": [3, 2]}, out=tmp_path / "out", jobs=jobs)
    assert runs.calls() == ["0.1 2", "0.1 3", "0.2 2", "0.2 3"]
    rows = table(tmp_path / "out")
    assert [(row["lr"], row["width"]) for row in rows] == [("0.1", "3"), ("0.1", "2"), ("0.2", "3"), ("0.2", "2")]
    assert rows[1] == {"lr": "0.1", "width": "2", "valid_accuracy": "0.5", "parts.train": "0.5", "error": ""}
    assert found.best.settings == {"lr": 0.1, "width": 2}
    assert str(found).endswith("best: lr=0.1,width=2 with valid_accuracy 0.5")
    assert "4/4  lr=" in capsys.readouterr().out


def test_joblib_is_configured_by_the_user(tmp_path):
    joblib = pytest.importorskip("joblib")
    seen = []

    def run(lr):
        seen.append((threading.current_thread(), fnn.get_num_threads()))
        return {"valid_accuracy": lr}

    with fnn.num_threads(4), joblib.parallel_config(backend="threading", n_jobs=2):
        sweep(run, {"lr": range(6)}, out=tmp_path / "out")
        assert fnn.get_num_threads() == 4
    assert threading.main_thread() not in {thread for thread, _ in seen}
    assert len(seen) == 6


def test_a_backend_that_gives_all_results_at_the_end(tmp_path):
    """As Ray's and multiprocessing's do."""
    joblib = pytest.importorskip("joblib")

    class AtTheEnd(joblib.parallel.ThreadingBackend):
        supports_return_generator = False

    joblib.register_parallel_backend("at the end", AtTheEnd)
    runs = Runs(tmp_path / "calls")
    with joblib.parallel_config(backend="at the end", n_jobs=2):
        found = sweep(runs, {"lr": [0.1, 0.2], "width": [3, 2]}, out=tmp_path / "out")
    assert len(runs.calls()) == len(table(tmp_path / "out")) == 4
    assert found.best.settings == {"lr": 0.1, "width": 2}


def test_a_restart_skips_what_is_done(tmp_path):
    runs = Runs(tmp_path / "calls")

    def fails(lr, width):
        if width == 2:
            raise OSError("the disk is full")
        return runs(lr, width)

    grid = {"lr": [0.1], "width": [3, 2, 4]}
    with pytest.raises(OSError, match="disk is full"):
        sweep(fails, grid, out=tmp_path / "out", jobs=1)
    assert [row["width"] for row in table(tmp_path / "out")] == ["3"]
    found = sweep(runs, grid, out=tmp_path / "out", jobs=1)  # would fail if it made the first file again
    assert [point.results["valid_accuracy"] for point in found.points] == [1 / 3, 1 / 2, 1 / 4]
    assert sweep(runs, grid, out=tmp_path / "out", score="valid_accuracy", mode="min").best.settings["width"] == 4
    (tmp_path / "out" / "points" / "lr=0.1,width=2.json").write_text("{")
    with pytest.raises(ValueError, match=r"width=2\.json: not a result of a sweep"):
        sweep(runs, grid, out=tmp_path / "out")


def train(lr):
    trainer = make(lr=lr)
    trainer.fit(blobs(), blobs(seed=1), epochs=3, batch_size=20, progress=False)
    return {"loss": trainer.history.eval_loss[-1], "history": trainer.history}


def test_a_diverging_run_is_a_result_and_curves_are_drawn(tmp_path):
    found = sweep(train, {"lr": [1e38, 0.1, 0.01]}, out=tmp_path / "out", score="loss", mode="min")
    assert found.points[0].error.startswith("training diverged at iteration")
    assert found.best.settings == {"lr": 0.1}
    assert found.points[1].history.iterations == 9
    assert (tmp_path / "out" / "curves.png").exists()
    assert table(tmp_path / "out")[0]["error"] == found.points[0].error
    none = sweep(train, {"lr": [1e38]}, out=tmp_path / "out", score="loss", draw=False)
    assert none.best is None
    assert "none has a loss" in str(none)


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        ({"lr": []}, {}, "grid: got no values for 'lr'"),
        ({"lr": [0.1, np.float64(0.1)]}, {}, "grid: got lr=0.1 twice"),
        ({"lr": [1]}, {"mode": "least"}, "mode: got 'least'"),
        ({"lr": [1]}, {"score": "f1"}, "score: got 'f1', expected one of the results, valid_accuracy"),
    ],
)
def test_sweep_refuses(tmp_path, grid, options, message):
    with pytest.raises(ValueError, match=message):
        sweep(lambda lr: {"valid_accuracy": 1}, grid, out=tmp_path / "out", jobs=1, **options)


def test_grids_of_a_recipe():
    texts = ["lr=0.1,1e-2", "batch-size=32", "hidden=20,30x20", "data=digits"]
    expected = {"lr": [0.1, 0.01], "batch_size": [32], "hidden": ["20", "30x20"], "data": ["digits"]}
    assert parse_grid(mlp.Settings, texts) == expected
    for text, message in [
        ("lr", "got 'lr', expected NAME=VALUE"),
        ("depth=3", "of seed, threads, data, init, hidden"),
        ("out=here", "got 'out=here'"),
        ("lr=fast", "got 'fast', expected a number"),
        ("data=letters", "invalid choice: 'letters'"),
    ]:
        with pytest.raises(UsageError, match=message):
            parse_grid(mlp.Settings, [text])


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("recipe", ["lenet", "photographs", "smallvgg", "parabola"])
def test_settings_are_chosen_by_validation_data(tmp_path, recipe):
    for package in ("sklearn", "safetensors", "PIL", "scipy"):
        pytest.importorskip(package)
    folder = tmp_path / "photographs"
    folder.mkdir()
    image_module = pytest.importorskip("PIL.Image")
    image_module.new("L", (60, 60), 255).save(folder / "a.png")
    options = {
        "lenet": "--iterations 2",
        "photographs": f"--iterations 2 --photographs {folder}",
        "smallvgg": "--epochs 1 --batch-size 500",
        "parabola": "--epochs 2",
    }[recipe]
    out = tmp_path / "out"
    assert main(f"sweep {recipe} --quick {options} --out {out} --grid seed=1 --jobs 1".split()) == 0
    record = json.loads((out / "runs" / "seed=1" / "settings.json").read_bytes())
    assert record["settings"].get("validate", True) is True
    assert 0 <= record["result"]["valid_accuracy"] <= 1
    assert table(out)[0]["valid_accuracy"] == str(record["result"]["valid_accuracy"])
    if recipe == "lenet":
        log = (out / "runs" / "seed=1.log").read_text(encoding="utf-8")
        assert "LeNet on 4,166 MNIST digits, 1,000 test images" in log
        assert "validation accuracy" in log


@pytest.mark.usefixtures("unpainted")
def test_the_command(tmp_path, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    out = tmp_path / "out"
    command = f"sweep mlp --init glorot --hidden 20 --epochs 1 --quick --out {out} --grid lr=0.1,0.01 --jobs 1".split()
    assert main(command) == 0
    assert "best: lr=0.1 with valid_accuracy" in capsys.readouterr().out
    result = json.loads((out / "runs" / "lr=0.1" / "settings.json").read_bytes())
    assert result["settings"]["lr"] == 0.1
    assert table(out)[0]["valid_accuracy"] == str(result["result"]["valid_accuracy"])
    assert "glorot, valid accuracy" in (out / "runs" / "lr=0.1.log").read_text()
    assert (out / "curves.png").exists()

    # A point that was killed goes on, and those that are done are left alone.
    (out / "points" / "lr=0.1.json").unlink()
    before = (out / "runs" / "lr=0.01.log").stat().st_mtime_ns
    assert main(command) == 0
    assert (out / "runs" / "lr=0.01.log").stat().st_mtime_ns == before
    again = json.loads((out / "runs" / "lr=0.1" / "settings.json").read_bytes())
    assert {**again["result"], "training_seconds": 0} == {**result["result"], "training_seconds": 0}
    capsys.readouterr()
    assert main([*command, "--seed", "3"]) == 2
    assert "a sweep of mlp with other settings" in capsys.readouterr().err
    assert main(["sweep", "mlp"]) == 2
    assert "the following arguments are required: --grid" in capsys.readouterr().err
    assert main(["sweep", "vgg"]) == 2
    assert "unknown recipe 'vgg'; recipes: lenet" in capsys.readouterr().err


# -- what comes of a run, and what a grid may have


def test_results_of_numpy_stay_numbers(tmp_path):
    def run(lr):
        return {
            "valid_accuracy": np.float32(lr),
            "steps": np.int64(7),
            "each": np.array([0.5, np.nan]),
            "where": tmp_path,
            "loss": float("nan"),
            "psnr": np.float64(np.inf),
            "parts": {"train": np.float16(0.5)},
        }

    found = sweep(run, {"lr": np.array([0.25, 0.5], np.float32)}, out=tmp_path / "out", jobs=1)
    assert found.best.settings == {"lr": 0.5}
    for results in (found.best.results, sweep(run, {"lr": [0.5, 0.25]}, out=tmp_path / "out").best.results):
        assert results["valid_accuracy"] == 0.5
        assert type(results["valid_accuracy"]) is float
        assert (results["steps"], results["parts"], results["where"]) == (7, {"train": 0.5}, str(tmp_path))
        assert (results["each"][0], results["psnr"]) == (0.5, np.inf)
        assert np.isnan(results["each"][1])
        assert np.isnan(results["loss"])
    for path in (tmp_path / "out" / "points").iterdir():
        json.loads(path.read_bytes(), parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert table(tmp_path / "out")[0]["steps"] == "7"


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_missing_score_ends_a_sweep_after_its_first_run_which_is_kept(tmp_path, backend):
    joblib = pytest.importorskip("joblib")
    runs = Runs(tmp_path / "calls")
    grid = {"lr": [0.1, 0.2, 0.3, 0.4], "width": [3, 2]}
    message = "score: got 'f1', expected one of the results, valid_accuracy$"
    with joblib.parallel_config(backend=backend), pytest.raises(ValueError, match=message):
        sweep(runs, grid, out=tmp_path / "out", score="f1", jobs=1)
    assert runs.calls() == ["0.1 3"]
    with pytest.raises(ValueError, match=message):  # now it is known before any
        sweep(runs, grid, out=tmp_path / "out", score="f1", jobs=1)
    assert runs.calls() == ["0.1 3"]
    with pytest.raises(ValueError, match=r"score: got 'parts', which is .* of lr=0\.1,width=3, expected a number"):
        sweep(runs, grid, out=tmp_path / "out", score="parts", jobs=1)
    assert len(sweep(runs, grid, out=tmp_path / "out", jobs=1).points) == len(runs.calls()) == 8


def f():
    pass


VALUES = [
    1, "1", 1.0, True, "True", "true", None, "none", "", "a/b", "a\\b", "a:b", "a_b", "..", ".", "a.", "a ", "a", "A",
    "ä", "語", "nan", float("nan"), "1,x=2", "x" * 300, "x" * 301, [1, 2], (1, 2), ["1", "2"], np.arange(3),
    np.arange(4000), f, Runs, "../../etc", "/etc/passwd", "con", "\0", "\n", "\ud800", np.float32(0.1), 0.1, 10**100,
]  # fmt: skip


def test_every_value_has_a_name_of_its_own_that_every_system_takes(tmp_path):
    seen = []

    def run(x):
        seen.append(x)
        return {"valid_accuracy": 0.5}

    found = sweep(run, {"x": VALUES}, out=tmp_path / "out", jobs=1, draw=False)
    names = [path.name for path in (tmp_path / "out" / "points").iterdir()]
    assert len(seen) == len(VALUES) == len(names) == len({name.lower() for name in names})
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    for name in names:
        assert name.isascii()
        assert name.endswith(".json")
        assert len(name) <= 100
        assert not set(name) & set('/\\:*?"<>| ')
        assert not name.removesuffix(".json").endswith(".")
    assert {"x=1.json", "x=1.0.json", "x=True.json", "x=None.json", "x=a.json", "x=a_b.json"} <= set(names)
    assert len({point.label for point in found.points}) == len(VALUES)
    assert (found.points[0].label, found.points[1].label, found.points[9].label) == ("x=1", "x='1'", "x=a/b")
    sweep(run, {"x": VALUES}, out=tmp_path / "out", jobs=1, draw=False)
    assert len(seen) == len(VALUES), "a restart finds every point again"


def test_values_do_not_run_into_one_another(tmp_path):
    grid = {"x": ["1", "1,y=2"], "y": ["3", "2,y=3"]}
    found = sweep(lambda x, y: {"valid_accuracy": 1}, grid, out=tmp_path / "out", jobs=1)
    assert len(list((tmp_path / "out" / "points").iterdir())) == len({point.label for point in found.points}) == 4


@pytest.mark.parametrize(
    ("run", "grid", "message"),
    [
        (lambda lr: {"valid_accuracy": lr}, {"lr": "0.1"}, "grid: got '0.1' for 'lr', expected a list of values"),
        (lambda lr: {"valid_accuracy": lr}, {"lr": 0.1}, "grid: got 0.1 for 'lr', expected a list of values"),
        (lambda lr: None, {"lr": [0.1]}, "run: got NoneType from it, expected a dict of results"),
        (lambda lr: {"history": [1]}, {"lr": [0.1]}, "run: got list as 'history', expected a History"),
    ],
)
def test_what_is_no_grid_and_no_result(tmp_path, run, grid, message):
    with pytest.raises(TypeError, match=message):
        sweep(run, grid, out=tmp_path / "out", jobs=1)


def test_a_folder_of_a_recipe_has_a_safe_name(tmp_path, monkeypatch):
    """Whatever a setting of a recipe may be some day."""
    from types import SimpleNamespace

    from fastnn.recipes._frame import sweep as command

    made = []

    def run(settings):
        made.append(settings["out"])
        Path(settings["out"]).mkdir()
        (Path(settings["out"]) / "settings.json").write_text('{"result": {"valid_accuracy": null}}')

    monkeypatch.setattr(command.recipes, "load", lambda _: SimpleNamespace(run=run, Settings=dict))
    results = command.run_point("mlp", {}, str(tmp_path / "out"), init="a/../b", data="→")
    assert np.isnan(results["valid_accuracy"])
    (folder,) = made
    assert Path(folder).parent == tmp_path / "out" / "runs"
    assert re.fullmatch(r"init=a_.._b,data=_-[0-9a-f]{10}", Path(folder).name)
