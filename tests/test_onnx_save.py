"""Networks as ONNX models: the checker accepts them, and ONNX Runtime computes what the network does."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional, layers, networks
from fastnn.interop import onnx as fastnn_onnx
from networks import normal
from test_networks import NETWORKS


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def run(onnx, tmp_path_factory):
    """ONNX Runtime's output of a network's model, for batches of several sizes of one file."""
    ort = pytest.importorskip("onnxruntime")

    def outputs(net, shape, *batches):
        path = tmp_path_factory.mktemp("onnx") / "net.onnx"
        fastnn_onnx.save(net, path, shape)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return [session.run(["y"], {"x": x})[0] for x in batches]

    return outputs


def assert_agrees(got, expected):
    """As far as float32 sums of some thousand terms, twenty layers deep, may differ."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    eps = np.finfo(expected.dtype).eps
    np.testing.assert_allclose(got, expected, rtol=0, atol=64 * eps * max(np.abs(expected).max(), 1e-2))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(run, name):
    shape, *_ = NETWORKS[name]
    fnn.manual_seed(3)
    net = getattr(networks, name)()
    net(normal(4, *shape))  # statistics of batch normalisation that can be told from none
    batches = [normal(n, *shape, seed=n) for n in (1, 5)]
    for x, got in zip(batches, run(net, (2, *shape), *batches), strict=True):
        assert_agrees(got, net.eval()(x))


