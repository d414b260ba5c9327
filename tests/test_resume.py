"""Runs that go on: what of them may change, what is recorded, and one process at a time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fastnn import recipes
from fastnn._lock import LOCK, locked
from fastnn.cli import main
from fastnn.recipes import lenet, masks, mlp, parabola, photographs, smallvgg, solver
from fastnn.recipes._frame.printing import AccuracyTable
from fastnn.recipes._frame.record import make_record, write_record
from fastnn.training import History, sweep

for package in ("matplotlib", "sklearn", "safetensors"):
    pytest.importorskip(package)


def record(folder):
    return json.loads((folder / "settings.json").read_bytes())


@pytest.fixture
def begun(tmp_path, monkeypatch, capsys):
    """The folder of a run of 100 iterations that Ctrl-C ended after 50."""

    def press(self, trainer):
        if trainer.history.iterations == 50:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(AccuracyTable, "on_evaluation", press)
        assert main(["train", "lenet", "--quick", "--out", str(tmp_path / "run")]) == 130
    capsys.readouterr()
    return tmp_path / "run"


@pytest.mark.usefixtures("unpainted")
def test_length_and_threads_can_change_and_are_recorded(begun, capsys):
    resume = ["train", "lenet", "--resume", str(begun)]
    assert main([*resume, "--iterations", "60", "--threads", "1"]) == 0
    assert History.load(begun / "history.json").iterations == 60
    assert record(begun)["settings"]["iterations"] == 60
    assert record(begun)["changes"] == [{"threads": [None, 1], "iterations": [100, 60]}]
    assert record(begun)["result"]["iterations"] == 60
    assert "Changed on the way" in (begun / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()

    assert main(resume) == 0
    assert "is finished already; report.html has its results; to train longer, give --iterations more" in (
        capsys.readouterr().out
    )
    assert main([*resume, "--threads", "2"]) == 0
    assert "is finished already" in capsys.readouterr().out

    assert main([*resume, "--iterations", "70"]) == 0
    history = History.load(begun / "history.json")
    assert history.iterations == 70
    assert history.lr[58:61] == [0.05 * 0.1**2, 0.05 * 0.1**2, 0.05 * 0.1**2]
    assert history.lr[61:] == [0.05 * 0.1**2] * 9  # 70 * 4 // 5 = 56 are over
    assert record(begun)["changes"][1:] == [{"iterations": [60, 70]}]
    assert main([*resume, "--iterations", "69"]) == 2
    assert "--iterations: got 69, but the run has taken 70 already" in capsys.readouterr().err


@pytest.mark.usefixtures("unpainted")
def test_the_rates_of_a_run_that_becomes_longer_follow_its_new_length(begun):
    lenet.run(lenet.Settings(quick=True, iterations=200, resume=str(begun)))
    lr = History.load(begun / "history.json").lr
    assert lr[52:100] == [0.05] * 48
    assert lr[100:160] == [0.05 * 0.1] * 60
    assert lr[160:] == [0.05 * 0.1**2] * 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--lr 0.001", "--lr (the run has 0.05): cannot change"),
        ("--lr 0.001 --iterations 500", "--lr (the run has 0.05): cannot change"),
        ("--seed 3 --momentum 0.5", "--seed (the run has 0), --momentum (the run has 0.9): cannot change"),
        ("--batch-size 32", "--threads and --iterations can. Leave it out, or begin a new run"),
        ("--data mnist", "--data (the run has digits)"),
        ("--validate", "--validate (the run has False)"),
        ("--out there", "--out there: --resume goes on in the run's own folder"),
        ("--iterations 40", "--iterations: got 40, but the run has taken 50 already"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_written(begun, capsys, options, message):
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    assert main(["train", "lenet", "--resume", str(begun), *options.split()]) == 2
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in begun.iterdir()} == before


@pytest.mark.usefixtures("unpainted")
def test_the_same_values_are_no_change(begun):
    assert main(["train", "lenet", "--resume", str(begun), "--quick", "--lr", "5e-2", "--iterations", "100"]) == 0
    assert record(begun)["changes"] == []


def test_from_python_too(begun):
    with pytest.raises(ValueError, match=r"--lr \(the run has 0.05\): cannot change"):
        lenet.run(lenet.Settings(quick=True, lr=0.1, resume=str(begun)))


OTHERS = {
    "lenet": {"lr": 0.3},
    "photographs": {"data": "mnist"},
    "characters": {"hidden": 12},
    "text": {"network": "perceptron"},
    "autoencoder": {"lr": 0.3},
    "characters-adam": {"hidden": 12},
    "cnn": {"lr": 0.3},
    "flowers": {"network": "cnn"},
    "parabola": {"draws": 3},
    "solver": {"hidden": "20"},
    "masks": {"stride": 2},
    "mlp": {"init": "zero"},
    "smallvgg": {"lr_decay": 0.5},
    "dogs": {"lr": 0.3},
    "resnet": {"lr": 0.3},
}


@pytest.mark.parametrize("recipe_name", recipes.NAMES)
def test_every_recipe_refuses_another_setting_and_takes_another_length(recipe_name, tmp_path, capsys):
    recipe = recipes.load(recipe_name)
    (name,), (value,) = zip(*OTHERS[recipe_name].items(), strict=True)
    write_record(tmp_path, make_record(tmp_path, recipe_name, recipe.Settings(), result={"done": 1}))
    train = ["train", recipe_name, "--resume", str(tmp_path)]
    assert main([*train, "--" + name.replace("_", "-"), str(value)]) == 2
    assert "cannot change in a run that goes on" in capsys.readouterr().err
    assert main([*train, "--quick"]) == 2
    assert "--quick (the run has False)" in capsys.readouterr().err
    assert main(train) == 0
    assert "is finished already" in capsys.readouterr().out
    length = [each.name for each in recipe.Settings.__dataclass_fields__.values() if each.metadata["length"]]
    assert (not length) == (recipe_name == "masks")


@pytest.mark.usefixtures("unpainted")
def test_epochs_can_become_more_in_a_run_of_several_networks(tmp_path):
    settings = {"quick": True, "hidden": "10", "batch_size": 500}
    folder = mlp.run(mlp.Settings(**settings, epochs=1, out=str(tmp_path / "run")))
    mlp.run(mlp.Settings(**settings, epochs=3, resume=str(folder)))
    assert {History.load(folder / f"history-{name}.json").iterations for name in mlp.RULES} == {6}
    assert record(folder)["settings"]["epochs"] == 3
    with pytest.raises(ValueError, match="--epochs: got 2, but the run has taken 3 already"):
        mlp.run(mlp.Settings(**settings, epochs=2, resume=str(folder)))


# Quick runs


def test_a_quick_run_has_settings_of_its_own_and_those_that_are_given():
    assert lenet.Settings(quick=True).iterations == 100
    assert (lenet.Settings().iterations, lenet.Settings(data="mnist").iterations) == (2000, 4000)
    for recipe in (solver, mlp, smallvgg):
        quick = recipe.Settings(quick=True)
        assert (quick.epochs, quick.data) == (2, "digits")
        assert recipe.Settings(quick=True, epochs=20, data="mnist").epochs == 20
        assert recipe.Settings().data == "mnist"
    assert (parabola.Settings(quick=True).draws, parabola.Settings(quick=True).epochs) == (2, 50)
    assert photographs.Settings(quick=True, iterations=7).iterations == 7


@pytest.mark.usefixtures("unpainted")
def test_a_quick_run_records_what_it_used(tmp_path):
    folder = solver.run(solver.Settings(quick=True, batch_size=100, out=str(tmp_path / "run")))
    used = record(folder)["settings"]
    assert (used["quick"], used["epochs"], used["data"]) == (True, 2, "digits")
    assert record(folder)["result"]["iterations"] == 20


# One process at a time

RACE = """
import sys, time
from pathlib import Path
from fastnn._files import new_folder
folder, start = Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0, start - time.time()))
try:
    with new_folder(folder, keep=lambda folder: False) as mine:
        (mine / "record").open("x").close()
        time.sleep(0.3)
        print("in")
