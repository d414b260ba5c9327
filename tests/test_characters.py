"""hw36, letters26 and NIST36: made in their layouts, truncated, corrupt; and by their split."""

import io
import tarfile

import numpy as np
import pytest

for package in ("PIL", "scipy"):
    pytest.importorskip(package)

from PIL import Image  # noqa: E402
from scipy.io import savemat  # noqa: E402

from fastnn.data import CHARACTERS, hw36, letters26, nist36  # noqa: E402
from fastnn.vision import like_nist  # noqa: E402

ROLES = {"01_list.jpg": "photograph", "a.jpg": "train", "b.jpg": "train", "c.jpg": "test"}


def character(place, width=8):
    """Ink of a made character, of another shape for each class: a bar across a stem."""
    ink = np.zeros((80, 60), np.uint8)
    ink[10:70, 10 : 10 + width] = 255
    ink[12 + place : 12 + place + width, 10:50] = 255
    return ink


def jpeg(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95)
    return content.getvalue()


def hw36_files():
    """Two of each sheet and class, dark on white, with something else between them."""
    files = {
        f"hw36/{sign}/{number}_{sheet}": jpeg(255 - character(place, 6 + number))
        for place, sign in enumerate(CHARACTERS)
        for number, sheet in enumerate(ROLES)
    }
    return files | {"hw36/README.txt": b"about", "hw36/A/.hidden.jpg": b"", "__MACOSX/A/._1_a.jpg": b""}


def letters26_files():
    return {
        f"letters26/{sign}/{number}.jpg": jpeg(
            np.asarray(Image.fromarray(np.pad(character(place), ((0, 0), (10, 10)))).resize((34, 34)))
        )
        for place, sign in enumerate(CHARACTERS[:26])
        for number in range(2)
    }


def put_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def put_split(folder, roles=ROLES):
    (folder / "hw36_split.csv").write_text("sheet,role\n" + "".join(f"{a},{b}\n" for a, b in roles.items()))


@pytest.fixture
def data(tmp_path):
    put_tar(tmp_path / "hw36.tar", hw36_files())
    put_tar(tmp_path / "letters26.tar", letters26_files())
    put_split(tmp_path)
    return tmp_path


def test_hw36_by_its_split(data):
    found = hw36(data)
    assert [len(part.x) for part in found] == [72, 36, 36]
    for part, sheets in zip(found, [{"a.jpg", "b.jpg"}, {"c.jpg"}, {"01_list.jpg"}], strict=True):
        assert part.x.shape == (len(part.y), 1, 32, 32)
        assert (part.x.dtype, part.y.dtype) == (np.float32, np.int64)
        assert 0 <= part.x.min() < 0.2
        assert part.x.max() == 1
        assert set(part.sheets) == sheets
        assert np.bincount(part.y).tolist() == [len(sheets)] * 36


def test_images_are_in_the_form_of_nist36(data):
    found = hw36(data)
    place = CHARACTERS.index("Q")
    image = found.photographs.x[found.photographs.y == place][0, 0]
    assert np.abs(image - like_nist(character(place, 6) / 255)).mean() < 0.01


@pytest.mark.parametrize("kind", ["folder", "compressed"])
def test_hw36_unpacked_or_compressed(data, kind):
    expected = hw36(data)
    (data / "hw36.tar").unlink()
    if kind == "folder":
        for name, content in hw36_files().items():
            path = data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    else:
        put_tar(data / "hw36.tar", hw36_files(), "w:gz")
    for part, same in zip(hw36(data), expected, strict=True):
        for array, other in zip(part, same, strict=True):
            np.testing.assert_array_equal(array, other)


def test_letters26_are_turned_to_the_same_form(data):
    x, y = letters26(data)
    assert (x.shape, x.dtype, y.dtype) == ((52, 1, 32, 32), np.float32, np.int64)
    assert y.tolist() == [place for place in range(26) for _ in range(2)]
    assert np.median(x[0]) == 1  # dark on white
    other = hw36(data).photographs
    assert np.abs(x[y == 4][0] - other.x[other.y == 4][0]).mean() < 0.05