IMAGES = (3, 4, 9, 8)
LAYERS = [
    (fnn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2, bias=False), IMAGES),
    (fnn.Conv2d(4, 6, (4, 3), padding="same", dilation=(1, 2)), IMAGES),
    (fnn.Conv2d(4, 6, 3, padding="valid"), IMAGES),
    (fnn.Conv1d(4, 6, 3, 2, 1, 2, groups=2), (3, 4, 9)),
    (fnn.Linear(6, 5), (3, 6)),
    (fnn.Linear(6, 5, bias=False), (3, 6)),
    (fnn.Linear(6, 5, dtype=np.float64), (3, 6)),
    (fnn.BatchNorm1d(4, 0.1), (3, 4)),
    (fnn.BatchNorm1d(4, affine=False), (3, 4, 5)),
    (fnn.BatchNorm2d(4, 0.1), IMAGES),
    (fnn.MaxPool1d(3, 2, 1, ceil_mode=True), (3, 4, 9)),
    (fnn.MaxPool2d((3, 2), (2, 3), (1, 0), (1, 2)), IMAGES),
    (fnn.MaxPool2d(3, 2, ceil_mode=True), IMAGES),
    (fnn.AvgPool1d(3, 2, 1), (3, 4, 9)),
    (fnn.AvgPool2d((3, 2), (2, 3), 1, count_include_pad=False), IMAGES),
    (fnn.AdaptiveAvgPool2d((1, 1)), IMAGES),
    (fnn.Flatten(), IMAGES),
    (fnn.Identity(), IMAGES),
    (fnn.Dropout(), IMAGES),
    (fnn.ReLU(), IMAGES),
    (fnn.Sigmoid(), IMAGES),
    (fnn.Tanh(), IMAGES),
    (fnn.LeakyReLU(0.2), IMAGES),
    (fnn.Hardtanh(-0.5, 0.7), IMAGES),
    (fnn.ReLU6(), IMAGES),
    (fnn.ELU(0.7), IMAGES),
    (fnn.SELU(), IMAGES),
    (fnn.Hardswish(), IMAGES),
    (fnn.Softmax(1), IMAGES),
    (fnn.LogSoftmax(-1), IMAGES),
    (fnn.GELU(), IMAGES),
    (fnn.GELU(approximate="tanh"), IMAGES),
    (fnn.SiLU(), IMAGES),
    (fnn.Softplus(), IMAGES),
    (fnn.Softplus(beta=2.0), IMAGES),
    (fnn.PReLU(4), IMAGES),
    (fnn.PReLU(), (3, 4, 9)),
    (fnn.Linear(8, 5), IMAGES),
    (fnn.Linear(8, 5, bias=False), (3, 4, 8)),
    (fnn.Conv2d(4, 4, 3, padding=(2, 1), padding_mode="reflect"), IMAGES),
    (fnn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), IMAGES),
    (fnn.Conv1d(4, 4, 3, padding=1, padding_mode="replicate"), (3, 4, 9)),
    (fnn.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 0), groups=2), IMAGES),
    (fnn.LayerNorm(8), IMAGES),
    (fnn.LayerNorm((9, 8), elementwise_affine=False), IMAGES),
    (fnn.GroupNorm(2, 4), IMAGES),
    (fnn.GroupNorm(2, 4, affine=False), (3, 4, 9)),
    (fnn.InstanceNorm2d(4, affine=True), IMAGES),
    (fnn.InstanceNorm2d(4, track_running_stats=True), IMAGES),
    (fnn.LocalResponseNorm(3), IMAGES),
    (fnn.AdaptiveAvgPool2d((3, 4)), IMAGES),
    (fnn.AdaptiveMaxPool2d(1), IMAGES),
    (fnn.AdaptiveMaxPool2d((None, 2)), IMAGES),
    (fnn.Flatten(2), IMAGES),
    (fnn.Flatten(1, 2), IMAGES),
    (fnn.Flatten(0, 1), IMAGES),
    (fnn.Unflatten(1, (2, -1)), IMAGES),
    (fnn.Reshape(0, 2, -1), IMAGES),
    (fnn.Reshape(-1, 4, 9, 8), IMAGES),
    (fnn.Reshape(-1, 12), IMAGES),
    (fnn.Reshape(6, -1), IMAGES),
    (fnn.Reshape(-1), IMAGES),
    (fnn.Unflatten(0, (-1, 3)), IMAGES),
    (fnn.Permute(0, 2, 3, 1), IMAGES),
    (fnn.Slice(slice(None), slice(1, None, 2), None, ..., -1), IMAGES),
    (fnn.Slice(..., slice(-3, None)), IMAGES),
    (fnn.Slice(slice(None), 2, slice(1, 7)), IMAGES),
    (fnn.Mean((2, 3)), IMAGES),
    (fnn.Sum((2, 3), keepdim=True), IMAGES),
    (fnn.Sequential(fnn.Mean(1, keepdim=True), fnn.Expand(-1, 5, -1, 8)), IMAGES),
    (fnn.Clamp(min=-0.5), IMAGES),
    (fnn.Clamp(max=0.5), IMAGES),
    (fnn.Clamp(-0.25, 0.5), IMAGES),
    (fnn.Mean(1, keepdim=True), IMAGES),
    (fnn.Pad((0, 1, 2, 3)), IMAGES),
    (fnn.Pad(2, mode="reflect"), IMAGES),
    (fnn.ConstantPad2d((1, 0, 2, 1), 0.5), IMAGES),
    (fnn.ConstantPad1d((1, -2), -1.5), (3, 4, 9)),
    (fnn.ReplicationPad2d(1), IMAGES),
    (fnn.CircularPad2d((1, 2, 0, 1)), IMAGES),
    (fnn.Upsample(scale_factor=2), IMAGES),
    (fnn.Upsample(size=(12, 5)), IMAGES),
    (fnn.Upsample(size=(12, 5), mode="bilinear"), IMAGES),
    (fnn.Upsample(size=(12, 5), mode="bicubic"), IMAGES),
    (fnn.Upsample(scale_factor=(1.5, 2), mode="bicubic", align_corners=True), IMAGES),
    (fnn.Upsample(scale_factor=1.3, mode="bilinear", recompute_scale_factor=True), IMAGES),
    (fnn.Upsample(size=(12, 5), mode="nearest-exact"), IMAGES),
    (fnn.Upsample(size=(3, 4), mode="area"), IMAGES),
    (fnn.Upsample(size=7, mode="linear"), (3, 4, 9)),
    (fnn.Upsample(scale_factor=2.5, mode="linear", align_corners=True), (3, 4, 9)),
    (fnn.Upsample(scale_factor=2), (3, 4, 9)),
    (fnn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2), (3, 4, 9)),
    (fnn.AdaptiveAvgPool1d(3), (3, 4, 9)),
    (fnn.AdaptiveMaxPool1d(1), (3, 4, 9)),
    (fnn.Upsample(scale_factor=(1.5, 2), mode="bilinear", align_corners=True), IMAGES),
    (fnn.PixelShuffle(2), IMAGES),
    (fnn.PixelUnshuffle(2), (3, 4, 8, 6)),
    (fnn.Concat([fnn.Tanh(), fnn.Identity(), fnn.Residual(fnn.ReLU())], dim=2), IMAGES),
    (fnn.Residual(fnn.Conv2d(4, 5, 1), fnn.Conv2d(4, 5, 1)), IMAGES),
    (fnn.Sequential({"x": fnn.ReLU(), "y": fnn.Sequential(fnn.Tanh())}), IMAGES),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_a_layer(run, layer, shape):
    x = normal(*shape, dtype=next((p.dtype for p in layer.parameters()), np.float32))
    layer.train()(x)
    (got,) = run(layer, shape, x)
    assert layer.training
    assert_agrees(got, layer.eval()(x))
    layer.train()


