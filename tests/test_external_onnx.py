"""ONNX's own tests of backends, on the graphs that `onnx.load` makes.

    pytest -m external tests/test_external_onnx.py

docs/reliability.md has the counts.
"""

import re
import unittest
import warnings
from collections import Counter

import numpy as np
import pytest

import fastnn as fnn
from fastnn.interop import onnx as fastnn_onnx

pytestmark = pytest.mark.external

# What is not run: patterns of names, and why. All other tests are, and pass.
_TYPES = "bfloat16, 8-bit floats and 4-bit and 2-bit numbers: NumPy has no such types"
_RANDOM = "random numbers, which no test can compare"
_CONTROL = "control flow: a graph does the same for all values"
_RECURRENT = "recurrent layers, which fastnn has not"
_ATTENTION = "attention as one operator, which fastnn has not (its expansion into others is run)"
_LOSSES = "losses in the graph: fastnn's are outside of it"
_QUANTIZED = "quantised arithmetic"
_SEQUENCES = "sequences and optional values: fastnn has arrays"
_TEXT = "texts"
_SIGNALS = "transforms and windows of signals"
_TRAINING = "statistics and choices of training; optimisers"
_BOXES = "boxes and samples of regions of images"
_RARE = "operators that networks of fastnn's kind do not have"
EXCLUDED = {
    r"^test_(adagrad|adam|momentum|nesterov_momentum|gradient_of)": _TRAINING,
    r"^test_(batchnorm_\w+_training_mode|training_dropout)": _TRAINING,
    r"^test_ai_onnx_ml_": "classic machine learning: not networks",
    r"^test_flexattention(?!\w*_expanded)": _ATTENTION,
    r"^test_attention_(?!\w*_expanded)": _ATTENTION,
    r"^test_linear_attention_(?!\w*_expanded)": _ATTENTION,
    r"^test_linear_attention_\w*_expanded": _CONTROL,
    r"^test_attention_\w*bf16_expanded": _TYPES,
    r"^test_rotary_embedding(?!\w*_expanded)": _ATTENTION,
    r"^test_(swiglu|tensorscatter)(?!\w*_expanded)": _ATTENTION,
    r"^test_causal_conv_with_state_(?!\w*_expanded)": _RECURRENT,
    r"^test_causal_conv_with_state_\w*fp16_expanded": "convolutions of float16: fastnn has float32 and float64",
    r"^test_(gru|lstm|rnn|simple_rnn)_": _RECURRENT,
    r"^test_(nllloss|sce)_\w+(?<!_expanded)_cpu": _LOSSES,
    r"^test_sce_\w+_expanded": _LOSSES,
    r"^test_bernoulli": _RANDOM,
    r"^test_cast(like)?_\w*_to_(BFLOAT16|FLOAT8|FLOAT4|U?INT[24])": _TYPES,
    r"^test_(celu_bfloat16_expanded|einsum_(batch_matmul|sum)_bfloat16)": _TYPES,
    r"^test_bitcast_": _RARE,
    r"^test_(convinteger|matmulinteger|qlinear|quantizelinear|dequantizelinear|dynamicquantize)": _QUANTIZED,
    r"^test_(dft|stft|melweightmatrix)": _SIGNALS,
    r"^test_(blackman|hamming|hann)window(?!\w*_expanded)": _SIGNALS,
    r"^test_(affine_grid|gridsample|roialign|nonmaxsuppression|image_decoder)": _BOXES,
    r"^test_center_crop_pad_(?!\w*_expanded)": _BOXES,
    r"^test_(basic_)?deform_conv": _BOXES,
    r"^test_(col2im|maxunpool|det|unique)_": _RARE,
    r"^test_(if|loop\d+|scan\d?)_|^test_(if|loop11)_cpu": _CONTROL,
    r"^test_range_\w+_expanded": _CONTROL,
    r"^test_(sequence_|split_to_sequence|optional_|identity_(opt|sequence))": _SEQUENCES,
    r"^test_(string|strnorm|regex|tfidf)": _TEXT,
    r"^test_not_\dd_": "a model of opset 1; the operator itself is in models of later ones",
}
KINDS = ("NodeModel", "SimpleModel", "PyTorchConvertedModel", "PyTorchOperatorModel", "RealModel")
LEAST = {"NodeModel": 1200, "SimpleModel": 5, "PyTorchConvertedModel": 82, "PyTorchOperatorModel": 35, "RealModel": 9}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """The tests that ONNX makes for a backend, by their kinds; its own warnings are not ours."""
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx.backend.test
        from onnx.backend.base import Backend, BackendRep

        folder = tmp_path_factory.mktemp("models")

        class Graph(BackendRep):
            def __init__(self, model):
                path = folder / "model.onnx"
                path.write_bytes(model.SerializeToString())
                self.net = fastnn_onnx.load(path, max_bytes=1 << 31)  # weights of the real networks: constants there
                constants = {tensor.name for tensor in model.graph.initializer}
                self.inputs = [info.name for info in model.graph.input if info.name not in constants]

            def run(self, inputs, **kwargs):
                names = [re.sub(r"[^\w.-]+", ".", name).strip(".") for name in self.inputs]
                given = dict(zip(names, inputs, strict=False))
                y = self.net(*(given[name] for name in self.net.inputs))
                return y if len(self.net.outputs) > 1 else (y,)

        class Fastnn(Backend):
            @classmethod
            def prepare(cls, model, device="CPU", **kwargs):
                return Graph(model)

            @classmethod
            def supports_device(cls, device):
                return device == "CPU"

        return onnx.backend.test.BackendTest(Fastnn, __name__).test_cases


