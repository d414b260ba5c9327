"""Depthwise convolution by rows: where it is used, pixels that no output meets, long sums, and bands for threads."""

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from fastnn._kernels._conv_ways import ways
from fastnn._validate import ConvGeometry

pytestmark = pytest.mark.skipif(fnn.isa() not in ("v3", "v4", "amx"), reason="vectors of 32 bytes or more")


def drawn(dtype, *shapes):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def test_who_goes_by_rows():
    def names(*sizes, taps, **geometry):
        return tuple(ways(*sizes, sizes[1], ConvGeometry(taps, taps, G=sizes[1], **geometry)).values())

    by_rows = ("rows", "rows", "rows")
    assert names(19, 56, 48, 27, taps=3, SH=2, SW=2, PH=1, PW=1) == by_rows
    assert names(4, 32, 112, 112, taps=3, PH=1, PW=1)[1:] == by_rows[1:]
    assert names(8, 144, 56, 56, taps=5, SH=2, SW=2, PH=2, PW=2)[1:] == by_rows[1:]
    assert names(75, 22, 37, 57, taps=1) == ("taps", "rows", "rows")
    assert "rows" not in names(64, 48, 7, 7, taps=3, PH=1, PW=1)  # rows fill less than half of a vector
    assert "rows" not in names(4, 32, 112, 112, taps=3, PH=2, PW=2, DH=2, DW=2)
    assert "rows" not in names(4, 32, 112, 112, taps=3, PH=3, PW=1)  # windows on padding alone


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("stride", "padding", "at"), [(2, 0, 43), (2, 0, 42), (2, 1, 20), (1, 1, 31), (1, 0, 43)], ids=str
)
@pytest.mark.parametrize("taps", [3, 5])
def test_infinite_pixel(dtype, taps, stride, padding, at):
    """What does not meet it stays finite."""
    x, w = drawn(dtype, (2, 2, 30, 44), (2, 1, taps, taps))
    x[1, 0, 7, at] = np.inf
    geometry = {"stride": stride, "padding": padding, "groups": 2}
    y = fnn.functional.conv2d(x, w, **geometry)
    assert np.array_equal(np.isfinite(y), np.isfinite(fnn.reference.conv2d(x, w, **geometry)))
    dy = np.where(np.isfinite(y), y, 1)
    got, truth = (f.conv2d_backward(dy, x, w, **geometry) for f in (fnn.functional, fnn.reference))
    assert all(np.array_equal(np.isfinite(a), np.isfinite(b)) for a, b in zip(got, truth, strict=True))
    dy[1, 0, 5, 3] = np.inf
    got, truth = (
        f.conv2d_backward(dy, np.nan_to_num(x, posinf=1), w, **geometry) for f in (fnn.functional, fnn.reference)
    )
    assert all(np.array_equal(np.isfinite(a), np.isfinite(b)) for a, b in zip(got, truth, strict=True))


@pytest.mark.parametrize("stride", [1, 2])
def test_long_sums(stride):
    """The error of dw and db does not grow with the map."""
    x = np.full((2, 1, 400, 300), 1 + 2**-10, np.float32)
    w = np.ones((1, 1, 3, 3), np.float32)
    dy = np.full(fnn.functional.conv2d(x, w, stride=stride).shape, 1 - 2**-9, np.float32)
    _, dw, db = fnn.functional.conv2d_backward(dy, x, w, stride=stride)
    np.testing.assert_allclose(dw, dy.size * float(x[0, 0, 0, 0]) * float(dy[0, 0, 0, 0]), rtol=1e-5)
    np.testing.assert_allclose(db, dy.size * float(dy[0, 0, 0, 0]), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 2, 151, 203), (5, 3, 66, 70), (3, 11, 40, 30)], ids=str)
@pytest.mark.parametrize(("taps", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (1, 1)])
def test_same_bits_for_any_number_of_threads(dtype, shape, taps, stride):
    channels = shape[1]
    x, w, b = drawn(dtype, shape, (channels, 1, taps, taps), (channels,))
    geometry = {"stride": stride, "padding": taps // 2, "groups": channels}
    seen = set()
    for n in (1, 2, 3, 7):
        with fnn.num_threads(n):
            y = fnn.functional.conv2d(x, w, b, **geometry)
            made = (y, *fnn.functional.conv2d_backward(np.cos(y), x, w, **geometry))
        seen.add(tuple(a.tobytes() for a in made))
    assert len(seen) == 1
