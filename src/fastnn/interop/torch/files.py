"""PyTorch's files of arrays (.pt, .pth), read without PyTorch and without running any code of theirs."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_TIMES = 16  # how many times a file's size its arrays may have together
_MAGIC = 0x1950A86A20F9469CFC6C  # of files before PyTorch 1.6
_ARCHIVE = b"PK\x03\x04"  # of one that is cut off too, which has no directory

# What the pickles of arrays are made of; the rest could call what others have registered, or fetch any memory.
_OPCODES = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2"),
        *("LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE"),
        *("SHORT_BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND"),
        *("APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
        *("BINPERSID", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    )
)


class _Storage(NamedTuple):
    kind: str
    key: str
    elements: int

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(_DTYPES[self.kind])


class _View(NamedTuple):
    """A tensor, before its storage is read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refused(Exception):
    """The file asks for something that is no array."""


# Objects without attributes, which a pickle could otherwise change.


class _Tensor:
    __slots__ = ()

    def __call__(self, storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _View:
        return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _Parameter:
    __slots__ = ()

    def __call__(self, tensor: _View, *_: Any) -> _View:
        return tensor


_KNOWN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Tensor(),
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor(),
    ("torch._utils", "_rebuild_parameter"): _Parameter(),
    **{("torch", name): name for name in _DTYPES},
}


class _Unpickler(pickle.Unpickler):
    """Knows containers, numbers and texts by itself, and tensors by their description; refuses everything else."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _Refused(f"asks for {module}.{name}")
        return _KNOWN[module, name]

    def persistent_load(self, description: Any) -> _Storage:
        what, kind, key, _, elements, *part = description
        if what != "storage" or kind not in _DTYPES or not isinstance(key, str) or any(part):
            raise _Refused("asks for something that is no storage of its own")
        return self.storages.setdefault(key, _Storage(kind, key, int(elements)))


def _unpickled(file: io.BytesIO) -> tuple[Any, dict[str, _Storage]]:
    """The next pickle of a file, and the storages that it names."""
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name not in _OPCODES:
            raise _Refused(f"asks for the opcode {opcode.name}")
        if opcode.name.endswith("PUT") and int(argument or 0) > count:
            raise ValueError(f"keeps the object {argument} of {count}")
    file.seek(start)
    unpickler = _Unpickler(file)
    return unpickler.load(), unpickler.storages


def load_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Read a state dict that ``torch.save`` wrote.

    Parameters
    ----------
    path : a file of PyTorch's, of version 1.6 (an archive) or before

    Returns
    -------
    state_dict : name to array, in their order; dicts inside dicts have names joined by dots
        Those of bfloat16 become float32, which holds their numbers exactly.

    Raises
    ------
    ValueError
        The file is truncated, corrupt, or holds what is no array, number or text (a whole module is code); names it.
    """
    return _loaded(Path(path), "a state dict: arrays under their names", lambda content, making: making.named(content))


def load_torch_optimizer(path: str | Path, name: str | None = None) -> dict[str, Any]:
    """Read the state of an optimiser that ``torch.save`` wrote, for ``load_state_dict`` of fastnn's of its class.

    Parameters
    ----------
    path : a file of PyTorch's with ``optimizer.state_dict()``, alone or in a dict
    name : str, optional
        Under which the dict has it, as in ``torch.save({"net": ..., "optimizer": ...}, path)``.

    Returns
    -------
    state_dict : ``{"state": ..., "param_groups": ...}``, with arrays in the place of tensors

    Raises
    ------
    ValueError
        The file is truncated or corrupt, or holds no state of an optimiser; names it.
    """

    def state_of(content: Any, making: _Making) -> Any:
        part = content if name is None else content.get(name) if isinstance(content, Mapping) else None
        if not isinstance(part, Mapping) or set(part) != {"state", "param_groups"}:
            came = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
            raise _Refused(f"holds {came}" if name is None else f"holds {came}, and no state under {name!r}")
        return making.whole(part)

    return _loaded(Path(path), "state and param_groups of an optimiser", state_of)


