"""The recipes of S7 and S12 to S14, run for a short while on made photographs."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn import recipes
from fastnn.cli import main
from fastnn.interop import load_safetensors
from fastnn.recipes import dogs, flowers, resnet
from fastnn.recipes._frame import pets
from fastnn.training import History
from photos import put_flowers, put_pets, squeezenet_arrays

for package in ("PIL", "matplotlib", "safetensors", "scipy", "sklearn"):
    pytest.importorskip(package)


NARROW = {"widths": (4, 6, 6, 8), "hidden": (12, 8)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder for FASTNN_DATA."""
    folder = tmp_path_factory.mktemp("data")
    put_pets(folder, per_class=30)
    put_flowers(folder)
    (folder / "squeezenet").mkdir()
    np.savez(folder / flowers.WEIGHTS, **squeezenet_arrays())
    return folder


@pytest.fixture(autouse=True)
def places(data, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(data))


def record(folder):
    return json.loads((folder / "settings.json").read_bytes())


def page(folder):
    return (folder / "report.html").read_text()


@pytest.mark.parametrize("name", ["flowers", "dogs", "resnet"])
def test_published_figures_are_on_the_card(name):
    recipe = recipes.load(name)
    figures = {
        "flowers": ("S7", "test accuracy, cnn", "44.12 %"),
        "dogs": ("S12", "validation accuracy", "84.64 %"),
        "resnet": ("S13", "batch norm, validation accuracy", "91.00 %"),
    }
    number, what, published = figures[name]
    assert recipe.CARD.beside(number, what, "1 %") == (f"{number}, {what}", published, "1 %")
    assert recipe.CARD.beside(number, "another", "1 %").published == "-"


def test_pets_are_split_once_for_all_seeds():
    data = pets.load(quick=False)
    fnn.manual_seed(3)
    again = pets.load(quick=True)
    assert [len(x) for x, _ in data] == [len(y) for _, y in data] == [48, 12]
    for (x, y), (x_again, y_again) in zip(data, again, strict=True):
        np.testing.assert_array_equal(x.pixels, x_again.pixels)
        np.testing.assert_array_equal(y, y_again)
    assert set(data.valid[1]) == {0, 1}
    assert not {x.tobytes() for x in data.train[0].pixels} & {x.tobytes() for x in data.valid[0].pixels}
    assert str(data) == "48 photographs to train, 12 to validate"


@pytest.mark.usefixtures("unpainted")
def test_dogs(tmp_path, capsys):
    folder = dogs.run(dogs.Settings(epochs=2, batch_size=16, threads=1, out=str(tmp_path / "run")))
    text = capsys.readouterr().out
    for line in ("validation accuracy", "84.64 %", "hidden test accuracy", "S12b, learning rate 0.005", "63.93 %"):
        assert line in text
    history, result = History.load(folder / "history.json"), record(folder)["result"]
    assert history.iterations == 6
    assert result["valid_accuracy"] == history.eval_accuracy[-1]
    net = dogs.network().eval()
    net.load_state_dict(load_safetensors(folder / "weights.safetensors"))
    x, y = pets.load(quick=True).valid
    assert result["valid_accuracy"] == np.mean(net(pets.NORMALISE(x[:])).argmax(axis=1) == y)
    names = {path.stem for path in folder.glob("*.png")}
    assert names == {
        *("curves", "curves-narrow", "confusion", "most_confusing", "most_wrong", "kernels", "last_kernels"),
        *("most_confusing-narrow", "most_wrong-narrow"),
        *("feature_maps", "feature_maps-narrow"),
    }
    assert page(folder).count("data:image/png;base64,") == len(names)
    assert "84.64 %" in page(folder)


