"""Arrays in files of other programs: NumPy's .npz and MATLAB's .mat."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fastnn._extras import require
from fastnn.data._mat import is_version_5, variables

_HDF5 = b"\x89HDF"  # which MATLAB's version 7.3 puts a header of its own before, others do not


def read_arrays(path: str | Path, *names: str) -> dict[str, np.ndarray]:
    """Read arrays from an .npz or a .mat file.

    Parameters
    ----------
    path : the file; its ending says which of the two it is
    names : the arrays wanted; by default all

    Returns
    -------
    arrays : name to array, as they were saved: MATLAB's have at least two axes, a column of labels is (N, 1), and
        images that MATLAB flattened column by column come out transposed

    Raises
    ------
    ValueError
        The file is truncated, corrupt or of another kind, or has no array of a name; names the file.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".mat": _read_mat}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: got the ending {path.suffix!r}, expected one of {', '.join(readers)}")
    with path.open("rb") as file:
        try:
            there, arrays = reader(file, names)
        except (ImportError, MemoryError):
            raise
        except NotImplementedError as error:
            raise ValueError(f"{path}: of MATLAB's version 7.3 (HDF5); save it with -v7, or read it by h5py") from error
        except Exception as error:  # a broken file shows in whatever its reader stumbles over
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ValueError(f"{path}: truncated or corrupt {path.suffix} file ({reason})") from error
    for name in names:
        if name not in arrays:
            raise ValueError(f"{path}: has no array {name!r}; it has {', '.join(there) or 'none'}")
    return arrays


# Each returns all names in the file, and of `names` (or all) the arrays that there are.


def _read_npz(file: BinaryIO, names: tuple[str, ...]) -> tuple[list[str], dict[str, np.ndarray]]:
    content = np.load(file, allow_pickle=False)
    if isinstance(content, np.ndarray):
        raise ValueError("a single array without a name, which np.load reads")
    return content.files, {name: content[name] for name in names or content.files if name in content.files}


def _read_mat(file: BinaryIO, names: tuple[str, ...]) -> tuple[list[str], dict[str, np.ndarray]]:
    scipy_io = require("scipy.io", "reading .mat files")
    content = file.read()
    if content.startswith(_HDF5):
        raise NotImplementedError
    if not is_version_5(content):
        file.seek(0)
        there = [name for name, _shape, _kind in scipy_io.whosmat(file)]
        file.seek(0)
        loaded = scipy_io.loadmat(file, variable_names=list(names) or None)
        return there, {name: loaded[name] for name in names or there if name in loaded}
    there, arrays, missing = [], {}, set(names)
    for variable in variables(content):
        there += [] if variable.hidden else [variable.name]
        if variable.name in missing or not (names or variable.hidden):
            *_, arrays[variable.name] = scipy_io.loadmat(io.BytesIO(variable.alone())).values()
            missing.discard(variable.name)
            if names and not missing:
                break  # as for SciPy, what comes after them may be damaged
    return there, {name: arrays[name] for name in names or arrays if name in arrays}
