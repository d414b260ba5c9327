"""S1c: sheets of digits read from end to end, and LeNet's weights from MATLAB."""

import json
import os

import numpy as np
import pytest

from fastnn.data import digits
from fastnn.interop import load_lenet_mat, load_safetensors
from fastnn.networks import lenet
from fastnn.recipes import photographs
from fastnn.recipes._frame.sheets import truth_of
from sheets import sheet

for package in ("matplotlib", "sklearn", "safetensors", "PIL", "scipy", "skimage"):
    pytest.importorskip(package)

from PIL import Image  # noqa: E402
from scipy.io import savemat  # noqa: E402

LINES = ["1203495678", "90817"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with two photographs: one whose text is beside it, one that nobody knows."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "cmpt412").mkdir()
    for name, lines in (("known.png", LINES), ("new.jpg", ["42"])):
        image, _ = sheet(lines)
        Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(folder / "cmpt412" / name)
    (folder / "cmpt412" / "known.txt").write_text("\n".join(LINES))
    return folder


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """The run folder of a quick run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTNN_DATA", str(data))
        return photographs.run(photographs.Settings(quick=True, out=str(tmp_path_factory.mktemp("runs") / "run")))


def test_a_quick_run_reads_most(folder):
    record = json.loads((folder / "settings.json").read_text())["result"]
    known, new = record["photographs"]
    assert (known["name"], known["found"], known["written"]) == ("known.png", 15, 15)
    assert known["right"] == sum(a == b for a, b in zip(known["read"], "".join(LINES), strict=True))
    assert known["right"] >= 10
    assert record["right"] == known["right"] / 15
    assert (new["found"], len(new["read"]), "right" in new) == (2, 2, False)
    assert record["test_accuracy"] > 0.8
    for name in ("known.png", "new.jpg"):
        assert (folder / f"{name}.boxes.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert f"{known['right']} of 15" in page
    assert load_safetensors(folder / "weights.safetensors").keys() == lenet().state_dict().keys()


def test_with_weights_nothing_is_trained(folder, data, tmp_path, capsys):
    settings = {"photographs": str(data / "cmpt412"), "weights": str(folder / "weights.safetensors")}
    again = photographs.run(photographs.Settings(**settings, out=str(tmp_path / "again")))
    first, second = (json.loads((run / "settings.json").read_text())["result"] for run in (folder, again))
    assert second["photographs"] == first["photographs"]
    assert "test_accuracy" not in second
    printed = capsys.readouterr().out
    assert f"known.png: 15 digits found, read {first['photographs'][0]['read']}, " in printed
    assert f"all          -  {first['photographs'][0]['right']} of 15" in printed


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_read_does_not_end_the_run(folder, tmp_path, capsys):
    """Broken photographs and texts, and names with anything in them, beside those that can be read."""
    place = tmp_path / "sheets"
    place.mkdir()
    image, _ = sheet(["42"])
    pixels = Image.fromarray(np.rint(255 * image).astype(np.uint8))
    names = ["price $5 a_{b $.png", "mark.png", "wide.png", "A.PNG", "\N{CJK UNIFIED IDEOGRAPH-732B} & co.png"]
    for name in [*names, "no text.png", "cut.png"]:
        pixels.save(place / name, "PNG")
    (place / "mark.txt").write_bytes(b"\xef\xbb\xbf4 2\r\n")
    (place / "wide.txt").write_bytes("42".encode("utf-16"))
    (place / "no text.txt").write_bytes(b"\xff42")
    (place / "cut.png").write_bytes((place / "cut.png").read_bytes()[:300])
    (place / "empty.jpg").touch()
    (place / "._mark.png").write_bytes(b"left behind")
    (place / "b.png").mkdir()
    (place / "mark2.txt").mkdir()
    out = photographs.run(
        photographs.Settings(
            photographs=str(place), weights=str(folder / "weights.safetensors"), out=str(tmp_path / "run")
        )
    )
    record = json.loads((out / "settings.json").read_text())["result"]
    found = {each["name"]: each for each in record["photographs"]}
    assert sorted(found) == sorted([*names, "no text.png", "cut.png", "empty.jpg"])
    assert {name for name, each in found.items() if "error" in each} == {"no text.png", "cut.png", "empty.jpg"}
    assert {name for name, each in found.items() if each.get("written") == 2} == {"mark.png", "wide.png"}
    printed, page = capsys.readouterr().out, (out / "report.html").read_text(encoding="utf-8")
    for name, text in (
        ("cut.png", "truncated"),
        ("empty.jpg", "no image"),
        ("no text.png", "expected a text in UTF-8"),
    ):
        assert f"{name}: not read: " in printed
        assert text in found[name]["error"]
        assert name in page
    assert page.count("data:image/png;base64,") == len(names)
    assert all((out / f"{name}.boxes.png").read_bytes().startswith(b"\x89PNG") for name in names)


@pytest.mark.skipif(os.name == "nt", reason="names as Unix has them")
def test_names_as_long_as_they_can_be_and_of_other_bytes(folder, tmp_path):
    image, _ = sheet(["7"])
    for name in ("n" * 251 + ".png", os.fsdecode(b"caf\xe9.png")):
        try:
            Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(tmp_path / name)
        except OSError:
            pytest.skip("this disk has no such names")
    settings = {"photographs": str(tmp_path), "weights": str(folder / "weights.safetensors")}
    out = photographs.run(photographs.Settings(**settings, out=str(tmp_path / "run")))
    read = json.loads((out / "settings.json").read_text())["result"]["photographs"]
    assert [each["name"] for each in read] == ["caf?.png", "n" * 251 + ".png"]
    assert len(list(out.glob("*.boxes.png"))) == 2


def test_a_text_beside_a_photograph_counts_more_than_a_known_name(tmp_path):
    assert truth_of(tmp_path / "image3.png", photographs.TRUTH) == "60624"
    (tmp_path / "image3.txt").write_text("12\n34\n")
    assert "".join(truth_of(tmp_path / "image3.png", photographs.TRUTH).split()) == "1234"


def test_published_figures_stand_beside_those_of_the_same_photographs():
    photographs_read = [
        {"name": name, "right": len(text) - (name == "image2.JPG"), "written": len(text)}
        for name, text in photographs.TRUTH.items()
    ]
    assert photographs._figures(photographs_read) == [
        ("S1c, digits like MNIST's", "5 of 5", "55 of 55"),
        ("S1c, thin strokes", "under 40 %", "19 of 20"),
        ("S1c, all", "-", "74 of 75"),
    ]


def test_photographs_must_be_there(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"photographs: got no folder, expected .* cmpt412/ .*FASTNN_DATA"):
        photographs.run(photographs.Settings())
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"photographs: got .*cmpt412, expected"):
        photographs.run(photographs.Settings())
    with pytest.raises(FileNotFoundError, match="has no images"):
        photographs.run(photographs.Settings(photographs=str(tmp_path)))


def test_the_courses_photographs_have_75_digits():
    assert [len(text) for text in photographs.TRUTH.values()] == [10, 10, 5, 50]


# -- LeNet's weights from MATLAB


def put_lenet_mat(path, state, drop=None, wrong=None):
    """Weights as the course has them: nine structs, transposed matrices, no weights of the last class."""
    params = np.empty((1, 9), object)
    for i in range(9):
        params[0, i] = {"w": np.zeros((0, 0)), "b": np.zeros((0, 0))}
    for place, name in ((0, "0"), (3, "3"), (6, "7"), (8, "9")):
        weight, bias = (state[f"{name}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
        weight = weight.reshape(len(weight), -1)
        last = place == 8
        params[0, place] = {
            "w": weight[:-1] if last else weight.T,
            "b": bias[:-1, None] if last else bias[None],
        }
    if wrong is not None:
        params[0, wrong]["w"] = params[0, wrong]["w"][:-1]
    savemat(path, {"other": 1} if drop else {"params": params})


def test_lenet_from_matlab_gives_the_same_scores(tmp_path):
    net = lenet().eval()
    state = net.state_dict()
    state["9.weight"][-1] = state["9.bias"][-1] = 0  # what that format cannot say
    net.load_state_dict(state)
    put_lenet_mat(tmp_path / "lenet.mat", state)
    other = lenet().eval()
    other.load_state_dict(load_lenet_mat(tmp_path / "lenet.mat"))
    x = digits()[2][:20]
    np.testing.assert_array_equal(other(x), net(x))


def test_other_matlab_files_are_refused(tmp_path):
    state = lenet().state_dict()
    put_lenet_mat(tmp_path / "a.mat", state, drop=True)
    with pytest.raises(ValueError, match=r"a\.mat: has no array 'params'"):
        load_lenet_mat(tmp_path / "a.mat")
    put_lenet_mat(tmp_path / "b.mat", state, wrong=3)
    with pytest.raises(ValueError, match=r"b\.mat: not LeNet: params 3 has \(50, 499\) weights"):
        load_lenet_mat(tmp_path / "b.mat")
    savemat(tmp_path / "c.mat", {"params": np.zeros(9)})
    with pytest.raises(ValueError, match=r"c\.mat: not LeNet: no struct with w and b"):
        load_lenet_mat(tmp_path / "c.mat")
