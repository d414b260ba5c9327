"""A run as one page of HTML that needs nothing but itself: no network, no scripts, pictures and style inside.

It is read on a telephone, on a screen and on paper, in light and in dark.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastnn import plots
from fastnn._files import atomic_file
from fastnn.data._folders import images_in
from fastnn.recipes._frame.page_style import STYLE
from fastnn.training import classification_report, confusion_matrix, most_confused_pairs

REPORT = "report.html"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SHRINKS = 720  # pixels: a wider picture would not be legible on a telephone, where it scrolls instead
_SHORT = 14  # letters: shorter cells are not broken
QUICK = "A quick run, to see that everything works: its figures are not to be compared with published ones."
NARROW = "-narrow"  # NAME-narrow.png is shown instead of NAME.png on narrow screens


class Comparison(NamedTuple):
    """A published figure and ours, as they are to be read."""

    what: str
    published: str
    ours: str


def ours_alone(rows: Iterable[Comparison]) -> list[tuple[str, str]]:
    """What is measured, and our figure, of the rows that have one."""
    return [(row.what, row.ours) for row in rows if row.ours]


class Table(NamedTuple):
    """Columns' names, and rows of as many cells; numbers stand at the right, whole ones with thousands apart."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Picture(NamedTuple):
    """A picture of the run folder, by its file's name."""

    file: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """What a recipe says of its run; the record adds settings, environment and results.

    Attributes
    ----------
    title : of the page
    summary : a sentence or two below it
    comparisons, tables, pictures : in the order of the page; pictures of the folder that are not named come last
    """

    title: str
    summary: str = ""
    comparisons: Sequence[Comparison] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def write_report(folder: str | Path, record: Mapping[str, Any], page: Page) -> Path:
    """Write `report.html` into a run folder, from the run's record, its pictures and the recipe's own words.

    Raises
    ------
    ValueError
        A named picture is not in the folder, or a table's row has not a cell for each column.
    """
    folder = Path(folder)
    html = "\n".join(_html(folder, record, page)) + "\n"
    with atomic_file(folder / REPORT) as file:
        file.write(html.encode(errors="replace"))  # of names of files that are no text
    return folder / REPORT


def classifier_tables(
    target: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] | None = None
) -> list[Table]:
    """Precision, recall, f1 and support of each class, and the pairs of classes that are confused most often."""
    report = classification_report(target, predicted, class_names, as_dict=True)
    measures = ("precision", "recall", "f1-score", "support")
    rows = [
        [name, *(float(row[m]) for m in measures[:3]), int(row["support"])]
        for name, row in report.items()
        if isinstance(row, dict)
    ]
    tables = [Table("Each class", ["class", "precision", "recall", "f1", "images"], rows)]
    matrix = confusion_matrix(target, predicted, None if class_names is None else len(class_names))
    pairs = most_confused_pairs(matrix, count=10, class_names=class_names)
    if pairs:
        tables.append(Table("Most confused", ["true", "taken for", "times"], pairs))
    return tables


def _html(folder: Path, record: Mapping[str, Any], page: Page) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f"<title>{escape(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>"
    yield f'<p class="recipe">fastnn train {escape(str(record["recipe"]))}</p>\n<h1>{escape(page.title)}</h1>'
    if page.summary:
        yield f"<p>{escape(page.summary)}</p>"
    quick = record["settings"]["quick"]
    if quick:
        yield f"<p>{escape(QUICK)}</p>"
    yield "</header>\n<main>"
    if page.comparisons and quick:
        yield from _table(Table("Figures", ["", "here"], ours_alone(page.comparisons)), strong=1)
    elif page.comparisons:
        yield from _table(Table("Published and here", ["", "published", "here"], page.comparisons), strong=2)
    pictures = _pictures(folder, page.pictures)
    for picture in pictures[:1]:
        yield from _figure(folder, picture)
    yield from _side_by_side(page.tables)
    for picture in pictures[1:]:
        yield from _figure(folder, picture)
    yield from _side_by_side(
        Table(name.capitalize(), ["", ""], [(key.replace("_", " "), _setting(value)) for key, value in values])
        for name in ("result", "settings", "environment")
        if (values := [item for item in record.get(name, {}).items() if _is_shown(item[1])])
    )
    changed = [(name, *values) for each in record.get("changes", ()) for name, values in each.items()]
    if changed:
        rows = [(name.replace("_", " "), _setting(old), _setting(new)) for name, old, new in changed]
        yield from _table(Table("Changed on the way", ["", "before", "after"], rows))
    yield "</main>\n</body>\n</html>"


