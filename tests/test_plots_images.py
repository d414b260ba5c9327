"""Pictures of images, of weights, and of what layers make of them."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import plots
from fastnn.vision import find_marks

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)


def drawn(axes):
    return [image.get_array() for image in axes.images]


def is_drawable(figure):
    figure.canvas.draw()  # what cannot be laid out or drawn warns or fails here
    return True


def texts(axes):
    return [text.get_text() for text in axes.texts]


def softmax(scores):
    return fnn.functional.softmax(np.asarray(scores, float))


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 20, 30)])
def test_feature_maps_of_one_shape_share_a_scale_about_zero(shape):
    maps, deep = RNG.normal(size=(7, 5, 6)), 10 * RNG.normal(size=(1, 3, 2, 2))
    layers = {"conv1": maps, "ReLU": np.maximum(maps, 0), "conv2": deep}
    figure = plots.feature_maps(RNG.random(shape), layers, count=6, title="Net")
    image, conv1, relu, conv2 = (axes for axes in figure.axes if axes.images)
    assert len(image.images) == 1
    assert image.images[0].get_array().shape[:2] == shape[-2:]
    assert len(conv1.images) == len(relu.images) == 6
    np.testing.assert_array_equal(drawn(conv1)[2], maps[2])
    np.testing.assert_array_equal(drawn(relu)[5], np.maximum(maps[5], 0))
    limit = np.abs(maps[:6]).max()
    assert {tile.get_clim() for tile in [*conv1.images, *relu.images]} == {(-limit, limit)}
    assert {tile.get_clim() for tile in conv2.images} == {(-np.abs(deep).max(), np.abs(deep).max())}
    assert conv1.get_title() == "conv1: 6 of 7 maps, 5 x 6"
    assert conv2.get_title() == "conv2: 3 maps, 2 x 2"
    assert is_drawable(figure)


def test_feature_maps_below_the_image():
    maps = {"a": RNG.normal(size=(1, 3, 3)), "b": RNG.normal(size=(1, 3, 3)), "c": RNG.normal(size=(4, 2, 2))}
    figure = plots.feature_maps(np.ones((5, 5)), maps, stacked=True)
    assert is_drawable(figure)
    tops = [axes.get_position().y1 for axes in figure.axes if axes.images]
    assert tops == sorted(tops, reverse=True)
    assert [axes.get_title() for axes in figure.axes if axes.images][1] == "a: 1 map, 3 x 3"


def test_feature_maps_of_any_layer_by_hooks():
    net = fnn.Sequential(fnn.Conv2d(1, 4, 3), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(36, 2))
    x, seen = RNG.random((1, 1, 8, 8)), {}
    x = x.astype(np.float32)
    for name, layer in list(net.named_modules())[1:4]:
        layer.register_forward_hook(lambda _layer, _x, y, name=name: seen.update({f"layer {name}": y.copy()}))
    net.eval()(x)
    figure = plots.feature_maps(x[0], seen)
    _, conv, relu, pool = (axes for axes in figure.axes if axes.images)
    assert [axes.get_title() for axes in (conv, relu, pool)] == [
        "layer 0: 4 maps, 6 x 6",
        "layer 1: 4 maps, 6 x 6",
        "layer 2: 4 maps, 3 x 3",
    ]
    np.testing.assert_array_equal(drawn(relu), fnn.functional.relu(net[0](x))[0])


@pytest.mark.parametrize(
    ("image", "maps", "message"),
    [
        (np.ones((2, 5, 5)), {"a": np.ones((1, 2, 2))}, r"image: got an image of shape \(2, 5, 5\), expected \(H, W\)"),
        (np.ones((5, 5)), {}, "maps: got none, expected at least one layer's output"),
        (np.ones((5, 5)), {"a": np.ones((2, 3))}, r"maps\['a'\]: got shape \(2, 3\), expected \(C, h, w\)"),
        (np.ones((5, 5)), {"a": np.ones((0, 3, 3))}, r"maps\['a'\]: got no maps"),
    ],
)
def test_feature_maps_refuse(image, maps, message):
    with pytest.raises(ValueError, match=message):
        plots.feature_maps(image, maps)


def test_weight_tiles_below_each_other():
    tiles = {"before": np.ones((4, 12)), "after": np.ones((4, 12))}
    beside, below = (plots.weight_tiles(tiles, (3, 4), stacked=stacked) for stacked in (False, True))
    assert below.get_figwidth() < beside.get_figwidth()
    places = [axes.get_position() for axes in below.axes]
    assert places[1].y1 < places[0].y0


def test_weight_tiles_before_and_after():
    before, after = RNG.normal(size=(5, 12)), 3 * RNG.normal(size=(5, 12))
    figure = plots.weight_tiles({"before": before, "after": after}, (3, 4), count=4)
    left, right = figure.axes
    np.testing.assert_array_equal(drawn(left), before[:4].reshape(4, 3, 4))
    np.testing.assert_array_equal(drawn(right), after[:4].reshape(4, 3, 4))
    assert left.get_title().startswith("before: blue")
    low, high = right.images[0].get_clim()
    assert low == -high
    assert left.images[0].get_clim()[1] < high <= np.abs(after).max()
    assert is_drawable(figure)


def test_weights_of_zero_are_white():
    (axes,) = plots.weight_tiles(np.zeros((2, 9)), (3, 3)).axes
    np.testing.assert_allclose(axes.images[0].to_rgba(0.0)[:3], 0.97, atol=0.01)


@pytest.mark.parametrize(
    ("weights", "shape", "message"),
    [
        (np.ones((5, 12)), (3, 3), r"weights: got shape \(5, 12\), expected \(units, 9\) for tiles of \(3, 3\)"),
        ({"w": np.ones(12)}, (3, 4), r"weights\['w'\]: got shape \(12,\), expected \(units, H \* W\)"),
        (np.ones((5, 12)), (12, 0), "shape: got 0, expected a whole number of at least 1"),
        ({}, (3, 4), "weights: got none, expected at least one array"),
    ],
)
def test_weight_tiles_refuse(weights, shape, message):
    with pytest.raises(ValueError, match=message):
        plots.weight_tiles(weights, shape)


def test_kernels_in_colour_are_grey_at_zero_and_fill_the_scale():
    weight = RNG.normal(size=(5, 3, 3, 3))
    weight[1] = 0
    (axes,) = plots.kernels(weight).axes
    tiles = drawn(axes)
    assert [tile.shape for tile in tiles] == [(3, 3, 3)] * 5
    np.testing.assert_array_equal(tiles[1], 0.5)
    np.testing.assert_allclose(np.abs(tiles[0] - 0.5).max(), 0.5)
    channel, row, column = np.unravel_index(np.abs(weight[0]).argmax(), (3, 3, 3))
    assert tiles[0][row, column, channel] in (0.0, 1.0)


@pytest.mark.parametrize(("inputs", "tiles"), [(1, 4), (5, 4 * 2)])
def test_kernels_of_other_channels(inputs, tiles):
    weight = RNG.normal(size=(6, inputs, 2, 2))
    figure = plots.kernels(weight, count=4, channels=2)
    axes = figure.axes[0]
    np.testing.assert_array_equal(drawn(axes), weight[:4, :2].reshape(-1, 2, 2))
    assert len(axes.images) == tiles
    assert axes.get_title().startswith("4 of 6 kernels, 2 x 2")
    assert is_drawable(figure)


@pytest.mark.parametrize("shape", [(3, 3, 3), (0, 3, 3, 3)])
def test_kernels_refuse(shape):
    with pytest.raises(ValueError, match=r"weight: got shape .*, expected"):
        plots.kernels(np.ones(shape))


@pytest.mark.parametrize("shape", [(7, 4, 4), (7, 1, 4, 4), (7, 3, 4, 4)])
def test_reconstructions_are_below_their_originals_with_the_psnr(shape):
    originals = RNG.random(shape) * 0.9
    rebuilt = originals + 0.1
    rebuilt[0] = originals[0]
    figure = plots.reconstructions(originals, rebuilt, columns=4, title="Autoencoder")
    (axes,) = figure.axes
    tiles = drawn(axes)
    assert len(tiles) == 14
    as_drawn = np.moveaxis(originals, 1, -1).squeeze() if originals.ndim == 4 else originals
    np.testing.assert_allclose(tiles[0], as_drawn[0], rtol=1e-6)
    np.testing.assert_allclose(tiles[4], as_drawn[0], rtol=1e-6)
    np.testing.assert_allclose(tiles[8], as_drawn[4], rtol=1e-6)
    (x0, _), (x1, y1) = axes.images[0].get_extent()[::2], axes.images[4].get_extent()[::2]
    assert x0 == x1
    assert y1 > axes.images[0].get_extent()[2]
    assert texts(axes) == ["inf dB"] + ["20.0 dB"] * 6 + ["original", "rebuilt"] * 2
    assert is_drawable(figure)


def test_reconstructions_refuse_another_shape():
    with pytest.raises(ValueError, match=r"reconstructed: got shape \(2, 9\), expected that of originals, \(2, 3, 3\)"):
        plots.reconstructions(np.ones((2, 3, 3)), np.ones((2, 9)))


def test_boxes_with_what_was_read():
    photograph = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    places = [[5, 10, 20, 30], [6, 35, 20, 50]]
    figure = plots.boxes(photograph, places, labels=["3", "7"], truth=["3", "1"], title="Sheet")
    (axes,) = figure.axes
    np.testing.assert_allclose(drawn(axes)[0], photograph / 255, rtol=1e-6)
    right, wrong = axes.patches
    assert (right.get_xy(), right.get_width(), right.get_height()) == ((10, 5), 20, 15)
    assert (right.get_linestyle(), wrong.get_linestyle()) == ("-", "--")
    assert right.get_edgecolor() != wrong.get_edgecolor()
    assert texts(axes) == ["3", "7, not 1"]
    assert is_drawable(figure)


def test_boxes_are_drawn_around_the_marks_that_were_found():
    pytest.importorskip("scipy")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    sheet = np.ones((90, 160), np.float32)
    sheet[20:60, 30:36] = 0
    (mark,) = find_marks(sheet)
    figure = plots.boxes(sheet, [mark.box])
    (axes,) = figure.axes
    (frame,) = axes.patches
    assert frame.get_bbox().extents.tolist() == [30, 20, 36, 60]  # left, top, right, bottom
    frame.set_linewidth(0)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    dark = np.asarray(canvas.buffer_rgba())[::-1, :, :3].max(axis=2) < 50  # from below, as the canvas counts
    left, below, right, above = frame.get_window_extent().extents
    for (first, last), line in (((left, right), dark.any(axis=0)), ((below, above), dark.any(axis=1))):
        places = np.flatnonzero(line)
        assert abs(places[0] - first) <= 1.5
        assert abs(places[-1] + 1 - last) <= 1.5


def test_large_photographs_are_drawn_smaller():
    """Boxes stay where they are."""
    photograph = RNG.random((2003, 2405))
    (axes,) = plots.boxes(photograph, [(100, 200, 300, 500)], labels=["A"]).axes
    (shown,) = drawn(axes)
    np.testing.assert_allclose(shown[:1, :1], photograph[:2, :2].mean(), rtol=1e-6)
    assert shown.shape == (1001, 1202)
    assert axes.images[0].get_extent() == [0, 2404, 2002, 0]
    assert axes.patches[0].get_bbox().extents.tolist() == [200, 100, 500, 300]


def test_no_boxes():
    (axes,) = plots.boxes(np.ones((9, 9)), []).axes
    assert len(axes.patches) == 0


@pytest.mark.parametrize(
    ("places", "options", "message"),
    [
        ([[1, 2, 3]], {}, r"places: got \[\[1, 2, 3\]\], expected \(N, 4\)"),
        ([[5, 10, 5, 30]], {}, r"places: got .*, expected \(N, 4\): top, left, bottom, right .* bottom below top"),
        ([[5, 10, 15, 9]], {}, r"places: got .*, expected \(N, 4\): top, left, bottom, right"),
        ([[1, 2, np.nan, 4]], {}, r"places: got .*, expected \(N, 4\): top, left, bottom, right"),
        ([[1, 2, 3, 4]], {"labels": ["a", "b"]}, "labels: got 2, expected 1: one for each box"),
        ([[1, 2, 3, 4]], {"truth": ["a"]}, "truth: got no labels to compare it with"),
    ],
)
def test_boxes_refuse(places, options, message):
    with pytest.raises(ValueError, match=message):
        plots.boxes(np.ones((9, 9)), places, **options)


def test_most_confusing_has_a_row_for_each_class_nearest_first():
    p = np.array([0.9, 0.45, 0.2, 0.55, 0.52])  # of the first class
    images = np.arange(5)[:, None, None] * np.ones((5, 2, 2)) / 4
    figure = plots.most_confusing(
        images, np.stack([p, 1 - p], 1), np.array([0, 0, 1, 1, 1]), class_names=["cat", "dog"], per_class=2
    )
    (axes,) = figure.axes
    assert [int(tile[0, 0] * 4 + 0.5) for tile in drawn(axes)] == [1, 0, 4, 3]
    assert texts(axes) == ["dog 55%\ncat 45%", "cat 90%\ndog 10%", "cat 52%\ndog 48%", "cat 55%\ndog 45%", "cat", "dog"]
    assert is_drawable(figure)


def test_most_confusing_leaves_gaps_where_a_class_has_fewer_images():
    probabilities = softmax(RNG.normal(size=(4, 3)))
    (axes,) = plots.most_confusing(RNG.random((4, 3, 5, 5)), probabilities, np.array([0, 0, 0, 2])).axes
    assert len(axes.images) == 4
    rows = {round(image.get_extent()[3], 3) for image in axes.images}
    assert len(rows) == 2  # class 1 does not occur


def test_most_wrong_are_the_surest_errors():
    p = np.array([0.9, 0.6, 0.2, 0.99, 0.7])
    images = [np.full((2, 3 + i), i / 4) for i in range(5)]  # sizes may differ
    figure = plots.most_wrong(images, np.stack([p, 1 - p], 1), np.array([1, 1, 0, 0, 1]), count=3)
    (axes,) = figure.axes
    assert [int(tile[0, 0] * 4 + 0.5) for tile in drawn(axes)] == [0, 2, 4]
    assert texts(axes) == ["1 → 0\n90.0%", "0 → 1\n80.0%", "1 → 0\n70.0%"]
    assert is_drawable(figure)


def test_most_wrong_of_a_perfect_network():
    figure = plots.most_wrong(np.ones((2, 4, 4)), np.eye(2), np.arange(2))
    assert [text.get_text() for text in figure.texts] == ["Wrong and sure of it", "all 2 images are classified rightly"]


@pytest.mark.parametrize("picture", [plots.most_confusing, plots.most_wrong])
@pytest.mark.parametrize(
    ("images", "probabilities", "target", "message"),
    [
        (np.ones((2, 4, 4)), [[3.0, 2.0], [0.5, 0.5]], [0, 1], "probabilities: got a row that sums to 5, expected a"),
        (np.ones((1, 4, 4)), np.eye(2), [0, 1], "images: got 1, expected 2: one for each row of probabilities"),
        (np.ones((2, 4, 4)), np.eye(2), [0, 2], "target: got .* in 0..2, expected integers in 0..1"),
        (np.ones((2, 4, 4)), np.ones((2, 1)), [0, 0], r"probabilities: got shape \(2, 1\)"),
        (np.ones((2, 4)), np.eye(2), [1, 0], r"images: got an image of shape \(4,\)"),
    ],
)
def test_galleries_refuse(picture, images, probabilities, target, message):
    with pytest.raises(ValueError, match=message):
        picture(images, np.asarray(probabilities), np.asarray(target))


def test_decision_regions_ring_what_is_wrong():
    points = np.array([[-1.0, 0.0], [1.0, 0.0], [0.5, 1.0]])
    figure = plots.decision_regions(points, np.array([0, 1, 0]), lambda p: (p[:, 0] > 0).astype(float), title="Step")
    axes = figure.axes[0]
    zero, one, wrong = axes.lines
    np.testing.assert_array_equal(zero.get_xydata(), points[[0, 2]])
    np.testing.assert_array_equal(one.get_xydata(), points[[1]])
    np.testing.assert_array_equal(wrong.get_xydata(), points[[2]])
    assert wrong.get_label() == "wrong: 1"
    assert is_drawable(figure)


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (np.ones((3, 3)), [0, 1, 1], r"points: got shape \(3, 3\), expected \(N, 2\)"),
        (np.ones((3, 2)), [0, 1], "labels: got 2, expected 3: one for each point"),
        (np.ones((3, 2)), [0, 1, 2], r"labels: got \[0, 1, 2\], expected 0 and 1"),
    ],
)
def test_decision_regions_refuse(points, labels, message):
    with pytest.raises(ValueError, match=message):
        plots.decision_regions(points, np.array(labels), lambda p: p[:, 0])


def test_normalised_images_are_stretched_all_alike():
    images = np.stack([np.full((2, 2), -2.0), np.full((2, 2), 0.0), np.full((2, 2), 2.0)])
    (axes,) = plots.most_wrong(images, np.eye(2)[[0, 0, 0]], np.ones(3, int)).axes
    assert [float(tile[0, 0]) for tile in drawn(axes)] == [0, 0.5, 1]
