"""S8: networks given as volumes, and their recipe from end to end."""

import json

import numpy as np
import pytest

import fastnn as fnn
from fastnn.interop import load_safetensors
from fastnn.recipes import parabola
from fastnn.training import History

for package in ("matplotlib", "sklearn", "safetensors"):
    pytest.importorskip(package)


def test_points():
    x, y = parabola.points(2000, np.random.default_rng(0))
    assert x.shape == (2000, 1, 2, 1)
    assert y.shape == (2000, 1)
    assert -2 <= x.min() < -1.9
    assert 1.9 < x.max() <= 2
    x0, x1 = x.reshape(-1, 2).T
    np.testing.assert_array_equal(y[:, 0] == 1, x0**2 > x1)
    assert abs(y.mean() - (0.5 + 0.5 * (1 - np.sqrt(2) / 3))) < 0.03  # the area


@pytest.mark.parametrize("name", parabola.NETWORKS)
def test_networks_are_the_convolutions_over_volumes_that_they_are_given_as(name):
    layers = parabola.NETWORKS[name]
    linear = parabola.network(layers)
    parts = []
    for (_, _, depth), layer in zip(parabola.volumes(layers), layers, strict=False):
        parts += [fnn.Conv2d(depth, layer.depth, layer.kernel, layer.stride), fnn.Sigmoid()]
    convolutions = fnn.Sequential(*parts, fnn.Flatten())
    for one, two in zip(convolutions.parameters(), linear.parameters(), strict=True):
        one.data = two.data.reshape(one.data.shape)
    x, y = parabola.points(50, np.random.default_rng(0))
    gradients = []
    for net in (convolutions, linear):
        loss = fnn.BCELoss()
        loss(net(x), y)
        dx = net.backward(loss.backward())
        assert dx.shape == x.shape
        gradients.append([dx.ravel(), *(p.grad.ravel() for p in net.parameters())])
    np.testing.assert_allclose(convolutions(x), linear(x), rtol=1e-5)
    for one, two in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-7)
    assert parabola.volumes(layers)[-1] == (1, 1, 1)


def test_a_kernel_that_does_not_cover_its_volume_is_refused():
    with pytest.raises(ValueError, match=r"kernel: got \(1, 1\), expected that of the whole volume, \(2, 1\)"):
        parabola.network([parabola.Layer((1, 1), 1, 1)])


def test_a_quick_run(tmp_path, capsys):
    folder = parabola.run(parabola.Settings(quick=True, out=str(tmp_path / "run")))
    record = json.loads((folder / "settings.json").read_text())["result"]
    assert list(record["networks"]) == list(parabola.NETWORKS)
    for name, part in ((parabola.SCORE, "valid"), ("test_accuracy", "test")):
        accuracies = [draw[part] for draws in record["networks"].values() for draw in draws]
        assert record[name] == pytest.approx(np.mean(accuracies))
    for name, draws in record["networks"].items():
        file = name.replace(" -> ", "-")
        assert (folder / f"{file}.png").read_bytes().startswith(b"\x89PNG")
        assert History.load(folder / f"history-{file}.json").iterations == 50
        assert load_safetensors(folder / f"weights-{file}.safetensors")
        assert len(draws) == 2
        for draw in draws:
            assert draw["train"] > 0.7
            assert draw["seconds"] > 0
            assert draw["microseconds"] > 0
    printed = capsys.readouterr().out
    assert "2 x 1 x 1       2 x 1           1   1 x 1 x 3" in printed
    assert "2 -> 3 -> 1, training accuracy" in printed
    assert "99.80 %" not in printed
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    again = parabola.run(parabola.Settings(quick=True, threads=1, out=str(tmp_path / "again")))
    for name in ("weights-2-3-1.safetensors", "history-2-1.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_three_hidden_units_learn_the_parabola(tmp_path):
    parabola.run(parabola.Settings(draws=1, out=str(tmp_path / "run")))
    record = json.loads((tmp_path / "run" / "settings.json").read_text())["result"]["networks"]
    assert record["2 -> 3 -> 1"][0]["train"] > 0.97
    assert 0.77 < record["2 -> 1"][0]["train"] < 0.87  # no line parts them better
