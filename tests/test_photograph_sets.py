"""Flowers, dogs and cats, and SqueezeNet's weights, from made files in the layout of the real ones."""

import io
import tarfile

import numpy as np
import pytest

import fastnn as fnn
from fastnn import networks
from fastnn.data import DOGS_VS_CATS_CLASSES, FLOWERS17_CLASSES, ByteImages, dogs_vs_cats, flowers17
from fastnn.interop.squeezenet_weights import load_squeezenet, normalisation
from photos import put_flowers, put_pets, squeezenet_arrays, torchvision_arrays
from torch_pickles import archive, stream, tensors

pytest.importorskip("PIL")
pytest.importorskip("scipy")


def pack(folder, path, mode="w"):
    """A tar archive of a folder's content."""
    with tarfile.open(path, mode) as file:
        file.add(folder, arcname=".")
    return path


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pets")
    put_pets(folder, per_class=6)
    return folder


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowers")
    put_flowers(folder)
    return folder


# Bytes.


def test_bytes_stand_for_floats():
    pixels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    x = ByteImages(pixels)
    assert (x.shape, len(x), x.ndim, x.dtype) == ((2, 3, 4, 5), 2, 4, np.float32)
    for index in (0, slice(1, 2), np.array([1, 0, 1]), np.array([True, False])):
        np.testing.assert_array_equal(x[index], pixels[index].astype(np.float32) / np.float32(255))
    assert np.asarray(x).max() == np.float32(119 / 255)
    part = x.subset([1])
    assert isinstance(part, ByteImages)
    assert part.pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="copy"):
        np.array(x, copy=False)
    with pytest.raises(ValueError, match=r"pixels: got float32 \(2, 3, 4, 5\), expected uint8"):
        ByteImages(np.zeros((2, 3, 4, 5), np.float32))


# Dogs and cats.


