"""Text on drawn pages, from marks to lines, words and characters."""

import time

import numpy as np
import pytest

for package in ("skimage", "PIL"):
    pytest.importorskip(package)

from fastnn.vision import Box, Mark, by_context, find_lines, find_marks, read_lines, words  # noqa: E402
from pages import classify, page, photograph  # noqa: E402

TEXT = "MAKE A LIST\nOF 27 THINGS\nNEW ZEBRA"


def test_a_page_is_read():
    text = read_lines(photograph(page(TEXT)), classify)
    assert text.text == TEXT
    assert text.characters == "MAKEALISTOF27THINGSNEWZEBRA"
    assert len(text.marks) == len(text.characters)
    assert all(isinstance(mark, Mark) for mark in text.marks)


@pytest.mark.parametrize("turn", [-8, -4, 4, 8])
def test_lines_that_rise_or_fall(turn):
    assert read_lines(photograph(page(TEXT, turn=turn)), classify).text == TEXT


@pytest.mark.parametrize(
    "conditions",
    [
        {"grain": 0.12},
        {"dark": 0.8},
        {"paper": (0.95, 0.85, 0.3), "pen": (0.2, 0.2, 0.5), "dark": 0.5},
        {"paper": (0.2, 0.7, 0.2), "pen": (0.8, 0.1, 0.1)},  # equally bright: seen in green alone
        {"paper": (0.3, 0.3, 0.3), "pen": (0.1, 0.1, 0.1), "grain": 0.01},
        {"paper": (0.8, 0.8, 0.8), "pen": (0.6, 0.6, 0.6)},  # a pencil
    ],
    ids=["grain", "uneven light", "yellow paper in uneven light", "red on green", "dark paper", "faint"],
)
def test_light_paper_and_pens(conditions):
    assert read_lines(photograph(page(TEXT), **conditions), classify).text == TEXT


