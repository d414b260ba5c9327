"""Augmentation: known results, and the same ones for the same seed."""

import colorsys
import inspect

import numpy as np
import pytest

import fastnn as fnn
from fastnn.data import transforms
from fastnn.data.transforms import (
    ColorJitter,
    Compose,
    Lighting,
    Normalize,
    RandomAffine,
    RandomHorizontalFlip,
    RandomResizedCrop,
    colour_components,
)

ALL = {
    "flip": lambda **layout: RandomHorizontalFlip(**layout),
    "crop": lambda **layout: RandomResizedCrop((7, 5), **layout),
    "affine": lambda **layout: RandomAffine(30, (0.2, 0.1), (0.8, 1.2), fill=0.5, **layout),
    "jitter": lambda **layout: ColorJitter(0.4, 0.4, 0.4, 0.1, **layout),
    "lighting": lambda **layout: Lighting(**layout),
    "normalize": lambda **layout: Normalize((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), **layout),
}


def images(N=6, H=9, W=12, dtype=np.float32):
    return np.random.default_rng(5).random((N, 3, H, W)).astype(dtype)


def test_each_transform_is_tested_here():
    kinds = {
        name
        for name, kind in vars(transforms).items()
        if inspect.isclass(kind) and issubclass(kind, transforms.Transform) and kind is not transforms.Transform
    }
    assert kinds == {type(make()).__name__ for make in ALL.values()}


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_bits_for_any_number_of_threads(name):
    x = images()
    before = x.copy()
    results = []
    for threads in (1, 2, 7):
        with fnn.num_threads(threads):
            results.append(ALL[name]()(x, np.random.default_rng(3)))
    for result in results[1:]:
        assert result.tobytes() == results[0].tobytes()
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(results[0], x)
    if name != "normalize":
        assert ALL[name]()(x, np.random.default_rng(4)).tobytes() != results[0].tobytes()
        fnn.manual_seed(3)
        assert ALL[name]()(x).tobytes() == results[0].tobytes()


@pytest.mark.parametrize("name", ALL)
def test_dtypes_layouts_views_and_empty_batches(name):
    for dtype in (np.float32, np.float64):
        x = images(dtype=dtype)
        y = ALL[name]()(x, np.random.default_rng(3))
        assert y.dtype == dtype
        assert y.flags.c_contiguous
        last = ALL[name](layout="NHWC")(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), np.random.default_rng(3))
        assert last.flags.c_contiguous
        np.testing.assert_array_equal(last, y.transpose(0, 2, 3, 1))
        strided = np.repeat(x, 2, axis=3)[..., ::2]
        strided.flags.writeable = False
        np.testing.assert_array_equal(ALL[name]()(strided, np.random.default_rng(3)), y)
    assert ALL[name]()(x[:0], np.random.default_rng(3)).shape == (0, *y.shape[1:])


@pytest.mark.parametrize("name", sorted(set(ALL) - {"normalize"}))
def test_each_image_is_changed_in_its_own_way(name):
    x = np.repeat(images(1), 40, axis=0)
    y = ALL[name]()(x, np.random.default_rng(0)).reshape(40, -1)
    expected = {"flip": 2, "crop": 30}.get(name, 40)  # there are only so many parts of an image
    assert expected <= len(np.unique(y, axis=0)) <= (2 if name == "flip" else 40)


# -- known results


