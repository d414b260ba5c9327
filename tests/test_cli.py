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
from fastnn.recipes._frame.printing import AccuracyTable


def test_list_names_every_system_and_the_recipe_that_runs_it(capsys):
    assert main(["train", "--list"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["system", "course", "published", "time", "command"]
    assert {line.split("fastnn train ")[1].split()[0] for line in lines} == set(recipes.NAMES)
    first = ("S1 ", "LeNet on MNIST digits", "CMPT 412", "95.60 %", "15 s", "fastnn train lenet --data subset")
    assert all(part in lines[0] for part in first)
    assert lines[-1].startswith("S14 ")


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
        (["cofnig"], "did you mean config?"),
        (
            ["train", "LeNet"],
            f"unknown recipe 'LeNet'; recipes: {', '.join(recipes.NAMES)}; did",
        ),
        (["train", "--quick", "lenet"], "the recipe comes first: fastnn train lenet [options]"),
        (["sweep", "lent"], "sweep: unknown recipe 'lent'"),
        (["sweep", "mlp", "--grid", "lrr=1"], "did you mean lr?"),
        (["sweep", "mlp", "--grid", "lr="], "--grid lr: argument lr: got '', expected a number of at least 0\n"),
        (["sweep", "mlp", "--grid", "lr=1", "--lr", "2"], "--lr: given as an option and in the grid"),
        (["train", "lenet", "--batchsize", "3"], "--batchsize 3; did you mean --batch-size?"),
        (["train", "photographs", "--lr", "3"], "unrecognized arguments: --lr 3\n"),
        (["train", "lenet", "--seed", "9" * 5000], "expected a whole number of at least 0, below 2**63"),
        (["train", "lenet", "--iterations", "1e3"], "got '1e3', expected a whole number of at least 1"),
        (["train", "lenet", "--out", ""], "argument --out: got '', expected a folder"),
        (["train", "lenet", "--resume="], "argument --resume: got '', expected a folder"),
        (
            ["train", "mlp", "--hidden", "10,10"],
            "got '10,10', expected the width of each hidden layer, as 100 or 100x50",
        ),
        (["train", "mlp", "--hidden", "10x0"], "got '10x0', expected the width of each hidden layer"),
        (["train", "masks", "--image", "5000"], "--image: got 5000, expected at most 999"),
        (["train", "masks", "--stride", "26"], "--stride: got 26, expected at most 25"),
        (["train", "masks", "--pool", "27"], "--pool: got 27, expected at most 26 with --stride 1"),
    ],
)
def test_a_wrong_command_line_says_what_there_is(capsys, arguments, message):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    if arguments[:2] == ["train", "lenet"] and "argument" in err:
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
    for settings, message in (
        ('{"depth": 3}', "depth 3"),
        ('{"lr": "fast"}', "lr 'fast'"),
        ('{"quick": 1}', "quick 1"),
    ):
        (tmp_path / "settings.json").write_text(f'{{"recipe": "lenet", "settings": {settings}}}')
        assert main(["train", "lenet", "--resume", str(tmp_path)]) == 1
        assert f"has {message}, which this version does not know" in capsys.readouterr().err


def test_a_diverging_run_says_so_and_leaves_nothing(capsys, tmp_path):
    for package in ("matplotlib", "sklearn", "safetensors"):
        pytest.importorskip(package)
    assert main(["train", "lenet", "--iterations", "60", "--lr", "1e9", "--out", str(tmp_path / "run")]) == 1
    err = capsys.readouterr().err
    assert "training diverged at iteration" in err
    assert err.endswith("Try a smaller --lr\n")
    assert "clip_norm" not in err
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


def test_other_helps(capsys):
    for arguments in (["help"], ["train", "-h"], ["sweep", "--help"]):
        assert main(arguments) == 0
        assert "sweep RECIPE --grid" in capsys.readouterr().out
    assert main(["config", "--help"]) == 0
    assert "usage: fastnn config" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["sweep", "lenet", "--help"])
    assert "as with --validate" in capsys.readouterr().out


def test_the_module_is_the_command_and_a_bad_variable_is_one_sentence(run_python):
    assert run_python("-m", "fastnn", "config").stdout.startswith("fastnn ")
    for name in ("FASTNN_ISA", "FASTNN_NUM_THREADS"):
        assert run_python("-m", "fastnn", "config", **{name: ""}).returncode == 0
        command = "import sys, _fastnn_command; sys.argv[1:] = ['config']; sys.exit(_fastnn_command.main())"
        process = run_python("-c", command, **{name: "many"})
        assert (process.returncode, process.stdout) == (1, "")
        assert process.stderr.startswith(f"fastnn: {name}: got 'many'; expected ")
        assert process.stderr.count("\n") == 1
        assert "Traceback" not in run_python("-m", "fastnn", "config", **{name: "many"}).stderr


@pytest.mark.parametrize(("place", "message"), [("file", "exists already"), ("file/inside", "Not a directory")])
def test_a_folder_that_cannot_be_one(capsys, tmp_path, place, message):
    for package in ("matplotlib", "sklearn", "safetensors", "joblib"):
        pytest.importorskip(package)
    (tmp_path / "file").write_text("mine")
    out = ["--out", str(tmp_path / place)]
    for command in (["train", "lenet", *out], ["sweep", "masks", "--grid", "stride=1", *out]):
        assert main(command) == 1
        err = capsys.readouterr().err
        assert message in err
        assert str(tmp_path / place) in err
    assert (tmp_path / "file").read_text() == "mine"
    assert main(["train", "lenet", "--resume", str(tmp_path / place)]) == 1
    assert "expected the folder of a run of lenet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError("Unable to allocate 3 TiB"), "not enough memory: Unable to allocate 3 TiB"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_errors_of_the_system_are_sentences(capsys, monkeypatch, error, message):
    def run(_settings):
        raise error

    monkeypatch.setattr(lenet, "run", run)
    assert main(["train", "lenet"]) == 1
    assert capsys.readouterr().err == f"fastnn: {message}\n"


def test_help_of_a_recipe_lists_its_options(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "lenet", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--batch-size" in text
    assert "(default: 0.05)" in text