def is_right(x, y):
    """Cats have their bright half at the left."""
    left, right = x[..., : x.shape[3] // 2].mean(axis=(1, 2, 3)), x[..., x.shape[3] // 2 :].mean(axis=(1, 2, 3))
    return np.array_equal(left < right, y == 1)


def test_dogs_and_cats_of_a_folder(pets, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(pets))
    x, y, x_test = dogs_vs_cats()
    assert (x.shape, x_test.shape) == ((12, 3, 64, 64), (3, 3, 64, 64))
    assert y.dtype == np.int64
    assert [DOGS_VS_CATS_CLASSES[k] for k in y] == ["cat"] * 6 + ["dog"] * 6
    assert is_right(x[:], y)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_dogs_and_cats_of_an_archive(pets, tmp_path, mode):
    pack(pets / "dogs-vs-cats", tmp_path / "dogs-vs-cats.tar", mode)
    (x, y, x_test), (x_folder, y_folder, _) = dogs_vs_cats(tmp_path, size=20), dogs_vs_cats(pets, size=20)
    np.testing.assert_array_equal(x.pixels, x_folder.pixels)
    np.testing.assert_array_equal(y, y_folder)
    assert len(x_test) == 3


def test_dogs_and_cats_as_kaggle_names_them(pets, tmp_path):
    (tmp_path / "dogs-vs-cats" / "train").mkdir(parents=True)
    for path in (pets / "dogs-vs-cats" / "trainset").rglob("*.jpg"):
        number, name = path.stem.split(".")
        target = tmp_path / "dogs-vs-cats" / "train" / f"{name.lower()}.{number}.jpg"
        target.write_bytes(path.read_bytes())
    (tmp_path / "dogs-vs-cats" / "train" / "._cat.1.jpg").write_bytes(b"litter")
    x, y, x_test = dogs_vs_cats(tmp_path)
    assert is_right(x[:], y)
    assert x_test.shape == (0, 3, 64, 64)


def test_dogs_and_cats_that_are_grey_become_colour(pets, tmp_path):
    from PIL import Image

    inside = tmp_path / "dogs-vs-cats" / "cat"
    inside.mkdir(parents=True)
    Image.fromarray(np.full((64, 64), 130, np.uint8)).save(inside / "1.png")
    x, y, _ = dogs_vs_cats(tmp_path)
    assert x.pixels.shape == (1, 3, 64, 64)
    assert np.all(x.pixels == 130)
    assert y.tolist() == [0]


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("share", [0, 0.1, 0.6, 0.95, 1])
def test_a_truncated_archive_is_named(pets, tmp_path, mode, share):
    path = pack(pets / "dogs-vs-cats", tmp_path / "dogs-vs-cats.tar", mode)
    if mode == "w":
        with tarfile.open(path) as file:
            whole = max(member.offset_data + member.size for member in file)
        path.write_bytes(path.read_bytes()[:whole])  # without the zeros at its end
    cut(path, share * 0.99 if mode == "w:gz" else share)
    with pytest.raises(ValueError, match=r"dogs-vs-cats\.tar: "):
        dogs_vs_cats(tmp_path)


def test_a_corrupt_image_in_an_archive_is_named(pets, tmp_path):
    with tarfile.open(tmp_path / "dogs-vs-cats.tar", "w") as file:
        raw = (pets / "dogs-vs-cats" / "trainset" / "Cat" / "0.Cat.jpg").read_bytes()
        for name, content in (("Cat/1.jpg", raw), ("Dog/2.jpg", raw[: len(raw) // 2])):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    with pytest.raises(ValueError, match=r"dogs-vs-cats\.tar: Dog/2\.jpg: truncated, corrupt or no image"):
        dogs_vs_cats(tmp_path)


def test_a_huge_entry_of_an_archive_is_not_read(tmp_path):
    info = tarfile.TarInfo("Cat/1.jpg")
    info.size = 2**40
    (tmp_path / "dogs-vs-cats.tar").write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(ValueError, match=r"Cat/1\.jpg has 1,099,511,627,776 bytes"):
        dogs_vs_cats(tmp_path)


def test_links_of_an_archive_are_not_followed(tmp_path):
    with tarfile.open(tmp_path / "dogs-vs-cats.tar", "w") as file:
        info = tarfile.TarInfo("Cat/1.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(ValueError, match="has no images in folders cat and dog"):
        dogs_vs_cats(tmp_path)


def test_data_that_are_not_there_say_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"dogs-vs-cats\.tar: not in .*Kaggle"):
        dogs_vs_cats(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"17flowers\.tgz: not in .*robots\.ox\.ac\.uk"):
        flowers17(tmp_path)
    with pytest.raises(FileNotFoundError, match="FASTNN_DATA names"):
        dogs_vs_cats()


# Flowers.


def test_flowers_are_split_as_published(flowers):
    from scipy.io import loadmat

    splits = loadmat(flowers / "flowers17" / "datasplits.mat")
    parts = flowers17(flowers, size=12, split=2)
    assert [x.shape for x, _ in parts] == [(680, 3, 12, 12), (340, 3, 12, 12), (340, 3, 12, 12)]
    for (x, y), name in zip(parts, ("trn2", "val2", "tst2"), strict=True):
        np.testing.assert_array_equal(y, (splits[name][0].astype(int) - 1) // 80)
        np.testing.assert_allclose(x.pixels.mean(axis=(1, 2, 3)), y * 15, atol=2)  # each its own image
        assert y.dtype == np.int64
    first, second = flowers17(flowers, size=4)[0][1], flowers17(flowers, size=4, split=1)[0][1]
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, parts[0][1])
    assert len(FLOWERS17_CLASSES) == 17


@pytest.mark.parametrize(("name", "mode"), [("17flowers.tar", "w"), ("17flowers.tgz", "w:gz")])
def test_flowers_of_an_archive(flowers, tmp_path, name, mode):
    pack(flowers / "flowers17" / "17flowers", tmp_path / name, mode)
    (tmp_path / "datasplits.mat").write_bytes((flowers / "flowers17" / "datasplits.mat").read_bytes())
    (x, y), *_ = flowers17(tmp_path, size=4)
    (x_folder, y_folder), *_ = flowers17(flowers, size=4)
    np.testing.assert_array_equal(x.pixels, x_folder.pixels)
    np.testing.assert_array_equal(y, y_folder)
    cut(tmp_path / name, 0.7)
    with pytest.raises(ValueError, match=rf"{name}: truncated, corrupt"):
        flowers17(tmp_path, size=4)


def test_flowers_that_are_not_whole(flowers, tmp_path):
    from scipy.io import loadmat, savemat

    splits = {
        name: value for name, value in loadmat(flowers / "flowers17" / "datasplits.mat").items() if name[0] != "_"
    }
    images = flowers / "flowers17" / "17flowers"
    (tmp_path / "17flowers").symlink_to(images)
    savemat(tmp_path / "datasplits.mat", {**splits, "trn1": splits["val1"].repeat(2, axis=1)})
    with pytest.raises(ValueError, match=r"datasplits\.mat: split 1 does not have each of the images 1 to 1360 once"):
        flowers17(tmp_path, size=4)
    savemat(tmp_path / "datasplits.mat", {"trn1": splits["trn1"]})
    with pytest.raises(ValueError, match=r"datasplits\.mat: has no array 'val1'"):
        flowers17(tmp_path, size=4)
    savemat(tmp_path / "datasplits.mat", splits)
    cut(tmp_path / "datasplits.mat", 0.05)
    with pytest.raises(ValueError, match=r"datasplits\.mat: truncated or corrupt"):
        flowers17(tmp_path, size=4)
    (tmp_path / "17flowers").unlink()
    (tmp_path / "17flowers").mkdir()
    (tmp_path / "17flowers" / "image_0001.jpg").write_bytes((images / "jpg" / "image_0001.jpg").read_bytes())
    savemat(tmp_path / "datasplits.mat", splits)
    with pytest.raises(ValueError, match=r"17flowers: has 1 images called image_NNNN\.jpg, expected 1360"):
        flowers17(tmp_path, size=4)
    with pytest.raises(ValueError, match="split: got 4, expected 1, 2 or 3"):
        flowers17(flowers, split=4)


# SqueezeNet's weights.


def test_squeezenet_of_keras_layout(tmp_path):
    arrays = squeezenet_arrays()
    np.savez(tmp_path / "w.npz", **arrays)
    net = networks.squeezenet().eval()
    net.load_state_dict(load_squeezenet(tmp_path / "w.npz"))
    state = net.state_dict()
    for layer, name in (("0.3.2.1.0", "fire2/expand3x3"), ("0.12.0", "fire9/squeeze1x1"), ("1.1", "conv10")):
        np.testing.assert_array_equal(state[f"{layer}.weight"], arrays[f"{name}/weight_HWIO"].transpose(3, 2, 0, 1))
        np.testing.assert_array_equal(state[f"{layer}.bias"], arrays[f"{name}/bias"])
    # The first layer sees blue, green and red in 0..255, less their means, as Caffe has it.
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 9, 9))
    caffe = (pixels[:, ::-1] - np.array([104.006, 116.669, 122.679]).reshape(1, 3, 1, 1)).astype(np.float32)
    weight = np.ascontiguousarray(arrays["conv1/weight_HWIO"].transpose(3, 2, 0, 1))
    expected = fnn.functional.conv2d(caffe, weight, arrays["conv1/bias"], stride=2)
    found = net[0][0](normalisation("w.npz")((pixels / 255).astype(np.float32)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("old", [False, True])
def test_squeezenet_of_torchvisions_file(tmp_path, old):
    arrays = torchvision_arrays()
    content, storages = tensors(arrays, *([b"N"] if old else []))
    path = tmp_path / "squeezenet1_1-made.pth"
    if old:
        stream(path, content, storages, dict(zip(storages, (a.size for a in arrays.values()), strict=True)))
    else:
        archive(path, content, storages)
    net = networks.squeezenet()
    net.load_state_dict(load_squeezenet(path))
    found = net.state_dict()
    for ours, theirs in (
        ("0.0", "features.0"),
        ("0.3.0", "features.3.squeeze"),
        ("0.3.2.0.0", "features.3.expand1x1"),
        ("0.12.2.1.0", "features.12.expand3x3"),
        ("1.1", "classifier.1"),
    ):
        for part in ("weight", "bias"):
            np.testing.assert_array_equal(found[f"{ours}.{part}"], arrays[f"{theirs}.{part}"])
    white = normalisation(path)(np.ones((1, 3, 1, 1), np.float32)).ravel()
    np.testing.assert_allclose(white, (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-6)


def test_weights_of_other_networks_are_named(tmp_path):
    arrays = squeezenet_arrays()
    np.savez(tmp_path / "w.npz", **{name: a for name, a in arrays.items() if name != "fire5/expand3x3/bias"})
    with pytest.raises(ValueError, match=r"w\.npz: has no array 'fire5/expand3x3/bias'"):
        load_squeezenet(tmp_path / "w.npz")
    np.savez(tmp_path / "w.npz", **{**arrays, "fire5/expand3x3/bias": np.zeros(3, "f4")})
    with pytest.raises(ValueError, match=r"w\.npz: has fire5/expand3x3/bias of shape \(3,\), expected \(128,\)"):
        load_squeezenet(tmp_path / "w.npz")
    cut(tmp_path / "w.npz", 0.5)
    with pytest.raises(ValueError, match=r"w\.npz: truncated or corrupt"):
        load_squeezenet(tmp_path / "w.npz")
    theirs = torchvision_arrays()
    for changed, message in (
        ({"features.0.weight": theirs["features.0.weight"]}, "has no features.0.bias"),
        ({**theirs, "features.0.bias": np.zeros(3, "f4")}, r"has features\.0\.bias of shape \(3,\), expected \(64,\)"),
        ({**theirs, "features.0.bias": np.zeros(64, "i8")}, r"has features\.0\.bias of dtype int64"),
        ({**theirs, "fc.weight": np.zeros(3, "f4")}, r"has fc\.weight, which SqueezeNet 1\.1 has not"),
    ):
        path = archive(tmp_path / "w.pth", *tensors(changed))
        with pytest.raises(ValueError, match=rf"w\.pth: {message}"):
            load_squeezenet(path)
    with pytest.raises(FileNotFoundError):
        load_squeezenet(tmp_path / "none.pth")
