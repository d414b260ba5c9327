"""A sweep: the same training with every combination of some settings, through joblib."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from fastnn import plots
from fastnn._destination import prepare
from fastnn._extras import require
from fastnn._files import atomic_file
from fastnn._json import to_json, with_numbers
from fastnn._lock import locked
from fastnn._runtime import get_num_threads, num_threads
from fastnn.training.divergence import DivergenceError
from fastnn.training.history import History
from fastnn.training.progress import Bar, new_bar, write

TABLE, CURVES = "results.csv", "curves.png"
_LONGEST = 80  # letters of a point's name


@dataclass(frozen=True)
class Point:
    """One combination, and what came of it.

    Attributes
    ----------
    settings : by name
    results : numbers by name, and texts, lists and dicts; of a run that diverged none, and `error` says where
    history : if the run returned one
    """

    settings: dict[str, Any]
    results: dict[str, Any] = field(default_factory=dict)
    history: History | None = None
    error: str = ""

    @property
    def label(self) -> str:
        """Its settings, as "lr=0.1,batch_size=32"; its file's name where they are long."""
        text = ",".join(f"{name}={_text(value)}" for name, value in self.settings.items())
        return text if len(text) <= _LONGEST else self.file_name

    @property
    def file_name(self) -> str:
        """A name for a file or a folder of this point, without an ending, which no other point has on any system."""
        return file_name(self.settings)


def file_name(settings: Mapping[str, Any]) -> str:
    """The settings as a name for a file or a folder, without an ending: "lr=0.1,batch_size=32".

    Where a value is not safe to be a part of one (letters that some systems lack or take for others, slashes, a text
    that reads like a number), or the name were too long, a digest of all settings and their types tells it from others.
    """
    text = ",".join(f"{name}={_text(value)}" for name, value in settings.items()) or "all"
    if len(text) <= _LONGEST and all(_is_safe(name) and _is_safe(value) for name, value in settings.items()):
        return text
    exact = repr([(name, type(value).__name__, _text(value)) for name, value in settings.items()])
    digest = hashlib.sha256(exact.encode(errors="surrogatepass")).hexdigest()[:10]
    return f"{re.sub(r'[^a-zA-Z0-9.=,+-]', '_', text)[:_LONGEST]}-{digest}"


