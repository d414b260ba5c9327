"""Damaged files that tools/fuzz_readers.py came upon: an error that names the file, whatever is wrong inside."""

import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest

from fastnn.data import read_image
from fastnn.training._archive import read_archive
from fastnn.training.history import History

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


def test_an_image_of_too_many_pixels_is_named(tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "damaged.png"
    path.write_bytes(png(60_000, 60_000))
    with pytest.raises(ValueError, match=r"damaged\.png: truncated, corrupt"):
        read_image(path)
