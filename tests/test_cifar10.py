"""CIFAR-10's readers: files that are made here, whole, truncated, corrupt, and with a stranger's code in them."""

import io
import os
import pickle
import pickletools
import tarfile
from contextlib import suppress

import numpy as np
import pytest

from fastnn.data import CIFAR10_CLASSES, _cifar10, cifar10
from fastnn.data._pickles import read_pickle

FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
COUNT = 3  # images of a file here


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setattr(_cifar10, "_IMAGES", COUNT)
    monkeypatch.delenv("FASTNN_DATA", raising=False)


def content(number):
    """The images and labels of a file, each file with other ones."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (COUNT, 3072), np.uint8), rng.integers(0, 10, COUNT)


def binary(number):
    pixels, labels = content(number)
    return np.column_stack([labels.astype(np.uint8), pixels]).tobytes()


def as_python2_wrote_it(number):
    """Protocol 2 with the opcodes of Python 2: texts are its `str`, arrays those of NumPy 1."""
    pixels, labels = content(number)

    def text(value):
        return b"U" + bytes([len(value)]) + value

    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03U\x01bq\x04\x87q\x05Rq\x06"
    shape = b"M" + COUNT.to_bytes(2, "little") + b"M" + (3072).to_bytes(2, "little") + b"\x86q\x07"
    dtype = (
        b"cnumpy\ndtype\nq\x08U\x02u1q\tK\x00K\x01\x87q\nRq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    state = b"(K\x01" + shape + dtype + b"\x89T" + pixels.nbytes.to_bytes(4, "little") + pixels.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    entries = (
        (b"batch_label", text(b"training batch 1 of 5")),
        (b"data", array + state),
        (b"labels", numbers),
        (b"filenames", b"](" + text(b"leptodactylus_pentadactylus_s_000004.png") + b"e"),
    )
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries) + b"u."


def pickled(number, protocol):
    pixels, labels = content(number)
    return pickle.dumps({b"data": pixels, b"labels": labels.tolist()}, protocol)


def put(folder, write, ending=""):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(FILES):
        (folder / f"{name}{ending}").write_bytes(write(number))


def check(examples):
    x, y, x_test, y_test = examples
    assert (x.shape, x.dtype, y.dtype) == ((5 * COUNT, 3, 32, 32), np.float32, np.int64)
    assert (x_test.shape, y_test.dtype) == ((COUNT, 3, 32, 32), np.int64)
    for number, (images, labels) in enumerate(
        [*zip(x.reshape(5, COUNT, -1), y.reshape(5, -1), strict=True), (x_test.reshape(COUNT, -1), y_test)]
    ):
        pixels, expected = content(number)
        np.testing.assert_array_equal(images, pixels / np.float32(255))
        np.testing.assert_array_equal(labels, expected)


# -- whole files


@pytest.mark.parametrize("inner", ["cifar10", "cifar-10-batches-bin", "."])
def test_the_binary_version(tmp_path, monkeypatch, inner):
    put(tmp_path / inner, binary, ".bin")
    check(cifar10(tmp_path))
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    check(cifar10())
    assert len(CIFAR10_CLASSES) == 10


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, "Python 2"])
def test_the_python_version(tmp_path, protocol):
    """Protocol 2 as Python 2's NumPy wrote it, and others as this one does."""
    write = as_python2_wrote_it if protocol == "Python 2" else lambda number: pickled(number, protocol)
    put(tmp_path / "cifar-10-batches-py", write)
    check(cifar10(tmp_path))


def test_an_array_that_lies_column_by_column():
    array = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    np.testing.assert_array_equal(read_pickle(pickle.dumps(array, 2)).pixels, array)


def archive(path, names=FILES, write=binary, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for number, name in enumerate(names):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            inside = write(number)
            member.size = len(inside)
            file.addfile(member, io.BytesIO(inside))
    return path


def test_the_archive(tmp_path):
    archive(tmp_path / _cifar10.ARCHIVE)
    check(cifar10(tmp_path))


# -- damaged files


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[:-1], r"data_batch_3\.bin: 9,218 bytes, expected 9,219: 3 images"),
        (lambda whole: whole + b"\0", r"data_batch_3\.bin: 9,220 bytes"),
        (lambda whole: b"", r"data_batch_3\.bin: 0 bytes"),
        (lambda whole: b"\x0a" + whole[1:], r"data_batch_3\.bin: labels from \d to 10, expected 0 to 9"),
    ],
)
def test_a_damaged_binary_file_is_named(tmp_path, damage, message):
    put(tmp_path, binary, ".bin")
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        cifar10(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    put(tmp_path, binary, ".bin")
    (tmp_path / "data_batch_5.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_5\.bin"):
        cifar10(tmp_path)


def test_a_damaged_archive_is_named(tmp_path):
    path = archive(tmp_path / _cifar10.ARCHIVE)
    whole = path.read_bytes()
    for place in (0, 3, 20, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:place])
        with pytest.raises(ValueError, match=r"tar\.gz: (truncated|has no)"):
            cifar10(tmp_path)
    for place in range(40, len(whole), len(whole) // 50):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"tar\.gz"):
            cifar10(tmp_path)
    archive(path, FILES[1:])
    with pytest.raises(ValueError, match=r"tar\.gz: has no data_batch_1\.bin, expected CIFAR-10's binary version"):
        cifar10(tmp_path)
    archive(path, write=lambda number: binary(number)[:-7])
    with pytest.raises(ValueError, match=r"cifar-10-batches-bin/data_batch_1\.bin: 9,212 bytes"):
        cifar10(tmp_path)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({b"data": np.zeros((3, 3072), np.float32), b"labels": [1, 2, 3]}, "an array of something else than uint8"),
        ({b"data": np.zeros((3, 3071), np.uint8), b"labels": [1, 2, 3]}, "3 images and 3 labels"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2, 3]}, "2 images and 3 labels"),
        ({b"data": np.zeros((3, 3072), np.uint8), b"labels": [1, 2, 10]}, "labels from 1 to 10"),
        ({b"data": np.zeros((3, 3072), np.uint8), b"labels": [1, 2, -1]}, "labels from -1 to 2"),
        ({b"data": np.zeros((3, 3072), np.uint8), b"labels": [1, 2, 10**30]}, "truncated, corrupt or not"),
        ({b"data": np.zeros((3, 3072), np.uint8), b"labels": [1, 2, None]}, "its labels are no list of numbers"),
        ({b"data": np.zeros((3, 3072), np.uint8), b"labels": np.arange(3)}, "an array of something else than uint8"),
        ({b"data": [[0] * 3072] * 3, b"labels": [1, 2, 3]}, "truncated, corrupt or not"),
        ({b"data": np.zeros((3, 3072), np.uint8)}, "labels"),
        ([1, 2], "truncated, corrupt or not"),
        (7, "truncated, corrupt or not"),
    ],
)
def test_another_pickle_is_named(tmp_path, batch, message):
    put(tmp_path, lambda number: pickle.dumps(batch, 2))
    with pytest.raises(ValueError, match=f"data_batch_1: .*{message}"):
        cifar10(tmp_path)


