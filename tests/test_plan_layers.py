"""Every public layer has steps, and its plan gives what its forward gives, to the bit."""

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES
from networks import normal
from plans import assert_same, kernel_plan, one_by_one, only_run, runs

IMAGES, ROWS, VECTORS = (6, 7, 8), (6, 9), (6,)  # what comes in, without the batch

# Layer, arguments, options, shape of one input. Layers with a dtype get the test's.
LAYERS = (
    ("ELU", (0.7,), {}, IMAGES),
    ("GELU", ("tanh",), {}, VECTORS),
    ("SELU", (), {}, ROWS),
    ("Hardswish", (), {}, IMAGES),
    ("ReLU6", (), {}, IMAGES),
    ("Hardtanh", (-0.5, 0.8), {}, IMAGES),
    ("LeakyReLU", (0.2,), {}, IMAGES),
    ("PReLU", (6,), {}, IMAGES),
    ("ReLU", (), {}, VECTORS),
    ("SiLU", (), {}, ROWS),
    ("Sigmoid", (), {}, IMAGES),
    ("Softplus", (2, 1.5), {}, IMAGES),
    ("Tanh", (), {}, IMAGES),
    ("LogSoftmax", (), {}, VECTORS),
    ("Softmax", (), {}, ROWS),
    ("Dropout", (), {}, IMAGES),
    ("Dropout2d", (), {}, IMAGES),
    ("Identity", (), {}, IMAGES),
    ("Flatten", (), {}, IMAGES),
    ("Unflatten", (1, (2, 3)), {}, IMAGES),
    ("Linear", (9, 40), {}, ROWS),
    ("Conv1d", (6, 5, 3), {"stride": 2, "padding": 1}, ROWS),
    ("Conv1d", (6, 5, 3), {"padding": 2, "padding_mode": "circular"}, ROWS),
    ("Conv2d", (6, 9, 3), {"padding": "same", "groups": 3}, IMAGES),
    ("Conv2d", (6, 9, 3), {"padding": (1, 2), "padding_mode": "reflect"}, IMAGES),
    ("Conv2d", (6, 9, 3), {"padding": (2, 0), "padding_mode": "replicate", "bias": False}, IMAGES),
    ("ConvTranspose2d", (6, 4, 3), {"stride": 2, "padding": 1, "output_padding": (1, 0)}, IMAGES),
    ("ConvTranspose2d", (6, 9, 3), {"padding": 1, "groups": 3, "bias": False}, IMAGES),
    ("ConvTranspose2d", (6, 40, 2), {"dilation": (2, 1)}, IMAGES),
    ("BatchNorm1d", (6,), {}, ROWS),
    ("BatchNorm2d", (6,), {"affine": False}, IMAGES),
    ("InstanceNorm2d", (6,), {"affine": True}, IMAGES),
    ("InstanceNorm2d", (6,), {}, IMAGES),
    ("InstanceNorm2d", (6,), {"track_running_stats": True}, IMAGES),
    ("GroupNorm", (3, 6), {}, IMAGES),
    ("GroupNorm", (2, 6), {"affine": False}, VECTORS),
    ("LayerNorm", (9,), {}, ROWS),
    ("LayerNorm", ((7, 8),), {"bias": False}, IMAGES),
    ("LayerNorm", ((6, 9),), {"elementwise_affine": False}, ROWS),
    ("LocalResponseNorm", (3,), {"alpha": 0.5}, IMAGES),
    ("LocalResponseNorm", (2,), {"k": 0.5}, ROWS),
    ("MaxPool1d", (3, 2), {"padding": 1}, ROWS),
    ("AvgPool1d", (3, 2), {"padding": 1, "count_include_pad": False}, ROWS),
    ("MaxPool2d", (3, 2), {"ceil_mode": True}, IMAGES),
    ("AvgPool2d", (3, 2), {"divisor_override": 5}, IMAGES),
    ("AdaptiveAvgPool2d", ((3, None),), {}, IMAGES),
    ("AdaptiveMaxPool2d", (2,), {}, IMAGES),
    ("AdaptiveAvgPool1d", (4,), {}, ROWS),
    ("AdaptiveMaxPool1d", (4,), {}, ROWS),
    ("ConvTranspose1d", (6, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1}, ROWS),
    ("Upsample", (), {"scale_factor": 2, "mode": "bilinear"}, IMAGES),
    ("Upsample", (), {"scale_factor": (1.3, 2), "mode": "bicubic"}, IMAGES),
    ("Upsample", (5,), {"mode": "area"}, IMAGES),
    ("Upsample", (5,), {"mode": "nearest-exact"}, IMAGES),
    ("Upsample", (), {"scale_factor": 1.7, "mode": "linear"}, ROWS),
    ("Unfold", ((3, 2), 1, 1, 2), {}, IMAGES),
    ("Fold", ((6, 5), 2), {}, (12, 20)),
    ("Fold", (4, 3, 1, 1, 2), {}, (9, 4)),
    ("ZeroPad2d", ((1, 0, 2, 3),), {}, IMAGES),
    ("ConstantPad2d", ((1, 0, 2, 3), 0.0), {}, IMAGES),
    ("ReflectionPad2d", ((1, 0, 2, 3),), {}, IMAGES),
    ("ReplicationPad2d", ((1, 0, 2, 3),), {}, IMAGES),
    ("CircularPad2d", ((1, 0, 2, 3),), {}, IMAGES),
    ("ZeroPad1d", (2,), {}, ROWS),
    ("ConstantPad1d", ((2, 1), 0.0), {}, ROWS),
    ("ReflectionPad1d", ((2, 1),), {}, ROWS),
    ("ReplicationPad1d", ((2, 1),), {}, ROWS),
    ("CircularPad1d", ((2, 1),), {}, ROWS),
    ("GroupNorm", (3, 6), {"bias": False}, IMAGES),
    ("BatchNorm2d", (6,), {"bias": False}, IMAGES),
    ("InstanceNorm2d", (6,), {"affine": True, "bias": False}, IMAGES),
    ("Embedding", (11, 5), {"padding_idx": 2}, (7,)),
    ("Pad", ((1, 0, 2, 3), "replicate"), {}, IMAGES),
    ("Mean", ((2, 3),), {"keepdim": True}, IMAGES),
    ("Mean", ((-1, -2),), {}, IMAGES),
    ("Reshape", (0, -1, 2), {}, IMAGES),
    ("Permute", (0, 2, -1, 1), {}, IMAGES),
    ("PixelShuffle", (2,), {}, (8, 3, 5)),
    ("PixelUnshuffle", (2,), {}, (3, 4, 6)),
    ("Slice", (..., slice(1, None), slice(None, None, -2)), {}, IMAGES),
    ("Residual", (fnn.Tanh(),), {}, IMAGES),
    ("Concat", ([fnn.Tanh(), fnn.Sigmoid()],), {}, IMAGES),
    ("Sequential", (fnn.Tanh(), fnn.Sigmoid()), {}, IMAGES),
)
EACH = pytest.mark.parametrize(
    ("name", "arguments", "options", "shape"), LAYERS, ids=lambda v: v if isinstance(v, str) else ""
)


