"""The recipes, run for a short while."""

import json
import sys

import numpy as np
import pytest

import fastnn as fnn
from fastnn import networks, recipes
from fastnn.data import digits
from fastnn.interop import load_safetensors
from fastnn.recipes import lenet
from fastnn.recipes._frame.printing import AccuracyTable
from fastnn.training import DivergenceError, History, Trainer

for package in ("matplotlib", "sklearn", "safetensors"):
    pytest.importorskip(package)

PICTURES = [
    *("confusion.png", "curves-narrow.png", "curves.png", "feature_maps-narrow.png", "feature_maps.png"),
    *("kernels.png", "most_wrong.png"),
]
FILES = sorted([*PICTURES, "checkpoint.npz", "history.json", "report.html", "settings.json", "weights.safetensors"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder of a quick LeNet on one thread."""
    return lenet.run(lenet.Settings(quick=True, threads=1, out=str(tmp_path_factory.mktemp("runs") / "first")))


def test_lenet_is_the_published_network():
    shapes = {name: array.shape for name, array in networks.lenet().state_dict().items()}
    assert shapes == {
        "0.weight": (20, 1, 5, 5),
        "0.bias": (20,),
        "3.weight": (50, 20, 5, 5),
        "3.bias": (50,),
        "7.weight": (500, 800),
        "7.bias": (500,),
        "9.weight": (10, 500),
        "9.bias": (10,),
    }


def test_run_folder_is_whole(folder):
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["first"]
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_of_a_quick_run_has_our_figures_alone_and_all_pictures(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    accuracy = json.loads((folder / "settings.json").read_text())["result"]["test_accuracy"]
    assert f'<td class="strong short">{100 * accuracy:.2f} %</td>' in page
    assert "A quick run, to see that everything works" in page
    assert "95.60 %" not in page
    assert "x4, 7 → 2 x3" not in page
    assert page.count("data:image/png;base64,") == len(PICTURES)


@pytest.mark.usefixtures("unpainted")
def test_the_page_of_another_run_has_the_published_figures_beside_ours(tmp_path):
    folder = lenet.run(lenet.Settings(iterations=2, batch_size=8, out=str(tmp_path / "run")))
    page = (folder / "report.html").read_text(encoding="utf-8")
    accuracy = json.loads((folder / "settings.json").read_text())["result"]["test_accuracy"]
    assert f'<td class="short">95.60 %</td><td class="strong short">{100 * accuracy:.2f} %</td>' in page
    assert "<td>4 → 9 x4, 7 → 2 x3</td>" in page
    assert "A quick run" not in page


def test_it_learns(folder):
    history = History.load(folder / "history.json")
    assert history.iterations == 100
    assert history.eval_iteration == [0, 50, 100]
    assert history.eval_accuracy[0] < 0.3
    assert history.eval_accuracy[-1] > 0.85


def test_saved_weights_give_the_recorded_accuracy(folder):
    _, _, x, y = digits()
    net = networks.lenet()
    net.load_state_dict(load_safetensors(folder / "weights.safetensors"))
    net.eval()
    record = json.loads((folder / "settings.json").read_text())
    right = np.count_nonzero(net(x).argmax(axis=1) == y)
    assert record["result"]["test_accuracy"] == right / 1000
    assert record["settings"]["quick"] is True
    assert record["environment"]["fastnn"] == fnn.__version__


@pytest.mark.usefixtures("unpainted")
def test_same_seed_same_bits_for_any_number_of_threads(folder, tmp_path):
    threads = fnn.get_num_threads()
    again = lenet.run(lenet.Settings(quick=True, threads=2, out=str(tmp_path / "again")))
    assert fnn.get_num_threads() == threads
    for name in ("weights.safetensors", "history.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.usefixtures("unpainted")
def test_what_is_printed(tmp_path, capsys):
    lenet.run(lenet.Settings(iterations=3, seed=1, batch_size=8, out=str(tmp_path / "run")))
    lines = capsys.readouterr().out.splitlines()
    header = lines.index(next(line for line in lines if "S1, published" in line))
    assert [line.split()[0] for line in lines[header + 1 : header + 3]] == ["0", "3"]
    assert lines[header + 1].split()[2] == "0.104"
    text = "\n".join(lines)
    for part in ("precision", "macro avg", "true \\ predicted", "most confused: ", "4 -> 9 x4", f"{tmp_path / 'run'}"):
        assert part in text


@pytest.mark.usefixtures("unpainted")
def test_the_published_subset_is_of_2500_and_500_images(tmp_path, capsys):
    folder = lenet.run(lenet.Settings(data="subset", iterations=1, out=str(tmp_path / "run")))
    assert "LeNet on 2,500 MNIST digits, 500 test images" in capsys.readouterr().out
    right = json.loads((folder / "settings.json").read_text())["result"]["test_accuracy"] * 500
    assert right == round(right)


def fail(error):
    def fit(*_args, **_options):
        raise error

    return fit


@pytest.mark.parametrize("error", [DivergenceError("nan"), KeyboardInterrupt(), MemoryError()])
def test_nothing_stays_of_a_run_that_fails(tmp_path, monkeypatch, error):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trainer, "fit", fail(error))
    with pytest.raises(type(error)):
        lenet.run(lenet.Settings())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unpainted")
def test_a_run_that_fails_after_a_checkpoint_can_be_gone_on_with(folder, tmp_path, monkeypatch, capsys):
    def fails(self, trainer):
        if trainer.history.iterations == 100:
            raise MemoryError("no memory")

    settings = {"quick": True, "threads": 1}
    with monkeypatch.context() as patch:
        patch.setattr(AccuracyTable, "on_evaluation", fails)
        with pytest.raises(MemoryError):
            lenet.run(lenet.Settings(**settings, out=str(tmp_path / "run")))
    assert f"go on with: fastnn train lenet --resume {tmp_path / 'run'}" in capsys.readouterr().out
    resumed = lenet.run(lenet.Settings(**settings, resume=str(tmp_path / "run")))
    assert (resumed / "history.json").read_bytes() == (folder / "history.json").read_bytes()


@pytest.mark.usefixtures("unpainted")
def test_default_folders_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _format: "20260102-030405")
    for _ in range(2):
        lenet.run(lenet.Settings(iterations=1))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "lenet-20260102-030405",
        "lenet-20260102-030405-2",
    ]


def test_a_folder_in_use_is_refused_before_training(folder, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", fail(AssertionError("trained")))
    with pytest.raises(FileExistsError, match="first: exists already"):
        lenet.run(lenet.Settings(out=str(folder)))


@pytest.mark.parametrize("package", ["matplotlib", "sklearn", "safetensors"])
def test_a_missing_extra_is_found_before_training(tmp_path, monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package] + [package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(Trainer, "fit", fail(AssertionError("trained")))
    with pytest.raises(ImportError, match=rf'{package} is needed .*pip install "fastnn-kernels\[train\]"'):
        lenet.run(lenet.Settings(out=str(tmp_path / "run")))
    assert list(tmp_path.iterdir()) == []


def test_settings_refuse_unknown_data():
    with pytest.raises(ValueError, match="data: got 'letters', expected one of digits, mnist"):
        lenet.Settings(data="letters")


def test_unknown_recipe():
    with pytest.raises(ValueError, match=r"unknown recipe 'vgg'; recipes: lenet"):
        recipes.load("vgg")
