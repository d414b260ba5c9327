"""Marks on photographs: all of them, nothing else, in order; and what becomes of them."""

import numpy as np
import pytest

from fastnn.data import digits
from fastnn.vision import find_marks, like_mnist, thicken
from fastnn.vision.normalise import stroke_width
from sheets import sheet

for package in ("skimage", "PIL"):
    pytest.importorskip(package)


def test_every_digit_is_found_in_the_order_of_reading():
    image, places = sheet(["1203495678", "90817", "2643"])
    marks = find_marks(image)
    assert len(marks) == len(places)
    assert np.abs(np.array([mark.box for mark in marks]) - places).max() <= 2
    for mark in marks:
        assert mark.ink.shape == (mark.box.bottom - mark.box.top, mark.box.right - mark.box.left)
        assert mark.ink.dtype == np.float32
        assert 0 <= mark.ink.min() <= mark.ink.max() <= 1


def test_colour_grey_and_strength_of_light_do_not_matter():
    image, places = sheet(["2468"])
    expected = [mark.box for mark in find_marks(image)]
    assert len(expected) == 4
    assert [mark.box for mark in find_marks(image[None])] == expected
    assert [mark.box for mark in find_marks(np.stack([image] * 3))] == expected
    dim = find_marks((0.5 * image).astype(np.float64))
    assert np.abs(np.array([mark.box for mark in dim]) - places).max() <= 2


def page(*strokes, size=(90, 160)):
    """White paper with black rectangles (top, left, bottom, right)."""
    image = np.ones(size, np.float32)
    for top, left, bottom, right in strokes:
        image[top:bottom, left:right] = 0
    return image


def boxes(image, **options):
    return [tuple(mark.box) for mark in find_marks(image, **options)]


LETTER = (20, 20, 60, 26)


def test_a_part_above_belongs_to_the_mark_below():
    bar = (14, 18, 17, 40)
    assert boxes(page(LETTER, bar, (20, 80, 60, 86))) == [(14, 18, 60, 40), (20, 80, 60, 86)]
    assert len(boxes(page(LETTER, bar, (20, 80, 60, 86)), gap=0.01)) == 3
    assert len(boxes(page(LETTER, (20, 80, 60, 86), (75, 18, 78, 40)))) == 3  # too far, and too high together
    assert len(boxes(page(LETTER, (20, 80, 60, 86), (14, 40, 17, 50)))) == 3  # beside it


def test_specks_are_left_out():
    speck = (40, 100, 42, 102)
    assert boxes(page(LETTER, speck)) == [LETTER]
    assert len(boxes(page(LETTER, speck), smallest=0.001)) == 2


def test_ink_of_others_is_left_out():
    corner = page(size=(120, 160))
    corner[20:80, 20:26] = corner[74:80, 20:70] = 0  # an L
    corner[28:62, 50:56] = 0  # an I in its arm
    large, small = sorted(find_marks(corner), key=lambda mark: -mark.ink.size)
    assert tuple(large.box) == (20, 20, 80, 70)
    assert tuple(small.box) == (28, 50, 62, 56)
    assert large.ink[8:42, 30:36].max() == 0
    assert large.ink[:, 1:4].min() > 0.5


def test_an_empty_sheet_has_no_marks():
    assert find_marks(np.full((50, 60), 0.8, np.float32)) == []
    grainy = np.random.default_rng(0).normal(0.8, 0.01, (200, 300)).clip(0, 1)
    assert find_marks(grainy) == []


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 5), np.uint8), TypeError, "image: got uint8, expected float in 0..1; divide bytes by 255"),
        (np.full((4, 5), 200.0), ValueError, "image: got values from 200 to 200, expected 0 to 1"),
        (np.full((4, 5), np.nan), ValueError, "image: got values from nan"),
        (np.zeros((2, 4, 5)), ValueError, r"image: got an array of shape \(2, 4, 5\)"),
        (np.zeros((0, 5)), ValueError, "image: got an array of shape"),
    ],
)
def test_find_marks_refuses(image, error, message):
    with pytest.raises(error, match=message):
        find_marks(image)


# -- in the manner of MNIST


def test_digits_of_mnist_come_out_as_they_were():
    _, _, x, _ = digits()
    apart = [np.abs(like_mnist(image) - image).mean() for image in x[::10, 0]]
    assert np.median(apart) == 0
    assert np.mean(np.array(apart) > 0.001) < 0.1  # those with faint pixels at their edges


def test_size_and_centre():
    ink = np.zeros((300, 200), np.float32)
    ink[30:230, 20:120] = 1
    ink[30:130, 70:120] = 0  # heavier below: moved up
    image = like_mnist(ink)
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    rows, columns = (np.flatnonzero((image > 0.5).any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (20, 10)
    mass = image.sum()
    assert abs((image.sum(axis=1) * np.arange(28)).sum() / mass - 14) <= 0.5
    assert abs((image.sum(axis=0) * np.arange(28)).sum() / mass - 14) <= 0.5
    np.testing.assert_array_equal(like_mnist(np.pad(ink, 50)), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (20, 20)])
def test_marks_of_any_shape(shape):
    image = like_mnist(np.ones(shape, np.float32), stroke=2.1)
    assert image.shape == (28, 28)
    assert image.max() > 0.5
    assert (image[:2] == 0).all()


def test_thin_strokes_are_thickened_to_the_width_asked_for():
    ring = np.hypot(*np.mgrid[-60:61, -60:61])
    thin = ((ring < 58) & (ring > 55)).astype(np.float32)
    assert 2.5 < stroke_width(thin) < 3.5
    thick = thicken(thin, 10)
    grown = thick.shape[0] / thin.shape[0]
    assert 9 < stroke_width(thick) / grown < 11  # after scaling it back
    assert thicken(thick, 8) is thick  # wide enough
    darker = like_mnist(thin, stroke=2.1)
    assert like_mnist(thin).max() < 0.8 < darker.max()
    assert darker[14, 4] + darker[14, 5] > 0.5  # the ring's left side is where it was


def test_no_ink_is_refused():
    with pytest.raises(ValueError, match=r"ink: got an array of shape \(4, 5\), expected .* with ink"):
        like_mnist(np.zeros((4, 5), np.float32))