def test_names_and_shapes(onnx, tmp_path):
    path = tmp_path / "net.onnx"
    fastnn_onnx.save(fnn.Sequential(fnn.Residual(fnn.Linear(3, 3)), fnn.Dropout()), path, (7, 3))
    graph = onnx.load(path).graph
    assert [i.name for i in graph.initializer] == ["0.body.weight", "0.body.bias"]
    assert [(n.op_type, n.name) for n in graph.node] == [("Gemm", "0.body"), ("Add", "0"), ("Identity", "y")]
    for (info,) in (graph.input, graph.output):
        batch, features = info.type.tensor_type.shape.dim
        assert (batch.dim_param, features.dim_value) == ("N", 3)


class Tokens(fnn.Module):
    """All tokens of all examples as rows, and back."""

    def __init__(self):
        self.linear, self.last = fnn.Linear(4, 6), fnn.Linear(18, 2)

    def forward(self, x):
        rows = self.linear(x.view(-1, x.shape[2])).tanh()
        return self.last(rows.view(x.shape[0], 3, 6).flatten(1))


ACROSS = {  # and how the first length of the output is called
    "rows": (fnn.Sequential(fnn.Reshape(-1, 4), fnn.Linear(4, 2)), ""),
    "rows in another order": (fnn.Sequential(fnn.Permute(0, 2, 1), fnn.Reshape(-1, 3), fnn.Linear(3, 2)), ""),
    "and back": (fnn.Sequential(fnn.Flatten(0, 1), fnn.Linear(4, 2), fnn.Unflatten(0, (-1, 3)), fnn.Flatten()), ""),
    "all in two": (fnn.Sequential(fnn.Reshape(2, -1), fnn.Tanh()), 2),
    "the batch": (fnn.Sequential(fnn.Reshape(-1, 12), fnn.Linear(12, 2)), "N"),
    "tokens": (Tokens(), ""),
}


@pytest.mark.parametrize("name", ACROSS)
def test_reshapes_across_the_batch(run, onnx, tmp_path, name):
    net, first = ACROSS[name]
    batches = [normal(n, 3, 4, seed=n) for n in (1, 2, 5)]
    path = tmp_path / "net.onnx"
    fastnn_onnx.save(net, path, (1, 3, 4))
    dim = onnx.load(path).graph.output[0].type.tensor_type.shape.dim[0]
    assert (dim.dim_value or dim.dim_param) == first
    read = fastnn_onnx.load(path)
    for x, got in zip(batches, run(net, (1, 3, 4), *batches), strict=True):
        assert_agrees(got, net.eval()(x))
        assert_agrees(read(x), net.eval()(x))


def gated():
    return {
        "conv": (fnn.Conv2d(4, 6, 3, padding=1), "x"),
        "split": (fnn.Split((2, 4)), "conv"),
        "gate": (fnn.Sigmoid(), "split[0]"),
        "mean": (fnn.Mean(1, keepdim=True), "gate"),
        "scale": (layers.Constant(fnn.Parameter(np.float32([[[2]], [[3]], [[4]], [[5]]]))),),
        "mul": (fnn.Mul(), "split[1]", "mean"),
        "scaled": (fnn.Mul(), "mul", "scale"),
        "sub": (fnn.Sub(), "scaled", "x"),
        "div": (fnn.Div(), "sub", "mean"),
        "sum": (fnn.Add(), "div", "x", "mul"),
        "cat": (fnn.Cat(1), "sum", "gate"),
    }


def test_a_graph(run):
    net = fnn.Graph(gated())
    batches = [normal(n, *IMAGES[1:], seed=n) for n in (1, 5)]
    for x, got in zip(batches, run(net, IMAGES, *batches), strict=True):
        assert_agrees(got, net.eval()(x))


