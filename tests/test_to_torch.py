"""Networks as PyTorch's modules: the same outputs, gradients, names and modes."""

import copy
import warnings

import numpy as np
import pytest

import fastnn as fnn
from fastnn import layers
from fastnn.interop.torch import to_torch
from networks import normal


@pytest.fixture(scope="module", autouse=True)
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns on some versions
        torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


IMAGES = (3, 4, 7, 6)
F8 = {"dtype": np.float64}

# Every layer, with settings that are not the default ones, and the shape of an input.
LAYERS = [
    (fnn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2, bias=False, **F8), IMAGES),
    (fnn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect", **F8), IMAGES),
    (fnn.Conv2d(4, 6, 3, padding=(1, 2), padding_mode="circular", **F8), IMAGES),
    (fnn.Conv1d(4, 6, 3, 2, 1, 2, groups=2, **F8), (3, 4, 9)),
    (fnn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2, **F8), IMAGES),
    (fnn.Linear(6, 5, bias=False, **F8), (3, 2, 6)),
    (fnn.Embedding(7, 5, padding_idx=2, **F8), np.array([[1, 2, 6], [0, 2, 1]])),
    (fnn.BatchNorm1d(4, 1e-3, 0.3, **F8), (5, 4, 3)),
    (fnn.BatchNorm2d(4, momentum=None, **F8), IMAGES),
    (fnn.BatchNorm2d(4, affine=False, track_running_stats=False, **F8), IMAGES),
    (fnn.LayerNorm((7, 6), 1e-3, **F8), IMAGES),
    (fnn.LayerNorm(6, bias=False, **F8), IMAGES),
    (fnn.GroupNorm(2, 4, 1e-3, **F8), IMAGES),
    (fnn.InstanceNorm2d(4, affine=True, track_running_stats=True, **F8), IMAGES),
    (fnn.LocalResponseNorm(3, 0.2, 0.6, 2.0), IMAGES),
    (fnn.MaxPool1d(3, 2, 1, ceil_mode=True), (3, 4, 9)),
    (fnn.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True), IMAGES),
    (fnn.AvgPool1d(3, 2, 1, True, False), (3, 4, 9)),
    (fnn.AvgPool2d(3, 2, 1, divisor_override=5), IMAGES),
    (fnn.AvgPool2d((3, 2), ceil_mode=True, padding=1, count_include_pad=False), IMAGES),
    (fnn.AdaptiveAvgPool2d((3, None)), IMAGES),
    (fnn.AdaptiveMaxPool2d((3, 2)), IMAGES),
    (fnn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True), IMAGES),
    (fnn.Upsample((5, 9)), IMAGES),
    (fnn.Upsample((5, 9), mode="bicubic"), IMAGES),
    (fnn.Upsample((5, 9), mode="nearest-exact"), IMAGES),
    (fnn.Upsample(scale_factor=1.7, mode="area"), IMAGES),
    (fnn.Upsample(scale_factor=1.7, mode="linear", recompute_scale_factor=True), (3, 4, 9)),
    (fnn.AdaptiveAvgPool1d(4), (3, 4, 9)),
    (fnn.AdaptiveMaxPool1d(4), (4, 9)),
    (fnn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2, dilation=2, **F8), (3, 4, 9)),
    (fnn.ConvTranspose1d(4, 6, 3, 2, **F8), (4, 9)),
    (fnn.Unfold((3, 2), 2, 1, (2, 1)), IMAGES),
    (fnn.Fold((7, 6), 3, padding=1, stride=2), (3, 18, 12)),
    (fnn.ZeroPad2d((1, 2, 0, 3)), IMAGES),
    (fnn.PixelShuffle(2), IMAGES),
    (fnn.PixelUnshuffle(3), (2, 4, 6, 9)),
    (fnn.ZeroPad1d((1, -2)), (3, 4, 9)),
    (fnn.ConstantPad1d((1, 2), 1.5), (3, 4, 9)),
    (fnn.ConstantPad2d((1, 2, 0, -3), 1.5), IMAGES),
    (fnn.ReflectionPad1d((1, 2)), (3, 4, 9)),
    (fnn.ReflectionPad2d((1, 2, 0, -3)), IMAGES),
    (fnn.ReplicationPad1d((1, 2)), (4, 9)),
    (fnn.ReplicationPad2d((1, 2, 0, -3)), IMAGES[1:]),
    (fnn.CircularPad1d((1, 2)), (3, 4, 9)),
    (fnn.CircularPad2d((1, 2, 0, 3)), IMAGES),
    (fnn.BatchNorm2d(4, bias=False, **F8), IMAGES),
    (fnn.BatchNorm1d(4, bias=False, **F8), (5, 4, 3)),
    (fnn.GroupNorm(2, 4, bias=False, **F8), IMAGES),
    (fnn.InstanceNorm2d(4, affine=True, bias=False, **F8), IMAGES),
    # one example without the axis of a batch
    (fnn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", **F8), IMAGES[1:]),
    (fnn.Conv1d(4, 6, 3, padding=1, padding_mode="circular", **F8), (4, 9)),
    (fnn.ConvTranspose2d(4, 6, 3, 2, **F8), IMAGES[1:]),
    (fnn.MaxPool1d(3), (4, 9)),
    (fnn.MaxPool2d(3), IMAGES[1:]),
    (fnn.AvgPool1d(3), (4, 9)),
    (fnn.AvgPool2d(3), IMAGES[1:]),
    (fnn.AdaptiveAvgPool2d((3, None)), IMAGES[1:]),
    (fnn.AdaptiveMaxPool2d((3, 2)), IMAGES[1:]),
    (fnn.InstanceNorm2d(4, affine=True, track_running_stats=True, **F8), IMAGES[1:]),
    (fnn.Unfold((3, 2), 2, 1, (2, 1)), IMAGES[1:]),
    (fnn.Fold((7, 6), 3, padding=1, stride=2), (18, 12)),
    (fnn.Sequential(fnn.Conv2d(4, 5, 3, **F8), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(0)), IMAGES[1:]),
    (fnn.Flatten(2), IMAGES),
    (fnn.Unflatten(1, (2, -1)), IMAGES),
    (fnn.Identity(), IMAGES),
    (fnn.Dropout(0.0), IMAGES),
    (fnn.Dropout2d(0.0), IMAGES),
    (fnn.ReLU(), IMAGES),
    (fnn.Sigmoid(), IMAGES),
    (fnn.Tanh(), IMAGES),
    (fnn.LeakyReLU(0.2), IMAGES),
    (fnn.PReLU(4, 0.3, **F8), IMAGES),
    (fnn.ELU(0.7), IMAGES),
    (fnn.SELU(), IMAGES),
    (fnn.GELU("tanh"), IMAGES),
    (fnn.GELU(), IMAGES),
    (fnn.SiLU(), IMAGES),
    (fnn.Softplus(2.0, 1.0), IMAGES),
    (fnn.Hardtanh(-0.5, 0.7), IMAGES),
    (fnn.ReLU6(), IMAGES),
    (fnn.Hardswish(), IMAGES),
    (fnn.Softmax(1), IMAGES),
    (fnn.LogSoftmax(-1), IMAGES),
    (fnn.Residual(fnn.Conv2d(4, 4, 3, padding=1, **F8)), IMAGES),
    (fnn.Residual(fnn.Conv2d(4, 5, 1, **F8), fnn.Conv2d(4, 5, 1, **F8)), IMAGES),
    (fnn.Concat([fnn.Tanh(), fnn.Conv2d(4, 4, (3, 1), padding=(1, 0), **F8)], dim=3), IMAGES),
    (fnn.Slice(slice(None), slice(1, None, 2), ..., None), IMAGES),
    (fnn.Permute(0, 3, 1, 2), IMAGES),
    (fnn.Reshape(0, 2, -1, 3), IMAGES),
    (fnn.Pad((1, 2, 0, 3), mode="reflect"), IMAGES),
    (fnn.Mean((1, -1), keepdim=True), IMAGES),
    (fnn.Sum((1, -1), keepdim=True), IMAGES),
    (fnn.Sum(-2), IMAGES),
    (fnn.Clamp(min=-0.5), IMAGES),
    (fnn.Clamp(-0.5, 0.25), IMAGES),
    (fnn.Sequential(fnn.Mean((2, 3)), fnn.Linear(4, 2, **F8)), IMAGES),
    (
        fnn.Graph(
            {
                "stem.conv": (fnn.Conv2d(4, 6, 1, bias=False, **F8), "x"),
                "stem.bn": (fnn.BatchNorm2d(6, **F8), "stem.conv"),
                "parts": (fnn.Split((2, 4)), "stem.bn"),
                "same": (fnn.Conv2d(2, 4, 1, **F8), "parts[0]"),
                "weight": (layers.Constant(fnn.Parameter(1 + normal(4, 1, 1, dtype=np.float64) ** 2)),),
                "scaled": (fnn.Mul(), "same", "weight"),
                "less": (fnn.Sub(), "scaled", "parts[1]"),
                "ratio": (fnn.Div(), "less", "weight"),
                "all": (fnn.Cat(1), "ratio", "parts[0]", "less"),
                "sum": (fnn.Add(), "all", "all", "all"),
                "turned": (fnn.Permute(0, 1, 3, 2), "sum"),
                "product": (fnn.MatMul(), "sum", "turned"),
                "mean": (fnn.Mean(1, keepdim=True), "product"),
                "expand": (fnn.Expand(), "mean", "product"),
                "more": (fnn.Expand(-1, 3, -1, -1), "mean"),
                "wide": (fnn.Expand(0, 2, -1, -1), "mean", "product"),
                "end": (fnn.Cat(1), "expand", "more", "wide"),
            }
        ),
        IMAGES,
    ),
    (fnn.Sequential({"first": fnn.Conv2d(4, 2, 1, **F8), "second": fnn.ReLU()}), IMAGES),
]


