"""The command line."""

import json
import signal
import sys
import types

import pytest

import fastnn as fnn
from fastnn import recipes
from fastnn.cli import main
from fastnn.recipes import lenet
from fastnn.recipes.run import AccuracyTable, write_record


def test_list_names_every_recipe(capsys):
    assert main(["train", "--list"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["recipe", "system", "data", "size", "time", "published"]
    assert [line.split()[0] for line in lines] == list(recipes.NAMES)
    assert "S1: LeNet on MNIST digits" in lines[0]
    assert "0.956" in lines[0]


def test_options_become_settings(monkeypatch):
    seen = []
    monkeypatch.setattr(lenet, "run", seen.append)
    options = "--data mnist --iterations 7 --batch-size 32 --lr 0.1 --seed 3 --threads 2 --out here --quick"
    assert main(["train", "lenet", *options.split()]) == 0
    assert main(["train", "lenet"]) == 0
    assert seen == [
        lenet.Settings(data="mnist", iterations=7, batch_size=32, lr=0.1, seed=3, threads=2, out="here", quick=True),
        lenet.Settings(),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command"),
        (["trane"], "unknown command 'trane'; commands: train, sweep, read, bench, config"),
        (["train"], "no recipe named; recipes: lenet"),
        (["train", "vgg"], "unknown recipe 'vgg'; recipes: lenet"),
        (["train", "lenet", "--epochs", "3"], "unrecognized arguments: --epochs 3"),
        (["train", "lenet", "--iter", "3"], "unrecognized arguments: --iter 3"),
        (["train", "lenet", "--data", "cifar"], "argument --data: invalid choice: 'cifar'"),
        (
            ["train", "lenet", "--iterations", "0"],
            "argument --iterations: got '0', expected a whole number of at least 1",
        ),
        (["train", "lenet", "--batch-size", "8.5"], "argument --batch-size: got '8.5'"),
        (["train", "lenet", "--lr", "nan"], "argument --lr: got 'nan', expected a number of at least 0"),
        (["train", "lenet", "--lr", "fast"], "argument --lr: got 'fast'"),
        (["train", "lenet", "--seed", "-1"], "argument --seed"),
        (["config", "all"], "config: got 'all', expected no arguments"),
    ],
)
def test_a_wrong_command_line_says_what_there_is(capsys, arguments, message):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    if arguments[:2] == ["train", "lenet"]:
        assert "options: --help, --seed, --threads, --out, --resume, --quick, --data, --iterations" in err


@pytest.mark.parametrize("error", [ValueError("x: broken"), FileNotFoundError("x: broken"), ImportError("x: broken")])
def test_a_failed_run_is_one_line(capsys, monkeypatch, error):
    def run(_settings):
        raise error

    monkeypatch.setattr(lenet, "run", run)
    assert main(["train", "lenet"]) == 1
    assert capsys.readouterr().err == "fastnn: x: broken\n"


@pytest.mark.usefixtures("unpainted")
def test_interrupted_and_gone_on_with(capsys, monkeypatch, tmp_path):
    for package in ("matplotlib", "sklearn", "safetensors"):
        pytest.importorskip(package)

    def press(self, trainer):
        if trainer.history.iterations == 50:
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(AccuracyTable, "on_evaluation", press)
        assert main(["train", "lenet", "--quick", "--lr", "0.04", "--out", str(folder)]) == 130
    command = f"fastnn train lenet --resume {folder}"
    assert f"fastnn: interrupted after iteration 50; go on with: {command}\n" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.npz", "settings.json"]
    assert main(command.split()[1:]) == 0
    assert main(["train", "lenet", "--quick", "--lr", "0.04", "--out", str(tmp_path / "whole")]) == 0
    for name in ("weights.safetensors", "history.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    settings = [json.loads((each / "settings.json").read_bytes())["settings"] for each in (folder, tmp_path / "whole")]
    assert settings[0] == settings[1]


def test_what_cannot_be_gone_on_with(capsys, tmp_path):
    assert main(["train", "lenet", "--resume", str(tmp_path)]) == 1
    assert "expected the folder of a run of lenet" in capsys.readouterr().err
    (tmp_path / "settings.json").write_text('{"recipe": "mlp", "settings": {}}')
    assert main(["train", "lenet", "--resume", str(tmp_path)]) == 1
    assert "(is of 'mlp')" in capsys.readouterr().err


def test_options_beside_resume_are_changed_and_no_others(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(lenet, "run", seen.append)
    write_record(tmp_path, "lenet", lenet.Settings(quick=True, lr=0.3, momentum=0.8, out="there"))
    assert main(["train", "lenet", "--resume", str(tmp_path), "--lr", "0.2"]) == 0
    assert seen == [lenet.Settings(quick=True, lr=0.2, momentum=0.8, resume=str(tmp_path))]


def test_a_diverging_run_says_so_and_leaves_nothing(capsys, tmp_path):
    for package in ("matplotlib", "sklearn", "safetensors"):
        pytest.importorskip(package)
    assert main(["train", "lenet", "--iterations", "60", "--lr", "1e9", "--out", str(tmp_path / "run")]) == 1
    assert "training diverged at iteration" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_bench_is_handed_its_arguments(monkeypatch):
    seen = []

    def bench(arguments):
        seen.append(arguments)
        return 3

    monkeypatch.setitem(sys.modules, "fastnn._bench", types.SimpleNamespace(main=bench))
    assert main(["bench", "--quick"]) == 3
    assert seen == [["--quick"]]


def test_config_and_version_and_help(capsys):
    assert main(["config"]) == 0
    assert fnn.__version__ in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fastnn {fnn.__version__}\n"
    assert main(["--help"]) == 0
    assert "train RECIPE" in capsys.readouterr().out


def test_help_of_a_recipe_lists_its_options(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "lenet", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--batch-size" in text
    assert "(default: 0.05)" in text
