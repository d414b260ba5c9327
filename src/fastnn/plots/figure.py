"""What all pictures share: one look, whatever the user's own settings of matplotlib are, and the way to a file."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from fastnn._extras import require
from fastnn._files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe and Ito's colours, told apart by colour-blind readers too; the first two differ in grey print as well.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"  # one for each colour, for those who see none
TRAIN, TEST, PUBLISHED = COLORS[0], COLORS[1], "#333333"
RIGHT, WRONG = "Blues", "Oranges"  # colour maps
DIVERGING = "RdBu_r"  # colour map of what has a sign: blue below zero, white at zero, red above
DPI = 150  # of files
_NAME = 30  # letters of a name at most: longer ones leave no room for the picture
_TITLE_LINE = 0.23  # inches
_STYLE = {
    "font.size": 11,
    "axes.titlesize": 11,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.dpi": 100,
}


def picture(make: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate what makes a picture, so that it has the look of all others, and its texts are shown as they are.

    Texts are file names, classes and settings: a dollar sign in them begins no formula. The numbers of logarithmic
    scales are formulas; they are written when the figure is drawn.
    """

    @wraps(make)
    def styled(*args: P.args, **options: P.kwargs) -> Figure:
        with require("matplotlib.style", "plots").context(["default", _STYLE]):
            figure = make(*args, **options)
        for text in figure.findobj(require("matplotlib.text", "plots").Text):
            if text.get_text():
                text.set_parse_math(False)
                text.set_text(_printable(text.get_text()))
        return figure

    return styled


def short(name: object, most: int = _NAME) -> str:
    """A name as a picture shows it: of lines of more than `most` letters the middle is left out."""
    half = most // 2
    lines = _printable(str(name)).split("\n")
    return "\n".join(s if len(s) <= most else f"{s[:half]}\N{HORIZONTAL ELLIPSIS}{s[1 + half - most :]}" for s in lines)


def in_legend(name: object) -> str:
    """A name for a legend; matplotlib leaves out those that begin with an underscore."""
    return f"\N{ZERO WIDTH SPACE}{short(name)}" if str(name).startswith("_") else short(name)


def _printable(text: str) -> str:
    """With question marks for the bytes of file names that are no text."""
    return text.encode(errors="replace").decode()


@cache
def _figure_class() -> Any:
    base = require("matplotlib.figure", "plots").Figure

    class NotebookFigure(base):  # type: ignore[misc, valid-type]
        """A figure that notebooks show although pyplot, whose figures they know, has no part in it."""

        def draw(self, renderer: Any) -> None:
            with warnings.catch_warnings():
                # The font has Latin, Greek, Cyrillic and Arabic letters; others are empty boxes, which say it too.
                warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
                super().draw(renderer)

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return NotebookFigure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, laid out so that nothing overlaps."""
    figure: Figure = _figure_class()(figsize=(width, height), layout="constrained")
    return figure


def add_title(figure: Figure, title: str) -> None:
    """A title above all, in as many lines as it needs, with more room for those beyond two; none for an empty one."""
    if title:
        room = int(figure.get_figwidth() * 8.5)  # bold letters of the title's size
        lines = [line for part in title.split("\n") for line in textwrap.wrap(part, room)]
        figure.suptitle("\n".join(lines))
        figure.set_figheight(figure.get_figheight() + _TITLE_LINE * max(0, len(lines) - 2))


def check_ending(path: str | Path) -> None:
    """Refuse a path whose ending names no format of pictures, before the work for the picture is done."""
    suffix = Path(path).suffix
    known = new_figure(1, 1).canvas.get_supported_filetypes()
    if suffix[1:].lower() not in known:
        raise ValueError(f"path: got the ending {suffix!r}, expected one of {', '.join(sorted(known))}")


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure; the file's ending names the format (.png, .pdf, .svg). It appears whole or not at all.

    Examples
    --------
    >>> figure = plots.confusion_matrix(np.array([[5, 1], [0, 4]]))
    >>> plots.save(figure, "confusion.pdf")
    """
    check_ending(path)
    with atomic_file(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower(), dpi=DPI)
