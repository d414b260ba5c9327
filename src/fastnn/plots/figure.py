"""What all pictures share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastnn._extras import require
from fastnn._files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN, TEST, PUBLISHED = "#4477aa", "#cc6611", "#444444"
_DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, laid out so that nothing overlaps."""
    figure: Figure = require("matplotlib.figure", "plots").Figure(figsize=(width, height), layout="constrained")
    return figure


def check_ending(path: str | Path) -> None:
    """Refuse a path whose ending names no format of pictures, before the work for the picture is done."""
    suffix = Path(path).suffix
    known = new_figure(1, 1).canvas.get_supported_filetypes()
    if suffix[1:].lower() not in known:
        raise ValueError(f"path: got the ending {suffix!r}, expected one of {', '.join(sorted(known))}")


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure; the file's ending names the format (.png, .pdf, .svg). It appears whole or not at all."""
    check_ending(path)
    with atomic_file(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower(), dpi=_DPI)
