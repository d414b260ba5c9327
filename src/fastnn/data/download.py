"""Downloads: checked by SHA-256, from the first mirror that answers, moved into place when whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastnn._extras import require

_RETRIES = 2  # per mirror, beyond the first attempt


def cache_folder() -> Path:
    """The folder that downloads are kept in: fastnn's part of the user's cache folder."""
    return Path(require("pooch", "downloading data").os_cache("fastnn"))


def data_folder() -> Path | None:
    """The folder named by the environment variable FASTNN_DATA, or None where it is unset or empty."""
    value = os.environ.get("FASTNN_DATA")
    if not value:
        return None
    if not Path(value).is_dir():
        raise FileNotFoundError(f"FASTNN_DATA: got {value!r}, expected an existing folder")
    if not os.access(value, os.R_OK | os.X_OK):
        raise PermissionError(f"FASTNN_DATA: got {value!r}, expected a folder that can be read")
    return Path(value)


def folders(root: str | Path | None, *inner: str) -> list[Path]:
    """Where files are looked for: the folders `inner` of `root`, and then of FASTNN_DATA, where those are given."""
    return [
        outer / name
        for outer in (None if root is None else Path(root), data_folder())
        if outer is not None
        for name in inner
    ]


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """The first existing `folder/name`, or None."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def download(name: str, checksum: str, mirrors: Sequence[str], folder: Path) -> Path:
    """Fetch `name` into `folder` unless it is there with the right checksum.

    Parameters
    ----------
    name : file name
    checksum : its SHA-256, or "md5:" and its MD5; a file that does not match is not kept
    mirrors : base addresses, ending in "/", tried in order
    folder : where the file goes; made if missing

    Raises
    ------
    ConnectionError
        No mirror delivered the file; says which file to put where by hand.
    """
    pooch = require("pooch", "downloading data")
    pooch.get_logger().setLevel("WARNING")
    checksum = checksum if ":" in checksum else f"sha256:{checksum}"
    failures = []
    for mirror in mirrors:
        source = pooch.create(folder, mirror, registry={name: checksum}, retry_if_failed=_RETRIES)
        try:
            return Path(source.fetch(name))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
            failures.append(f"  {mirror}{name}: {_first_line(error)}")
    raise ConnectionError(
        f"{name}: could not be downloaded:\n" + "\n".join(failures) + f"\nGet the file elsewhere and put it "
        f"into {folder}, or into {folder.name}/ in the folder that the environment variable FASTNN_DATA names."
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
