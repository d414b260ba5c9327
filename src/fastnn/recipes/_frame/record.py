"""A run's `settings.json`: its settings, what it ran on, its results; and what of it a run that goes on may change."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import fastnn as fnn
from fastnn._files import atomic_file
from fastnn._json import to_json
from fastnn.recipes._frame.settings import CommonSettings, UsageError, lengths, option_of
from fastnn.training._archive import read_archive

CHECKPOINT = "checkpoint"
RECORD = "settings.json"
S = TypeVar("S", bound=CommonSettings)


def make_record(
    folder: Path,
    recipe: str,
    settings: CommonSettings,
    *,
    changed: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The settings of a run and the machine that it runs on; `result` when there is one.

    The record in the folder has what was `changed` each time that the run went on (see `changes`); that is kept.
    """
    path = folder / RECORD
    before = json.loads(path.read_bytes()).get("changes", []) if path.exists() else []
    record = {
        "recipe": recipe,
        "settings": {**asdict(settings), "out": None, "resume": None},
        "changes": [*before, *filter(None, [changed])],
        "environment": {
            "fastnn": fnn.__version__,
            "isa": fnn.isa(),
            "threads": fnn.get_num_threads(),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    }
    return record if result is None else {**record, "result": dict(result)}


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a record into a run folder."""
    with atomic_file(folder / RECORD) as file:
        file.write((to_json(record, indent=2) + "\n").encode())


def read_record(recipe: str, folder: str | Path) -> dict[str, Any]:
    """The record of the run in a folder.

    Raises
    ------
    ValueError
        There is no run of this recipe.
    """
    path = Path(folder) / RECORD
    try:
        record = json.loads(path.read_bytes())
        if record["recipe"] != recipe:
            raise ValueError(f"is of {record['recipe']!r}")
        return {**record, "settings": dict(record["settings"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{path}: {error.strerror}" if isinstance(error, OSError) else error
        raise ValueError(f"resume: got {str(folder)!r}, expected the folder of a run of {recipe} ({why})") from error


def gone_on_with(recipe: str, kind: type[S], given: Mapping[str, Any]) -> S:
    """The settings of the run in the folder `given["resume"]`, but for those that are `given`."""
    folder = given["resume"]
    saved = read_record(recipe, folder)["settings"]
    known = {each.name: each.metadata for each in fields(kind)}
    for name, value in saved.items():
        if name not in known or not _is_one(value, known[name]):
            raise ValueError(f"resume: {Path(folder) / RECORD} has {name} {value!r}, which this version does not know")
    return replace(kind(**saved), **given)


def _is_one(value: Any, about: Mapping[str, Any]) -> bool:
    """Whether a value that was read is one that a setting can have."""
    if about["default"] is False:
        return isinstance(value, bool)
    with suppress(argparse.ArgumentTypeError):
        return value is None or about["kind"](str(value)) == value
    return False


def changes(recipe: str, settings: CommonSettings) -> dict[str, list[Any]]:
    """Which settings of a run that goes on are others than the run's: of each the old value and the new one.

    Raises
    ------
    UsageError
        One of those that cannot change, or a length that the run is beyond already.
    """
    assert settings.resume is not None, "the run goes on"
    if settings.out is not None:
        raise UsageError(f"--out {settings.out}: --resume goes on in the run's own folder; leave one of the two out")
    own = gone_on_with(recipe, type(settings), {"resume": settings.resume})
    changed = {
        each.name: [old, new]
        for each in fields(settings)
        if (old := getattr(own, each.name)) != (new := getattr(settings, each.name))
    }
    may = ["--threads", *lengths(settings)]
    fixed = [
        f"{option_of(name)} (the run has {old})" for name, (old, _) in changed.items() if option_of(name) not in may
    ]
    if fixed:
        raise UsageError(
            f"{', '.join(fixed)}: cannot change in a run that goes on; {' and '.join(may)} can. "
            "Leave it out, or begin a new run"
        )
    for name, taken in _taken(Path(settings.resume)).items() if changed else ():
        if name in changed and changed[name][1] < taken:
            raise UsageError(f"{option_of(name)}: got {changed[name][1]}, but the run has taken {taken} already")
    return changed


def is_finished(recipe: str, settings: CommonSettings) -> bool:
    """Whether a run has ended with these settings; the number of threads makes no difference."""
    assert settings.resume is not None, "the run goes on"
    return changes(recipe, settings).keys() <= {"threads"} and "result" in read_record(recipe, settings.resume)


def _taken(folder: Path) -> dict[str, int]:
    """Iterations and epochs that the furthest of a run's networks has taken or begun."""
    states = [read_archive(path) for path in folder.glob(f"{CHECKPOINT}*.npz")]
    return {
        "iterations": max((len(state["history"]["loss"]) for state in states), default=0),
        "epochs": max((state["place"][0] + (state["place"][1] > 0) for state in states), default=0),
    }
