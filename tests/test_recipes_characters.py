"""The recipes of S2, S4, S5 and S6, run for a short while, and the parts that their data are taken in."""

import io
import json
import tarfile

import numpy as np
import pytest

import fastnn as fnn
from fastnn import recipes
from fastnn.data import CHARACTERS, _cifar10, digits
from fastnn.recipes import autoencoder, characters, characters_adam, cnn
from fastnn.recipes._frame import handwriting
from fastnn.training import History

for package in ("matplotlib", "sklearn", "safetensors", "PIL", "scipy"):
    pytest.importorskip(package)


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("FASTNN_DATA", raising=False)


def result(folder):
    return json.loads((folder / "settings.json").read_bytes())["result"]


def page(folder):
    return (folder / "report.html").read_text()


# -- data


def put_hw36(folder):
    """Two sheets to train, of one class each, one to test and a photograph; every image is a bar of its own width."""
    from PIL import Image

    sheets = {"ones": "train", "letters": "train", "mixed": "test", "01_list": "photograph"}
    (folder / "hw36_split.csv").write_text("sheet,role\n" + "".join(f"{s}.png,{role}\n" for s, role in sheets.items()))
    with tarfile.open(folder / "hw36.tar", "w") as archive:
        for number in range(40):
            for name, sheet in (("1", "ones"), ("B", "letters"), ("B", "mixed"), ("1", "01_list")):
                pixels = np.full((60, 80), 255, np.uint8)
                pixels[5:55, 10 : 20 + number] = 0
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, "png")
                member = tarfile.TarInfo(f"hw36/{name}/{number}_{sheet}.png")
                member.size = content.tell()
                content.seek(0)
                archive.addfile(member, content)


def test_hw36_in_parts(tmp_path, monkeypatch):
    put_hw36(tmp_path)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    data = handwriting.load("hw36", quick=False)
    assert [len(x) for x, _ in data] == [len(y) for _, y in data] == [72, 8, 40]
    assert str(data) == "72 characters to train, 8 to validate, 40 to test"
    one, letter = CHARACTERS.index("1"), CHARACTERS.index("B")
    assert set(data.test[1].tolist()) == {letter}
    assert np.bincount(np.concatenate([data.train[1], data.valid[1]]))[[one, letter]].tolist() == [40, 40]
    assert set(data.valid[1].tolist()) == {one, letter}  # of both sheets
    assert data.train[0].shape[1:] == (1, 32, 32)
    again = handwriting.load("hw36", quick=False)
    np.testing.assert_array_equal(data.valid[0], again.valid[0])


def test_nist36_in_parts(tmp_path, monkeypatch):
    savemat = pytest.importorskip("scipy.io").savemat
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("valid", 3), ("test", 2)):
        labels = np.eye(36)[rng.integers(0, 36, count)]
        savemat(tmp_path / f"nist36_{part}.mat", {f"{part}_data": rng.random((count, 1024)), f"{part}_labels": labels})
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    assert [len(x) for x, _ in handwriting.load("nist36", quick=False)] == [5, 3, 2]


@pytest.mark.parametrize("data", ["hw36", "nist36"])
def test_without_files_the_bundled_images_are_advised(data):
    with pytest.raises(FileNotFoundError, match=rf"{data}.*\nOr train on the bundled images: --data digits"):
        handwriting.load(data, quick=True)


def test_digits_in_the_form_of_characters():
    data = handwriting.load("digits", quick=False)
    assert [len(x) for x, _ in data] == [4166, 834, 1000]
    _, _, x_test, y_test = digits()
    np.testing.assert_allclose(1 - data.test[0][:, :, 2:-2, 2:-2], x_test, atol=1e-6)
    assert (data.test[0][:, :, [0, -1]] == 1).all()
    assert [CHARACTERS[place] for place in data.test[1]] == [str(digit) for digit in y_test]
    few = handwriting.load("digits", quick=True)
    assert all(len(x) == len(y) <= 900 for x, y in few)
    assert all(len(np.unique(y)) == 10 for _, y in few)


