"""Images in files: what comes out, when, and what is said of files that are broken."""

import os
import pickle
import sys

import numpy as np
import pytest

from fastnn.data import ImageFiles, batches, image_folder, read_image

Image = pytest.importorskip("PIL.Image")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as Unix has them")


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def pets(tmp_path):
    """Two classes of 3 and 2 images, each of one grey value of its own."""
    for name, grey in (("cat/1", 10), ("cat/2", 20), ("cat/more/3", 30), ("dog/1", 40), ("dog/2", 50)):
        save(tmp_path / f"{name}.png", np.full((6, 8, 3), grey))
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "readme.txt").write_text("no class")
    return tmp_path


def test_image_folder(pets):
    x, y, classes = image_folder(pets, (4, 5))
    assert classes == ["cat", "dog"]
    assert y.tolist() == [0, 0, 0, 1, 1]
    assert y.dtype == np.int64
    assert (x.shape, x.dtype, x.ndim, len(x)) == ((5, 3, 4, 5), np.float32, 4, 5)
    everything = np.asarray(x)
    assert everything.shape == x.shape
    assert everything.dtype == np.float32
    np.testing.assert_allclose(everything[:, 0, 0, 0], np.array([10, 20, 30, 40, 50]) / 255, rtol=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_indexed_like_an_array(pets, workers):
    x = image_folder(pets, 4, mode="L", workers=workers).x
    everything = np.asarray(x)
    assert everything.shape == (5, 1, 4, 4)
    arrays = [np.array([1, 3]), np.array([], int), np.array([True, False, False, True, True])]
    for index in (2, -1, np.int64(3), slice(1, 4), slice(None, None, -2), [4, 0, 4], *arrays):
        np.testing.assert_array_equal(x[index], everything[index])
    with pytest.raises(IndexError):
        x[5]
    with pytest.raises(IndexError, match="chosen by one axis"):
        x[np.zeros((2, 2), int)]


def test_batches_are_taken_from_files(pets):
    x, y, _ = image_folder(pets, 4)
    seen = list(batches(x, y, 2, rng=np.random.default_rng(0)))
    assert [len(images) for images, _ in seen] == [2, 2, 1]
    greys = np.concatenate([np.rint(images[:, 0, 0, 0] * 255) for images, _ in seen])
    found = sorted(zip(greys, np.concatenate([labels for _, labels in seen]), strict=True))
    assert found == [(10, 0), (20, 0), (30, 0), (40, 1), (50, 1)]


def test_subset_reads_nothing(pets):
    x = image_folder(pets, 4).x
    part = x.subset(np.array([4, 1]))
    (pets / "cat" / "1.png").unlink()
    np.testing.assert_array_equal(part[:], x[[4, 1]])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(part))[:], part[:])


def test_colours_stay_in_place(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3))
    image = read_image(save(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(image, (pixels.transpose(2, 0, 1) / np.float32(255)).astype(np.float32))
    assert image.flags.c_contiguous


def test_fits(tmp_path):
    """Left third black, middle white, right third black: cropped to a square only the middle is left."""
    pixels = np.zeros((10, 30, 3))
    pixels[:, 10:20] = 255
    path = save(tmp_path / "a.png", pixels)
    assert read_image(path, size=10, fit="crop").min() == 1
    stretched = read_image(path, size=(10, 30), fit="stretch")
    np.testing.assert_array_equal(stretched, read_image(path))
    assert read_image(path, size=9, fit="stretch")[0, 4, [0, 4, 8]].tolist() == [0, 1, 0]


def test_upright_grey_palette_and_transparent(tmp_path):
    pixels = np.zeros((4, 6), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is on the right
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)
    turned = read_image(path, mode="L")
    assert turned.shape == (1, 6, 4)
    np.testing.assert_array_equal(turned[0, :, -1], 1)
    Image.fromarray(pixels).convert("P").save(tmp_path / "p.gif")
    np.testing.assert_array_equal(read_image(tmp_path / "p.gif")[2, :, 0], [1, 0, 0, 0])
    save(tmp_path / "clear.png", np.zeros((2, 2, 4)))
    np.testing.assert_array_equal(read_image(tmp_path / "clear.png"), 1)


def test_a_large_jpeg_keeps_its_content_when_scaled_down(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 255, 640)[:, None, None], (640, 800, 3))
    image = read_image(save(tmp_path / "a.jpg", ramp, quality=95), size=32)
    np.testing.assert_allclose(image[0, :, 16], (np.arange(32) + 0.5) / 32, atol=0.01)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_a_truncated_file_is_named(tmp_path, ending, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3))
    path = save(tmp_path / "cat" / f"whole.{ending}", noise)
    content = path.read_bytes()
    (tmp_path / "cat" / f"bad.{ending}").write_bytes(content[: int(share * len(content))])
    x = image_folder(tmp_path, 8).x
    x[1]
    with pytest.raises(ValueError, match=rf"bad\.{ending}: truncated, corrupt or no image"):
        x[:]