def test_flip():
    x = images(200, 2, 3)
    y = RandomHorizontalFlip(0.25)(x, np.random.default_rng(0))
    flipped = (y == x[..., ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(y[~flipped], x[~flipped])
    assert 30 < flipped.sum() < 70
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(x), x[..., ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(x), x)


def test_crop_of_everything_is_interpolation():
    x = images(H=8, W=8)
    y = RandomResizedCrop((5, 11), scale=(1, 1), ratio=(1, 1))(x)
    np.testing.assert_array_equal(y, fnn.functional.interpolate(x, size=(5, 11), mode="bilinear"))


def test_crops_are_parts_of_the_image():
    """Each pixel tells its own place, so a crop tells where it is from."""
    down, right = np.meshgrid(np.arange(30.0), np.arange(40.0), indexing="ij")
    x = np.broadcast_to(np.stack([down, right]), (50, 2, 30, 40))
    crop = RandomResizedCrop(4, scale=(0.1, 0.4))
    boxes = crop.boxes(50, (30, 40), np.random.default_rng(1))
    y = crop(x, np.random.default_rng(1))
    for (top, left, bottom, right), (rows, columns) in zip(boxes, y, strict=True):
        height, width = bottom - top, right - left
        np.testing.assert_allclose(rows[:, 0], top + (np.arange(4) + 0.5) * height / 4 - 0.5, rtol=1e-12)
        np.testing.assert_allclose(columns[0], left + (np.arange(4) + 0.5) * width / 4 - 0.5, rtol=1e-12)


def test_crops_have_the_shares_and_ratios_asked_for():
    crop = RandomResizedCrop(4, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    top, left, bottom, right = crop.boxes(4000, (300, 400), np.random.default_rng(0)).T
    assert min(top.min(), left.min()) == 0
    assert bottom.max() == 300
    assert right.max() == 400
    height, width = bottom - top, right - left
    share, ratio = height * width / 120_000, width / height
    assert 0.2 * 0.99 < share.min() < 0.21
    assert 0.59 < share.max() < 0.6 * 1.01
    assert 0.49 < ratio.min() < 0.52
    assert 1.9 < ratio.max() < 2.02
    narrow = RandomResizedCrop(4, scale=(1, 1), ratio=(3 / 4, 4 / 3)).boxes(5, (10, 90), np.random.default_rng(0))
    assert narrow.tolist() == [[0, 38, 10, 51]] * 5  # never fits: the middle


def test_affine_shifts_by_whole_pixels():
    x = images(40, 10, 12)
    y = RandomAffine(0, translate=(0.25, 0.2), fill=0.5)(x, np.random.default_rng(0))
    found = set()
    for before, after in zip(x, y, strict=True):
        framed = np.pad(before, ((0, 0), (2, 2), (3, 3)), constant_values=0.5)
        places = [
            (i, j) for i in range(5) for j in range(7) if np.array_equal(framed[:, i : i + 10, j : j + 12], after)
        ]
        assert len(places) == 1
        found.add(places[0])
    assert {i for i, _ in found} == set(range(5))
    assert {j for _, j in found} == set(range(7))


def test_affine_turns_clockwise_and_scales():
    x = images(2, 7, 7, np.float64)
    np.testing.assert_allclose(RandomAffine((90, 90))(x), np.rot90(x, -1, axes=(2, 3)), atol=1e-12)
    np.testing.assert_allclose(RandomAffine((-90, -90))(x), np.rot90(x, 1, axes=(2, 3)), atol=1e-12)
    np.testing.assert_array_equal(RandomAffine(0)(x), x)
    down, right = np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij")
    ramp = np.stack([down, right])[None]
    twice = RandomAffine(0, scale=(2, 2))(ramp)
    np.testing.assert_allclose(twice[0], 3 + (ramp[0] - 3) / 2)


def test_affine_agrees_with_scipy():
    affine_transform = pytest.importorskip("scipy.ndimage").affine_transform
    x = images(1, 20, 24, np.float64)
    turned = RandomAffine((17, 17), scale=(1.3, 1.3))(x)[0]
    cos, sin = np.cos(np.deg2rad(17)) / 1.3, np.sin(np.deg2rad(17)) / 1.3
    matrix = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([9.5, 11.5])
    for channel in range(3):
        theirs = affine_transform(x[0, channel], matrix, centre - matrix @ centre, order=1, mode="grid-constant")
        np.testing.assert_allclose(turned[channel], theirs, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"brightness": (0.5, 0.5)}, lambda x, grey: x / 2),
        ({"brightness": (2, 2)}, lambda x, grey: np.minimum(2 * x, 1)),
        ({"contrast": (0, 0)}, lambda x, grey: 0 * x + grey.mean(axis=(2, 3), keepdims=True)),
        ({"saturation": (0, 0)}, lambda x, grey: 0 * x + grey),
        ({"saturation": (0.5, 0.5)}, lambda x, grey: (x + grey) / 2),
        ({"hue": (1 / 3, 1 / 3)}, lambda x, grey: x[:, [2, 0, 1]]),  # red becomes green
        ({"hue": (-1 / 3, -1 / 3)}, lambda x, grey: x[:, [1, 2, 0]]),
        ({}, lambda x, grey: x),
    ],
)
def test_jitter(options, expected):
    x = images(4, dtype=np.float64)
    x[0, :, 0, :3] = [[0, 1, 0.5]] * 3  # black, white and grey have no hue
    grey = (x * np.array([0.2989, 0.587, 0.114])[:, None, None]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ColorJitter(**options)(x), expected(x, grey), atol=1e-12)