# -- S2


@pytest.mark.usefixtures("unpainted")
def test_characters(tmp_path, capsys):
    folder = characters.run(characters.Settings(quick=True, epochs=2, out=str(tmp_path / "run")))
    text = capsys.readouterr().out
    for part in ("lr-0.02\n", "lr-0.002\n", "lr-0.0002\n", "1.weight: 20, ", "3.bias: 20, ", "A quick run"):
        assert part in text
    assert "77.83" not in text + page(folder)
    found = result(folder)
    assert found["largest_gradient_difference"] < 1e-8
    assert 0 <= found["valid_accuracy"] <= 1
    histories = [History.load(folder / f"history-lr-{rate}.json") for rate in ("0.02", "0.002", "0.0002")]
    assert len({history.eval_loss[0] for history in histories}) == 1  # the same weights before the first step
    assert len({history.loss[-1] for history in histories}) == 3
    assert {path.name for path in folder.glob("*.png")} >= {
        "rates.png",
        "weights.png",
        "weights-narrow.png",
        "confusion.png",
        "most_wrong.png",
    }
    assert "Gradients beside finite differences" in page(folder)


def test_network_of_s2_is_the_published_one():
    net = characters.network()
    assert sum(p.data.size for p in net.parameters()) == 1024 * 64 + 64 + 64 * 36 + 36
    assert not net.state_dict()["1.bias"].any()
    bound = np.sqrt(6 / (1024 + 64))
    assert 0.99 * bound < np.abs(net.state_dict()["1.weight"]).max() <= bound


def test_every_weight_and_bias_is_checked():
    fnn.manual_seed(0)
    net = fnn.Sequential(fnn.Linear(6, 5), fnn.Sigmoid(), fnn.Linear(5, 4))
    x, y = np.random.default_rng(0).random((3, 6), dtype=np.float32), np.array([0, 3, 1])
    found = characters.finite_differences(net, x, y, quick=False)
    assert len(found.entries) == sum(p.data.size for p in net.parameters())
    assert found.passed
    assert found.eps == 1e-6
    rows = characters._by_array(found).rows
    assert [row[:2] for row in rows] == [["0.weight", 30], ["0.bias", 5], ["2.weight", 20], ["2.bias", 4]]


@pytest.mark.usefixtures("unpainted")
def test_a_full_run_of_s2_is_compared_with_the_published_one(tmp_path, capsys, monkeypatch):
    put_hw36(tmp_path)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    monkeypatch.setattr(characters, "_CHECKED", 1)
    settings = characters.Settings(hidden=1, epochs=1, out=str(tmp_path / "run"))
    characters.run(settings)
    text = capsys.readouterr().out
    for figure in ("77.83 %", "72.22 %", "69.00 %", "72 characters to train"):
        assert figure in text
    assert "1.weight: 1,024, " in text
    assert "36 classes" in page(tmp_path / "run")


# -- S4, S5, S6


@pytest.mark.usefixtures("unpainted")
def test_autoencoder(tmp_path, capsys):
    folder = autoencoder.run(autoencoder.Settings(quick=True, epochs=3, out=str(tmp_path / "run")))
    assert "PSNR, dB" in capsys.readouterr().out
    found = result(folder)
    assert 8 < found["valid_psnr"] < 20
    assert 8 < found["test_psnr"] < 20
    history = History.load(folder / "history.json")
    assert history.metric_name == "psnr"
    assert history.eval_psnr[-1] > history.eval_psnr[0] + 1
    assert {"reconstructions", "reconstructions-narrow"} <= {path.stem for path in folder.glob("*.png")}
    assert "15.24" not in page(folder)


