"""A run's page: what it says, that it needs nothing else, and how Chromium shows it."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import chromium
from fastnn import plots
from fastnn.recipes._frame.report import Comparison, Page, Picture, Table, classifier_tables, write_report
from fastnn.training import History

pytest.importorskip("matplotlib")

HOSTILE = '<script>alert("1")</script> & <img src="http://example.org/x.png" onerror=alert(2)>'
RECORD = {
    "recipe": "lenet",
    "settings": {"batch_size": 64, "lr": 0.05, "quick": False, "iterations": None, "data": HOSTILE},
    "environment": {"fastnn": "1.0", "cpu": "a_long_name_without_any_place_to_break_it_" * 4},
    "result": {"test_accuracy": 0.981},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with a page of all that a page can have, wide tables and hostile names among it."""
    folder = tmp_path_factory.mktemp("run")
    history = History(loss=[1.0, 0.5], accuracy=[0.5, 0.7], lr=[0.1, 0.1])
    plots.save(plots.learning_curves(history), folder / "curves.png")
    plots.save(plots.learning_curves(history, stacked=True), folder / "curves-narrow.png")
    plots.save(plots.confusion_matrix(np.eye(3, dtype=int)), folder / "worst_pairs.png")
    target, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 2])
    wide = Table("Wide", [f"column {i}" for i in range(30)], [[1.5] * 30, [1000 * i for i in range(30)]])
    page = Page(
        f"LeNet {HOSTILE}",
        "Two sentences. About it.",
        [Comparison("test accuracy", "0.956", "0.981")],
        [*classifier_tables(target, predicted, ["cat", HOSTILE, "eel"]), wide],
        [Picture("curves.png", "Curves", "Over the iterations.")],
    )
    assert write_report(folder, RECORD, page) == folder / "report.html"
    return folder


class Reader(HTMLParser):
    """The elements and the text of a page; complains of what is not closed."""

    VOID = ("meta", "img", "source")

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self._open = [], [], []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self._open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(folder):
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_what_is_on_the_page(page):
    text = page.text
    for expected in ("Two sentences. About it.", "0.956", "0.981", "batch size", "64", "0.05", "no", "1.0"):
        assert expected in text
    assert "iterations" not in text  # not set
    headings = [
        "Published and here",
        "Curves",
        "Each class",
        "Most confused",
        "Wide",
        "Worst pairs",
        "Result",
        "Settings",
    ]
    assert [line for line in text if line in headings] == headings
    row = text.index("eel")
    assert text[row : row + 5] == ["eel", "1.000", "1.000", "1.000", "1"]
    assert "29,000" in text


def test_outside_text_is_escaped(page):
    assert page.all("script") == []
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert sum(HOSTILE in line for line in page.text) == 5  # title, heading, settings, its row and its pair


def test_the_page_needs_nothing_else(folder, page):
    images, sources = page.all("img"), page.all("source")
    assert len(images) == 2
    assert [source["media"] for source in sources] == ["screen and (max-width: 640px)"]
    assert images[0]["alt"] == "Over the iterations."
    html = (folder / "report.html").read_text()
    assert not re.search(r"(?:src|href|srcset)=\"(?!data:)|url\(|@import", html)


def test_pictures_are_as_wide_as_their_inches(page):
    figure = plots.confusion_matrix(np.eye(3, dtype=int))
    assert int(page.all("img")[1]["width"]) == round(96 * figure.get_figwidth())


def test_what_systems_leave_and_names_of_other_bytes(tmp_path):
    (tmp_path / "._curves.png").write_bytes(b"left behind")
    (tmp_path / "folder.png").mkdir()
    table = Table("Not read", ["photograph"], [["caf\udce9.png"]])
    write_report(tmp_path, RECORD, Page("A", tables=[table]))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "caf?.png" in page
    assert "data:image" not in page


def test_a_picture_that_is_not_there(folder):
    with pytest.raises(ValueError, match=r"pictures: got 'curve.png', expected one of curves-narrow.png, curves.png"):
        write_report(folder, RECORD, Page("A", pictures=[Picture("curve.png", "Curves")]))


def test_a_row_of_another_length(folder):
    before = (folder / "report.html").read_bytes()
    with pytest.raises(ValueError, match="tables: got a row of 1 cells in 'T', expected 2"):
        write_report(folder, RECORD, Page("A", tables=[Table("T", ["a", "b"], [["x"]])]))
    assert (folder / "report.html").read_bytes() == before


def test_a_perfect_classifier_has_no_confused_pairs():
    (table,) = classifier_tables(np.arange(3), np.arange(3))
    assert table.rows[1] == ["1", 1.0, 1.0, 1.0, 1]


@pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed")
def test_chromium_shows_and_prints_it(folder, tmp_path):
    url = (folder / "report.html").as_uri()
    with chromium.Chromium(tmp_path / "profile") as browser:
        for width in (390, 1200):
            browser.show(url, width)
            assert browser.value("document.documentElement.scrollWidth") == width  # nothing to scroll sideways
            assert browser.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            assert browser.value("document.images[0].getBoundingClientRect().right") <= width
            shown = browser.value("document.images[0].naturalWidth / document.images[0].naturalHeight")
            assert (shown < 1) == (width == 390)  # the narrow curves on the narrow screen
            assert browser.complaints() == []
            assert browser.requests() == [url]
            light = browser.screenshot()
            assert light.startswith(b"\x89PNG")
            assert int.from_bytes(light[16:20], "big") == (780 if width == 390 else 1200)
        background = "getComputedStyle(document.body).backgroundColor"
        assert browser.value(background) == "rgb(255, 255, 255)"
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        browser.show(url, 390, "dark")
        assert browser.value(background) == "rgb(20, 24, 28)"
        printed = browser.pdf()
        assert printed.startswith(b"%PDF")
        assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 5
        browser.ask("Emulation.setEmulatedMedia", media="print", features=dark)
        assert browser.value(background) == "rgb(255, 255, 255)"  # paper is white in dark mode too
