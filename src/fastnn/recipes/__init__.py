"""The systems that fastnn is made for, one module each, run by `fastnn train NAME`.

A recipe module has `SUMMARY` (one line), `Settings` (a dataclass whose fields are the command's options, see
`settings`) and `run(settings)`, which returns the run folder.
"""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = ("lenet",)


def load(name: str) -> ModuleType:
    """The recipe's module; ValueError, listing the recipes, for an unknown name."""
    if name not in NAMES:
        raise ValueError(f"unknown recipe {name!r}; recipes: {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}")
