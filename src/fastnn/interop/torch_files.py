"""PyTorch's files of arrays (.pt, .pth), read without PyTorch and without running any code of theirs."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_MAGIC = 0x1950A86A20F9469CFC6C  # of files before PyTorch 1.6
_LARGEST = 2**31  # bytes of a storage in an archive that compresses it


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    elements: int


class _View(NamedTuple):
    """A tensor, before its storage is read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refused(Exception):
    """The file asks for something that is no array."""


def _view(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _View:
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _Unpickler(pickle.Unpickler):
    """Knows containers, numbers and texts by itself, and tensors by their description; refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return _view
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda tensor, *_: tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise _Refused(f"asks for {module}.{name}")

    def persistent_load(self, description: Any) -> _Storage:
        what, kind, key, _, elements, *_ = description
        if what != "storage" or kind not in _DTYPES:
            raise _Refused(f"asks for {description!r}")
        return _Storage(np.dtype(_DTYPES[kind]), str(key), int(elements))


def load_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Read a state dict that ``torch.save`` wrote.

    Parameters
    ----------
    path : a file of PyTorch's, of version 1.6 (an archive) or before

    Returns
    -------
    state_dict : name to array, in their order; dicts inside dicts have names joined by dots

    Raises
    ------
    ValueError
        The file is truncated, corrupt, or holds what is no array, number or text (a whole module is code); names it.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            content, storages = (_of_archive if zipfile.is_zipfile(file) else _of_stream)(file)
            arrays: dict[str, np.ndarray] = {}
            _collect(content, "", storages, arrays)
        except MemoryError:
            raise
        except _Refused as error:
            raise ValueError(f"{path}: {error}, expected a state dict: arrays under their names") from error
        except Exception as error:  # a broken file shows in whatever it stumbles over
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ValueError(f"{path}: truncated, corrupt or no file of PyTorch's ({reason})") from error
    return arrays


def _of_archive(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        content = _Unpickler(io.BytesIO(archive.read(pickled))).load()
        folder = pickled.removesuffix("data.pkl") + "data/"
        storages = {}
        for info in archive.infolist():
            if info.filename.startswith(folder):
                if info.file_size > max(info.compress_size, _LARGEST):
                    raise ValueError(f"{info.filename} unpacks to {info.file_size:,} bytes")
                storages[info.filename.removeprefix(folder)] = archive.read(info)
    return content, storages


def _of_stream(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
    file.seek(0)
    if _Unpickler(file).load() != _MAGIC:
        raise ValueError("it does not begin as one")
    _Unpickler(file).load()  # the version of the format
    _Unpickler(file).load()  # what the machine was like
    unpickler = _Unpickler(file)
    content = unpickler.load()
    sizes = {view.storage.key: view.storage for view in _views(content)}
    storages = {}
    for key in _Unpickler(file).load():
        elements = int.from_bytes(file.read(8), "little")
        storage = sizes.get(str(key))
        if storage is None or elements != storage.elements:
            raise ValueError(f"the storage {key!r} has {elements} elements")
        storages[str(key)] = file.read(elements * storage.dtype.itemsize)
    return content, storages


def _views(content: Any) -> list[_View]:
    if isinstance(content, _View):
        return [content]
    if isinstance(content, Mapping):
        return [view for value in content.values() for view in _views(value)]
    return []


def _collect(content: Any, prefix: str, storages: Mapping[str, bytes], arrays: dict[str, np.ndarray]) -> None:
    if not isinstance(content, Mapping):
        raise _Refused(f"holds a {type(content).__name__}")
    for name, value in content.items():
        if isinstance(value, _View):
            arrays[f"{prefix}{name}"] = _array(value, storages)
        elif isinstance(value, Mapping):
            _collect(value, f"{prefix}{name}.", storages, arrays)


def _array(view: _View, storages: Mapping[str, bytes]) -> np.ndarray:
    flat = np.frombuffer(storages[view.storage.key], view.storage.dtype)
    last = view.offset + sum((size - 1) * step for size, step in zip(view.shape, view.strides, strict=True))
    if min(view.shape, default=1) < 0 or min(view.strides, default=0) < 0 or view.offset < 0:
        raise ValueError(f"a tensor of shape {view.shape} and strides {view.strides}")
    if 0 in view.shape:
        return np.empty(view.shape, flat.dtype)
    if last >= len(flat) or int(np.prod(view.shape, dtype=object)) > len(flat):
        raise ValueError(f"a tensor of shape {view.shape} in a storage of {len(flat)} elements")
    steps = [step * flat.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, steps).copy()
