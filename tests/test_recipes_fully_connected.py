"""The recipes of S9 to S11, run for a short while."""

import json

import numpy as np
import pytest

import fastnn as fnn
from fastnn import networks
from fastnn.data import digits
from fastnn.interop import load_safetensors
from fastnn.recipes import masks, mlp, smallvgg, solver
from fastnn.recipes._frame import split
from fastnn.training import History

for package in ("matplotlib", "sklearn", "safetensors"):
    pytest.importorskip(package)


def result(folder):
    return json.loads((folder / "settings.json").read_bytes())["result"]


def page(folder):
    return (folder / "report.html").read_text()


def size(net):
    return sum(p.data.size for p in net.parameters())


def test_split_is_of_whole_data_and_keeps_the_test_images_apart():
    data = split.load("digits", quick=False)
    assert [len(x) for x, _ in data] == [len(y) for _, y in data] == [4166, 834, 1000]
    assert np.bincount(data.valid[1], minlength=10).min() > 60  # of every class
    x, _, x_test, _ = digits()
    np.testing.assert_array_equal(data.test[0], x_test)
    both = np.concatenate([data.train[0], data.valid[0]])
    assert sorted(map(bytes, both)) == sorted(map(bytes, x))
    assert str(data) == "4,166 digits to train, 834 to validate, 1,000 to test"


def test_networks_are_the_published_ones():
    assert size(mlp.network()) == 973_702
    assert size(mlp.network("250")) == 198_760
    net = fnn.init.initialise(networks.small_vgg(), smallvgg.XAVIER)
    for name, p in net.named_parameters():
        assert p.data.any() == name.endswith("weight")
    maps = [layer.forward for layer in net]
    x = np.zeros((1, 1, 28, 28), np.float32)
    shapes = [(x := forward(x)).shape[1:] for forward in maps]
    assert next(shape for shape in shapes if shape[-1] == 4) == (64, 4, 4)
    assert shapes[0] == shapes[2] == (16, 32, 32)


def test_mlp_compares_initialisations(tmp_path, capsys):
    folder = mlp.run(mlp.Settings(quick=True, lr=0.02, batch_size=50, out=str(tmp_path / "run")))
    text = capsys.readouterr().out
    for line in (
        "A quick run, to see that everything works",
        "S10, zero, training accuracy  ",
        "S10, normal, training accuracy  ",
        "S10, glorot, training accuracy  ",
    ):
        assert line in text
    assert "82.89 %" not in text
    found = result(folder)
    assert found["zero_valid_accuracy"] < 0.2
    assert found["valid_accuracy"] == found["glorot_valid_accuracy"] > 0.4
    for name in mlp.RULES:
        assert History.load(folder / f"history-{name}.json").iterations == 40
    zero = load_safetensors(folder / "weights-zero.safetensors")
    assert not zero["1.weight"].any()
    assert zero["5.bias"].any()
    assert "82.89 %" not in page(folder)
    rows = mlp._comparisons(mlp.Settings(), {"glorot": {"train": 0.5, "valid": 0.4}})
    assert rows == [
        ("S10, glorot, training accuracy", "82.89 %", "50.00 %"),
        ("S10, glorot, valid accuracy", "-", "40.00 %"),
    ]


def test_finite_differences_fall_to_rounding():
    fnn.manual_seed(0)
    net = fnn.init.initialise(mlp.network("12x11"), mlp.RULES["glorot"])
    x, y, _, _ = digits()
    differences = mlp.finite_differences(net, x[:5], y[:5])
    assert list(differences) == [1, 1 / 5, 1 / 10, 1 / 50, 1e-3, 1 / 5000, 1e-5, 1 / 500_000]
    assert differences[1 / 5000] < 1e-8 < differences[1]


