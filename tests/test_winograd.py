"""Winograd's convolution: its transforms, where it is used, and what it does with values that would spread."""

import numpy as np
import pytest

import fastnn as fnn
import winograd
from cases import DTYPES
from cases._base import pair
from fastnn._kernels._conv_ways import ways
from fastnn._validate import ConvGeometry


def assert_same_bits_on_any_threads(results):
    """Call `results`, which returns arrays, on 1, 2, 3 and 7 threads; return those of one."""
    with fnn.num_threads(1):
        one = results()
    for threads in (2, 3, 7):
        with fnn.num_threads(threads):
            assert [a.tobytes() for a in results()] == [a.tobytes() for a in one]
    return one


@pytest.fixture
def arrays():
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((8, 32, 9, 14)), rng.standard_normal((32, 32, 3, 3))
    return x, w, rng.standard_normal((8, 32, 9, 14))


@pytest.mark.parametrize(("taps", "padding"), [(3, 1), (5, 2), (5, 0), (5, (4, 3))], ids=str)
def test_the_bound_is_of_the_algorithm_that_computes_a_convolution(taps, padding):
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((8, 12, 9, 14)), rng.standard_normal((10, 12, taps, taps))
    y, both = fnn.reference.conv2d(x, w, padding=padding), pair(padding)
    dy = rng.standard_normal(y.shape)
    dx, dw, _ = fnn.reference.conv2d_backward(dy, x, w, padding=padding)
    np.testing.assert_allclose(winograd.forward(x, w, both), y, atol=1e-10)
    np.testing.assert_allclose(winograd.input_gradient(dy, w, both), dx, atol=1e-10)
    if taps == 3:
        np.testing.assert_allclose(winograd.correlation(dy, w, both), dx, atol=1e-10)
    np.testing.assert_allclose(winograd.weight_gradient(dy, x, both), dw, atol=1e-10)


def test_who_goes_which_way():
    def names(*shape, packed=False, **geometry):
        *sizes, KH, KW = shape
        return tuple(ways(*sizes, ConvGeometry(KH, KW, **geometry), packed=packed).values())

    wide = {"PH": 1, "PW": 1}
    assert names(64, 64, 8, 8, 64, 3, 3, **wide) == ("winograd", "winograd", "winograd")
    assert names(1, 9, 96, 96, 9, 3, 3, **wide) == ("planes", "planes", "one pass")  # too few channels
    assert names(1, 64, 8, 8, 64, 3, 3, **wide) == ("planes", "planes", "pixels")  # too few tiles
    assert names(1, 64, 8, 8, 64, 3, 3, packed=True, **wide)[0] == "winograd"  # the weights are transformed already
    assert names(1, 64, 4, 8, 64, 3, 3, packed=True, **wide)[0] == "planes"
    assert names(64, 20, 12, 12, 50, 5, 5, packed=True)[0] == "winograd"  # plans go by groups of few images
    assert names(32, 40, 20, 20, 60, 5, 5, PH=2, PW=2) == ("winograd", "spread", "winograd")
    assert names(32, 40, 20, 20, 60, 5, 5, PH=2, PW=2, SW=2) == ("batch", "batch", "batch")
    assert names(1, 40, 8, 8, 60, 5, 5) == ("planes", "fold", "pixels")  # too few tiles
    assert names(1, 40, 8, 8, 60, 5, 5, packed=True)[0] == "winograd"
    assert names(1, 40, 6, 6, 60, 5, 5, packed=True)[0] == "planes"
    assert names(64, 1, 28, 28, 20, 5, 5) == ("planes", "one pass", "one pass")
    assert names(64, 64, 5, 5, 64, 3, 3, **wide)[0] == "batch"  # too much of the tiles beyond the border
    assert names(64, 64, 9, 9, 64, 3, 3, SH=2, SW=2, **wide) == ("batch", "batch", "batch")
    assert names(1, 64, 9, 9, 64, 3, 3, SH=2, SW=2, **wide) == ("planes", "fold", "pixels")  # a single image
    assert names(64, 32, 7, 7, 32, 7, 7, PH=3, PW=3) == ("batch", "batch", "batch")  # half of the taps are on padding
    assert names(1, 20, 12, 12, 50, 5, 5) == ("planes", "fold", "pixels")
    assert names(64, 32, 7, 7, 32, 7, 7, packed=True, PH=3, PW=3)[0] == "planes"  # a plan goes image by image
    assert names(8, 1, 96, 96, 20, 5, 5) == ("planes", "one pass", "one pass")
    assert names(8, 256, 56, 56, 64, 1, 1) == ("pointwise", "one pass", "one pass")
    assert names(1, 256, 7, 7, 64, 1, 1) == ("pointwise", "fold", "pixels")
    if fnn.isa() != "baseline":
        assert names(64, 20, 12, 12, 50, 5, 5)[::2] == ("side by side", "winograd")
        assert names(45, 13, 12, 11, 17, 3, 3, PH=1)[:2] == ("side by side", "side by side")
    if fnn.isa() in ("v4", "amx"):  # where ways cost much the same, tiers differ
        assert names(32, 40, 20, 20, 60, 5, 5, PH=5, PW=5) == ("planes", "planes", "pixels")
        assert names(64, 3, 32, 32, 20, 5, 5) == ("planes", "batch", "pixels")  # too few channels
        assert names(64, 40, 5, 5, 60, 5, 5) == ("batch", "batch", "pixels")  # too much of the tiles beyond the border
        assert names(64, 40, 12, 12, 60, 5, 7) == ("batch", "batch", "batch")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", DTYPES)
