"""What layers and networks say of themselves, and how they refuse."""

import warnings

import numpy as np
import pytest

import fastnn as fnn
from networks import INPUT, lenet_like, normal

F = fnn.functional


def test_repr_names_every_layer():
    net = fnn.Sequential(fnn.Conv2d(1, 20, kernel_size=5), fnn.ReLU(), fnn.MaxPool2d(2))
    assert repr(net).splitlines() == [
        "Sequential(",
        "  (0): Conv2d(1, 20, kernel_size=(5, 5), stride=(1, 1))",
        "  (1): ReLU()",
        "  (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
        ")",
    ]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (fnn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
        (fnn.AdaptiveMaxPool2d(7), "AdaptiveMaxPool2d(output_size=7)"),
        (fnn.Upsample(scale_factor=2), "Upsample(scale_factor=2, mode='nearest')"),
        (
            fnn.Upsample(4, mode="bilinear", align_corners=False),
            "Upsample(size=4, mode='bilinear', align_corners=False)",
        ),
        (fnn.MaxPool1d(3), "MaxPool1d(kernel_size=3, stride=3, padding=0, dilation=1, ceil_mode=False)"),
        (fnn.AvgPool1d(2, 1), "AvgPool1d(kernel_size=2, stride=1, padding=0, ceil_mode=False, count_include_pad=True)"),
        (
            fnn.AvgPool2d((2, 3), divisor_override=5),
            "AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=0, ceil_mode=False, count_include_pad=True, "
            "divisor_override=5)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_repr_of_pools(layer, words):
    assert repr(layer) == words


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: fnn.MaxPool2d(3, 2, return_indices=True), (2, 3, 7, 8)),
        (lambda: fnn.MaxPool1d(3, 2, return_indices=True), (2, 3, 8)),
        (lambda: fnn.AdaptiveMaxPool2d((2, 3), return_indices=True), (2, 3, 7, 8)),
        (lambda: fnn.AdaptiveMaxPool1d(3, return_indices=True), (2, 3, 8)),
    ],
    ids=["2d", "1d", "adaptive", "adaptive-1d"],
)
def test_max_pooling_returns_indices(make, shape):
    """Where in the plane the maxima are; the backward goes by them too, in train mode and out of a plan."""
    x, layer = normal(*shape), make()
    y, indices = layer(x)
    planes = x.reshape(*shape[:2], -1)
    picked = np.take_along_axis(planes, indices.reshape(*shape[:2], -1), axis=2)
    np.testing.assert_array_equal(picked.reshape(y.shape), y)
    dx = layer.backward(np.ones_like(y)).reshape(planes.shape)
    np.testing.assert_array_equal(np.where(dx == 0, 0, planes), np.where(np.isin(planes, y), planes, 0))
    assert dx.sum() == y.size
    for got, expected in zip(fnn.Sequential(layer).eval()(x), (y, indices), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_embedding():
    layer = fnn.Embedding(6, 3, padding_idx=-2)
    assert repr(layer) == "Embedding(6, 3, padding_idx=4)"
    assert not layer.weight.data[4].any()
    x = np.array([[0, 4, 5], [0, 0, 4]])
    np.testing.assert_array_equal(layer(x), layer.weight.data[x])
    np.testing.assert_array_equal(F.embedding(np.array(3), layer.weight.data), layer.weight.data[3])
    assert layer.backward(np.ones((2, 3, 3), np.float32)) is None
    np.testing.assert_array_equal(layer.weight.grad[:, 0], [3, 0, 0, 0, 0, 1])
    net = fnn.Sequential(layer, fnn.Flatten(), fnn.Linear(9, 2))
    y = net(np.array([[5, 9 % 6, 0]] * 2))
    net.backward(np.ones_like(y))
    np.testing.assert_array_equal(net.eval()(x), net[2](layer(x).reshape(2, 9)))
    assert "Embedding" in net.summary((1, 3))


def test_indices_are_not_taken_for_pixels(recwarn):
    net = fnn.Sequential(fnn.Embedding(300, 4), fnn.Linear(4, 2))
    net(np.array([3, 200]))
    assert not recwarn.list


def test_summary():
    net = lenet_like(np.float32)
    y = net(normal(*INPUT))
    text = net.summary((1, *INPUT[1:]))
    lines = text.splitlines()
    assert [word in lines[0] for word in ("layer", "input", "kernel", "stride", "output", "parameters")] == [True] * 6
    assert len([line for line in lines if "Conv2d" in line]) == 2
    total = sum(p.data.size for p in net.parameters())
    assert f"{total:,}" in lines[-1]
    assert "1 x 3 x 6 x 6" in text
    assert net.training
    np.testing.assert_array_equal(net.backward(np.ones_like(y)).shape, INPUT)  # what was kept is still there


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fnn.Conv2d(0, 2, 3), ValueError, "in_channels: got 0"),
        (lambda: fnn.Conv2d(1, 2.5, 3), TypeError, "out_channels: got 2.5"),
        (lambda: fnn.Conv2d(1, 2, 0), ValueError, "kernel_size: got 0"),
        (lambda: fnn.Conv2d(1, 2, 3, stride=0), ValueError, "stride: got 0"),
        (lambda: fnn.Conv2d(1, 2, 3, padding=-1), ValueError, "padding: got -1"),
        (lambda: fnn.Conv2d(1, 2, 3, dilation=0), ValueError, "dilation: got 0"),
        (lambda: fnn.Conv2d(2, 3, 3, groups=2), ValueError, "groups: got 2"),
        (lambda: fnn.Conv2d(1, 2, 3, stride=2, padding="same"), ValueError, "padding: got 'same' with stride (2, 2)"),
        (lambda: fnn.Conv2d(1, 2, 3, padding="full"), ValueError, "padding: got 'full'"),
        (lambda: fnn.Conv2d(1, 2, 3, padding_mode="edge"), ValueError, "padding_mode: got 'edge'"),
        (lambda: fnn.ConvTranspose2d(1, 2, 3, stride=2, output_padding=2), ValueError, "output_padding: got 2"),
        (lambda: fnn.ConvTranspose2d(1, 2, 3, padding_mode="reflect"), ValueError, "padding_mode: got 'reflect'"),
        (lambda: fnn.ConvTranspose2d(2, 3, 3, groups=2), ValueError, "groups: got 2"),
        (lambda: fnn.Unfold(0), ValueError, "kernel_size: got 0"),
        (lambda: fnn.Fold(0, 2), ValueError, "output_size: got 0"),
        (lambda: fnn.ZeroPad2d((1, 2)), ValueError, "padding: got (1, 2)"),
        (lambda: fnn.Conv1d(1, 2, (3, 3)), ValueError, "kernel_size: got (3, 3)"),
        (lambda: fnn.Conv1d(1, 2, 3, stride=0), ValueError, "stride: got 0"),
        (lambda: fnn.Conv1d(1, 2, 3, padding=1.5), TypeError, "padding: got 1.5"),
        (lambda: fnn.Conv1d(2, 2, 3, groups=3), ValueError, "groups: got 3"),
        (lambda: fnn.Conv2d(1, 2, 3, dtype=np.float16), TypeError, "dtype: got"),
        (lambda: fnn.Linear(3, 0), ValueError, "out_features: got 0"),
        (lambda: fnn.Linear(3, 2, dtype=int), TypeError, "dtype: got"),
        (lambda: fnn.MaxPool2d(2, padding=2), ValueError, "padding: got 2"),
        (lambda: fnn.AvgPool2d(0), ValueError, "kernel_size: got 0"),
        (lambda: fnn.AdaptiveAvgPool2d(0), ValueError, "output_size: got (0, 0)"),
        (lambda: fnn.Upsample(), ValueError, "size: got neither"),
        (lambda: fnn.Upsample(2, mode="cubic"), ValueError, "mode: got 'cubic'"),
        (lambda: fnn.Upsample(2, recompute_scale_factor=True), ValueError, "size: got 2; expected None"),
        (lambda: fnn.AdaptiveAvgPool1d((2, 3)), ValueError, "output_size: got (2, 3)"),
        (lambda: fnn.ConvTranspose1d(1, 2, 3, stride=2, output_padding=2), ValueError, "output_padding: got 2"),
        (lambda: fnn.Embedding(0, 3), ValueError, "num_embeddings: got 0"),
        (lambda: fnn.Embedding(4, 3, padding_idx=4), ValueError, "padding_idx: got 4"),
        (lambda: fnn.Embedding(4, 3, dtype=int), TypeError, "dtype: got"),
        (lambda: fnn.AvgPool2d(2, divisor_override=0), ValueError, "divisor_override: got 0"),
        (lambda: fnn.AvgPool1d(2, count_include_pad=0), TypeError, "count_include_pad: got 0"),
        (lambda: fnn.MaxPool1d((2, 2)), TypeError, "kernel_size: got (2, 2)"),
        (lambda: fnn.MaxPool2d(2, return_indices=1), TypeError, "return_indices: got 1"),
        (lambda: fnn.Softmax(dim=0.5), TypeError, "dim: got 0.5"),
        (lambda: fnn.LeakyReLU(None), TypeError, "negative_slope: got None"),
        (lambda: fnn.PReLU(0), ValueError, "num_parameters: got 0"),
        (lambda: fnn.PReLU(init=np.nan), ValueError, "init: got nan"),
        (lambda: fnn.PReLU(dtype=int), TypeError, "dtype: got"),
        (lambda: fnn.ELU(np.inf), ValueError, "alpha: got inf"),
        (lambda: fnn.GELU("erf"), ValueError, "approximate: got 'erf'"),
        (lambda: fnn.Softplus(0), ValueError, "beta: got 0"),
        (lambda: fnn.Hardtanh(1, -1), ValueError, "min_val: got 1"),
        (lambda: fnn.Flatten(1.5), TypeError, "start_dim: got 1.5"),
        (lambda: fnn.Unflatten(1, 6), TypeError, "unflattened_size: got 6"),
        (lambda: fnn.Unflatten(1, (-1, -1)), ValueError, "unflattened_size: got"),
        (lambda: fnn.Sequential(fnn.ReLU), TypeError, "layer 0: got the class ReLU"),
        (lambda: fnn.Sequential(fnn.ReLU(), None), TypeError, "layer 1: got NoneType"),
        (lambda: fnn.SGD([], lr=0.1), ValueError, "params: got none"),
        (lambda: fnn.SGD([np.ones(3)], lr=0.1), TypeError, "params: got ndarray"),
        (lambda: fnn.SGD(fnn.Linear(2, 2).parameters(), lr=-1), ValueError, "lr: got -1"),
        (lambda: fnn.SGD(fnn.Linear(2, 2).parameters(), lr=1, nesterov=True), ValueError, "nesterov: got True"),
        (lambda: fnn.Parameter(np.ones(3, int)), TypeError, "data: got"),
        (lambda: fnn.manual_seed(-1), ValueError, "seed: got -1"),
        (lambda: fnn.manual_seed("x"), TypeError, "seed: got str"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layers_refuse(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


def test_a_layer_has_one_place_in_a_network():
    relu = fnn.ReLU()
    with pytest.raises(ValueError, match="layer 2: got the ReLU that is also in layer 0"):
        fnn.Sequential(relu, fnn.Linear(2, 2), relu)


def test_a_wrong_gradient_names_dy():
    net = fnn.Sequential(fnn.Conv2d(1, 2, 3), fnn.ReLU(), fnn.Flatten())
    net(normal(2, 1, 5, 5))
    with pytest.raises(ValueError, match=r"^layer 2 \(Flatten\): dy: got shape \(2, 17\)"):
        net.backward(normal(2, 17))


# Images of 0 to 255


def test_unscaled_images_are_warned_about_once():
    net = fnn.Sequential(fnn.Flatten(), fnn.Linear(16, 2))
    x = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4)).astype(np.float32)
    with pytest.warns(UserWarning, match="0-255.*0-1 expected: divide by 255"):
        net(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(x)


@pytest.mark.parametrize("scale", [1 / 255, -1, 1000])
def test_other_inputs_are_not_warned_about(scale):
    net = fnn.Sequential(fnn.Flatten(), fnn.Linear(16, 2))
    net(np.random.default_rng(0).integers(1, 256, (3, 1, 4, 4)).astype(np.float32) * np.float32(scale))
