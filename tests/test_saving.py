"""Whole networks in files: what comes back, what cannot be saved, and files that are not what they say."""

import inspect
import json
import re

import numpy as np
import pytest

import fastnn as fnn
from fastnn import layers, networks
from networks import normal

pytest.importorskip("safetensors")

F8 = {"dtype": np.float64}
IMAGES = normal(2, 4, 7, 6)


def mixed():
    """Most layers, as nodes of a graph and in containers, with settings that are not the default ones."""
    conv = fnn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2, bias=False)
    tied = fnn.Linear(5, 5)
    other = fnn.Linear(5, 5, bias=False)
    other.weight = tied.weight
    conv.requires_grad_(False)
    body = fnn.Sequential({"norm": fnn.BatchNorm2d(6, 1e-3, momentum=None), "act": fnn.LeakyReLU(0.3)})
    ways = fnn.Concat([fnn.GroupNorm(2, 6), fnn.InstanceNorm2d(6, affine=True), fnn.PReLU(6)])
    ways.add_module("named", fnn.Conv2d(6, 2, 3, padding="same", padding_mode="reflect"))
    return fnn.Graph(
        {
            "stem.conv": (conv, "x"),
            "body": (fnn.Residual(body, fnn.Conv2d(6, 6, 1)), "stem.conv"),
            "ways": (ways, "body"),
            "drop": (fnn.Dropout(0.25), "ways"),
            "pool": (fnn.AdaptiveAvgPool2d((None, 5)), "drop"),
            "tied": (tied, "pool"),
            "tanh": (fnn.Hardtanh(-0.5, 0.7), "tied"),
            "other": (other, "tanh"),
            "again": (tied, "other"),
            "rows": (fnn.LayerNorm(5, bias=False), "again"),
            "cut": (fnn.Slice(..., slice(None, -1)), "rows"),
            "split": (fnn.Split((15, 5)), "cut"),
            "turned": (fnn.Permute(0, 1, 3, 2), "split[0]"),
            "flat": (fnn.Reshape(0, -1), "turned"),
            "flat2": (fnn.Flatten(), "split[1]"),
            "out": (fnn.Cat(1), "flat", "flat2"),
        }
    )


def written(net, tmp_path):
    fnn.save(net, tmp_path / "net.safetensors")
    return fnn.load(tmp_path / "net.safetensors")


def test_a_network_comes_back_as_it_was(tmp_path):
    net = mixed()
    net(IMAGES)
    fnn.manual_seed(4)
    other = written(net, tmp_path)
    drawn = fnn.Linear(3, 3).weight.data.copy()
    fnn.manual_seed(4)
    np.testing.assert_array_equal(fnn.Linear(3, 3).weight.data, drawn)
    assert repr(other) == repr(net)
    assert list(other.state_dict()) == list(net.state_dict())
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    assert other["tied"].weight is other["other"].weight
    assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in net.parameters()]
    np.testing.assert_array_equal(other.eval()(IMAGES), net.eval()(IMAGES))
    assert not any(module.training for module in written(net, tmp_path).modules())
    for each in (net, other):
        fnn.manual_seed(5)
        each.train()["drop"].stream = None
        each["drop"].step = 0
        y = each(IMAGES)
        each.backward(np.ones_like(y))
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)


@pytest.mark.parametrize("net", [networks.lenet(), networks.resnet(widths=(4, 8, 8))], ids=["lenet", "resnet"])
def test_networks_come_back(net, tmp_path):
    net.eval()
    other = written(net, tmp_path)
    assert repr(other) == repr(net)
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_layer_comes_back(tmp_path):
    from test_to_torch import LAYERS

    for layer, shape in LAYERS:
        x = shape if isinstance(shape, np.ndarray) else normal(*shape, dtype=np.float64)
        other = written(layer, tmp_path)
        assert repr(other) == repr(layer)
        np.testing.assert_array_equal(other.eval()(x), layer.eval()(x))
        layer.train()