except FileExistsError as error:
    print("out", error)
"""


@pytest.mark.parametrize("there", [False, True])
def test_one_of_many_processes_gets_a_new_folder(tmp_path, there):
    for i in range(3):
        folder = tmp_path / f"run{i}"
        if there:
            folder.mkdir()
        start = str(time.time() + 1.5)
        command = [sys.executable, "-c", RACE, str(folder), start]
        racing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
        said = [process.communicate()[0] for process in racing]
        assert sorted(text.split()[0] for text in said) == ["in", *["out"] * 5]
        assert [path.name for path in folder.iterdir()] == ["record"]


def test_a_folder_is_locked_until_its_holder_ends_however_it_ends(tmp_path):
    hold = (
        "import sys, time; from fastnn._lock import locked\nwith locked(sys.argv[1]): print('in', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline().strip() == b"in"
        with pytest.raises(FileExistsError, match="in use: another process is writing into it"), locked(tmp_path):
            pass
        holder.kill()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()


def test_a_run_that_another_process_is_running_is_refused(begun, capsys):
    with locked(begun):
        assert main(["train", "lenet", "--resume", str(begun)]) == 1
        assert f"{begun}: in use: another process is writing into it" in capsys.readouterr().err
        assert main(["train", "lenet", "--quick", "--out", str(begun)]) == 1
    assert not (begun / LOCK).exists()


def test_a_sweep_that_another_process_is_running_is_refused(tmp_path, capsys):
    pytest.importorskip("joblib")
    with locked(tmp_path):
        assert main(["sweep", "masks", "--grid", "stride=1,2", "--out", str(tmp_path)]) == 1
    assert "in use: another process is writing into it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "points"), pytest.raises(FileExistsError, match="in use"):
        sweep(lambda lr: {"valid_accuracy": lr}, {"lr": [1]}, out=tmp_path, jobs=1)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX's permissions")
def test_default_folders_of_two_processes_differ(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _format: "20260102-030405")
    with locked("runs/masks-20260102-030405"):
        masks.run(masks.Settings())
    assert "run folder: runs/masks-20260102-030405-2" in capsys.readouterr().out