def test_files_that_are_no_images_for_us(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png: .*expected 8 bits a channel"):
        read_image(tmp_path / "deep.png")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        read_image(tmp_path / "nowhere.png")


LEFT_BEHIND = (".hidden", ".ipynb_checkpoints", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", "#recycle")


@pytest.mark.parametrize("place", ["", "cat", "cat/more"])
@pytest.mark.parametrize("name", [*LEFT_BEHIND, "__macosx", "System Volume Information", ".Trash-1000", "__pycache__"])
def test_folders_of_systems_are_left_out(pets, place, name):
    save(pets / place / name / "1.png", np.zeros((2, 2)))
    save(pets / place / name / "deeper" / "2.png", np.zeros((2, 2)))
    x, y, classes = image_folder(pets, 4)
    assert classes == ["cat", "dog"]
    assert y.tolist() == [0, 0, 0, 1, 1]
    assert [path.relative_to(pets).as_posix() for path in x.paths][:3] == ["cat/1.png", "cat/2.png", "cat/more/3.png"]


def test_files_of_systems_are_left_out(pets):
    for folder in (pets, pets / "cat", pets / "cat" / "more"):
        for name in ("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.jpg", "notes.txt"):
            (folder / name).write_bytes(b"not an image")
    x, y, _ = image_folder(pets, 4)
    assert y.tolist() == [0, 0, 0, 1, 1]
    assert np.asarray(x).shape == (5, 3, 4, 4)


def test_folders_called_like_images_and_endings_in_capitals(pets):
    save(pets / "dog" / "b.png" / "4.PNG", np.zeros((2, 2)))
    save(pets / "Dog" / "5.JpEg", np.zeros((2, 2)))
    x, y, classes = image_folder(pets, 4)
    if os.path.samefile(pets / "dog", pets / "Dog"):
        pytest.skip("names that differ by case alone are one name here")
    assert classes == ["Dog", "cat", "dog"]  # in the same order on every system
    assert y.tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert [path.name for path in x.paths][-1] == "4.PNG"


@POSIX
def test_links_to_folders_and_images_are_followed(pets, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(elsewhere / "owls" / "1.png", np.full((6, 8, 3), 60))
    save(elsewhere / "more" / "deep" / "2.png", np.full((6, 8, 3), 70))
    save(elsewhere / "3.png", np.full((6, 8, 3), 80))
    (pets / "owl").symlink_to(elsewhere / "owls")
    (pets / "owl" / "more").symlink_to("../more")
    (pets / "dog" / "linked").symlink_to(elsewhere / "more")
    (pets / "dog" / "3.png").symlink_to(elsewhere / "3.png")
    x, y, classes = image_folder(pets, 4)
    assert classes == ["cat", "dog", "owl"]
    assert y.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    greys = np.rint(np.asarray(x)[:, 0, 0, 0] * 255).astype(int).tolist()
    assert greys == [10, 20, 30, 40, 50, 80, 70, 60, 70]


@POSIX
def test_links_that_go_round_in_a_circle_end(pets):
    (pets / "cat" / "again").symlink_to(".")
    (pets / "cat" / "more" / "up").symlink_to("../..")
    (pets / "dog" / "cats").symlink_to("../cat")
    (pets / "cat" / "dogs").symlink_to("../dog")
    x, y, _ = image_folder(pets, 4)
    assert len(set(x.paths)) == len(x) == 3 + 2 + 2 + 3
    assert np.bincount(y).tolist() == [5, 5]


@POSIX
@pytest.mark.parametrize("place", ["owl", "dog/more", "dog/9.png"])
def test_a_link_to_nothing_is_named(pets, place):
    (pets / place).symlink_to("nowhere")
    with pytest.raises(FileNotFoundError, match=f"{place}: a link to 'nowhere', which is not there"):
        image_folder(pets, 4)


@POSIX
def test_pipes_are_no_images(pets):
    os.mkfifo(pets / "cat" / "9.png")
    assert len(image_folder(pets, 4).x) == 5


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="the superuser may read everything")
def test_what_must_not_be_read_is_named(pets):
    x = image_folder(pets, 4).x
    (pets / "cat" / "2.png").chmod(0)
    with pytest.raises(PermissionError, match=r"2\.png"):
        x[:]
    (pets / "cat" / "more").chmod(0)
    with pytest.raises(PermissionError, match="more"):
        image_folder(pets, 4)
    (pets / "cat" / "more").chmod(0o755)


def test_a_folder_is_no_image(pets):
    with pytest.raises(OSError, match="cat"):
        read_image(pets / "cat")


def test_folders_without_what_is_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no folders, expected one for each class"):
        image_folder(tmp_path, 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty: has no images"):
        image_folder(tmp_path, 4)
    save(tmp_path / "empty" / "@eaDir" / "1.png", np.zeros((2, 2)))
    with pytest.raises(FileNotFoundError, match="empty: has no images"):
        image_folder(tmp_path, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, r"size: got \(0, 0\)"),
        ({"size": 4, "mode": "CMYK"}, "mode: got 'CMYK', expected one of L, RGB"),
        ({"size": 4, "fit": "pad"}, "fit: got 'pad', expected one of crop, stretch"),
        ({"size": 4, "workers": 0}, "workers: got 0"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageFiles([], **arguments)