def test_every_layer_with_arrays_is_known():
    from fastnn.layers.architecture import _SHAPES

    public = {name: getattr(layers, name) for name in layers.__all__}
    kinds = {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, fnn.Module)}
    with_arrays = {name for name, kind in kinds.items() if "dtype" in inspect.signature(kind).parameters}
    assert with_arrays == set(_SHAPES)


def test_a_module_of_ones_own_is_saved_as_its_graph(tmp_path):
    class Own(fnn.Module):
        def __init__(self):
            self.conv = fnn.Conv2d(4, 4, 3, padding=1)
            self.gain = fnn.Parameter(np.full((4, 1, 1), 2, np.float32))

        def forward(self, x):
            return (self.conv(x) * self.gain + x).relu() / 2

    net = Own().eval()
    with pytest.raises(TypeError, match=r"Own: is of a class that a file cannot hold; .*fastnn\.trace makes a Graph"):
        fnn.save(net, tmp_path / "net.safetensors")
    with pytest.raises(TypeError, match=r"layer 1 \(Own\): is of a class"):
        fnn.save(fnn.Sequential(fnn.ReLU(), net), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())
    other = written(fnn.trace(net, IMAGES), tmp_path)
    np.testing.assert_array_equal(other(IMAGES), net(IMAGES))
    assert isinstance(dict(other.named_parameters())["gain"], fnn.Parameter)


def test_the_arrays_are_read_by_others(tmp_path):
    from fastnn.interop import load_safetensors, save_safetensors

    net = fnn.Sequential(fnn.Linear(3, 2))
    fnn.save(net, tmp_path / "net.safetensors")
    fnn.Sequential(fnn.Linear(3, 2)).load_state_dict(load_safetensors(tmp_path / "net.safetensors"))
    save_safetensors(tmp_path / "arrays.safetensors", net.state_dict())
    with pytest.raises(ValueError, match=r"arrays\.safetensors: holds arrays without a network; expected a file that"):
        fnn.load(tmp_path / "arrays.safetensors")


# Files from strangers

PUNCTUATION = b'0123456789[]{}",:'


def parts(content):
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def rewritten(content, change):
    """A file whose description was changed."""
    header, data = parts(content)
    described = json.loads(header["__metadata__"]["fastnn"])
    described = change(described) or described
    header["__metadata__"]["fastnn"] = described if isinstance(described, str) else json.dumps(described)
    return joined(header, data)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("saving") / "net.safetensors"
    fnn.save(mixed(), path)
    return path.read_bytes()


def is_refused(content, path):
    path.write_bytes(content)
    try:
        fnn.load(path)
    except ValueError as error:
        return str(error).startswith(f"{path}: ")
    return False


def settings_of(described, node):
    return next(inner["settings"] for name, inner, _ in described["network"]["nodes"] if name == node)


def with_class(kind):
    return lambda d: d["network"]["nodes"][0][1].update({"class": kind})


