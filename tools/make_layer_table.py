"""Write docs/layers.md: the layers, losses, optimisers and schedules there are, from the code, beside PyTorch's.

    python tools/make_layer_table.py

Where PyTorch is not installed, what the page says of it stays as it is, and is `?` for what is new.
"""

import importlib
import inspect
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import _validate as check
from fastnn.layers.joints import Joint

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"
HEAD = """\
# Layers, losses, optimisers and schedules

Written by `tools/make_layer_table.py` from the code: not to be changed by hand.

*dtypes*: of what is computed; a layer with the argument `dtype` has parameters of that type, the others take what
comes. *methods*: a layer's own backward needs no tape; with `needs_dx=False` it saves itself the gradient of its input.
*one call*: in eval mode a `Sequential` runs it in one call of compiled code together with the layers around it. *ReLU*:
it applies a ReLU that follows it in a `Sequential` while it stores its output. The last column has the arguments of
the class of that name in PyTorch that are not here, or that are other by default there; `device`, `dtype`, what
PyTorch calls deprecated, and what optimisers take as `unused` (`foreach`, `fused`, `capturable`, `differentiable`) are
not counted.
"""
PYTORCH = "PyTorch"
UNUSED = {"foreach", "fused", "capturable", "differentiable"}
NOT_COUNTED = {"device", "dtype", "size_average", "reduce", *UNUSED}
DTYPES = ", ".join(np.dtype(dtype).name for dtype in (check.FLOAT32, check.FLOAT64))


def is_layer(kind):
    return issubclass(kind, fnn.Module) and kind is not fnn.Module


def is_in(module):
    return lambda kind: kind.__module__.split(".")[:2] == ["fastnn", module]


# Title, the module whose public classes are looked at, whether one belongs there, where PyTorch has it.
SECTIONS = (
    ("Layers", fnn, is_layer, "torch.nn"),
    ("Losses", fnn, is_in("losses"), "torch.nn"),
    ("Optimisers", fnn, is_in("optim"), "torch.optim"),
    ("Schedules of learning rates", fnn.lr_scheduler, is_in("optim"), "torch.optim.lr_scheduler"),
)


def arguments(kind):
    return inspect.signature(kind).parameters


def text(p):
    """An argument as a signature has it, ``bias=True``."""
    default = p.default.__name__ if isinstance(p.default, type) else repr(p.default)
    star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    return star + p.name if p.default is p.empty else f"{p.name}={default}"


def has(kind, method):
    """Whether the class or one below it, but `Module` and `Joint`, has this method."""
    return getattr(kind, method, None) not in (None, getattr(fnn.Module, method, None), getattr(Joint, method, None))


def row(kind):
    """The cells that fastnn's code decides."""
    what = " ".join(inspect.getdoc(kind).split("\n\n")[0].split()).replace("|", "\\|")
    cells = [f"`{kind.__name__}`", ", ".join(f"`{text(p)}`" for p in arguments(kind).values()), what, DTYPES]
    if is_layer(kind):
        cells.append(", ".join(method for method in ("forward", "backward") if has(kind, method)))
        cells.append("yes" if has(kind, "plan") else "")
        cells.append("yes" if kind.fusion.in_forward else "")
    return cells


def pytorch(kind, place):
    """What the class of the same name there has more, or has otherwise."""
    theirs = getattr(importlib.import_module(place), kind.__name__, None)
    if theirs is None:
        return "not there"
    ours, more = arguments(kind), []
    for name, p in arguments(theirs).items():
        counted = name not in NOT_COUNTED and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if counted and (name not in ours or ours[name].default != p.default):
            more.append(f"`{text(p)}`")
    return ", ".join(more) or "the same"


def own_cells(page):
    """The lines of tables of a page without their last cells, which speak of PyTorch."""
    return [line.rsplit(" | ", 1)[0] for line in page.splitlines() if line.startswith("| ")]


def last_cells(page):
    """Name to last cell."""
    lines = [line.removesuffix(" |") for line in page.splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line.rsplit(" | ", 1)[1] for line in lines}


def make(before=""):
    """The page; `before` is the one there was."""
    try:
        version = "PyTorch " + ".".join(importlib.import_module("torch").__version__.split(".")[:2])
    except ImportError:
        version = None
    known = last_cells(before)
    parts = [HEAD]
    for title, module, belongs, place in SECTIONS:
        kinds = [getattr(module, name) for name in sorted(module.__all__)]
        kinds = [kind for kind in kinds if isinstance(kind, type) and belongs(kind)]
        heads = ["class", "arguments", "what it is", "dtypes"]
        heads += ["methods", "one call", "ReLU"] if title == "Layers" else []
        lines = [[*heads, version or known.get("class", PYTORCH)], ["---"] * (len(heads) + 1)]
        for kind in kinds:
            cells = row(kind)
            lines.append([*cells, pytorch(kind, place) if version else known.get(cells[0], "?")])
        parts += [f"\n## {title}\n\n", *("| " + " | ".join(cells) + " |\n" for cells in lines)]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(make(PAGE.read_text() if PAGE.exists() else ""))