def _loaded(path: Path, expected: str, make: Callable[[Any, _Making], Any]) -> Any:
    """What is made of the content of a file, whose errors say what was expected."""
    raw = path.read_bytes()
    file = io.BytesIO(raw)
    try:
        is_archive = raw.startswith(_ARCHIVE) or zipfile.is_zipfile(file)
        content, storages = (_of_archive if is_archive else _of_stream)(file)
        return make(content, _Making(storages, len(raw)))
    except MemoryError:
        raise
    except _Refused as error:
        raise ValueError(f"{path}: {error}, expected {expected}") from error
    except Exception as error:  # a broken file shows in whatever it stumbles over
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ValueError(f"{path}: truncated, corrupt or no file of PyTorch's ({reason})") from error


def _of_archive(file: io.BytesIO) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        sizes = sum(info.file_size for info in archive.infolist())
        if sizes > file.getbuffer().nbytes:
            raise ValueError(f"unpacks to {sizes:,} bytes, but PyTorch compresses nothing")
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("written on a machine of the other byte order")
        content, storages = _unpickled(io.BytesIO(archive.read(pickled)))
        return content, {key: archive.read(f"{folder}data/{key}") for key in storages}


def _of_stream(file: io.BytesIO) -> tuple[Any, dict[str, bytes]]:
    file.seek(0)
    if _unpickled(file)[0] != _MAGIC:
        raise ValueError("it does not begin as one")
    _unpickled(file)  # the version of the format
    _unpickled(file)  # what the machine was like
    content, expected = _unpickled(file)
    storages = {}
    for key in _unpickled(file)[0]:
        elements = int.from_bytes(file.read(8), "little")
        storages[key] = file.read(elements * expected[key].dtype.itemsize)
    return content, storages


class _Making:
    """Arrays of the views in a pickle, which together are no larger than a file of this size may be.

    Tensors may share a storage, and dicts may be in several places; so a small file could ask for much.
    """

    def __init__(self, storages: Mapping[str, bytes], size: int) -> None:
        self.storages = storages
        self.left = _TIMES * size  # bytes

    def _take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise ValueError(f"asks for more than {_TIMES} times its size")

    def array(self, view: _View) -> np.ndarray:
        array = _array(view, self.storages)
        if view.storage.kind == "BFloat16Storage":  # the upper half of a float32
            self._take(2 * array.nbytes)
            return (array.astype(np.uint32) << 16).view(np.float32)
        self._take(array.nbytes)
        return array.copy()

    def named(self, content: Any, prefix: str = "") -> dict[str, np.ndarray]:
        """The arrays of a dict under their names."""
        if not isinstance(content, Mapping):
            raise _Refused(f"holds a {type(content).__name__}")
        arrays: dict[str, np.ndarray] = {}
        for name, value in content.items():
            if not isinstance(name, str | int):
                raise _Refused(f"has a {type(name).__name__} as a name")
            self._take(1)
            if isinstance(value, _View):
                arrays[f"{prefix}{name}"] = self.array(value)
            elif isinstance(value, Mapping):
                arrays |= self.named(value, f"{prefix}{name}.")
        return arrays

    def whole(self, value: Any) -> Any:
        """Dicts, lists, numbers and texts as they are, with arrays for tensors."""
        self._take(1)
        if isinstance(value, _View):
            return self.array(value)
        if isinstance(value, Mapping):
            return {self._name(name): self.whole(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.whole(each) for each in value)
        if isinstance(value, bool | int | float | str | None):
            return value
        raise _Refused(f"holds a {type(value).__name__}")

    @staticmethod
    def _name(name: Any) -> str | int:
        if not isinstance(name, str | int):
            raise _Refused(f"has a {type(name).__name__} as a name")
        return name


def _array(view: _View, storages: Mapping[str, bytes]) -> np.ndarray:
    """The array of a view, in the memory of its storage."""
    flat = np.frombuffer(storages[view.storage.key], view.storage.dtype)
    if len(flat) != view.storage.elements:
        raise ValueError(f"a storage of {len(flat)} elements where {view.storage.elements} are announced")
    last = view.offset + sum((size - 1) * step for size, step in zip(view.shape, view.strides, strict=True))
    if min(view.shape, default=1) < 0 or min(view.strides, default=0) < 0 or view.offset < 0:
        raise ValueError(f"a tensor of shape {view.shape} and strides {view.strides}")
    if 0 in view.shape:
        return np.empty(view.shape, flat.dtype)
    if last >= len(flat) or int(np.prod(view.shape, dtype=object)) > len(flat):
        raise ValueError(f"a tensor of shape {view.shape} in a storage of {len(flat)} elements")
    steps = [step * flat.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, steps)