@pytest.mark.usefixtures("unpainted")
def test_mlp_of_one_initialisation_shows_s10b(tmp_path, capsys):
    settings = mlp.Settings(init="glorot", data="digits", hidden="20x10", epochs=1, out=str(tmp_path / "run"))
    mlp.run(settings)
    assert "S10b, learning rate 0.1" in capsys.readouterr().out
    assert not (tmp_path / "run" / "history-zero.json").exists()


@pytest.mark.usefixtures("unpainted")
def test_solver_compares_a_full_run_with_the_published_one(tmp_path, capsys):
    settings = {"data": "digits", "hidden": "5", "batch_size": 500, "epochs": 1}
    solver.run(solver.Settings(**settings, out=str(tmp_path / "run")))
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("S9")]
    assert rows[0][:5] == ["S9,", "validation", "accuracy", "96.05", "%"]
    assert {(row[0], row[-2]) for row in rows[2:]} == {("S9b,", "96.43"), ("S9b,", "96.10")}


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("rule", ["sgd_momentum", "rmsprop"])
def test_solver_has_several_rules(tmp_path, rule):
    settings = solver.Settings(
        quick=True, rule=rule, hidden="20", lr=1e-2, lr_decay=0.5, batch_size=40, epochs=2, out=str(tmp_path / "run")
    )
    history = History.load(solver.run(settings) / "history.json")
    assert (history.lr[0], history.lr[-1]) == (1e-2, 5e-3)
    assert np.mean(history.loss[-10:]) < np.mean(history.loss[:10])


def test_solver(tmp_path, capsys):
    folder = solver.run(solver.Settings(quick=True, lr=1e-3, out=str(tmp_path / "run")))
    text = capsys.readouterr().out
    assert "passed: largest relative error" in text
    assert "96.05 %" not in text
    history = History.load(folder / "history.json")
    found = result(folder)
    assert found["valid_accuracy"] == max(history.eval_accuracy) > 0.8
    assert history.eval_accuracy[history.eval_iteration.index(found["best_iteration"])] == found["valid_accuracy"]
    net = mlp.network("250").eval()
    net.load_state_dict(load_safetensors(folder / "weights.safetensors"))
    predicted = net(split.load("digits", quick=True).test[0]).argmax(axis=1)
    header, *rows = (folder / "submission.csv").read_text().splitlines()
    assert header == "ImageId,Label"
    assert rows == [f"{i + 1},{label}" for i, label in enumerate(predicted)]
    assert page(folder).count("data:image/png") >= 3


def test_smallvgg_beside_the_perceptron(tmp_path, capsys):
    folder = smallvgg.run(smallvgg.Settings(quick=True, lr=0.1, batch_size=20, out=str(tmp_path / "run")))
    assert "about 99 %" not in capsys.readouterr().out
    found = result(folder)
    assert found["valid_accuracy"] == History.load(folder / "history-SmallVGG.json").eval_accuracy[-1]
    assert 0.2 < found["test_accuracy"] != found["valid_accuracy"]
    assert found["perceptron_test_accuracy"] > 0.7
    assert "about 99 %" not in page(folder)


@pytest.mark.parametrize(("stride", "pool"), [(1, 2), (3, 3)])
def test_masks(tmp_path, stride, pool, capsys):
    folder = masks.run(masks.Settings(stride=stride, pool=pool, out=str(tmp_path / "run")))
    assert result(folder)["passed"] is True
    size = (28 - 3) // stride + 1
    assert f"Prewitt, x: {size} x {size}" in capsys.readouterr().out
    assert "a derivation" in page(folder)


def test_masks_find_edges():
    image = np.zeros((1, 1, 6, 7))
    image[..., 4:] = 1
    edges = masks.convolve(image, masks.PREWITT, 1)
    assert edges[0, 0].tolist() == [[0, 0, 3, 3, 0]] * 4
    assert masks.convolve(image, masks.PREWITT.T, 2).tolist() == np.zeros((1, 1, 2, 3)).tolist()
    np.testing.assert_array_equal(masks.by_hand(image, masks.PREWITT, 2), masks.convolve(image, masks.PREWITT, 2))
