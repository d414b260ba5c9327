"""Pages that are written from the code are what the code says."""

import importlib.util
from pathlib import Path

import fastnn as fnn
import fastnn.plots

ROOT = Path(__file__).parents[1]


def load_tool(name="make_layer_table"):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_the_table_of_layers_is_what_the_code_says():
    """All but what it says of PyTorch, which need not be installed."""
    tool = load_tool()
    page = tool.PAGE.read_text()
    assert tool.own_cells(page) == tool.own_cells(tool.make(page)), "run: python tools/make_layer_table.py"
    assert page.startswith(tool.HEAD)
    assert "| ? |" not in page, "with PyTorch installed, run: python tools/make_layer_table.py"
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {"Conv2d", "Residual", "MSELoss", "SGD", "StepLR"} <= named
    layers = {name for name in fnn.__all__ if isinstance(kind := getattr(fnn, name), type) and tool.is_layer(kind)}
    assert layers <= named


def test_without_pytorch_its_column_stays(monkeypatch):
    import sys

    tool = load_tool()
    page = tool.PAGE.read_text()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert tool.make(page) == page
    assert tool.make("").count(" | ? |") == sum(line.startswith("| `") for line in page.splitlines())


def test_the_gallery_has_every_picture_and_stays_small():
    tool = load_tool("make_gallery")
    assert tool.PAGE.read_text() == tool.page(), "run: python tools/make_gallery.py"
    names = {entry.name for entry in tool.ENTRIES}
    assert names == {name for name in fnn.plots.__all__ if name.islower() and name != "save"}
    files = list(tool.PICTURES.iterdir())
    assert {file.stem for file in files} == names
    assert sum(file.stat().st_size for file in files) < 300 * 1024
