"""Pages that are written from the code are what the code says."""

import importlib.util
from pathlib import Path

import fastnn as fnn

ROOT = Path(__file__).parents[1]


def load_tool():
    spec = importlib.util.spec_from_file_location("make_layer_table", ROOT / "tools" / "make_layer_table.py")
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