@pytest.mark.usefixtures("unpainted")
def test_the_sweep_of_s12b(tmp_path, monkeypatch, capsys):
    pytest.importorskip("joblib")
    monkeypatch.setattr(dogs.networks, "vgg11", partial(dogs.networks.vgg11, **NARROW))
    command = ["sweep", "dogs", "--batch-size", "16", "--grid", "lr=0.1,0.01", "epochs=1", "--out", str(tmp_path / "s")]
    assert main(command) == 0
    assert "with valid_accuracy" in capsys.readouterr().out
    header, *rows = (tmp_path / "s" / "results.csv").read_text().splitlines()
    assert header.startswith("lr,epochs,")
    assert [row.split(",")[0] for row in rows] == ["0.1", "0.01"]


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize(("norm", "names"), [("both", resnet.NAMES), ("with", resnet.NAMES[:1])])
def test_resnet(tmp_path, capsys, norm, names):
    settings = resnet.Settings(
        epochs=2,
        epochs_without=1,
        norm=norm,
        channels="4x8",
        blocks="1x1",
        batch_size=16,
        lr=0.01,
        out=str(tmp_path / "run"),
    )
    folder = resnet.run(settings)
    text = capsys.readouterr().out
    result = record(folder)["result"]
    for name in resnet.NAMES:
        assert (f"{name}, validation accuracy" in text) == (name in names)
        assert (folder / f"history-{name.replace(' ', '-')}.json").exists() == (name in names)
    assert result["valid_accuracy"] == result["batch_norm_valid_accuracy"]
    assert ("no_batch_norm_valid_loss" in result) == (norm == "both")
    assert "91.00 %" in page(folder)


def test_resnets_differ_by_batch_norm_alone():
    settings = resnet.Settings(channels="4x8", blocks="1x2")
    kinds = [
        [type(layer).__name__ for layer in resnet.network(settings, batch_norm=b).modules()] for b in (True, False)
    ]
    assert "BatchNorm2d" in kinds[0]
    assert [kind for kind in kinds[0] if kind != "BatchNorm2d"] == kinds[1]
    with pytest.raises(ValueError, match="blocks: got 1, expected a number for each of the stages 4x8"):
        resnet.network(resnet.Settings(channels="4x8", blocks="1"), batch_norm=True)


def test_flowers_fine_tuned(tmp_path, capsys):
    settings = flowers.Settings(quick=True, size=48, batch_size=32, lr=0.01, out=str(tmp_path / "run"))
    folder = flowers.run(settings)
    assert "87.06 %" not in capsys.readouterr().out  # a quick run is compared with nobody
    result = record(folder)["result"]
    history = History.load(folder / "history.json")
    assert history.iterations == 4
    assert result["valid_accuracy"] == max(history.eval_accuracy)
    names = {path.stem for path in folder.glob("*.png")}
    assert names == {"curves", "curves-narrow", "confusion", "most_wrong", "most_wrong-narrow", "kernels"}
    assert page(folder).count("data:image/png;base64,") == len(names)


def test_fine_tuning_begins_with_the_weights_given(data):
    net, _ = flowers.squeezenet(None)
    state, arrays = net.state_dict(), squeezenet_arrays()
    np.testing.assert_array_equal(state["0.3.0.bias"], arrays["fire2/squeeze1x1/bias"])
    assert state["1.1.weight"].shape == (17, 512, 1, 1)
    with pytest.raises(FileNotFoundError, match=r"weights: got none\.npz, expected SqueezeNet"):
        flowers.squeezenet("none.npz")


@pytest.mark.usefixtures("unpainted")
def test_flowers_from_scratch(tmp_path, capsys):
    folder = flowers.run(flowers.Settings(epochs=1, network="cnn", size=20, out=str(tmp_path / "run")))
    assert "44.12 %" in capsys.readouterr().out
    assert "fire" not in page(folder)
    assert load_safetensors(folder / "weights.safetensors")["16.weight"].shape == (17, 256)


LONG = {"batch_size": 16, "epochs": 30, "momentum": 0.9, "lr": 0.01, "threads": 1}
RUN = f"""
import functools
from fastnn.recipes import dogs
from fastnn.recipes._frame import run
run._SECONDS = 0
dogs.networks.vgg11 = functools.partial(dogs.networks.vgg11, **{NARROW})
dogs.run(dogs.Settings(**{LONG}, out=OUT))
"""


@pytest.mark.usefixtures("unpainted")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """S12 with narrow layers: whatever is random in it, augmentation and order, goes on as if nothing had been."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": str(Path(fnn.__file__).parents[1])}
    command = [sys.executable, "-c", f"OUT = {str(killed)!r}\n{RUN}"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not (killed / "checkpoint.npz").exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "history.json").exists(), "it was killed too late"
    monkeypatch.setattr(dogs.networks, "vgg11", partial(dogs.networks.vgg11, **NARROW))
    dogs.run(dogs.Settings(**LONG, out=str(whole)))
    dogs.run(dogs.Settings(**LONG, resume=str(killed)))
    for name in ("history.json", "weights.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
