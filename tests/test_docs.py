"""Pages that are written from the code are what the code says."""

import importlib.util
from pathlib import Path

import fastnn as fnn
import fastnn.plots
from fastnn import recipes
from fastnn.recipes._frame.settings import parse

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


def test_the_page_of_systems_is_what_the_recipes_say():
    tool = load_tool("make_systems_page")
    assert tool.PAGE.read_text(encoding="utf-8") == tool.make(), "run: python tools/make_systems_page.py"


def test_every_published_system_is_run_by_a_recipe():
    numbers = "S1 S1b S1c S1d S2 S2b S2c S2d S3 S4 S5 S6 S6 S7 S7 S8 S9 S9b S9c S10 S10b S10c S11 S12 S12b S13 S14"
    assert [system.number for _, _, system in recipes.systems()] == numbers.split()
    published = {
        (each.number, what): figure for _, _, each in recipes.systems() for what, figure in each.published.items()
    }
    assert published["S2b", "test accuracy, lr 0.02"] == 0.7222
    assert published["S4", "PSNR of validation images"] == "15.24 dB"
    assert published["S12b", "batches of 256"] == 0.7571
    for name in recipes.NAMES:
        card = recipes.load(name).CARD
        assert all(isinstance(text, str) and text for text in (card.source, card.data, card.size)), name
        assert card.systems[0].time, name


def test_the_commands_of_the_systems_are_understood():
    for name, _, system in recipes.systems():
        settings = recipes.load(name).Settings
        settings(**parse(settings, system.options.split(), name, ""))


def test_the_gallery_has_every_picture_and_stays_small():
    tool = load_tool("make_gallery")
    assert tool.PAGE.read_text() == tool.page(), "run: python tools/make_gallery.py"
    names = {entry.name for entry in tool.ENTRIES}
    assert names == {name for name in fnn.plots.__all__ if name.islower() and name != "save"}
    files = list(tool.PICTURES.iterdir())
    assert {file.stem for file in files} == names
    assert sum(file.stat().st_size for file in files) < 300 * 1024