class Two(fnn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.conv = fnn.Embedding(7, 4), fnn.Conv2d(4, 4, 3, padding=1)
        self.graph = fnn.Graph(gated())

    def forward(self, x, rows):
        y = self.graph(self.conv(x) + self.conv(x.relu()))
        return y, self.table(rows)


def test_several_inputs_and_outputs_of_a_traced_module(onnx, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    net, path = Two(), tmp_path / "net.onnx"
    fastnn_onnx.save(net, path, [IMAGES, (3, 5)], [np.float32, np.int64])
    x, rows = normal(2, *IMAGES[1:]), np.arange(4).reshape(2, 2)[:, [0, 1, 1, 0, 1]] % 7
    found = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["y0", "y1"], {"x": x, "x1": rows})
    for got, expected in zip(found, net.eval()(x, rows), strict=True):
        assert_agrees(got, expected)
    names = [tensor.name for tensor in onnx.load(path).graph.initializer]
    assert names.count("conv.weight") == 1, names


def test_several_inputs_and_outputs_of_a_graph(onnx, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    nodes = {"a": (fnn.Linear(4, 6), "p"), "b": (fnn.Linear(5, 6), "q"), "sum": (fnn.Add(), "a", "b")}
    nodes |= {"parts": (fnn.Split((2, 4)), "sum"), "scores": (fnn.Linear(2, 3), "parts[0]")}
    net, path = fnn.Graph(nodes, inputs=("p", "q"), outputs=("scores", "parts[1]", "sum")).eval(), tmp_path / "net.onnx"
    fastnn_onnx.save(net, path, [(2, 4), (2, 5)])
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["scores", "parts.1", "sum"]
    p, q = normal(3, 4), normal(3, 5, seed=1)
    for got, expected in zip(session.run(None, {"p": p, "q": q}), net(p, q), strict=True):
        assert_agrees(got, expected)


class Doubled(fnn.Linear):
    pass


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (fnn.LocalResponseNorm(2), IMAGES, "has size=2; only odd ones"),
        (fnn.AvgPool2d(2, divisor_override=3), IMAGES, "has divisor_override=3; only None"),
        (fnn.AvgPool2d(2, ceil_mode=True), IMAGES, "has ceil_mode=True; only False"),
        (fnn.AdaptiveAvgPool2d(2), IMAGES, "has output_size=2; only 1"),
        (fnn.MaxPool2d(2, return_indices=True), IMAGES, "has return_indices=True"),
        (fnn.BatchNorm2d(4, track_running_stats=False), IMAGES, "has no running statistics"),
        (fnn.Unfold(2), IMAGES, "is a layer that cannot be written yet"),
        (Doubled(8, 2), IMAGES, "is no layer of fastnn's"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fnn.Module) else "",
)
def test_what_cannot_be_written_is_named(onnx, tmp_path, layer, shape, message):
    path = tmp_path / "net.onnx"
    kind = TypeError if isinstance(layer, Doubled) else ValueError
    with pytest.raises(kind, match=rf"^layer 1\.0 \({type(layer).__name__}\): {message}"):
        fastnn_onnx.save(fnn.Sequential(fnn.ReLU(), fnn.Sequential(layer)), path, shape)
    assert not path.exists()


def test_a_shape_that_does_not_fit(onnx, tmp_path):
    with pytest.raises(ValueError, match=r"^layer 1 \(Linear\): "):
        fastnn_onnx.save(fnn.Sequential(fnn.Flatten(), fnn.Linear(4, 2)), tmp_path / "net.onnx", (1, 5))


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'onnx is needed for .*: pip install "fastnn-kernels\[onnx\]"'):
        fastnn_onnx.save(fnn.ReLU(), tmp_path / "net.onnx", (1, 2))


class Attention(fnn.Module):
    """Patches, a token, and attention with heads, whose axis comes before that of the batch."""

    def __init__(self):
        super().__init__()
        self.patches, self.token = fnn.Conv2d(3, 8, 4, 4), fnn.Parameter(normal(1, 1, 8))
        self.norm, self.qkv, self.gate = fnn.LayerNorm(8), fnn.Linear(8, 24), fnn.Parameter(normal(2, 1))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = fnn.cat([self.token.expand(x.size(0), -1, -1), x], 1)
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(B, T, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        weights = functional.softmax(q @ k.mT * 0.5, -1)
        x = x + (weights @ v).transpose(1, 2).reshape(B, T, C)
        first, last = x[:, 0], self.gate.expand(1, 2, 4).reshape(1, 8).expand_as(x[:, 0])
        parts = self.qkv(x).view(B, T, 3, 8).permute(2, 0, 1, 3).split([1, 2], 0)
        return first * last + parts[0][0].sum(1) - parts[1][1].mean(1)


def test_attention(run, tmp_path):
    net = Attention()
    batches = [normal(n, 3, 8, 8, seed=n) for n in (1, 5)]
    net(batches[1])
    for x, got in zip(batches, run(net, (2, 3, 8, 8), *batches), strict=True):
        assert_agrees(got, net.eval()(x))
    fastnn_onnx.save(net, tmp_path / "net.onnx", (2, 3, 8, 8))
    assert_agrees(fastnn_onnx.load(tmp_path / "net.onnx")(batches[1]), net(batches[1]))


def test_an_expansion_in_the_middle(run):
    nodes = {"mean": (fnn.Mean((2, 3), keepdim=True), "x"), "all": (fnn.Expand(-1, 4, 0, 3), "mean", "x")}
    net = fnn.Graph(nodes)
    x = normal(2, *IMAGES[1:])
    assert_agrees(run(net, IMAGES, x)[0], net.eval()(x))
