"""A sweep: the same training with every combination of some settings, through joblib."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastnn import plots
from fastnn._extras import require
from fastnn._files import atomic_file
from fastnn._lock import locked
from fastnn._runtime import get_num_threads, num_threads
from fastnn.training.divergence import DivergenceError
from fastnn.training.history import History
from fastnn.training.progress import new_bar, write

TABLE, CURVES = "results.csv", "curves.png"


@dataclass(frozen=True)
class Point:
    """One combination, and what came of it.

    Attributes
    ----------
    settings : by name
    results : numbers by name; of a run that diverged none, and `error` says where
    history : if the run returned one
    """

    settings: dict[str, Any]
    results: dict[str, Any] = field(default_factory=dict)
    history: History | None = None
    error: str = ""

    @property
    def label(self) -> str:
        """Its settings, as "lr=0.1,batch_size=32"."""
        return ",".join(f"{name}={value}" for name, value in self.settings.items())


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
    grid : values by the name of the setting
    out : folder; of each point its results, as soon as it is done; `results.csv`; `curves.png`, if there are histories
    score, mode : which result is compared, and whether "max" or "min" is best
    jobs : at a time; by default as joblib is configured (without that, one)
    draw : draw the curves

    Raises
    ------
    FileExistsError
        Another process is sweeping into the same folder.
    """
    joblib = require("joblib", "sweeps")
    if draw:
        require("matplotlib.figure", "the curves of a sweep")
    if mode not in ("max", "min"):
        raise ValueError(f"mode: got {mode!r}, expected 'max' or 'min'")
    points, folder = _points(grid), Path(out)
    (folder / "points").mkdir(parents=True, exist_ok=True)
    done = {i: found for i, point in enumerate(points) if (found := _load(folder, point)) is not None}
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
                found = _load(folder, points[i])
                assert found is not None, "a task ends when its point is saved"
                done[i] = found
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
    values = {name: list(those) for name, those in grid.items()}
    for name, those in values.items():
        if not those:
            raise ValueError(f"grid: got no values for {name!r}, expected at least one")
    points = [Point(dict(zip(values, each, strict=True))) for each in itertools.product(*values.values())]
    files = {_file(Path(), point) for point in points}
    if len(files) < len(points):
        raise ValueError("grid: got values that are written alike, expected different ones")
    return points


def _task(run: Callable[..., Mapping[str, Any]], point: Point, i: int, folder: Path, score: str, threads: int) -> int:
    """Run a point and save what came of it."""
    results: dict[str, Any] = {}
    error = ""
    try:
        with num_threads(threads):
            results = dict(run(**point.settings))
    except DivergenceError as divergence:
        error = str(divergence)
    history = results.pop("history", None)
    if not error and not isinstance(results.get(score), int | float):
        raise ValueError(
            f"score: got {score!r}, expected one of the results, {', '.join(results) or 'of which there are none'}"
        )
    path = _file(folder, point)
    if history is not None:
        history.save(path.with_suffix(".history.json"))
    with atomic_file(path) as file:
        file.write(json.dumps({"settings": point.settings, "results": results, "error": error}, default=str).encode())
    return i


def _file(folder: Path, point: Point) -> Path:
    return folder / "points" / (re.sub(r"[^\w.=,+-]", "_", point.label or "all") + ".json")


def _load(folder: Path, point: Point) -> Point | None:
    path = _file(folder, point)
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        history = path.with_suffix(".history.json")
        return Point(
            point.settings, content["results"], History.load(history) if history.exists() else None, content["error"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a result of a sweep ({error}); remove it to run it again") from error


def _write_table(path: Path, points: Sequence[Point]) -> None:
    rows = [{**point.settings, **_flat(point.results), "error": point.error} for point in points]
    text = io.StringIO()
    table = csv.DictWriter(
        text, fieldnames=list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n"
    )
    table.writeheader()
    table.writerows(rows)
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())


def _flat(results: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in results.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _show(bar: Any, point: Point, score: str, done: int, total: int) -> None:
    text = point.error or f"{score} {point.results[score]:.6g}"
    if bar is None:
        write(f"{done}/{total}  {point.label}  {text}")
    else:
        bar.set_postfix_str(f"{point.label} {text}", refresh=False)
        bar.update()


def _worthless(point: Point, score: str) -> bool:
    value = point.results.get(score)
    return value is None or value != value