def test_every_layer_is_tested():
    kinds = {getattr(layers, name) for name in layers.__all__ if name not in ("ModuleList", "ModuleDict")}
    kinds = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, layers.Module)}
    in_the_graph = {layers.Constant, fnn.Add, fnn.Sub, fnn.Mul, fnn.Div, fnn.MatMul, fnn.Cat, fnn.Expand, fnn.Split}
    others = {layers.Module} | in_the_graph
    assert {type(layer) for layer, _ in LAYERS} == kinds - others


def test_slices_that_pytorch_has_not_are_named(torch):
    net = fnn.Sequential(fnn.ReLU(), fnn.Graph({"flip": (fnn.Slice(..., slice(None, None, -1)), "x")}))
    with pytest.raises(TypeError, match=r"layer 1\.flip: Slice\(\.\.\., ::-1\) has no counterpart in PyTorch"):
        to_torch(net)


def assert_close(ours, theirs, name):
    """Within what the sums of a layer make of the rounding of float64."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape, name
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13 * max(np.abs(theirs).max(), 1), err_msg=name)


@pytest.mark.parametrize(("layer", "given"), LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_a_layer(torch, layer, given):
    other = to_torch(layer)
    x = given if isinstance(given, np.ndarray) else normal(*given, dtype=np.float64)
    leaf = torch.from_numpy(x.copy())
    if leaf.is_floating_point():
        leaf.requires_grad_()
    y, expected = layer(x), other(leaf)
    assert_close(y, expected, "train")
    dy = normal(*y.shape, seed=5, dtype=np.float64)
    expected.backward(torch.from_numpy(dy)) if expected.requires_grad else None
    dx = layer.backward(dy)
    if leaf.is_floating_point():
        assert_close(dx, leaf.grad, "dx")
    theirs = dict(other.named_parameters())
    assert sorted(theirs) == sorted(name for name, _ in layer.named_parameters())
    if not isinstance(layer, fnn.Graph):  # whose order is that of its nodes
        assert list(theirs) == [name for name, _ in layer.named_parameters()]
    for name, p in layer.named_parameters():
        assert_close(p.grad, theirs[name].grad, name)
    assert sorted(other.state_dict()) == sorted(layer.state_dict())
    for name, array in layer.state_dict().items():
        assert_close(array, other.state_dict()[name], name)
    assert_close(layer.eval()(x), other.eval()(leaf), "eval")
    layer.train()


def test_it_is_a_copy_of_the_state(torch):
    net = fnn.Sequential(fnn.Linear(3, 2), fnn.BatchNorm1d(2), fnn.Dropout())
    net[0].weight.requires_grad = False
    net[1].eval()
    other = to_torch(net)
    assert [module.training for module in other] == [True, False, True]
    assert [p.requires_grad for p in other.parameters()] == [False, True, True, True]
    before = net.state_dict()
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor += 1
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    copy.deepcopy(other)


def test_what_is_shared_is_shared(torch):
    layer, tied = fnn.Linear(3, 3), fnn.Linear(3, 3)
    tied.weight = layer.weight
    other = to_torch(fnn.Sequential(layer, fnn.Tanh(), tied))
    assert other[2].weight is other[0].weight
    assert len(list(other.parameters())) == 3


def test_no_random_numbers_are_drawn(torch):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    to_torch(fnn.Sequential(fnn.Conv2d(1, 2, 3), fnn.Linear(3, 2), fnn.PReLU(), fnn.Embedding(3, 2)))
    assert torch.equal(torch.rand(4), expected)


def test_a_graph_of_several_inputs_and_outputs(torch):
    nodes = {"a": (fnn.Linear(3, 2, **F8), "left x"), "b": (fnn.Add(), "a", "2nd")}
    net = fnn.Graph(nodes, inputs=("left x", "2nd"), outputs=("b", "a")).eval()
    other = to_torch(net)
    x, more = normal(4, 3, dtype=np.float64), normal(4, 2, dtype=np.float64)
    for ours, theirs in zip(net(x, more), other(torch.from_numpy(x), torch.from_numpy(more)), strict=True):
        assert_close(ours, theirs, "outputs")
    assert not any(module.training for module in other.modules())
    copy.deepcopy(other)


class Scaled(fnn.Module):
    def __init__(self):
        self.bn, self.scale = fnn.BatchNorm1d(3, **F8), fnn.Parameter(np.full(3, 2.0))

    def forward(self, x):
        return 1 - self.bn(x) * self.scale


def test_a_module_with_a_forward_of_its_own(torch):
    net = fnn.Sequential(Scaled(), fnn.Dropout(0.0))
    with pytest.raises(TypeError, match=r"^layer 0: Scaled has a forward that has not been traced in train mode"):
        to_torch(net)
    x = normal(5, 3, dtype=np.float64)
    before = net.state_dict()
    other = to_torch(net, x)
    for name, array in before.items():
        np.testing.assert_array_equal(array, net.state_dict()[name], err_msg=name)
        assert_close(array, other.state_dict()[name], name)
    assert sorted(other.state_dict()) == sorted(before)
    assert_close(net(x), other(torch.from_numpy(x)), "train")
    assert_close(net.eval()(x), to_torch(net)(torch.from_numpy(x)), "after a call it needs no example")


def test_the_first_call_in_train_mode_is_traced_once():
    net = Scaled()
    net(normal(5, 3, dtype=np.float64))
    (entry,) = net._traces
    net(normal(5, 3, dtype=np.float64))
    assert net._traces[0] is entry


def test_lists_and_dicts_of_layers(torch):
    assert list(to_torch(fnn.ModuleList([fnn.ReLU(), fnn.Tanh()])).named_children()) != []
    assert set(to_torch(fnn.ModuleDict({"a": fnn.Linear(2, 2)})).state_dict()) == {"a.weight", "a.bias"}


def test_a_layer_of_ones_own_is_named():
    class Doubled(fnn.Linear):
        pass

    net = fnn.Sequential(fnn.ReLU(), fnn.Residual(fnn.Sequential(Doubled(2, 2))))
    with pytest.raises(TypeError, match=r"^layer 1\.body\.0: Doubled has no counterpart in PyTorch$"):
        to_torch(net)
    with pytest.raises(TypeError, match=r"^Doubled has no counterpart"):
        to_torch(Doubled(2, 2))


def test_without_pytorch_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'torch is needed for .*: pip install "fastnn-kernels\[torch\]"'):
        to_torch(fnn.ReLU())