def names_of(cases, kind):
    return [name for name in dir(cases[f"OnnxBackend{kind}Test"]) if re.match(r"test_.*_cpu$", name)]


@pytest.mark.parametrize("kind", KINDS)
def test_of_backends(cases, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("ONNX_HOME", str(tmp_path))
    names = [name for name in names_of(cases, kind) if not any(re.search(each, name) for each in EXCLUDED)]
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unittest.TestSuite(map(cases[f"OnnxBackend{kind}Test"], names)).run(result)
    found = {test.id().rpartition(".")[2]: text.splitlines()[-1] for test, text in result.failures + result.errors}
    assert not found
    assert result.testsRun == len(names) >= LEAST[kind]
    assert not result.skipped


def test_each_reason_is_one(cases):
    """A pattern leaves something out, and no test is left out twice."""
    names = [name for kind in KINDS for name in names_of(cases, kind)]
    counts = Counter(each for name in names for each in EXCLUDED if re.search(each, name))
    assert set(counts) == set(EXCLUDED)
    assert sum(counts.values()) == sum(any(re.search(each, name) for each in EXCLUDED) for name in names)
    print(f"\n{len(names)} tests, {sum(counts.values())} excluded")


def models_of_pytorch(torch):
    """Modules in PyTorch's manner, and inputs: what exporters make of views, chunks, gates, attention, skips."""
    nn, F = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

        def forward(self, x):
            B, T, C = x.shape
            q, k, v = self.qkv(self.norm(x)).view(B, T, 3, 4, 4).permute(2, 0, 3, 1, 4)
            weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
            return x + self.out((weights @ v).transpose(1, 2).reshape(B, T, C))

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
            self.down, self.up, self.groups = nn.Linear(8, 4), nn.Linear(4, 8), nn.GroupNorm(2, 8)

        def forward(self, x):
            x = F.silu(self.norm(self.conv(x)))
            gates = torch.sigmoid(self.up(F.gelu(self.down(x.mean((2, 3))))))
            x = self.groups(x * gates[:, :, None, None])
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
            return torch.flatten(F.adaptive_avg_pool2d(x, 2), 1) + torch.flatten(x.chunk(2, 1)[1], 1)[:, :32]

    class Block(nn.Module):
        """Of MobileNet v2, with depthwise convolutions and ReLU6."""

        def __init__(self, channels, outputs, stride):
            super().__init__()
            wide = 4 * channels
            self.same = stride == 1 and channels == outputs
            self.body = nn.Sequential(
                nn.Conv2d(channels, wide, 1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU6(),
                nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU6(),
                nn.Conv2d(wide, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

        def forward(self, x):
            return x + self.body(x) if self.same else self.body(x)

    mobile = nn.Sequential(
        Block(3, 8, 2), Block(8, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 5)
    )

    class Decoder(nn.Module):
        """Down, up, and across."""

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
            self.up, self.last = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 2, 1)
            self.slope = nn.PReLU(8)

        def forward(self, x):
            a = self.slope(self.first(F.pad(x, (1, 1, 1, 1), mode="reflect")))[:, :, 1:-1, 1:-1]
            b = F.leaky_relu(self.second(F.max_pool2d(a, 2)), 0.2)
            return self.last(torch.cat([a, self.up(b)], 1)).clamp(-2, 2).log_softmax(1)

    images = torch.randn(2, 3, 16, 16)
    return {
        "attention": (Attention(), torch.randn(2, 5, 16)),
        "gated": (Gated(), images),
        "mobile": (mobile, images),
        "decoder": (Decoder(), images),
    }


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("name", ["attention", "gated", "mobile", "decoder"])
def test_models_that_pytorch_exports(name, exporter, tmp_path):
    """PyTorch, ONNX Runtime and the graph agree, for another batch than was exported; so do all gradients."""
    torch, ort = pytest.importorskip("torch"), pytest.importorskip("onnxruntime")
    if exporter == "dynamo":
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    module, x = models_of_pytorch(torch)[name]
    module.train()(x)
    module.eval()
    path = str(tmp_path / "model.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            torch.onnx.export(module, (x,), path, dynamo=True, dynamic_shapes=({0: "N"},), verbose=False)
        else:
            names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}}
            torch.onnx.export(module, (x,), path, dynamo=False, do_constant_folding=True, **names)
    net = fastnn_onnx.load(path)
    x = torch.randn(5, *x.shape[1:], requires_grad=True)
    expected = module(x)
    array = x.detach().numpy()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {session.get_inputs()[0].name: array})
    y = net(array)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y, theirs, rtol=1e-4, atol=1e-5)
    dy = torch.randn_like(expected)
    expected.backward(dy)
    if any(isinstance(each, fnn.BatchNorm2d) for each in net.modules()):
        return  # in train mode it is another network than PyTorch's in eval mode
    net.train()
    for each in net.modules():
        each.training = not isinstance(each, fnn.Dropout)
    net(array)
    np.testing.assert_allclose(net.backward(dy.numpy()), x.grad, rtol=1e-3, atol=1e-5)
    ours = {p.name: p for p in net.parameters()}
    same = 0
    for each, p in module.named_parameters():  # an exporter turns some, and folds batch normalisation into others
        if each in ours and np.array_equal(ours[each], p.detach()):
            np.testing.assert_allclose(ours[each].grad, p.grad, rtol=1e-3, atol=1e-5, err_msg=each)
            same += 1
    assert same >= 2
