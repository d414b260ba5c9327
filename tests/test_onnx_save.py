"""Networks as ONNX models: the checker accepts them, and ONNX Runtime computes what the network does."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import networks
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


class Doubled(fnn.Linear):
    pass


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (fnn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), IMAGES, "has padding_mode='reflect'; only 'zeros'"),
        (fnn.Flatten(2), IMAGES, "joins other axes"),
        (fnn.AvgPool2d(2, divisor_override=3), IMAGES, "has divisor_override=3; only None"),
        (fnn.AvgPool2d(2, ceil_mode=True), IMAGES, "has ceil_mode=True; only False"),
        (fnn.AdaptiveAvgPool2d(2), IMAGES, "has output_size=2; only 1"),
        (fnn.MaxPool2d(2, return_indices=True), IMAGES, "has return_indices=True"),
        (fnn.BatchNorm2d(4, track_running_stats=False), IMAGES, "has no running statistics"),
        (fnn.Linear(8, 2), IMAGES, "has an input of 4 axes"),
        (fnn.GELU(), IMAGES, "is a layer that cannot be written yet"),
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