def test_hue_is_that_of_the_standard_library():
    x = images(3, dtype=np.float64)
    y = ColorJitter(hue=(0.21, 0.21))(x)
    for before, after in zip(np.moveaxis(x, 1, -1).reshape(-1, 3), np.moveaxis(y, 1, -1).reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*before)
        np.testing.assert_allclose(after, colorsys.hsv_to_rgb((h + 0.21) % 1, s, v), atol=1e-12)


def test_jitter_of_grey_images_and_its_bounds():
    x = images()[:, :1]
    np.testing.assert_array_equal(ColorJitter(saturation=0.9, hue=0.5)(x), x)
    ones = np.full((500, 1, 1, 1), 0.5)
    factors = ColorJitter(brightness=0.25)(ones, np.random.default_rng(0)) * 2
    assert 0.75 <= factors.min() < 0.76
    assert 1.24 < factors.max() <= 1.25
    assert ColorJitter(brightness=3).brightness == (0, 4)


def test_lighting_is_one_colour_along_the_components():
    x = images(3000, 2, 2, np.float64)
    added = Lighting(0.1)(x, np.random.default_rng(0)) - x
    np.testing.assert_allclose(added, np.broadcast_to(added[:, :, :1, :1], added.shape), atol=1e-12)
    along = added[:, :, 0, 0] @ np.array(Lighting.IMAGENET_VECTORS)
    np.testing.assert_allclose(along.std(axis=0), 0.1 * np.array(Lighting.IMAGENET_VALUES), rtol=0.05)
    assert np.abs(Lighting(0)(x) - x).max() == 0


def test_colour_components_are_those_that_the_colours_were_made_with():
    rng = np.random.default_rng(0)
    vectors, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    colours = vectors @ (rng.normal(size=(3, 40_000)) * np.array([[0.3], [0.1], [0.02]]))
    values, found = colour_components(colours.reshape(3, 100, 20, 20).transpose(1, 0, 2, 3))
    np.testing.assert_allclose(values, [0.3, 0.1, 0.02], rtol=0.03)
    np.testing.assert_allclose(np.abs((found * vectors).sum(axis=0)), 1, atol=1e-3)


def test_normalize():
    x = images(dtype=np.float64)
    mean, std = x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3))
    y = Normalize(mean, std)(x)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-12)


def test_composed_in_order():
    x = images()
    crop, flip, norm = ALL["crop"](), ALL["flip"](), ALL["normalize"]()
    rng = np.random.default_rng(9)
    expected = norm(flip(crop(x, rng), rng), rng)
    np.testing.assert_array_equal(Compose([crop, flip, norm])(x, np.random.default_rng(9)), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomHorizontalFlip(1.5), "p: got 1.5, expected 0 to 1"),
        (lambda: RandomHorizontalFlip(layout="CHW"), "layout: got 'CHW', expected one of NCHW, NHWC"),
        (lambda: RandomResizedCrop(0), "size: got 0"),
        (lambda: RandomResizedCrop(4, scale=(0, 1)), r"scale: got \(0, 1\), expected bounds"),
        (lambda: RandomAffine(-3), "degrees: got -3"),
        (lambda: RandomAffine(3, translate=(0.1, 2)), "translate: got 2"),
        (lambda: RandomAffine(3, scale=(0, 1)), r"scale: got \(0, 1\)"),
        (lambda: ColorJitter(contrast=-1), "contrast: got -1"),
        (lambda: ColorJitter(hue=0.6), "hue: got 0.6"),
        (lambda: ColorJitter(brightness=(2, 1)), r"brightness: got \(2, 1\)"),
        (lambda: Lighting(-1), "std: got -1"),
        (lambda: Lighting(0.1, values=(1, 2)), r"expected \(3,\) and \(3, 3\)"),
        (lambda: Normalize((0.5,), (0.0,)), "std: got"),
        (lambda: Normalize((0.5, 0.5), (1.0,)), "mean, std: got"),
        (lambda: Normalize((0.5,), (0.5,))(images()), "x: got 3 channels, expected 1"),
        (lambda: Lighting()(images()[:, :1]), "x: got 1 channels, expected 3"),
        (lambda: Lighting()(images()[0]), "x: got an array of shape .*, expected a batch of four axes, NCHW"),
        (lambda: colour_components(images()[:, :2]), "expected .N, 3, H, W."),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bytes_are_refused():
    with pytest.raises(TypeError, match="x: got uint8, expected float32 or float64; divide bytes by 255"):
        RandomHorizontalFlip()(np.zeros((1, 1, 2, 2), np.uint8))
