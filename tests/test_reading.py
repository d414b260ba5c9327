"""S3: a quick run with made characters and photographs, and `fastnn read` with what came of it."""

import json

import numpy as np
import pytest

from fastnn import cli, recipes
from fastnn.interop import save_safetensors
from fastnn.recipes import text

for package in ("matplotlib", "sklearn", "safetensors", "skimage", "PIL"):
    pytest.importorskip(package)

from PIL import Image  # noqa: E402

from fastnn.data import CHARACTERS, hw36  # noqa: E402
from pages import classify, page, photograph  # noqa: E402

TEXTS = {"01_list.jpg": text.TRUTH["01_list.jpg"], "own.png": "NEW LINES 27", "new.jpg": "AT 4"}


def put(path, grey):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 * grey).astype(np.uint8)).save(path)


def put_photograph(path, written, **conditions):
    put(path, photograph(page(written, size=32), **conditions).transpose(1, 2, 0))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """hw36 and letters26 of a font, and three photographs: of one the recipe knows the text, of one a file does."""
    folder = tmp_path_factory.mktemp("data")
    for sign in CHARACTERS:
        for number, (sheet, turn) in enumerate([("a", -3), ("a", 3), ("b", 1), ("01_list", 0)]):
            put(folder / "hw36" / sign / f"{number}_{sheet}.jpg", 1 - page(sign, size=60, turn=turn))
        if sign.isalpha():
            put(folder / "letters26" / sign / "1.jpg", page(sign, size=40, margin=4))
    roles = {"a.jpg": "train", "b.jpg": "test", "01_list.jpg": "photograph"}
    (folder / "hw36_split.csv").write_text("sheet,role\n" + "".join(f"{a},{b}\n" for a, b in roles.items()))
    for name, written in TEXTS.items():
        put_photograph(folder / "nist36" / name, written)
    (folder / "nist36" / "own.txt").write_text("new lines 27\n")
    (folder / "nist36" / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a quick run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTNN_DATA", str(data))
        out = tmp_path_factory.mktemp("runs") / "run"
        return text.run(text.Settings(quick=True, network="perceptron", lr=0.01, out=str(out)))


@pytest.fixture
def model(run, monkeypatch):
    """The same run, whose network is one that knows the font."""
    monkeypatch.setattr(text, "reader", lambda _net: classify)
    return str(run)


def test_what_was_cut_out_of_the_photographs_is_not_trained_on(data, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(data))
    (x, y), (x_valid, y_valid) = text.training_data()
    photographs = {image.tobytes() for image in hw36().photographs.x}
    assert len(photographs) == 36
    assert not photographs & {image.tobytes() for image in np.concatenate([x, x_valid])}
    assert (len(x), len(y), len(x_valid), len(y_valid)) == (72 + 26 + 5000, 72 + 26 + 5000, 36, 36)
    assert np.bincount(y).tolist() == [3] * 26 + [502] * 10
    assert np.median(x[-1]) == 1  # MNIST's digits as well: dark on white


def test_a_quick_run(run, data):
    record = json.loads((run / "settings.json").read_text())
    assert record["settings"]["epochs"] == 1
    result = record["result"]
    assert 0 <= result[text.SCORE] <= 1
    found = {each["name"]: each for each in result["photographs"]}
    assert found.keys() == {*TEXTS, "broken.jpg"}
    assert "no image" in found["broken.jpg"]["error"]
    for name, written in TEXTS.items():
        assert [len(line) for line in found[name]["text"].split("\n")] == [len(line) for line in written.split("\n")]
        assert (run / f"{name}.boxes.png").read_bytes().startswith(b"\x89PNG")
    assert found["01_list.jpg"]["written"] == 115
    assert found["own.png"]["written"] == 10
    assert "written" not in found["new.jpg"]
    html = (run / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 5  # the curves twice
    assert "TO DO LIST" in html
    assert "broken.jpg: truncated, corrupt or no image" in html


def test_published_figures_stand_beside_ours():
    found = [
        {"name": name, "truth": truth, "written": 40, "right": 38, "right_without_context": 36}
        for name, truth in text.TRUTH.items()
    ]
    rows = text._figures(found)
    assert [row.published for row in rows] == ["80.87 %", "83.33 %", "88.89 %", "85.37 %", "-"]
    assert [row.ours for row in rows] == ["95.00 % (90.00 % without context)"] * 5
    assert [len("".join(truth.split())) for truth in text.TRUTH.values()] == [115, 36, 54, 41]  # 246 together


def test_without_data_the_run_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"photographs: got .*nist36, expected one of photographs of handwriting"
    ):
        text.run(text.Settings())
    put_photograph(tmp_path / "nist36" / "a.png", "A")
    with pytest.raises(FileNotFoundError, match=r"hw36\.tar: not in"):
        text.run(text.Settings())
    assert [path.name for path in tmp_path.iterdir()] == ["nist36"]


@pytest.mark.parametrize(
    ("read", "truth", "expected"),
    [
        ("LIST", "LIST", 4),
        ("LAST", "LIST", 3),
        ("LST", "LIST", 3),
        ("LIIST", "LIST", 3),  # one too many is a mistake, too
        ("", "LIST", 0),
        ("XXXXXXXXX", "LIST", 0),
        ("ISTL", "LIST", 2),
        ("LIST", "", 0),
    ],
)
def test_characters_right(read, truth, expected):
    assert text.right(read, truth) == expected


# -- fastnn read


def test_read_prints_the_text_and_draws_the_boxes(model, data, tmp_path, capsys):
    out = tmp_path / "drawn"
    photos = [str(data / "nist36" / name) for name in ("own.png", "new.jpg")]
    assert cli.main(["read", *photos, "--model", model, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "own.png: 10 characters\n\nNEW LINES 27\n" in printed
    assert "new.jpg: 3 characters\n\nAT 4\n" in printed
    assert f"drawn in {out / 'own.png.boxes.png'}" in printed
    assert sorted(path.name for path in out.iterdir()) == ["new.jpg.boxes.png", "own.png.boxes.png"]


def test_the_picture_lies_beside_the_photograph(model, tmp_path, capsys):
    put_photograph(tmp_path / "photo.png", "L15T")
    assert cli.main(["read", str(tmp_path / "photo.png"), "--model", model]) == 0
    assert "\nLIST\n" in capsys.readouterr().out
    assert cli.main(["read", str(tmp_path / "photo.png"), "--model", model, "--no-context"]) == 0
    assert "\nL15T\n" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "photo.png.boxes.png"]


def test_a_photograph_that_was_taken_on_its_side(model, tmp_path, capsys):
    pixels = photograph(page("NEW LINES\nAT 27", size=32)).transpose(1, 2, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = Image.fromarray(np.rint(255 * np.rot90(pixels)).astype(np.uint8))
    turned.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    assert cli.main(["read", str(tmp_path / "photo.jpg"), "--model", model]) == 0
    assert "\nNEW LINES\nAT 27\n" in capsys.readouterr().out


def test_photographs_that_cannot_be_read(model, data, tmp_path, capsys):
    put(tmp_path / "empty.png", np.full((60, 80), 0.8))
    names = [tmp_path / "empty.png", tmp_path / "missing.png", data / "nist36/broken.jpg", tmp_path]
    photo = str(data / "nist36" / "own.png")
    out = str(tmp_path / "out")
    assert cli.main(["read", *map(str, names), photo, "--model", model, "--out", out]) == 1
    printed, errors = capsys.readouterr()
    assert "empty.png: no characters found; expected dark writing on light paper" in printed
    assert "NEW LINES 27" in printed  # though others could not be read
    assert "missing.png: no such file" in errors
    assert "broken.jpg: truncated, corrupt or no image" in errors
    assert f"{tmp_path}" in errors.splitlines()[-1]


def test_models_that_are_none(run, tmp_path, capsys):
    def message(folder):
        assert cli.main(["read", "photo.jpg", "--model", str(folder)]) == 1
        return capsys.readouterr().err

    expected = "expected the folder of a run of `fastnn train text`"
    assert f"model: got '{tmp_path / 'none'}', {expected}" in message(tmp_path / "none")
    record = json.loads((run / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(json.dumps({**record, "recipe": "lenet"}))
    assert f"{expected} (it is one of lenet)" in message(tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps(record))
    assert "weights.safetensors" in message(tmp_path)  # it has not ended
    save_safetensors(tmp_path / "weights.safetensors", {"0.weight": np.zeros((2, 2), np.float32)})
    assert expected in message(tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    assert expected in message(tmp_path)


def test_wrong_command_lines(run, tmp_path, capsys):
    for arguments, said in (
        (["read"], "required: PHOTO, --model"),
        (["read", "photo.jpg"], "required: --model"),
        (["read", "photo.jpg", "--model", str(run), "--boxes"], "unrecognized arguments: --boxes"),
    ):
        assert cli.main(arguments) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cli.main(["read", "photo.jpg", "--model", str(run), "--out", str(tmp_path / "file")]) == 1
    assert "file', expected a folder" in capsys.readouterr().err
    assert "text" in recipes.NAMES
