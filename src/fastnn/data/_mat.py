"""Whether a .mat file of version 5 is put together as its format says: SciPy, which reads it, crashes where it is not.

The format is published by MathWorks as "MAT-File Level 5". A file is a header of 128 bytes and elements: each is a tag
(type and length) and content up to a multiple of eight bytes. Arrays are elements that are made of elements.
"""

from __future__ import annotations

import math
import struct
import zlib

_HEADER = 128
_NUMBERS = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18))
_UINT32, _INT32, _INT8, _ARRAY, _PACKED = 6, 5, 1, 14, 15
_COMPLEX = 0x800
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _NUMERIC = 1, 2, 3, 4, 5, range(6, 16)

_Element = tuple[int, bytes]


def check_mat(content: bytes) -> None:
    """Raise a ValueError where a file of version 5 is damaged; what is of another version is left to SciPy."""
    if len(content) < _HEADER or 0 in content[:4]:
        return  # of version 4, whose reader notices
    if content[125 if content[126:127] == b"I" else 124] != 1:
        return  # of version 7.3, which SciPy does not read
    order = "<" if content[126:128] == b"IM" else ">"
    for kind, inside in _elements(content[_HEADER:], order, aligned=False):
        if kind == _PACKED:
            unpacked = _elements(zlib.decompress(inside), order)
            if len(unpacked) != 1:
                raise ValueError(f"{len(unpacked)} elements are packed together")
            kind, inside = unpacked[0]
        if kind != _ARRAY:
            raise ValueError(f"an element of type {kind} where an array is expected")
        _check_array(inside, order)


def _elements(content: bytes, order: str, *, aligned: bool = True) -> list[_Element]:
    """The elements that the content is made of; those of a file that are packed are not `aligned`."""
    found: list[_Element] = []
    at = 0
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError(f"{len(content) - at} bytes where a tag is expected")
        kind, size = struct.unpack_from(f"{order}II", content, at)
        start = at + 8
        if kind >> 16:  # up to four bytes, in the tag itself
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            at = at + 8 if size <= 4 else len(content) + 1
        else:
            at = start + (size if kind == _PACKED and not aligned else -(-size // 8) * 8)
        if start + size > len(content):
            raise ValueError(f"an element of {size} bytes goes on after the end of its array or the file")
        found.append((kind, content[start : start + size]))
    return found


def _check_array(content: bytes, order: str) -> None:
    if not content:
        return  # an empty array inside of a cell
    parts = _elements(content, order)
    kinds = [kind for kind, _ in parts]
    if kinds[:3] != [_UINT32, _INT32, _INT8] or len(parts[0][1]) != 8 or len(parts[1][1]) % 4:
        raise ValueError("an array does not begin with its class, its shape and its name")
    flags = struct.unpack(f"{order}II", parts[0][1])[0]
    shape = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    if len(shape) < 2 or len(shape) > 32 or min(shape) < 0:
        raise ValueError(f"an array of shape {shape}")
    family, rest = flags & 0xFF, parts[3:]
    if family != _SPARSE and math.prod(shape) > len(content):
        raise ValueError(f"an array of shape {shape} in {len(content)} bytes")
    halves = 1 + bool(flags & _COMPLEX)
    if family in _NUMERIC or family in (_CHAR, _SPARSE):
        wanted = {_CHAR: 1, _SPARSE: 2 + halves}.get(family, halves)
        if len(rest) != wanted or not {kind for kind, _ in rest} <= _NUMBERS:
            raise ValueError(f"an array of class {family} with {len(rest)} parts, expected {wanted} of numbers")
    elif family in (_CELL, _STRUCT, _OBJECT):
        for kind, inside in rest:
            if kind == _ARRAY:
                _check_array(inside, order)
            elif kind not in _NUMBERS:
                raise ValueError(f"an element of type {kind} in an array of class {family}")
    else:
        raise ValueError(f"an array of class {family}, which holds no numbers")
