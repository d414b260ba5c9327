"""Damaged files that tools/fuzz_readers.py came upon: an error that names the file, whatever is wrong inside."""

import io
import json
import struct
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest

from fastnn.data import read_arrays, read_image
from fastnn.training._archive import read_archive
from fastnn.training.history import History

# An array that claims to be complex, and to be longer than the file.
CRASHED_SCIPY = b"".join(
    struct.pack("<116s8sHH14I", b"MATLAB 5.0", b"", 0x0100, 0x4D49, *words)
    for words in [(14, 0xFFFF30, 6, 8, 0xFEFF09, 0, 5, 8, 1, 4, 0x10001, 0x62, 0x10002, 0)]
)
NESTED = b"[" * 100_000


def archive(tree, encrypted=False):
    content = io.BytesIO()
    np.savez(content, tree=np.frombuffer(tree, np.uint8))
    if not encrypted:
        return content.getvalue()
    whole = bytearray(content.getvalue())
    with zipfile.ZipFile(content) as file:
        start = file.start_dir
    whole[6] |= 1  # a flag in the local header, and in the directory at the end
    whole[start + 8] |= 1
    return bytes(whole)


def png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (History.load, NESTED),
        (read_archive, archive(NESTED)),
        (read_archive, archive(json.dumps(["dict", *[["list", []]] * 3]).encode())),
        (read_archive, archive(b"1", encrypted=True)),
    ],
    ids=["nested history", "nested archive", "lists as keys", "encrypted archive"],
)
def test_a_damaged_file_is_named(tmp_path, read, content):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged: truncated or corrupt"):
        read(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_mat_file_is_named(tmp_path, packed):
    """SciPy alone crashes on some of these: a part that is no numbers, one that is not there."""
    scipy_io = pytest.importorskip("scipy.io")
    path, arrays = tmp_path / "damaged.mat", {"a": np.arange(6.0).reshape(2, 3), "b": np.arange(4, dtype=np.uint8)}
    scipy_io.savemat(path, arrays | {"cell": np.array([1, "text"], object), "s": {"x": 1j}}, do_compression=packed)
    whole = path.read_bytes()
    assert read_arrays(path, "a", "b")["a"].shape == (2, 3)
    for place in range(128, len(whole), 13 if packed else 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        with suppress(ValueError):
            read_arrays(path)
    path.write_bytes(CRASHED_SCIPY)
    with pytest.raises(ValueError, match=r"damaged\.mat: truncated or corrupt .mat"):
        read_arrays(path)


def test_an_image_of_too_many_pixels_is_named(tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "damaged.png"
    path.write_bytes(png(60_000, 60_000))
    with pytest.raises(ValueError, match=r"damaged\.png: truncated, corrupt"):
        read_image(path)
