"""The command line."""

import sys
import types

import pytest

import fastnn as fnn
from fastnn.cli import main
from fastnn.recipes import lenet


def test_list_names_every_recipe(capsys):
    assert main(["train", "--list"]) == 0
    assert capsys.readouterr().out.split()[0] == "lenet"


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
        (["trane"], "unknown command 'trane'; commands: train, bench, config"),
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
        assert "options: --help, --seed, --threads, --out, --quick, --data, --iterations" in err


@pytest.mark.parametrize("error", [ValueError("x: broken"), FileNotFoundError("x: broken"), ImportError("x: broken")])
def test_a_failed_run_is_one_line(capsys, monkeypatch, error):
    def run(_settings):
        raise error

    monkeypatch.setattr(lenet, "run", run)
    assert main(["train", "lenet"]) == 1
    assert capsys.readouterr().err == "fastnn: x: broken\n"


def test_interrupted(capsys, monkeypatch):
    def run(_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(lenet, "run", run)
    assert main(["train", "lenet"]) == 130
    assert "nothing was written" in capsys.readouterr().err


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