def test_nothing_at_the_edge_of_a_letter_is_cut_off(tmp_path):
    ink = np.zeros((34, 34), np.uint8)
    ink[:, 15:18] = ink[:3] = 255  # a T that fills its image
    put_tar(tmp_path / "letters26.tar", {"letters26/T/1.jpg": jpeg(ink)})
    x, _ = letters26(tmp_path)
    rows, columns = (np.flatnonzero((x[0, 0] < 0.5).any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (24, 24)


def test_found_in_the_data_folder(data, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(data))
    assert len(hw36().train.x) == 72
    assert len(letters26()[0]) == 52


def test_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    for load, name in ((hw36, "hw36.tar"), (letters26, "letters26.tar")):
        with pytest.raises(FileNotFoundError, match=rf"{name}: not in .* It is not distributed: see docs/data.md"):
            load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"hw36\.tar: not in the folder that FASTNN_DATA names \(it is not set"):
        hw36()
    put_tar(tmp_path / "hw36.tar", hw36_files())
    with pytest.raises(FileNotFoundError, match=r"hw36_split\.csv: not in"):
        hw36(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nist36_train\.mat: not in .* course's data\.zip"):
        nist36(tmp_path)


@pytest.mark.parametrize("load", [hw36, letters26])
def test_truncated_and_corrupt_archives_are_named(data, load):
    path = data / f"{load.__name__}.tar"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2 + 100], b"", b"no archive" * 1000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{path.name}: (truncated|has no images)"):
            load(data)
    damaged = bytearray(whole)
    start = whole.index(b"\xff\xd8\xff")
    damaged[start : start + 300] = bytes(300)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"A/.*jpg: truncated, corrupt or no image"):
        load(data)


def test_an_image_without_a_character_is_named(data):
    put_tar(data / "hw36.tar", {"hw36/A/1_a.jpg": jpeg(np.full((60, 60), 255, np.uint8))})
    with pytest.raises(ValueError, match=r"hw36/A/1_a\.jpg: no character on it"):
        hw36(data)


def test_every_sheet_has_a_role(data):
    put_split(data, {name: role for name, role in ROLES.items() if name != "b.jpg"})
    with pytest.raises(ValueError, match=r"hw36/0/2_b\.jpg is of the sheet 'b\.jpg', which hw36_split\.csv gives no"):
        hw36(data)
    put_split(data, ROLES | {"b.jpg": "valid"})
    with pytest.raises(ValueError, match=r"sheet 'b\.jpg' has the role 'valid', expected one of train, test, photogr"):
        hw36(data)
    (data / "hw36_split.csv").write_text("name,kind\na.jpg,train\n")
    with pytest.raises(ValueError, match=r"hw36_split\.csv: expected columns sheet and role"):
        hw36(data)


# -- NIST36


def put_nist36(folder, part, count=3, **other):
    """Columns first, as MATLAB has its images; one-hot labels."""
    rng = np.random.default_rng(len(part))
    images, labels = rng.random((count, 32, 32)), rng.integers(0, 36, count)
    arrays = {f"{part}_data": images.transpose(0, 2, 1).reshape(count, 1024), f"{part}_labels": np.eye(36)[labels]}
    savemat(folder / f"nist36_{part}.mat", arrays | other)
    return images, labels


@pytest.mark.parametrize("inner", ["nist36", "."])
def test_nist36(tmp_path, inner):
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    expected = [array for part in ("train", "valid", "test") for array in put_nist36(folder, part)]
    found = nist36(tmp_path)
    for images, given in zip(found[::2], expected[::2], strict=True):
        assert (images.shape, images.dtype) == ((3, 1, 32, 32), np.float32)
        np.testing.assert_array_equal(images[:, 0], given.astype(np.float32))
    for labels, given in zip(found[1::2], expected[1::2], strict=True):
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, given)


def test_other_files_than_nist36_are_named(tmp_path):
    for part in ("train", "valid", "test"):
        put_nist36(tmp_path, part)
    path = tmp_path / "nist36_valid.mat"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"nist36_valid\.mat: truncated or corrupt"):
        nist36(tmp_path)
    put_nist36(tmp_path, "valid", valid_labels=np.zeros((3, 10)))
    with pytest.raises(ValueError, match=r"nist36_valid\.mat: data \(3, 1024\) and labels \(3, 10\), expected"):
        nist36(tmp_path)
    savemat(path, {"x": 1})
    with pytest.raises(ValueError, match=r"nist36_valid\.mat: has no array 'valid_data'"):
        nist36(tmp_path)