def test_images_of_five_classes_are_shown():
    y = np.repeat(np.arange(36), 3)
    chosen = autoencoder.of_some_classes(y)
    assert y[chosen].tolist() == [0, 0, 8, 8, 17, 17, 26, 26, 35, 35]
    assert len(set(chosen.tolist())) == 10
    assert len(autoencoder.of_some_classes(np.array([1, 2, 3, 4, 4, 5]))) == 6  # of some there is one


@pytest.mark.usefixtures("unpainted")
def test_characters_adam(tmp_path, capsys):
    settings = characters_adam.Settings(quick=True, hidden=32, lr_step=2, lr=3e-3, out=str(tmp_path / "run"))
    folder = characters_adam.run(settings)
    history = History.load(folder / "history.json")
    assert (history.lr[0], history.lr[-1]) == (3e-3, 3e-3 / 4)
    assert np.mean(history.loss[-10:]) < np.mean(history.loss[:10])
    assert "S5, test accuracy" in capsys.readouterr().out


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("augment", [False, True])
def test_cnn_on_characters(tmp_path, augment, capsys):
    settings = cnn.Settings(quick=True, epochs=1, augment=augment, batch_size=100, out=str(tmp_path / "run"))
    folder = cnn.run(settings)
    assert "397,540" in capsys.readouterr().out
    assert 0 <= result(folder)["valid_accuracy"] <= 1


@pytest.mark.usefixtures("unpainted")
def test_cnn_on_cifar10(tmp_path, monkeypatch, capsys):
    """Files of the real layout, with few images; they are normalised, shifted and mirrored."""
    monkeypatch.setattr(_cifar10, "_IMAGES", 30)
    monkeypatch.setattr(cnn, "_TO_VALIDATE", 20)
    rng = np.random.default_rng(0)
    for name in (*_cifar10._TRAIN, _cifar10._TEST):
        records = np.column_stack([rng.integers(0, 10, 30, np.uint8), rng.integers(0, 256, (30, 3072), np.uint8)])
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    seen = []
    monkeypatch.setitem(cnn.AUGMENT, "cifar10", lambda x, rng: seen.append(x.shape) or x)
    folder = cnn.run(cnn.Settings(data="cifar10", epochs=1, augment=True, out=str(tmp_path / "run")))
    text = capsys.readouterr().out
    assert "CIFAR-10, 130 images to train, 20 to validate, 30 to test" in text
    assert "391,434" in text
    assert "79.28 %" in text
    assert "airplane" in text
    assert seen[:3] == [(64, 3, 32, 32), (64, 3, 32, 32), (2, 3, 32, 32)]
    assert "S6, test accuracy" in page(folder)


@pytest.mark.usefixtures("unpainted")
def test_the_cnn_takes_widths():
    net = cnn.network(cnn.Settings(widths="4x8x16x32"), 10, 3)
    assert [p.shape[0] for p in net.parameters() if p.data.ndim > 1] == [4, 8, 16, 32, 10]
    with pytest.raises(ValueError, match="widths: got 4x8, expected four numbers"):
        cnn.network(cnn.Settings(widths="4x8"), 10, 3)


def test_the_cnn_goes_on_with_its_rate(tmp_path):
    folder = str(tmp_path / "run")
    settings = {"quick": True, "batch_size": 834, "lr_step": 2}
    cnn.run(cnn.Settings(**settings, epochs=3, out=folder))
    cnn.run(cnn.Settings(**settings, epochs=5, resume=folder))
    rates = History.load(tmp_path / "run" / "history.json").lr
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 2e-4, 2e-4, 4e-5])


def test_the_default_length_follows_the_data():
    assert (cnn.Settings().epochs, cnn.Settings().lr_step) == (30, 10)
    assert (cnn.Settings(data="cifar10").epochs, cnn.Settings(data="cifar10").lr_step) == (18, 6)
    assert cnn.Settings(data="cifar10", epochs=3).epochs == 3
    assert cnn.Settings(quick=True).data == "digits"


def test_names_with_a_hyphen_are_found():
    assert recipes.load("characters-adam") is characters_adam