def test_a_truncated_or_changed_pickle_is_named_or_read(tmp_path):
    whole = as_python2_wrote_it(0)
    for place in [*range(0, 420, 3), *range(420, len(whole), 500), len(whole) - 1]:
        (tmp_path / "damaged").write_bytes(whole[:place])
        with pytest.raises(ValueError, match="damaged: "):
            _cifar10._read_python(tmp_path / "damaged")
    pixels = whole.index(content(0)[0].tobytes())
    for place in [*range(pixels), *range(pixels + COUNT * 3072, len(whole))]:
        for flip in (1, 8, 64, 255):
            (tmp_path / "damaged").write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            with suppress(ValueError):
                x, y = _cifar10._read_python(tmp_path / "damaged")
                assert (x.shape, y.shape) == ((COUNT, 3, 32, 32), (COUNT,))


# -- a stranger's code

RAN = []


def run(*args):
    RAN.append(args)


class Attack:
    """What is pickled is a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "attack",
    [
        Attack(run, 1),
        Attack(os.system, "touch ran"),
        Attack(eval, "__import__('os').mkdir('ran')"),
        Attack(getattr, "text", "join"),
        Attack(np.load, "ran"),
        Attack(np.dtype, "u1"),
        Attack(np.ndarray, (10**9, 10**9), "u1"),
        Attack(np.frombuffer, b"1"),
    ],
    ids=lambda attack: attack.call[0].__name__,
)
def test_code_in_a_pickle_never_runs(tmp_path, monkeypatch, protocol, attack):
    monkeypatch.chdir(tmp_path)
    RAN.clear()
    for batch in (attack, {b"data": attack, b"labels": [1, 2, 3]}, {b"data": content(0)[0], b"labels": [attack] * 3}):
        put(tmp_path, lambda number, batch=batch: pickle.dumps(batch, protocol))
        with pytest.raises(ValueError, match="data_batch_1: truncated, corrupt or not CIFAR-10's Python version"):
            cifar10(tmp_path)
    assert not RAN
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",  # the classic
        b"(S'touch ran'\nios\nsystem\n.",  # the opcode of old instances
        b"(cos\nsystem\nS'touch ran'\no.",
        b"\x80\x02cos\nsystem\nX\x09\x00\x00\x00touch ran\x85\x81.",  # __new__
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x09touch ran\x85R.",  # a name from the stack
        b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.",  # a path of attributes
        b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93}\x8c\x08__call__\x8c\x01xs\x86b.",  # what a name stands for, changed
        b"cnumpy\ndtype\n}S'__setstate__'\ncnumpy\nndarray\nsb.",
        b"Pevery thing\n.",  # a persistent object
        b"\x80\x02\x82\x01.",  # a registered one
        b"\x80\x02cnumpy\nndarray\n(K\x03tR.",
        b"\x80\x02}r\xff\xff\xff\x7f.",  # a memo of 2**31 places
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00.",  # bytes that are not there
        b"(" * 100_000,
        b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    ],
)
def test_hostile_programs_are_refused(tmp_path, monkeypatch, program):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile").write_bytes(program)
    with pytest.raises(ValueError, match="hostile: truncated, corrupt or not CIFAR-10's Python version"):
        _cifar10._read_python(tmp_path / "hostile")
    assert not (tmp_path / "ran").exists()
    check_again = _cifar10._read_python
    (tmp_path / "good").write_bytes(as_python2_wrote_it(0))
    np.testing.assert_array_equal(check_again(tmp_path / "good")[1], content(0)[1])


def test_the_made_pickle_is_one_of_python_2():
    """No opcode in it is newer than protocol 2, and its texts are strings of Python 2."""
    opcodes = [opcode for opcode, _, _ in pickletools.genops(as_python2_wrote_it(0))]
    assert max(opcode.proto for opcode in opcodes) == 2
    assert not {"BINUNICODE", "BINBYTES"} & {opcode.name for opcode in opcodes}
    plain = pickle.loads(as_python2_wrote_it(0), encoding="bytes")
    np.testing.assert_array_equal(plain[b"data"], content(0)[0])
