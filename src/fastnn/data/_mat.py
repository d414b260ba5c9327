"""The variables of a .mat file of version 5, each as a file of its own that is put together as its format says.

SciPy, which reads them, crashes on some that are not. The format is published by MathWorks as "MAT-File Level 5". A
file is a header of 128 bytes and elements: each is a tag (type and length) and content up to a multiple of eight bytes.
Arrays are elements that are made of elements.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

_HEADER = 128
_NUMBERS = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18))
_INTEGERS, _TEXT = frozenset((5, 6)), frozenset((1, 16))
_ARRAY, _PACKED = 14, 15
_COMPLEX = 0x800
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _NUMERIC, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, range(6, 16), 16, 17
_WORKSPACE = "__function_workspace__"  # SciPy's name of what functions and objects refer to
_NAME_WITHIN = 4096  # bytes of an array: its class, its shape and its name
_ROOM = 1 << 24  # elements that an array may have without content: blanks, structs without fields

_Element = tuple[int, memoryview]


class Variable(NamedTuple):
    """A variable of a file.

    Attributes
    ----------
    name : as SciPy has it
    kind, content : the element that it is, packed or not
    header : of the file
    order : of bytes, as `struct` has it
    """

    name: str
    kind: int
    content: memoryview
    header: bytes
    order: str

    @property
    def hidden(self) -> bool:
        """Whether no user has saved it."""
        return self.name == _WORKSPACE

    def alone(self) -> bytes:
        """A file of this variable, unpacked.

        Raises
        ------
        ValueError, zlib.error
            It is damaged.
        """
        content = self.content
        if self.kind == _PACKED:
            unpacked = list(_elements(memoryview(zlib.decompress(content)), self.order))
            if [kind for kind, _ in unpacked] != [_ARRAY]:
                raise ValueError(f"{len(unpacked)} elements are packed together, expected one array")
            content = unpacked[0][1]
        _check_array(content, self.order)
        tag = struct.pack(f"{self.order}II", _ARRAY, len(content))
        return b"".join((self.header, tag, content, bytes(-len(content) % 8)))


def is_version_5(content: bytes) -> bool:
    """Whether a file is of MATLAB's versions 5 to 7."""
    if len(content) < _HEADER or 0 in content[:4]:
        return False  # of version 4
    return content[125 if content[126:127] == b"I" else 124] == 1


def variables(content: bytes) -> Iterator[Variable]:
    """The variables of a file of version 5, in their order.

    Raises
    ------
    ValueError, zlib.error
        A name cannot be read, or the file ends within a variable.
    """
    order = "<" if content[126:128] == b"IM" else ">"
    # Eight bytes of the header say where the workspace is, which does not come along.
    header = content[:116] + bytes(8) + content[124:_HEADER]
    whole, at = memoryview(content), _HEADER
    while at < len(content):
        kind, size, start = _tag(whole, at, order)
        at = start + size
        if kind not in (_ARRAY, _PACKED) or at > len(content) or size == 0:
            raise ValueError(f"an element of type {kind} with {size} bytes, {len(content) - start} before the end")
        inside = whole[start:at]
        first = memoryview(zlib.decompressobj().decompress(inside, _NAME_WITHIN))[8:] if kind == _PACKED else inside
        yield Variable(_name(first, order) or _WORKSPACE, kind, inside, header, order)


def _name(content: memoryview, order: str) -> str:
    """The name of an array, of which this is the beginning."""
    parts = [inside for _, inside in islice(_elements(content, order), 3)]
    place = 1 if parts and _family(parts[0], order) == _OPAQUE else 2
    if len(parts) <= place:
        raise ValueError("an array without a name")
    return bytes(parts[place]).decode("latin1")


def _tag(content: memoryview, at: int, order: str) -> tuple[int, int, int]:
    """Type and length of the element there, and where its content begins."""
    if len(content) - at < 8:
        raise ValueError(f"{len(content) - at} bytes where a tag is expected")
    kind, size = struct.unpack_from(f"{order}II", content, at)
    if kind >> 16:  # up to four bytes, in the tag itself
        return kind & 0xFFFF, kind >> 16, at + 4
    return kind, size, at + 8


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    """The elements that the content is made of."""
    at = 0
    while at < len(content):
        kind, size, start = _tag(content, at, order)
        at += 8 + (0 if start == at + 4 else -(-size // 8) * 8)
        if start + size > len(content) or start + size > at:
            raise ValueError(f"an element of {size} bytes goes on after the end of its tag, its array or the file")
        yield kind, content[start : start + size]


def _family(flags: memoryview, order: str) -> int:
    if len(flags) != 8:
        raise ValueError("an array does not begin with its class")
    return int(struct.unpack(f"{order}II", flags)[0]) & 0xFF


def _check_array(content: memoryview, order: str) -> None:
    if not content:
        return  # an empty array inside of a cell
    parts = list(_elements(content, order))
    family = _family(parts[0][1], order)
    kinds = [kind for kind, _ in parts]
    if family == _OPAQUE:
        if len(parts) != 5 or not _TEXT.issuperset(kinds[1:4]) or kinds[4] != _ARRAY:
            raise ValueError("an object is not made of three names and an array")
        _check_array(parts[4][1], order)
        return
    if len(parts) < 3 or kinds[1] not in _INTEGERS or kinds[2] not in _TEXT or len(parts[1][1]) % 4:
        raise ValueError("an array does not begin with its class, its shape and its name")
    shape = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise ValueError(f"an array of shape {shape}")
    rest = parts[3:]
    room = len(content) if rest and rest[-1][1] else _ROOM
    if family != _SPARSE and math.prod(shape) > room:
        raise ValueError(f"an array of shape {shape} in {len(content)} bytes")
    flags = struct.unpack(f"{order}II", parts[0][1])[0]
    halves = 1 + bool(flags & _COMPLEX)
    if family in _NUMERIC or family in (_CHAR, _SPARSE):
        wanted = {_CHAR: 1, _SPARSE: 2 + halves}.get(family, halves)
        if len(rest) != wanted or not _NUMBERS.issuperset(kinds[3:]):
            raise ValueError(f"an array of class {family} with {len(rest)} parts, expected {wanted} of numbers")
    elif family in (_CELL, _STRUCT, _OBJECT, _FUNCTION):
        for kind, inside in rest:
            if kind == _ARRAY:
                _check_array(inside, order)
            elif kind not in _NUMBERS:
                raise ValueError(f"an element of type {kind} in an array of class {family}")
    else:
        raise ValueError(f"an array of class {family}, which holds no numbers")