def test_the_edge_of_a_shadow_and_a_dark_desk_are_no_marks():
    shadow = photograph(page(TEXT))
    shadow[:, :, : shadow.shape[2] // 2] *= 0.6
    assert read_lines(shadow, classify).text == TEXT
    desk = photograph(np.pad(page(TEXT), 60))
    desk[:, :40] = desk[:, -30:] = desk[:, :, :50] = desk[:, :, -45:] = 0.2
    assert read_lines(desk, classify).text == TEXT


def test_small_writing():
    assert read_lines(photograph(page(TEXT, size=20, spacing=4)), classify).text == TEXT


def test_thin_pens():
    """Lines two pixels wide on a page of more than a megapixel."""
    ink = np.zeros((900, 1300), np.float32)
    for left in (300, 400, 900, 1000):
        ink[700:800, left : left + 2] = ink[798:800, left : left + 70] = 1  # an L
    image = photograph(ink, paper=(0.85, 0.85, 0.8), pen=(0.3, 0.3, 0.4), dark=0.3)
    marks = find_marks(image)
    expected = [(700, left, 800, left + 70) for left in (300, 400, 900, 1000)]
    assert np.abs(np.array([mark.box for mark in marks]) - expected).max() <= 3
    assert read_lines(image, classify).text == "LL LL"


def test_a_photograph_of_twelve_megapixels():
    """It is looked at at half its size; boxes are of the whole. The time is one that only a mistake would take."""
    image = 0.9 - 0.7 * np.pad(page(TEXT, size=200, spacing=30), 1000)
    assert image.size > 12e6
    begin = time.process_time()
    text = read_lines(image, classify)
    assert time.process_time() - begin < 20
    assert text.text == TEXT
    first = text.marks[0]
    inked = np.flatnonzero((image[first.box.top : first.box.bottom, :1300] < 0.5).any(axis=0))
    assert abs(inked[0] - first.box.left) <= 2
    assert first.ink.shape == ((first.box.bottom - first.box.top) // 2, (first.box.right - first.box.left) // 2)


@pytest.mark.parametrize("shape", [(60, 80), (1, 1), (1, 50), (3, 7, 900)])
def test_nothing_written(shape):
    for image in (np.full(shape, 0.7), np.random.default_rng(0).normal(0.7, 0.05, shape).clip(0, 1)):
        assert read_lines(image, classify) == ("", [])


def test_full_stops_and_hyphens_are_not_read():
    ink = page("LIST 4 AN A")
    line = np.flatnonzero(ink.any(axis=1))
    ink[line[-1] - 6 : line[-1], 25:32] = 1
    ink[line.mean().astype(int) : line.mean().astype(int) + 5, -20:-3] = 1
    assert len(find_marks(photograph(ink))) == 10
    assert read_lines(photograph(ink), classify).text == "LIST 4 AN A"


def test_parts_of_a_letter_are_put_together():
    ink = np.zeros((120, 300), np.float32)
    for left in (40, 120, 200):
        ink[30:90, left : left + 6] = 1
    ink[24:27, 40:80] = ink[55:58, 52:70] = 1  # bars of an F, apart from its stem
    marks = find_marks(photograph(ink, grain=0.005))
    assert len(marks) == 3 + 1  # the lower bar lies beside the stem, not above or below it
    ink[55:58, 44:70] = 1
    assert len(find_marks(photograph(ink, grain=0.005))) == 3


# -- lines and words


def marks_at(*boxes):
    return [Mark(Box(*box), np.ones((box[2] - box[0], box[3] - box[1]), np.float32)) for box in boxes]


def row(top, lefts, height=20, width=10, fall=0.0):
    return [(round(top + fall * left), left, round(top + fall * left) + height, left + width) for left in lefts]


@pytest.mark.parametrize("fall", [-0.2, 0.0, 0.2])
def test_lines_in_order_whatever_the_order_of_marks(fall):
    lefts = range(0, 400, 20)
    lines = [row(top, lefts, fall=fall) for top in (100, 140, 180)]
    shuffled = [box for line in lines for box in line]
    np.random.default_rng(0).shuffle(shuffled)
    found = find_lines(marks_at(*shuffled))
    assert [[tuple(mark.box) for mark in line] for line in found] == lines


def test_a_full_stop_does_not_end_a_line():
    boxes = [(10, 0, 50, 20), (44, 25, 50, 31), (5, 60, 40, 80)]
    assert [len(line) for line in find_lines(marks_at(*boxes))] == [3]
    assert find_lines([]) == []


def lengths(*lines):
    return [[len(word) for word in line] for line in words([marks_at(*line) for line in lines])]


def test_words_by_gaps():
    assert lengths(row(0, [0, 15, 30, 70, 85])) == [[3, 2]]
    assert lengths(row(0, [0, 15, 30]), row(40, [0, 15, 60, 75])) == [[3], [2, 2]]
    assert lengths(row(0, [0, 30, 60, 95, 125])) == [[5]]  # letters that stand far apart, all of them
    assert lengths(row(0, [0, 12]), row(40, [0, 35])) == [[2], [1, 1]]  # few gaps: wider than the line is high
    assert lengths(row(0, [0, 11, 22, 34, 45])) == [[5]]  # twice as wide as others, but narrow
    assert words([]) == []


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("L15T", "LIST"),
        ("2O26 S00N", "2026 SOON"),
        ("7HE5E", "7HESE"),
        ("1O IS 5", "1O IS 5"),  # nothing tells
        ("A1 4I", "AI 41"),
        ("B8O", "B8O"),  # one letter, one digit
        ("", ""),
        ("DO\n\n10 KM2", "DO\n\n10 KMZ"),
    ],
)
def test_twins_are_as_the_rest_of_their_word(read, expected):
    assert by_context(read) == expected


def test_context_can_be_left_out():
    image = photograph(page("LIST 27"))
    digits = str.maketrans("IS", "15")

    def confused(images):
        return "".join(classify(images)).translate(digits)

    assert read_lines(image, confused).text == "LIST 27"
    assert read_lines(image, confused, context=False).text == "L15T 27"