def test_inf_and_nan_stay_where_they_belong(arrays, dtype, value):
    x, w, dy = (a.astype(dtype) for a in arrays)
    assert ways(*x.shape, len(w), ConvGeometry(3, 3, PH=1, PW=1))["y"] == "winograd"
    x[3, 7, 4, 6] = value
    y = fnn.functional.conv2d(x, w, padding=1)
    touched = np.zeros(y.shape, bool)
    touched[3, :, 3:6, 5:8] = True
    assert np.array_equal(~np.isfinite(y), touched)
    dy[2, 5, 0, 13] = value
    dx, dw, db = fnn.functional.conv2d_backward(dy, x, w, padding=1)
    touched = np.zeros(dx.shape, bool)
    touched[2, :, :2, 12:] = True
    assert np.array_equal(~np.isfinite(dx), touched)
    truth = fnn.reference.conv2d_backward(dy, x, w, padding=1)
    assert np.array_equal(np.isfinite(dw), np.isfinite(truth[1]))
    assert np.array_equal(np.isfinite(db), np.isfinite(truth[2]))


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at", [(0, 0), (0, 13), (9, 0), (9, 13), (4, 6), (5, 7)], ids=str)
def test_inf_and_nan_stay_where_they_belong_5x5(dtype, value, at):
    rng = np.random.default_rng(7)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((8, 32, 10, 14), (32, 32, 5, 5)))
    dy = rng.standard_normal((8, 32, 10, 14)).astype(dtype)
    assert set(ways(*x.shape, len(w), ConvGeometry(5, 5, PH=2, PW=2)).values()) == {"winograd", "spread"}
    row, column = at
    touched = np.zeros(x.shape, bool)
    touched[3, :, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
    x[3, 7, row, column] = value
    assert np.array_equal(~np.isfinite(fnn.functional.conv2d(x, w, padding=2)), touched)
    truth = fnn.reference.conv2d_backward(dy, x, w, padding=2)
    dx, dw, _ = fnn.functional.conv2d_backward(dy, x, w, padding=2)
    assert np.isfinite(dx).all()
    assert np.array_equal(np.isfinite(dw), np.isfinite(truth[1]))
    dy[3, 5, row, column] = value
    dx, _, db = fnn.functional.conv2d_backward(dy, x, w, padding=2)
    assert np.array_equal(~np.isfinite(dx), touched)
    assert np.array_equal(np.flatnonzero(~np.isfinite(db)), [5])
    truth = fnn.reference.conv2d_backward(dy, x, w, padding=2)[0]  # an infinity stays one, with its sign
    np.testing.assert_array_equal(dx[touched], truth[touched].astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_5x5_is_the_same_in_plans_and_for_any_number_of_threads(dtype, n):
    rng = np.random.default_rng(8)
    layer = fnn.Conv2d(24, 40, 5, padding=(2, 1), dtype=dtype)
    x = rng.standard_normal((n, 24, 19, 16)).astype(dtype)
    assert set(ways(*x.shape, 40, ConvGeometry(5, 5, PH=2, PW=1)).values()) == {"winograd", "spread"}
    plan = fnn.Sequential(layer, fnn.ReLU()).eval()

    def results():
        y = fnn.functional.conv2d(x, layer.weight.data, layer.bias.data, padding=(2, 1), activation="relu")
        dx, dw, db = fnn.functional.conv2d_backward(y, x, layer.weight.data, padding=(2, 1))
        assert plan(x).tobytes() == y.tobytes()
        turned = fnn.functional.conv_transpose2d(y, layer.weight.data, x[0, :, 0, 0], padding=(2, 1), activation="relu")
        return y, dx, dw, db, turned

    assert_same_bits_on_any_threads(results)


SIDE_BY_SIDE = [  # images, inputs, map, outputs, taps, padding
    (37, 20, (12, 13), 27, 5, (0, 0)),
    (64, 20, (12, 12), 50, 5, (0, 0)),
    (45, 13, (12, 11), 17, 3, (1, 0)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SIDE_BY_SIDE, ids=str)
def test_images_side_by_side_have_the_same_bits_for_any_number_of_threads(dtype, shape):
    n, channels, size, outputs, taps, padding = shape
    rng = np.random.default_rng(8)
    x, w = (rng.standard_normal(s).astype(dtype) for s in ((n, channels, *size), (outputs, channels, taps, taps)))
    b = rng.standard_normal(outputs).astype(dtype)

    def results():
        y = fnn.functional.conv2d(x, w, b, padding=padding, activation="relu")
        dx, dw, db = fnn.functional.conv2d_backward(y, x, w, padding=padding)
        turned = fnn.functional.conv_transpose2d(y, w, x[0, :, 0, 0], padding=padding, activation="relu")
        return y, dx, dw, db, turned

    assert_same_bits_on_any_threads(results)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("shape", SIDE_BY_SIDE, ids=str)
def test_inf_and_nan_of_an_image_stay_out_of_the_images_at_its_side(shape, value):
    n, channels, size, outputs, taps, padding = shape
    rng = np.random.default_rng(7)
    sizes = (n, channels, *size), (outputs, channels, taps, taps)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in sizes)
    if fnn.isa() != "baseline":
        assert ways(*x.shape, outputs, ConvGeometry(taps, taps, PH=padding[0], PW=padding[1]))["y"] == "side by side"
    y = fnn.functional.conv2d(x, w, padding=padding)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    x[n - 2, 3, 6, 5] = dy[1, 2, 4, 3] = value
    truth = fnn.reference.conv2d(x, w, padding=padding)
    assert np.array_equal(np.isfinite(fnn.functional.conv2d(x, w, padding=padding)), np.isfinite(truth))
    truth = fnn.reference.conv2d_backward(dy, x, w, padding=padding)
    for made, expected in zip(fnn.functional.conv2d_backward(dy, x, w, padding=padding), truth, strict=True):
        assert np.array_equal(np.isfinite(made), np.isfinite(expected))


@pytest.mark.parametrize("place", [(0, 0), (0, 6), (5, 0), (9, 5), (4, 13), (9, 13)], ids=str)
def test_nan_at_the_rim_of_the_map_stays_there(place):
    """Of whole tiles without padding, pixels at the rim are in few tiles, and in the outermost values of these."""
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((8, 32, 10, 14)), rng.standard_normal((32, 32, 3, 3))
    assert ways(*x.shape, len(w), ConvGeometry(3, 3))["y"] == "winograd"
    row, column = place
    x[3, 7, row, column] = np.nan
    y = fnn.functional.conv2d(x, w)
    touched = np.zeros(y.shape, bool)
    touched[3, :, max(row - 2, 0) : row + 1, max(column - 2, 0) : column + 1] = True
    assert np.array_equal(np.isnan(y), touched)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [64, 100])
@pytest.mark.parametrize("size", [(8, 8), (7, 11), (30, 31)])
def test_one_image_through_a_plan(dtype, outputs, size):
    """Few tiles, whose outputs or rows threads share: the bits of one thread, within the bound."""
    layer = fnn.Conv2d(40, outputs, 3, padding=1, dtype=dtype)
    net = fnn.Sequential(layer, fnn.ReLU()).eval()
    x = np.random.default_rng(1).standard_normal((1, 40, *size)).astype(dtype)
    w, b = layer.weight.data.astype(np.float64), layer.bias.data.astype(np.float64)
    assert ways(*x.shape, outputs, ConvGeometry(3, 3, PH=1, PW=1), packed=True)["y"] == "winograd"
    truth = np.maximum(fnn.reference.conv2d(x.astype(np.float64), w, b, padding=1), 0)
    most = winograd.forward(np.abs(x), np.abs(w), (1, 1), **winograd.ABSOLUTE) + np.abs(b)[:, None, None]
    (y,) = assert_same_bits_on_any_threads(lambda: (net(x),))
    assert np.all(np.abs(y - truth) <= (40 + 1 + winograd.ROUNDINGS) * np.finfo(dtype).eps * most)


def test_one_image_with_nan_through_a_plan():
    net = fnn.Sequential(fnn.Conv2d(32, 64, 3, padding=1), fnn.Identity()).eval()
    x = np.zeros((1, 32, 8, 8), np.float32)
    x[0, 3, 0, 0] = np.nan
    for threads in (1, 2):
        with fnn.num_threads(threads):
            touched = np.isnan(net(x))
        assert touched[0, :, :2, :2].all()
        assert np.count_nonzero(touched) == 64 * 4
