"""The systems that fastnn is made for, one module each, run by `fastnn train NAME`.

A recipe module, named as the recipe with `_` for `-`, has `CARD` (a `Card`), `Settings` (a dataclass whose fields are
the command's options, see `settings`) and `run(settings)`, which returns the run folder; and `SCORE`, the result in its
`settings.json` that a sweep compares, if there is one that stands for all.
"""

from __future__ import annotations

import importlib
from types import ModuleType

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


def listing() -> str:
    """All recipes as a table: what each learns, from what, how long it takes, and the published figure."""
    rows = [("recipe", "system", "data", "size", "time", "published")]
    rows += [(name, *load(name).CARD) for name in NAMES]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
