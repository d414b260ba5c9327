"""Data sets, downloads, batches, and files that appear whole or not at all."""

import gzip
import hashlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import fastnn as fnn
from fastnn._files import atomic_file, new_folder
from fastnn.data import _fashion_mnist, _mnist, batches, digits, download, fashion_mnist, mnist
from fastnn.data.idx import read_idx


def test_digits_are_balanced_mnist_images():
    x_train, y_train, x_test, y_test = digits()
    assert x_train.shape == (5000, 1, 28, 28)
    assert x_test.shape == (1000, 1, 28, 28)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.min() == 0
        assert x.max() == 1
        assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)
    assert np.bincount(y_train).tolist() == [500] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]  # as MNIST's own file begins


# -- batches


def test_batches_cover_every_example_once_with_its_target():
    x = np.arange(23.0)
    seen = list(batches(x, 2 * x, 5, rng=np.random.default_rng(3)))
    assert [len(bx) for bx, _ in seen] == [5, 5, 5, 5, 3]
    assert sorted(np.concatenate([bx for bx, _ in seen])) == x.tolist()
    assert all((by == 2 * bx).all() for bx, by in seen)


def test_batches_follow_the_seed():
    x = np.arange(40)

    def order(seed):
        fnn.manual_seed(seed)
        return np.concatenate([bx for bx, _ in batches(x, x, 8)]).tolist()

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_batches_unshuffled_are_views_and_may_drop_the_last():
    x = np.arange(10)
    seen = [bx for bx, _ in batches(x, x, 4, shuffle=False, drop_last=True)]
    assert [bx.tolist() for bx in seen] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert np.shares_memory(seen[0], x)


def test_batches_refuse():
    with pytest.raises(ValueError, match="y: got 2 targets, expected 3"):
        next(batches(np.zeros(3), np.zeros(2), 1))
    with pytest.raises(ValueError, match="batch_size: got 0"):
        next(batches(np.zeros(3), np.zeros(3), 0))


# -- idx files


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