def _pictures(folder: Path, named: Sequence[Picture]) -> list[Picture]:
    """Those that are named, then all others of the folder."""
    there = {file.name for file in images_in(folder) if file.suffix == ".png"}
    for picture in named:
        if picture.file not in there:
            raise ValueError(f"pictures: got {picture.file!r}, expected one of {', '.join(sorted(there)) or 'none'}")
    others = there - {picture.file for picture in named} - {file for file in there if Path(file).stem.endswith(NARROW)}
    return [*named, *(Picture(file, Path(file).stem.replace("_", " ").capitalize()) for file in sorted(others))]


def _figure(folder: Path, picture: Picture) -> Iterator[str]:
    narrow = folder / f"{Path(picture.file).stem}{NARROW}.png"
    image, caption = folder / picture.file, escape(picture.caption)
    alt, width = caption or escape(picture.title), _width(image)
    scrolls = width > _SHRINKS and not narrow.exists()
    frame = 'class="card scroll" tabindex="0"' if scrolls else 'class="card"'
    yield f"<section>\n<h2>{_text(picture.title)}</h2>\n<figure>\n<picture {frame}>"
    if narrow.exists():
        yield f'<source media="screen and (max-width: 640px)" srcset="{_data(narrow)}">'
    yield f'<img src="{_data(image)}" width="{width}" alt="{alt}">\n</picture>'
    if caption:
        yield f"<figcaption>{caption}</figcaption>"
    yield "</figure>\n</section>"


def _data(file: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def _width(file: Path) -> int:
    """The width at which a picture's letters are as large as the page's: its inches as a browser counts them."""
    with open(file, "rb") as content:
        pixels = int.from_bytes(content.read(20)[16:], "big")  # of the header, which PNG begins with
    return round(pixels * 96 / plots.DPI)


def _side_by_side(tables: Iterable[Table]) -> Iterator[str]:
    yield '<div class="columns">'
    for table in tables:
        yield from _table(table)
    yield "</div>"


def _table(table: Table, strong: int | None = None) -> Iterator[str]:
    """A table that scrolls in a frame of its own where it is wider than the screen; column `strong` in bold."""
    for row in table.rows:
        if len(row) != len(table.columns):
            raise ValueError(f"tables: got a row of {len(row)} cells in {table.title!r}, expected {len(table.columns)}")
    kinds = []
    for i in range(len(table.columns)):
        numeric = all(isinstance(row[i], int | float) for row in table.rows)
        kinds.append(" ".join(filter(None, ["number" if numeric else "", "strong" if i == strong else ""])))
    yield f'<section>\n<h2>{_text(table.title)}</h2>\n<div class="scroll" tabindex="0"><table>'
    if any(table.columns):
        yield f"<thead>{_row('th', table.columns, kinds)}</thead>"
    yield "<tbody>"
    for row in table.rows:
        yield _row("td", row, kinds)
    yield "</tbody></table></div>\n</section>"


def _row(tag: str, cells: Iterable[Any], kinds: Sequence[str]) -> str:
    shown = []
    for text, kind in zip(map(_cell, cells), kinds, strict=True):
        classes = f"{kind} short".strip() if len(text) <= _SHORT else kind
        shown.append(
            f'<{tag} class="{classes}">{escape(text)}</{tag}>' if classes else f"<{tag}>{escape(text)}</{tag}>"
        )
    return f"<tr>{''.join(shown)}</tr>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else _arrows(str(value))


def _text(text: str) -> str:
    return escape(_arrows(text))


def _arrows(text: str) -> str:
    """With real arrows: one of two signs may be broken in two."""
    return text.replace("->", "\N{RIGHTWARDS ARROW}")


def _is_shown(value: Any) -> bool:
    """Whether a value of the record is short enough for a table: lists and the like are in `settings.json` alone."""
    return value is not None and not isinstance(value, list | dict)


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
