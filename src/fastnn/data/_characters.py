"""Handwritten characters: hw36, letters26 and NIST36, all as images of 32 x 32, dark ink on white."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from fastnn.data._archive import find_archive, read_images
from fastnn.data.arrays import read_arrays
from fastnn.data.download import find, folders
from fastnn.data.images import decode_grey
from fastnn.vision.normalise import nist_bytes

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

_SPLIT = "hw36_split.csv"
_ROLES = ("train", "test", "photograph")
_NOISE = 51  # of the paper's, in its JPEG files


class Characters(NamedTuple):
    """Images of characters.

    Attributes
    ----------
    x : float32 (N, 1, 32, 32), 0 (ink) to 1 (paper)
    y : int64 (N,), places in `fastnn.data.CHARACTERS`
    sheets : (N,) names of the sheets that they were written on
    """

    x: np.ndarray
    y: np.ndarray
    sheets: np.ndarray


class HW36(NamedTuple):
    """hw36 by the roles of its sheets.

    Attributes
    ----------
    train, test : sheets of these roles
    photographs : characters cut from the four photographs of NIST36's course, which must not be trained on by whoever
        reads those
    """

    train: Characters
    test: Characters
    photographs: Characters


def hw36(root: str | Path | None = None) -> HW36:
    """hw36: 3,657 handwritten capitals and digits of 36 classes.

    `hw36.tar`, or the folder `hw36/` that it was unpacked to, and `hw36_split.csv`, which gives each sheet its role,
    are looked for in `root`, then in the folder that the environment variable FASTNN_DATA names.

    Returns
    -------
    characters : HW36

    Raises
    ------
    ValueError
        A file is truncated or corrupt, or a sheet has no role; names it.
    FileNotFoundError
        There is no such file.
    """
    advice = "It is not distributed: see docs/data.md"
    path = find_archive(root, ("hw36.tar", "hw36"), advice)
    roles = _read_roles(find_archive(root, (_SPLIT,), advice))
    found = read_images(path, _dark_on_white, _in_class_folder)
    sheets = [PurePosixPath(name).name.partition("_")[2] for name, *_ in found]
    for (name, *_), sheet in zip(found, sheets, strict=True):
        if sheet not in roles:
            raise ValueError(f"{path}: {name} is of the sheet {sheet!r}, which {_SPLIT} gives no role")
    x, y = _stacked(path, found)
    role, names = np.array([roles[sheet] for sheet in sheets]), np.array(sheets)
    return HW36(*(Characters(x[role == each], y[role == each], names[role == each]) for each in _ROLES))


def letters26(root: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """letters26: 6,831 handwritten capitals, in the form of hw36.

    `letters26.tar`, or the folder `letters26/`, is looked for in `root`, then in the folder that FASTNN_DATA names.

    Returns
    -------
    x, y : float32 (6831, 1, 32, 32), 0 (ink) to 1 (paper); int64 (6831,), 0 to 25

    Raises
    ------
    ValueError
        The archive or an image in it is truncated or corrupt; names it.
    FileNotFoundError
        There is no such file.
    """
    path = find_archive(root, ("letters26.tar", "letters26"), "It is not distributed: see docs/data.md")
    return _stacked(path, read_images(path, _white_on_dark, _in_class_folder))


def nist36(root: str | Path | None = None) -> tuple[np.ndarray, ...]:
    """NIST36, a course's choice of NIST's handwritten characters.

    `nist36_train.mat`, `nist36_valid.mat` and `nist36_test.mat` (arrays `train_data` (N, 1024), column by column,
    `train_labels` (N, 36), one-hot, and so on) are looked for in `root`, then in the folder that FASTNN_DATA names (in
    each: `nist36/`, then the folder itself).

    Returns
    -------
    x_train, y_train, x_valid, y_valid, x_test, y_test :
        float32 (N, 1, 32, 32), 0 (ink) to 1 (paper); int64 (N,), places in `fastnn.data.CHARACTERS`

    Raises
    ------
    ValueError
        A file is truncated, corrupt or of another layout; names the file.
    FileNotFoundError
        A file is not there.
    """
    places = folders(root, "nist36", ".")
    found = {part: find(f"nist36_{part}.mat", places) for part in ("train", "valid", "test")}
    parts: list[np.ndarray] = []
    for part, path in found.items():
        if path is None:
            where = " or ".join(map(str, places)) or "the folder that FASTNN_DATA names (it is not set)"
            raise FileNotFoundError(f"nist36_{part}.mat: not in {where}. Get it from the course's data.zip")
        arrays = read_arrays(path, f"{part}_data", f"{part}_labels")
        data, labels = arrays[f"{part}_data"], arrays[f"{part}_labels"]
        if data.ndim != 2 or data.shape[1] != 1024 or labels.shape != (len(data), 36):
            raise ValueError(f"{path}: data {data.shape} and labels {labels.shape}, expected (N, 1024) and (N, 36)")
        images = data.reshape(-1, 1, 32, 32).swapaxes(2, 3)
        parts += [np.ascontiguousarray(images, np.float32), labels.argmax(axis=1).astype(np.int64)]
    return tuple(parts)


def _in_class_folder(name: PurePosixPath) -> bool:
    return len(name.parts) >= 2 and name.parts[-2] in CHARACTERS


def _dark_on_white(name: str, file: io.BytesIO) -> tuple[str, np.ndarray]:
    return name, _like_nist(255 - decode_grey(file, name), name)


def _white_on_dark(name: str, file: io.BytesIO) -> tuple[str, np.ndarray]:
    ink = decode_grey(file, name).copy()
    ink[ink < _NOISE] = 0
    return name, _like_nist(ink, name)


def _like_nist(ink: np.ndarray, name: str) -> np.ndarray:
    try:
        return nist_bytes(ink)
    except ValueError as error:
        raise ValueError(f"{name}: no character on it ({error})") from error


def _stacked(path: Path, found: list[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if not found:
        raise ValueError(f"{path}: has no images in folders A to Z and 0 to 9")
    x = np.stack([image for _, image in found])[:, None] / np.float32(255)
    y = np.array([CHARACTERS.index(PurePosixPath(name).parts[-2]) for name, _ in found], np.int64)
    return x, y


def _read_roles(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            roles = {row["sheet"]: row["role"] for row in csv.DictReader(file)}
    except (KeyError, csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected columns sheet and role ({error!r})") from error
    for sheet, role in roles.items():
        if role not in _ROLES:
            raise ValueError(f"{path}: sheet {sheet!r} has the role {role!r}, expected one of {', '.join(_ROLES)}")
    return roles
