"""The systems that fastnn is made for, one module each, run by `fastnn train NAME`.

A recipe module, named as the recipe with `_` for `-`, has `CARD` (a `Card`), `Settings` (a dataclass whose fields are
the command's options) and `run(settings)`, which returns the run folder; and `SCORE`, the result in its
`settings.json` that a sweep compares, if there is one that stands for all. The parts that they share are in `_frame`.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType
from typing import Any

NAMES = (
    "lenet",
    "photographs",
    "characters",
    "text",
    "autoencoder",
    "characters-adam",
    "cnn",
    "flowers",
    "parabola",
    "solver",
    "masks",
    "mlp",
    "smallvgg",
    "dogs",
    "resnet",
)


def load(name: str) -> ModuleType:
    """The recipe's module; ValueError, listing the recipes, for an unknown name."""
    if name not in NAMES:
        raise ValueError(f"unknown recipe {name!r}; recipes: {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def systems() -> list[tuple[str, Any, Any]]:
    """Every published system: the recipe's name, its `Card`, the `System`; S1, S1b, S1c, ... S14."""
    found = [(name, card, system) for name in NAMES for card in [load(name).CARD] for system in card.systems]

    def order(entry: tuple[str, Any, Any]) -> tuple[int, str]:
        digits, letter = re.fullmatch(r"S(\d+)([a-z]?)", entry[2].number).groups()  # type: ignore[union-attr]
        return int(digits), letter

    return sorted(found, key=order)


def command(name: str, options: str) -> str:
    """The command that runs a system."""
    return f"fastnn train {name} {options}".rstrip()


def listing() -> str:
    """All systems as a table: course, first published figure, time of a full run, command."""
    from fastnn.recipes._frame.card import figures

    rows = [("system", "", "course", "published", "time", "command")]
    for name, card, system in systems():
        first, *others = figures(system)
        published = f"{first}, {len(others)} more" if others else first
        course = card.source.partition(",")[0]
        rows.append((system.number, system.what, course, published, system.time, command(name, system.options)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
