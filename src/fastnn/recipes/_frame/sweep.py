"""`fastnn sweep RECIPE --grid lr=0.1,0.01 batch_size=32,64`: a recipe with every combination of some settings."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from fastnn import recipes
from fastnn._files import atomic_file
from fastnn._json import to_json, with_numbers
from fastnn._lock import locked
from fastnn.recipes._frame.record import RECORD
from fastnn.recipes._frame.run import usable
from fastnn.recipes._frame.settings import Parser, UsageError, at_least_one, folder_name, nearest, option_of, parse
from fastnn.training import History, sweep, write
from fastnn.training.sweep import file_name

SWEEP = "sweep.json"
# A recipe seeds the whole process, and what is printed is the process's: jobs that are threads take turns.
_ONE_AT_A_TIME = threading.Lock()


def main(name: str, arguments: Sequence[str]) -> None:
    """Run the command, `name` and `arguments` being what comes after `fastnn sweep`."""
    recipe, prog = recipes.load(name), f"fastnn sweep {name}"
    parser = Parser(prog=prog, description=f"{recipe.CARD.title}, with other settings", allow_abbrev=False)
    parser.add_argument(
        "--grid", nargs="+", required=True, metavar="NAME=VALUE,VALUE", help="settings and their values"
    )
    parser.add_argument(
        "--out",
        type=folder_name,
        default=f"runs/sweep-{name}",
        help="folder (default: %(default)s); what it has is not run again",
    )
    parser.add_argument("--jobs", type=at_least_one, help="runs at a time (default: as joblib is configured, else 1)")
    help_by = "the result that is compared (default: %(default)s)"
    parser.add_argument("--by", default=recipe.SCORE, metavar="RESULT", help=help_by)
    also = " Runs are compared on validation images, as with --validate." if hasattr(recipe, "SWEEP") else ""
    parser.epilog = f"Other options are those of `fastnn train {name}`.{also}"
    own, rest = parser.parse_known_args(arguments)
    base = {**getattr(recipe, "SWEEP", {}), **parse(recipe.Settings, rest, prog, recipe.CARD.title)}
    if "resume" in base:
        raise UsageError(f"{prog}: --resume is of a single run; a sweep goes on by itself, with the same --out")
    grid = parse_grid(recipe.Settings, own.grid)
    both = [option_of(each) for each in grid if each in base]
    if both:
        raise UsageError(f"{prog}: {', '.join(both)}: given as an option and in the grid; leave one of the two out")
    folder = Path(own.out)
    with ExitStack() as stack:
        with usable(f"out: {folder}"):
            stack.enter_context(locked(folder))
        _same_sweep(folder, {"recipe": name, "settings": asdict(recipe.Settings(**base))})
        try:
            found = sweep(partial(run_point, name, base, str(folder)), grid, out=folder, score=own.by, jobs=own.jobs)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("in the middle; give the same command again to go on") from None
    write(str(found))


def parse_grid(settings: type, texts: Sequence[str]) -> dict[str, list[Any]]:
    """Values by setting, of texts as "lr=0.1,0.01".

    Raises
    ------
    UsageError
        A setting that there is not, or a value that it cannot have.
    """
    options = {each.name: each for each in fields(settings) if each.default is not False}
    for name in ("out", "resume"):
        del options[name]
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in options or name in grid:
            like = "" if name in grid or not equals else nearest(name, options)
            raise UsageError(
                f"--grid: got {text!r}, expected NAME=VALUE,VALUE, each once, of {', '.join(options)}{like}"
            )
        parser = Parser(prog=f"--grid {name}", add_help=False)
        metadata = options[name].metadata
        parser.add_argument(name, type=metadata["kind"], choices=metadata["choices"], nargs="+")
        grid[name] = getattr(parser.parse_args(values.split(",")), name)
    return grid


def run_point(name: str, base: Mapping[str, Any], folder: str, **point: Any) -> dict[str, Any]:
    """Run a recipe in a folder of its own, or go on with it; what it prints goes to a file there."""
    label = file_name(point)
    path = Path(folder) / "runs" / label
    if path.exists() and not (path / RECORD).exists():
        shutil.rmtree(path)  # it was killed before it began
    again: dict[str, Any] = {"resume": str(path)} if path.exists() else {"out": str(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        _ONE_AT_A_TIME,
        open(path.with_name(f"{label}.log"), "a", encoding="utf-8") as log,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        recipe = recipes.load(name)
        recipe.run(recipe.Settings(**base, **point, **again))
    results: dict[str, Any] = with_numbers(json.loads((path / RECORD).read_bytes())["result"])
    histories = sorted(path.glob("history*.json"))
    return results | ({"history": History.load(histories[0])} if histories else {})


def _same_sweep(folder: Path, record: Mapping[str, Any]) -> None:
    """A folder has the points of one recipe with one set of other settings."""
    path = folder / SWEEP
    if path.exists():
        before = json.loads(path.read_bytes())
        if before != record:
            raise UsageError(f"{folder} has a sweep of {before['recipe']} with other settings; expected another --out")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(to_json(record).encode())