def put_mnist(folder, n_train=6, n_test=4):
    """MNIST in miniature; returns its arrays by file name."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", n_train), ("test", n_test)):
        arrays[_mnist.FILES[part, "images"].name] = rng.integers(0, 256, (n, 28, 28))
        arrays[_mnist.FILES[part, "labels"].name] = rng.integers(0, 10, n)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        (folder / name).write_bytes(idx(array))
    return arrays


def test_read_idx(tmp_path):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(tmp_path / "a.gz", ndim=3), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(np.zeros((9, 9)))[:-12], "truncated or corrupt gzip"),
        (b"\0" * 40, "truncated or corrupt gzip"),
        (b"", "not an idx file"),
        (gzip.compress(b"PNG...", mtime=0), "not an idx file"),
        (idx(np.zeros(5)), "with 1 dimensions; expected type 0x08 .unsigned bytes. with 2"),
        (
            gzip.compress(gzip.decompress(idx(np.zeros((9, 9))))[:-1], mtime=0),
            r"92 bytes unpacked; its header \(9, 9\) asks for 93",
        ),
        (gzip.compress(b"\0\0\x08\x02\0\0", mtime=0), "bytes unpacked"),
    ],
)
def test_read_idx_names_a_bad_file(tmp_path, content, message):
    (tmp_path / "bad-file.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(tmp_path / "bad-file.gz", ndim=2)
    assert "bad-file.gz" in str(error.value)


def test_read_idx_checks_what_is_inside(tmp_path):
    """The checksum is that of the content, however it was packed."""
    array = np.arange(12, dtype=np.uint8)
    for name, level in (("a.gz", 1), ("b.gz", 9)):
        (tmp_path / name).write_bytes(gzip.compress(gzip.decompress(idx(array)), level, mtime=level))
        sha256 = hashlib.sha256(gzip.decompress(idx(array))).hexdigest()
        np.testing.assert_array_equal(read_idx(tmp_path / name, ndim=1, sha256=sha256), array)
        with pytest.raises(ValueError, match=rf"{name}: other data than expected"):
            read_idx(tmp_path / name, ndim=1, sha256="0" * 64)


def test_read_idx_notices_a_flipped_bit(tmp_path):
    content = bytearray(idx(np.arange(100).reshape(10, 10)))
    content[len(content) // 2] ^= 1
    (tmp_path / "bad-file.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad-file.gz: truncated or corrupt"):
        read_idx(tmp_path / "bad-file.gz", ndim=2)


# -- mnist


@pytest.mark.parametrize("inner", ["mnist", "."])
def test_mnist_from_the_folder_of_fastnn_data(tmp_path, monkeypatch, inner):
    arrays = put_mnist(tmp_path / inner)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    x_train, y_train, x_test, y_test = mnist()
    assert x_train.shape == (6, 1, 28, 28)
    assert x_test.shape == (4, 1, 28, 28)
    assert x_train.dtype == np.float32
    assert y_train.dtype == np.int64
    np.testing.assert_array_equal(y_test, arrays["t10k-labels-idx1-ubyte.gz"])
    np.testing.assert_allclose(x_train[:, 0], arrays["train-images-idx3-ubyte.gz"] / 255, rtol=1e-7)


def test_mnist_names_a_truncated_file(tmp_path):
    put_mnist(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz: truncated"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte.gz", np.zeros(5), "5 labels, but 6 images"),
        ("train-labels-idx1-ubyte.gz", np.full(6, 10), "label 10, expected 0 to 9"),
        ("train-images-idx3-ubyte.gz", np.zeros((6, 28, 27)), r"images of \(28, 27\) pixels"),
    ],
)
def test_mnist_names_a_file_that_is_not_mnist(tmp_path, name, array, message):
    put_mnist(tmp_path)
    (tmp_path / name).write_bytes(idx(array))
    with pytest.raises(ValueError, match=rf"{name}: {message}"):
        mnist(tmp_path)


def put_mnist_mat(folder, drop=None, **change):
    """mnist_all.mat in miniature: of digit d there are d + 1 training images and one for testing."""
    savemat = pytest.importorskip("scipy.io").savemat
    rng = np.random.default_rng(0)
    arrays = {f"train{d}": rng.integers(0, 256, (d + 1, 784)).astype(np.uint8) for d in range(10)}
    arrays |= {f"test{d}": rng.integers(0, 256, (1, 784)).astype(np.uint8) for d in range(10)}
    arrays |= change
    arrays.pop(drop, None)
    savemat(folder / "mnist_all.mat", arrays)
    return arrays


def test_mnist_from_one_matlab_file(tmp_path):
    arrays = put_mnist_mat(tmp_path)
    x_train, y_train, x_test, y_test = mnist(tmp_path)
    assert x_train.shape == (55, 1, 28, 28)
    assert np.bincount(y_train).tolist() == list(range(1, 11))
    assert y_test.tolist() == list(range(10))
    assert y_train.dtype == np.int64
    np.testing.assert_allclose(x_test[7, 0].ravel(), arrays["test7"][0] / 255, rtol=1e-6)
    np.testing.assert_allclose(x_train[y_train == 3][2, 0].ravel(), arrays["train3"][2] / 255, rtol=1e-6)


def test_the_usual_files_come_before_the_matlab_file(tmp_path):
    put_mnist_mat(tmp_path)
    put_mnist(tmp_path)
    assert len(mnist(tmp_path)[0]) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "test4"}, "has no array 'test4'"),
        ({"train2": np.zeros((3, 783), np.uint8)}, r"train2 is uint8 \(3, 783\), expected uint8 \(n, 784\)"),
        ({"train2": np.zeros((3, 784))}, "train2 is float64"),
    ],
)
def test_mnist_names_a_matlab_file_that_is_not_mnist(tmp_path, change, message):
    put_mnist_mat(tmp_path, **change)
    with pytest.raises(ValueError, match=rf"mnist_all\.mat: {message}"):
        mnist(tmp_path)


# -- fashion_mnist


@pytest.fixture
def miniature_fashion(tmp_path, monkeypatch):
    """Fashion-MNIST is whatever lies in this folder."""
    folder = tmp_path / "mini"
    arrays = put_mnist(folder)
    files = {}
    for key, file in _mnist.FILES.items():
        packed = (folder / file.name).read_bytes()
        sums = (hashlib.sha256(content).hexdigest() for content in (packed, gzip.decompress(packed)))
        files[key] = _mnist.File(file.name, *sums)
    monkeypatch.setattr(_fashion_mnist, "FILES", files)
    monkeypatch.setattr(_fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(_fashion_mnist, "MIRRORS", ())
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    return folder, arrays


@pytest.mark.parametrize("place", ["data/fashion-mnist", "debian"])
def test_fashion_mnist_is_known_by_its_content(tmp_path, monkeypatch, miniature_fashion, place):
    folder, arrays = miniature_fashion
    (tmp_path / "data").mkdir()
    (tmp_path / place).mkdir()
    for path in folder.iterdir():  # packed anew, as Debian's are
        (tmp_path / place / path.name).write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=5))
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
    x_train, _, x_test, y_test = fashion_mnist()
    assert x_train.shape == (6, 1, 28, 28)
    np.testing.assert_array_equal(y_test, arrays["t10k-labels-idx1-ubyte.gz"])
    np.testing.assert_allclose(x_test[:, 0], arrays["t10k-images-idx3-ubyte.gz"] / 255, rtol=1e-6)


def test_fashion_mnist_refuses_files_of_the_same_names(tmp_path, miniature_fashion):
    put_mnist(tmp_path / "data" / "fashion-mnist", n_train=7)
    with pytest.raises(ValueError, match=r"fashion-mnist.train-images-idx3-ubyte\.gz: other data than expected"):
        fashion_mnist(tmp_path / "data")


def test_fashion_mnist_offline_says_what_goes_where(tmp_path, miniature_fashion):
    with pytest.raises(ConnectionError, match=r"train-images-idx3-ubyte\.gz: could not be downloaded") as error:
        fashion_mnist(tmp_path)
    assert str(tmp_path / "fashion-mnist") in str(error.value)
    assert "into fashion-mnist/ in the folder that the environment variable FASTNN_DATA names" in str(error.value)


def test_fastnn_data_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"FASTNN_DATA: got .*nowhere.*, expected an existing folder"):
        mnist()


# -- downloads


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server of this machine; gives its folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,))
        thread.start()
        yield folder, f"http://127.0.0.1:{web.server_address[1]}/"
        web.shutdown()
        thread.join()


@pytest.fixture
def no_retries(monkeypatch):
    monkeypatch.setattr(download, "_RETRIES", 0)


@pytest.mark.usefixtures("no_retries")
def test_mnist_is_downloaded_from_the_second_mirror(tmp_path, monkeypatch, server):
    folder, address = server
    put_mnist(folder)
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    monkeypatch.setattr(_mnist, "MIRRORS", (address + "not-here/", address))
    files = {
        key: _mnist.File(file.name, hashlib.sha256((folder / file.name).read_bytes()).hexdigest())
        for key, file in _mnist.FILES.items()
    }
    monkeypatch.setattr(_mnist, "FILES", files)
    first = mnist(tmp_path / "data")
    for file in folder.iterdir():
        file.unlink()
    again = mnist(tmp_path / "data")  # from the folder
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("no_retries")
def test_a_download_that_does_not_match_is_not_kept(tmp_path, server):
    folder, address = server
    (folder / "a.bin").write_bytes(b"something else")
    with pytest.raises(ConnectionError, match=r"a\.bin: could not be downloaded") as error:
        download.download("a.bin", "0" * 64, [address], tmp_path / "target")
    assert "FASTNN_DATA" in str(error.value)
    assert str(tmp_path / "target") in str(error.value)
    assert list((tmp_path / "target").iterdir()) == []


def test_downloading_without_pooch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    with pytest.raises(ImportError, match=r'pooch is needed .*pip install "fastnn-kernels\[train\]"'):
        mnist(tmp_path)


# -- whole or not at all


def test_atomic_file_replaces_only_in_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_file(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_file_leaves_nothing_after_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with atomic_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def nothing(_folder):
    return False


def test_new_folder(tmp_path):
    path = tmp_path / "new" / "run"
    with new_folder(path, keep=nothing) as folder:
        (folder / "a.txt").write_text("a")
    assert (path / "a.txt").read_text() == "a"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("keep", [False, True])
def test_new_folder_stays_after_an_error_if_there_is_something_to_keep(tmp_path, keep):
    def stopped():
        with new_folder(tmp_path / "new" / "run", keep=lambda folder: keep and (folder / "a.txt").exists()) as folder:
            (folder / "a.txt").write_text("a")
            (folder / "inside").mkdir()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert (tmp_path / "new" / "run" / "a.txt").exists() == keep
    assert bool(list(tmp_path.iterdir())) == keep


def test_new_folder_takes_an_empty_folder_and_refuses_a_full_one(tmp_path):
    (tmp_path / "run").mkdir()
    with new_folder(tmp_path / "run", keep=nothing) as folder:
        (folder / "a.txt").write_text("a")
    with pytest.raises(FileExistsError, match="run: exists already"), new_folder(tmp_path / "run", keep=nothing):
        pass
    assert (tmp_path / "run" / "a.txt").read_text() == "a"
