"""The idx format of the MNIST files: two zero bytes, type, rank, big-endian sizes, then the elements."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

_UINT8 = 0x08


def read_idx(path: str | Path, ndim: int, sha256: str | None = None) -> np.ndarray:
    """Read a gzip-compressed idx file of unsigned bytes.

    Parameters
    ----------
    path : path of the .gz file
    ndim : the expected number of dimensions (3 for images, 1 for labels)
    sha256 : the expected checksum of what is inside the .gz file: it does not change when that is packed anew

    Returns
    -------
    array : uint8, read-only, of the sizes that the file declares

    Raises
    ------
    ValueError
        The file is truncated or corrupt, is not an idx file of unsigned bytes of that rank, or does not have that
        checksum; names the file.
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: truncated or corrupt gzip file ({error})") from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path}: not an idx file: it starts with {content[:4].hex(' ')!r}, expected '00 00 08 ..'")
    if content[2] != _UINT8 or content[3] != ndim:
        raise ValueError(
            f"{path}: idx type 0x{content[2]:02x} with {content[3]} dimensions; "
            f"expected type 0x{_UINT8:02x} (unsigned bytes) with {ndim}"
        )
    header = 4 + 4 * ndim
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4))
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise ValueError(f"{path}: {len(content)} bytes unpacked; its header {shape} asks for {expected}")
    if sha256 is not None and (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{path}: other data than expected: SHA-256 inside is {digest}, expected {sha256}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
