"""`fastnn read PHOTO ... --model RUN`: the text of photographs, and the photographs with what was read on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fastnn import plots, recipes
from fastnn.data import read_image
from fastnn.recipes._frame.settings import Parser, folder_name
from fastnn.recipes._frame.sheets import picture_of
from fastnn.training import write
from fastnn.vision import read_lines


def main(arguments: Sequence[str]) -> None:
    """Run the command, `arguments` being what comes after `fastnn read`."""
    parser = Parser(
        prog="fastnn read",
        description="print the text of photographs of handwriting: capitals and digits, dark on light",
        allow_abbrev=False,
    )
    parser.add_argument("photographs", nargs="+", metavar="PHOTO", help="an image file, as .jpg or .png")
    parser.add_argument(
        "--model", type=folder_name, required=True, metavar="RUN", help="folder of a run of `fastnn train text`"
    )
    parser.add_argument(
        "--out", type=folder_name, metavar="FOLDER", help="where PHOTO.boxes.png goes (default: beside the photograph)"
    )
    parser.add_argument(
        "--no-context",
        action="store_true",
        help="leave O and 0, I and 1, Z and 2, S and 5 as they were read, whatever the rest of the word is",
    )
    given = parser.parse_args(arguments)
    classify = recipes.load("text").load_reader(given.model)
    out = None if given.out is None else Path(given.out)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"out: got {given.out!r}, expected a folder, or a new name for one ({error})") from error
    failed = []
    for name in given.photographs:
        try:
            _read(Path(name), out, classify, context=not given.no_context)
        except (OSError, ValueError) as error:  # the others are read all the same
            failed.append(f"{name}: no such file" if isinstance(error, FileNotFoundError) else str(error))
    if failed:
        raise ValueError("\n".join(failed))


def _read(path: Path, out: Path | None, classify: Callable[[np.ndarray], Sequence[str]], *, context: bool) -> None:
    """Print the text of one photograph, and draw it."""
    image = read_image(path)
    text = read_lines(image, classify, context=context)
    if not text.marks:
        write(f"{path}: no characters found; expected dark writing on light paper")
        return
    write(f"{path}: {len(text.marks)} characters\n\n{text.text}\n")
    drawn = (path.parent if out is None else out) / picture_of(path.name)
    plots.save(plots.boxes(image, [mark.box for mark in text.marks], labels=list(text.characters)), drawn)
    write(f"drawn in {drawn}")