def _text(value: Any) -> str:
    """A value as it is read best; another value of its type has another text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str | PurePath):
        return str(value) if _is_word(str(value)) else repr(str(value))
    return getattr(value, "__qualname__", None) or repr(value)  # functions and classes have a name


def _is_word(text: str) -> bool:
    """Whether nobody takes a text for another kind of value, or for a part of a list of values."""
    try:
        float(text)
    except ValueError:
        plain = text.isprintable() and not re.search(r"[,='\"\s]", text)
        return plain and text.lower() not in ("", "true", "false", "none")
    return False


def _is_safe(value: Any) -> bool:
    if isinstance(value, str):
        return _is_word(value) and re.fullmatch(r"[a-z0-9.+_-]*[a-z0-9+_-]", value) is not None
    if hasattr(value, "tolist"):
        value = value.tolist()
    return value is None or isinstance(value, bool | int | float)


@dataclass(frozen=True)
class Sweep:
    """What `sweep` found; its text names the best.

    Attributes
    ----------
    points : in the order of the grid
    score, mode : which result is compared, and whether "max" or "min" is best
    folder : where the table is
    """

    points: Sequence[Point]
    score: str
    mode: str
    folder: Path

    @property
    def best(self) -> Point | None:
        """The first of the best; None where all runs diverged."""
        scored = [point for point in self.points if not _worthless(point, self.score)]
        sign = 1 if self.mode == "max" else -1
        return max(scored, key=lambda point: sign * point.results[self.score], default=None)

    def __str__(self) -> str:
        best, runs = self.best, f"{len(self.points)} runs, {self.folder / TABLE}"
        if best is None:
            return f"{runs}: none has a {self.score}"
        return f"{runs}\nbest: {best.label} with {self.score} {best.results[self.score]:.6g}"


def sweep(
    run: Callable[..., Mapping[str, Any]],
    grid: Mapping[str, Iterable[Any]],
    *,
    out: str | Path,
    score: str = "valid_accuracy",
    mode: str = "max",
    jobs: int | None = None,
    draw: bool = True,
) -> Sweep:
    """Call `run` with every combination of settings, several at a time; what has been done before is not done again.

    Where and how many at a time is joblib's affair: ``with joblib.parallel_config(backend="dask", n_jobs=8)`` around it
    (or "loky", "ray", "threading"). The threads that fastnn may use are shared among the jobs of this machine; results
    do not depend on it.

    Parameters
    ----------
    run : called with a point of the grid as keywords; returns numbers by name, among them `score`; under "history"
        there may be a `History`. A `DivergenceError` is a result; any other error ends the sweep
    grid : lists of values by the name of the setting
    out : folder; of each point its results, as soon as it is done; `results.csv`; `curves.png`, if there are histories
    score, mode : which result is compared, and whether "max" or "min" is best
    jobs : at a time; by default as joblib is configured (without that, one)
    draw : draw the curves

    Raises
    ------
    FileExistsError
        Another process is sweeping into the same folder.
    OSError
        Nothing can be written into `out`; before the first run.
    ValueError
        A run, whose results are kept, has no number of the name `score`; after the first one.
    """
    joblib = require("joblib", "sweeps")
    if draw:
        require("matplotlib.figure", "the curves of a sweep")
    if mode not in ("max", "min"):
        raise ValueError(f"mode: got {mode!r}, expected 'max' or 'min'")
    points, folder = _points(grid), Path(out)
    for path in (_file(folder, points[0]), folder / TABLE, *([folder / CURVES] if draw else [])):
        prepare(path)
    done = {i: found for i, point in enumerate(points) if (found := _load(folder, point)) is not None}
    for found in done.values():
        _check_score(found, score)
    waiting = [i for i in range(len(points)) if i not in done]
    threads = max(1, get_num_threads() // max(1, joblib.effective_n_jobs(jobs)))
    # What comes back is only where it is: the history of a long run is large, and in its file already.
    calls = (joblib.delayed(_task)(run, points[i], i, folder, score, threads) for i in waiting)
    # Backends that give nothing before the end, as Ray's and multiprocessing's, cannot say so by themselves.
    backend, _ = joblib.parallel.get_active_backend()
    return_as = "generator_unordered" if backend.supports_return_generator else "list"
    bar = new_bar(len(points), len(done), unit="run")
    try:
        # Jobs that are threads leave any number behind.
        with locked(folder / "points"), num_threads(get_num_threads()):
            for i in joblib.Parallel(n_jobs=jobs, return_as=return_as)(calls):
                done[i] = found = _loaded(folder, points[i])
                _write_table(folder / TABLE, [done[k] for k in sorted(done)])
                _show(bar, found, score, len(done), len(points))
    finally:
        if bar is not None:
            bar.close()
    result = Sweep([done[i] for i in range(len(points))], score, mode, folder)
    _write_table(folder / TABLE, result.points)
    histories = {point.label: point.history for point in result.points if point.history is not None}
    if draw and histories:
        plots.save(plots.learning_curves(histories), folder / CURVES)
    return result


def _points(grid: Mapping[str, Iterable[Any]]) -> list[Point]:
    values = {}
    for name, those in grid.items():
        if isinstance(those, str | bytes) or not isinstance(those, Iterable):
            raise TypeError(f"grid: got {those!r} for {name!r}, expected a list of values")
        values[name] = list(those)
        if not values[name]:
            raise ValueError(f"grid: got no values for {name!r}, expected at least one")
    points = [Point(dict(zip(values, each, strict=True))) for each in itertools.product(*values.values())]
    seen: dict[str, Point] = {}
    for point in points:
        other = seen.setdefault(point.file_name.lower(), point)
        if other is not point:
            raise ValueError(
                f"grid: got {point.label} twice, or values that are written alike, expected different ones"
            )
    return points


def _task(run: Callable[..., Mapping[str, Any]], point: Point, i: int, folder: Path, score: str, threads: int) -> int:
    """Run a point and save what came of it."""
    results: Any = {}
    error = ""
    try:
        with num_threads(threads):
            results = run(**point.settings)
    except DivergenceError as divergence:
        error = str(divergence)
    if not isinstance(results, Mapping):
        raise TypeError(f"run: got {type(results).__name__} from it, expected a dict of results by name")
    history = results.get("history")
    if history is not None and not isinstance(history, History):
        raise TypeError(f"run: got {type(history).__name__} as 'history', expected a History, as trainer.history")
    numbers = {name: value for name, value in results.items() if name != "history"}
    path = _file(folder, point)
    if history is not None:
        history.save(path.with_name(f"{point.file_name}.history.json"))
    with atomic_file(path) as file:
        file.write(to_json({"settings": point.settings, "results": numbers, "error": error}).encode())
    _check_score(_loaded(folder, point), score)
    return i


def _check_score(point: Point, score: str) -> None:
    if point.error or _is_number(point.results.get(score)):
        return
    if score in point.results:
        raise ValueError(f"score: got {score!r}, which is {point.results[score]!r} of {point.label}, expected a number")
    names = ", ".join(name for name, value in point.results.items() if _is_number(value))
    raise ValueError(f"score: got {score!r}, expected one of the results, {names or 'of which none is a number'}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _file(folder: Path, point: Point) -> Path:
    return folder / "points" / f"{point.file_name}.json"


def _load(folder: Path, point: Point) -> Point | None:
    path = _file(folder, point)
    if not path.exists():
        return None
    try:
        content = with_numbers(json.loads(path.read_bytes()))
        history = path.with_name(f"{point.file_name}.history.json")
        return Point(
            point.settings, content["results"], History.load(history) if history.exists() else None, content["error"]
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not a result of a sweep ({error}); remove it to run it again") from error


def _loaded(folder: Path, point: Point) -> Point:
    found = _load(folder, point)
    assert found is not None, "a task ends when its point is saved"
    return found


def _write_table(path: Path, points: Sequence[Point]) -> None:
    rows = [{**point.settings, **_flat(point.results), "error": point.error} for point in points]
    text = io.StringIO()
    table = csv.DictWriter(
        text, fieldnames=list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n"
    )
    table.writeheader()
    table.writerows(rows)
    with atomic_file(path) as file:
        file.write(text.getvalue().encode(errors="backslashreplace"))


def _flat(results: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in results.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _show(bar: Bar | None, point: Point, score: str, done: int, total: int) -> None:
    text = f"{point.label}  {point.error or f'{score} {point.results[score]:.6g}'}"
    if bar is None or not bar.show(done, text):
        write(f"{done}/{total}  {text}")


def _worthless(point: Point, score: str) -> bool:
    value = point.results.get(score)
    return value is None or value != value