HOSTILE = {
    "no JSON": lambda d: "{",
    "no dict": lambda d: "[]",
    "deep": lambda d: "[" * 100_000,
    "format": lambda d: d.update(format=2),
    "large": lambda d: settings_of(d, "tied").update(in_features=10**12, out_features=10**12),
    "large groups": lambda d: settings_of(d, "stem.conv").update(in_channels=10**9, groups=5 * 10**8),
    "negative": lambda d: settings_of(d, "tied").update(out_features=-5),
    "text": lambda d: settings_of(d, "tied").update(out_features="5"),
    "zero groups": lambda d: settings_of(d, "stem.conv").update(groups=0),
    "unknown setting": lambda d: settings_of(d, "tied").update(forward=1),
    "dtype": lambda d: settings_of(d, "drop").update(dtype="float64"),
    "class of Python": with_class("os.system"),
    "class that is none": with_class("trace"),
    "abstract class": with_class("Module"),
    "function": with_class("fold_batch_norm"),
    "handle": with_class("RemovableHandle"),
    "buffer": with_class("Buffer"),
    "list as a class": with_class([]),
    "circle": lambda d: d["network"]["nodes"][1].__setitem__(2, ["out"]),
    "unknown node": lambda d: d["network"]["nodes"][1].__setitem__(2, ["nowhere"]),
    "unknown output": lambda d: d["network"].update(outputs=["nowhere"]),
    "layer of a later node": lambda d: d["network"]["nodes"][0].__setitem__(1, "out"),
    "tied to nothing": lambda d: d["tied"].update({"tied.bias": "nothing"}),
    "tied to another shape": lambda d: d["tied"].update({"tied.bias": "tied.weight"}),
    "frozen nothing": lambda d: d["frozen"].append("nothing"),
    "frozen number": lambda d: d.update(frozen=3),
    "a layer less": lambda d: d["network"]["nodes"].pop(),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_description_that_lies_is_refused(change, content, tmp_path):
    assert is_refused(rewritten(content, change), tmp_path / "net.safetensors")


def test_no_layer_is_larger_than_its_arrays(content, tmp_path):
    import tracemalloc

    path = tmp_path / "net.safetensors"
    path.write_bytes(rewritten(content, HOSTILE["large"]))
    with pytest.raises(ValueError, match="where a Linear needs"):
        fnn.load(path)  # all that is imported at the first call
    tracemalloc.start()
    try:
        for change in ("large", "large groups", "deep"):
            assert is_refused(rewritten(content, HOSTILE[change]), path)
        assert tracemalloc.get_traced_memory()[1] < 40 * len(content) + 2_000_000
    finally:
        tracemalloc.stop()


def test_many_layers_of_few_arrays_are_refused(tmp_path):
    """Each layer draws weights before it gets those of the file: work follows the size of the file."""
    layers = [(str(i), fnn.Linear(8, 8, bias=False)) for i in range(200)]
    for _, layer in layers:
        layer.weight = layers[0][1].weight
    path = tmp_path / "net.safetensors"
    fnn.save(fnn.Sequential(dict(layers[:90])), path)
    assert len(list(fnn.load(path).parameters())) == 1
    fnn.save(fnn.Sequential(dict(layers)), path)
    with pytest.raises(ValueError, match="more than 100 times as many numbers"):
        fnn.load(path)


def test_a_layer_of_two_dtypes_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    fnn.save(fnn.Sequential(fnn.Linear(2, 2, dtype=np.float64), fnn.Linear(2, 2)), path)

    def ties(described):
        described["tied"]["1.bias"] = "0.bias"

    header, data = parts(rewritten(path.read_bytes(), ties))
    end = max(header["1.bias"]["data_offsets"])
    assert end - min(header["1.bias"]["data_offsets"]) == 8
    path.write_bytes(joined({name: at for name, at in header.items() if name != "1.bias"}, data))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        fnn.load(path)


def test_truncated_files_are_refused(content, tmp_path):
    for length in (*range(0, len(content), max(1, len(content) // 25)), len(content) - 1):
        assert is_refused(content[:length], tmp_path / "net.safetensors"), length


def test_damaged_files_are_refused_or_are_networks(content, tmp_path):
    """Whatever is written over, there is one kind of error; what is only in the arrays cannot be known."""
    rng = np.random.default_rng(0)
    header = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            at = rng.integers(header)
            damaged[at] = rng.integers(256) if rng.random() < 0.5 else rng.choice(list(PUNCTUATION))
        refused += is_refused(bytes(damaged), tmp_path / "net.safetensors")
    assert refused > 100


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        fnn.load(tmp_path / "nothing.safetensors")


def test_a_constant_that_is_in_no_state_dict(tmp_path):
    class Shifted(fnn.Module):
        def __init__(self):
            self.linear = fnn.Linear(3, 2)
            self.register_buffer("shift", np.float32([5, 7]), persistent=False)

        def forward(self, x):
            return self.linear(x) + self.shift

    net, x = Shifted(), np.ones((4, 3), np.float32)
    graph = fnn.trace(net, x)
    fnn.save(graph, tmp_path / "net.safetensors")
    loaded = fnn.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(loaded(x), net(x))
    assert set(loaded.state_dict()) == set(graph.state_dict()) == {"linear.weight", "linear.bias"}


# Graphs of ONNX's operators


def functions():
    """Operators that no layer is: constants of several dtypes, inputs that are left out, attributes of all kinds."""
    from fastnn.interop.onnx import Function

    shape = {0: np.array([3])}
    return fnn.Graph(
        {
            "erf": (Function("Erf"), "x"),
            "clip": (Function("Clip", constants={1: None, 2: np.float32(0.5)}), "erf"),
            "clip.constant.2": (fnn.Linear(4, 4), "clip"),
            "cond": (Function("Where", constants={0: np.array([True, False, True, True])}), "x", "clip.constant.2"),
            "cast": (Function("Cast", {"to": "float64"}), "cond"),
            "halves": (Function("Split", {"axis": 1, "outputs": 2}, {1: np.array([1, 3])}), "cast"),
            "norm": (Function("ReduceL2", {"keepdims": 1}, {1: np.array([1], np.int64)}), "halves[1]"),
            "twos": (Function("ConstantOfShape", {"value": np.array([2.0])}, shape),),
            "out": (Function("Sum"), "halves[0]", "norm", "twos"),
        }
    ).eval()


def test_operators_of_onnx_come_back(tmp_path):
    net, x = functions(), normal(2, 4)
    other = written(net, tmp_path)
    assert repr(other) == repr(net)
    assert list(other.state_dict()) == list(net.state_dict())
    np.testing.assert_array_equal(other(x), net(x))
    for name in ("clip", "cond", "halves", "norm", "twos"):
        for place, constant in net[name].constants.items():
            came = other[name].constants[place]
            assert (came is None) == (constant is None)
            assert constant is None or (came.dtype == constant.dtype and came.shape == constant.shape)
    assert other["twos"].attributes["value"].dtype == np.float64
    Function = type(net["erf"])
    with pytest.raises(TypeError, match=r"layer 0 \(Function\): has the array constant\.1 of float16, which a file"):
        fnn.save(fnn.Sequential(Function("Pow", constants={1: np.float16(2)})), tmp_path / "half.safetensors")
    with pytest.raises(TypeError, match=r"Function: has the attribute axis=<object .*, which a file cannot hold"):
        fnn.save(Function("Flatten", {"axis": object()}), tmp_path / "object.safetensors")


def described(d, node):
    return next(inner for name, inner, _ in d["network"]["nodes"] if name == node)


HOSTILE_OPERATORS = {
    "no operator": lambda d: settings_of(d, "erf").update(kind="system"),
    "a list": lambda d: settings_of(d, "erf").update(kind=["Erf"]),
    "unknown attribute": lambda d: settings_of(d, "norm")["attributes"].update(where=1),
    "objects": lambda d: settings_of(d, "cast")["attributes"].update(to="object"),
    "no dtype": lambda d: settings_of(d, "cast")["attributes"].update(to="nothing"),
    "dtype of records": lambda d: settings_of(d, "cast")["attributes"].update(to="i4,f8"),
    "dict": lambda d: settings_of(d, "norm")["attributes"].update(keepdims={"slice": [0, 1, 2]}),
    "no place": lambda d: described(d, "norm").update(arrays={"constant.x": "norm.constant.1"}),
    "no array": lambda d: described(d, "norm")["arrays"].update({"constant.1": "nothing"}),
    "an array less": lambda d: described(d, "norm").update(arrays={}),
    "no settings": lambda d: described(d, "norm").pop("settings"),
}


@pytest.mark.parametrize("change", HOSTILE_OPERATORS.values(), ids=HOSTILE_OPERATORS)
def test_an_operator_that_lies_is_refused(change, tmp_path):
    path = tmp_path / "net.safetensors"
    fnn.save(functions(), path)
    assert is_refused(rewritten(path.read_bytes(), change), path)


def test_a_model_that_was_read_is_saved(tmp_path):
    pytest.importorskip("onnx")
    from fastnn.interop.onnx import load, save

    nodes = functions().nodes()
    net, x = fnn.Graph({name: nodes[name] for name in ("erf", "clip", "clip.constant.2")}), normal(2, 4)
    save(net, tmp_path / "net.onnx", (1, 4))
    read = load(tmp_path / "net.onnx")
    np.testing.assert_array_equal(written(read, tmp_path)(x), read(x))