# Those of graphs, see test_graph.py, and those that have no steps.
OTHERS = "Module Graph Add Sub Mul Div Cat Split Constant ModuleList ModuleDict MatMul Sum Clamp Expand"


def test_no_layer_is_left_out():
    kinds = (getattr(fnn.layers, name) for name in fnn.layers.__all__)
    layers = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, fnn.Module)}
    assert {name for name, *_ in LAYERS} == layers - set(OTHERS.split())


def make(name, arguments, options, dtype):
    fnn.manual_seed(0)
    try:
        layer = getattr(fnn, name)(*arguments, **options, dtype=dtype)
    except TypeError:
        layer = getattr(fnn, name)(*arguments, **options)
    for _, held in layer.named_arrays():  # weights and statistics that are not all 1 or 0
        if held.dtype == dtype:
            held.data[...] = np.abs(normal(*held.shape, seed=3, dtype=dtype)) + 0.25
    return layer


def input_of(name, n, shape, dtype):
    if name == "Embedding":
        return np.random.default_rng(n).integers(0, 11, (n, *shape))
    x = normal(n, *shape, dtype=dtype)
    x[n // 2] = np.inf
    return x


@EACH
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_its_plan_is_its_forward(name, arguments, options, shape, dtype):
    """Alone, and between other layers, whose buffers its own may share; with groups of images and without."""
    layer = make(name, arguments, options, dtype)
    before = [] if name == "Embedding" else [fnn.Tanh(), fnn.Hardtanh()]
    for n in (1, 31):
        x = input_of(name, n, shape, dtype)
        for net in (fnn.Sequential(*before, layer, fnn.ReLU(), fnn.Softplus()), fnn.Sequential(fnn.Residual(layer))):
            if isinstance(net[0], fnn.Residual) and layer.eval()(x).shape != x.shape:
                continue
            for threads in (1, 2):
                with fnn.num_threads(threads), np.errstate(all="ignore"):
                    assert_same(net.eval(), x, f"{layer!r}, n={n}")
            assert len(only_run(net)._bound.plans) == 1, "it was run by the plan"


@EACH
def test_its_relu_is_in_its_store(name, arguments, options, shape):
    """A layer whose forward can do a ReLU has one in its step, too."""
    layer = make(name, arguments, options, np.float32)
    nets = [fnn.Sequential(layer, after).eval() for after in (fnn.ReLU(), fnn.Tanh())]
    with np.errstate(all="ignore"):
        for net in nets:
            net(input_of(name, 3, shape, np.float32))
    with_relu, with_tanh = (len(kernel_plan(net)) for net in nets)
    if layer.fusion.in_forward:
        assert with_relu == with_tanh - 1


def test_indices_outside_the_table():
    net = fnn.Sequential(fnn.Embedding(5, 3), fnn.Tanh()).eval()
    for x in (np.array([[0, 4]]), np.array([1, 2], np.uint8), np.array([[[3]]], np.int32)):
        assert_same(net, x)
    for bad in (np.array([[0, 5]]), np.array([[-1, 0]])):
        net(np.array([[0, 4]]))
        with pytest.raises(ValueError, match=r"^layer 0 \(Embedding\): x: got index -?\d"):
            net(bad)
    with pytest.raises(TypeError, match="x: got an array of float32"):
        net(normal(2, 3))
    with pytest.raises(TypeError, match="layer 1"):
        fnn.Sequential(fnn.Dropout(), fnn.Linear(2, 2)).eval()(np.array([[0, 1]]))


def test_what_one_image_may_not_be():
    """A group of one value has no variance: the batch decides, so it is seen when the plan is made."""
    net = fnn.Sequential(fnn.GroupNorm(4, 4)).eval()
    net(normal(2, 4))
    with pytest.raises(ValueError, match=r"^layer 0 \(GroupNorm\): x: got shape \(1, 4\), one value"):
        net(normal(1, 4))


# Layers without steps


class Doubled(fnn.Module):
    """A layer that somebody wrote; it counts, so its attributes change at every call."""

    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return 2 * x

    def backward(self, dy, accumulate=False, needs_dx=True):
        return 2 * dy


def cut(net):
    """How many layers are in each run, 0 for one that is run by itself."""
    return [len(run.layers) if run else 0 for run in runs(net)]


def test_a_layer_without_steps_runs_between_planned_ones():
    fnn.manual_seed(0)
    net = fnn.Sequential(
        fnn.Linear(4, 5), fnn.ReLU(), Doubled(), fnn.Linear(5, 5), fnn.Sequential(fnn.ReLU(), Doubled()), fnn.Tanh()
    ).eval()
    for n in (1, 3, 1):
        assert_same(net, normal(n, 4))
    assert cut(net) == [2, 0, 1, 0, 1]
    parts = net._inference.parts
    net(normal(3, 4))
    assert net._inference.parts is parts, "a layer that counts its calls has nothing planned anew"
    net[3].weight.data[...] = 1
    assert_same(net, normal(3, 4))
    net[3].bias = None
    assert_same(net, normal(3, 4))
    assert cut(net) == [2, 0, 1, 0, 1]


def test_a_layer_that_changes_another_one():
    """While the network is called; what comes after it is cut anew before it is run."""

    class Switch(fnn.Module):
        def __init__(self, other):
            self.__dict__["others"] = [other]

        def forward(self, x):
            self.others[0].negative_slope *= 2
            return x

        def backward(self, dy, accumulate=False, needs_dx=True):
            return dy

    last = fnn.LeakyReLU(0.25)
    net, x = fnn.Sequential(fnn.Tanh(), Switch(last), last).eval(), normal(2, 3)
    for slope in (0.5, 1.0):
        y = net(x)
        assert y.tobytes() == fnn.functional.leaky_relu(np.asarray(fnn.functional.tanh(x)), slope).tobytes()


@pytest.mark.parametrize(
    ("layer", "runs"),
    [
        (lambda: fnn.Softmax(1), [1, 0, 1]),
        (lambda: fnn.MaxPool2d([2, 2]), [1, 0, 1]),
        (lambda: fnn.BatchNorm2d(2, track_running_stats=False), [1, 0, 1]),
        (lambda: fnn.Residual(Doubled()), [1, 0, 1]),
        (fnn.Tanh, [3]),
    ],
    ids=["axis", "list", "statistics", "residual", "planned"],
)
def test_settings_without_steps(layer, runs):
    net = fnn.Sequential(fnn.Sigmoid(), layer(), fnn.Sigmoid()).eval()
    for _ in range(2):
        assert_same(net, normal(3, 2, 4, 4))
        assert cut(net) == runs


def test_hooks_and_train_mode_cut_the_network_for_as_long_as_they_last():
    fnn.manual_seed(0)
    net, x, seen = fnn.Sequential(fnn.Linear(4, 5), fnn.ReLU(), fnn.Linear(5, 5), fnn.Tanh()).eval(), normal(3, 4), []
    y = net(x)
    assert cut(net) == [4]
    with net[2].register_forward_hook(lambda module, inputs, output: seen.append(output)):
        assert net(x).tobytes() == y.tobytes()
        assert cut(net) == [2, 0, 1]
        assert len(seen) == 1
    assert net(x).tobytes() == y.tobytes()
    assert cut(net) == [4]
    net[0].train()
    assert net(x).tobytes() == y.tobytes()
    assert cut(net) == [0, 2], "the ReLU goes with the layer that can do it"
    assert net[0]._kept is not None
    net[0].eval()
    assert_same(net, x)
    assert cut(net) == [4]
    net[1].train()
    net[2].bias = None
    net[3].register_forward_hook(lambda module, inputs, output: None)
    assert_same(net, x)
    assert cut(net) == [1, 0, 1, 0]
    net[1].eval()
    assert_same(net, x)
    assert cut(net) == [3, 0]


def test_nothing_but_shapes():
    """Nothing is computed: there is no call to make."""
    net = fnn.Sequential(fnn.Flatten(), fnn.Identity(), Doubled(), fnn.Dropout()).eval()
    x = normal(2, 3, 4)
    for _ in range(2):
        assert one_by_one(net, x).tobytes() == net(x).tobytes()
    assert cut(net) == [0, 0, 0, 0]
