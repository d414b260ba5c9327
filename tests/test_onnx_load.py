"""ONNX models as graphs: what was saved comes back, models of others run, train, and damaged ones are errors."""

import copy
import pickle
import struct

import numpy as np
import pytest

import fastnn as fnn
from fastnn import networks
from fastnn.interop import onnx as fastnn_onnx
from fastnn.interop.onnx.function import OPERATIONS
from networks import normal
from test_networks import NETWORKS
from test_onnx_save import LAYERS, assert_agrees

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper


def model_of(nodes, inputs, outputs, constants=(), opset=17):
    """A model of nodes (kind, inputs, outputs, attributes); inputs and outputs are dicts from names to shapes."""
    infos = [
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in each.items()]
        for each in (inputs, outputs)
    ]
    made = [helper.make_node(kind, ins, outs, f"{kind}_{i}", **more) for i, (kind, ins, outs, more) in enumerate(nodes)]
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    graph = helper.make_graph(made, "network", *infos, arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def load(tmp_path):
    def load(model, **more):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return fastnn_onnx.load(path, **more)

    return load


# What was saved


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(tmp_path, name):
    shape, *_ = NETWORKS[name]
    fnn.manual_seed(3)
    net, path = getattr(networks, name)(), tmp_path / "net.onnx"
    net(normal(4, *shape))
    fastnn_onnx.save(net, path, (2, *shape))
    again = fastnn_onnx.load(path)
    x = normal(3, *shape)
    assert_agrees(again(x), net.eval()(x))
    assert {p.name for p in again.parameters()} == {p.name for p in net.parameters()}
    assert not any(isinstance(module, fastnn_onnx.Function) for module in again.modules())


ROUND = [(layer, shape) for layer, shape in LAYERS if not isinstance(layer, fnn.Dropout)]


@pytest.mark.parametrize(("layer", "shape"), ROUND, ids=[type(layer).__name__ for layer, _ in ROUND])
def test_a_layer_there_and_back(tmp_path, layer, shape):
    """Its output in eval mode, and the gradients in train mode."""
    dtype = next((p.dtype for p in layer.parameters()), np.float32)
    x, layer = normal(*shape, dtype=dtype), copy.deepcopy(layer).train()
    layer(x)
    path = tmp_path / "net.onnx"
    fastnn_onnx.save(layer, path, shape)
    again = fastnn_onnx.load(path)
    y = layer.eval()(x)
    assert_agrees(again(x), y)
    if isinstance(layer, fnn.InstanceNorm2d) and layer.track_running_stats:
        return  # it comes back as batch normalisation, which is another thing in train mode
    dy = normal(*y.shape, dtype=dtype, seed=1)
    layer.train()(x)
    again.train()(x)
    expected, got = layer.backward(dy), again.backward(dy)
    scale = 1e-5 * max(np.abs(expected).max(), 1)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=scale)


# Models of others

DYNAMIC = {"x": ["N", 4, 6]}


def test_a_shape_that_is_worked_out_becomes_a_layer(load):
    """PyTorch's way to write ``x.view(x.size(0), -1)``."""
    net = load(
        model_of(
            [
                ("Shape", ["x"], ["shape"], {}),
                ("Gather", ["shape", "zero"], ["n"], {"axis": 0}),
                ("Unsqueeze", ["n", "axis"], ["n1"], {}),
                ("Concat", ["n1", "rest"], ["target"], {"axis": 0}),
                ("Reshape", ["x", "target"], ["y"], {}),
            ],
            DYNAMIC,
            {"y": ["N", 24]},
            {"zero": np.int64(0), "axis": np.array([0]), "rest": np.array([-1])},
        )
    )
    assert [type(module) for module in net.children()] == [fnn.Flatten, fnn.Identity]
    assert net(normal(5, 4, 6)).shape == (5, 24)


def test_lengths_that_never_change_are_numbers(load):
    net = load(
        model_of(
            [
                ("Shape", ["x"], ["shape"], {}),
                ("Gather", ["shape", "two"], ["length"], {}),
                ("Div", ["length", "two"], ["half"], {}),
                ("Slice", ["x", "zero", "half", "two"], ["y"], {}),
            ],
            DYNAMIC,
            {"y": ["N", 4, 3]},
            {"two": np.array([2]), "zero": np.array([0])},
        )
    )
    assert [type(module) for module in net.children()] == [fnn.Slice, fnn.Identity]


def test_a_shape_that_is_a_value_is_followed(load):
    """A shape of an input that nothing is known of."""
    net = load(
        model_of(
            [
                ("Shape", ["x"], ["shape"], {}),
                ("Slice", ["shape", "zero", "one"], ["n"], {}),
                ("Concat", ["n", "rest"], ["target"], {"axis": 0}),
                ("Reshape", ["x", "target"], ["r"], {}),
                ("MatMul", ["r", "w"], ["m"], {}),
                ("Add", ["b", "m"], ["y"], {}),
            ],
            {"x": None},
            {"y": None},
            {
                "zero": np.array([0]),
                "one": np.array([1]),
                "rest": np.array([-1]),
                "w": normal(24, 3),
                "b": normal(3),
            },
        )
    )
    for n in (1, 4):
        assert net(normal(n, 4, 3, 2)).shape == (n, 3)
    assert {p.name for p in net.parameters()} == {"MatMul_4.weight", "MatMul_4.bias"}
    assert net.train()(normal(2, 24)).shape == (2, 3)
    assert net.backward(np.ones((2, 3), np.float32)).shape == (2, 24)


def test_a_batch_that_the_model_fixed_may_be_another(load):
    net = load(model_of([("Reshape", ["x", "to"], ["y"], {})], {"x": [1, 4, 6]}, {"y": [1, 24]}, {"to": [1, 24]}))
    assert net(normal(3, 4, 6)).shape == (3, 24)


def test_weights_are_parameters_and_are_shared(load):
    """In a linear layer, in arithmetic, of two convolutions, of a table; a number is none."""
    net = load(
        model_of(
            [
                ("Conv", ["x", "conv.weight"], ["a"], {"pads": [1, 1, 1, 1]}),
                ("Conv", ["a", "conv.weight"], ["b"], {"auto_pad": "SAME_UPPER"}),
                ("Mul", ["b", "scale"], ["c"], {}),
                ("Div", ["c", "eight"], ["y"], {}),
            ],
            {"x": ["N", 2, 5, 5]},
            {"y": ["N", 2, 5, 5]},
            {"conv.weight": normal(2, 2, 3, 3), "scale": normal(2, 1, 1), "eight": np.float32(8)},
        )
    )
    assert [p.name for p in net.parameters()] == ["conv.weight", "scale"]
    assert net["conv"].weight is net["conv_2"].weight
    x = normal(4, 2, 5, 5)
    y = 2 * net(x)
    criterion, optimizer = fnn.MSELoss(), fnn.Adam(net.train().parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        losses.append(criterion(net(x), y))
        net.backward(criterion.backward())
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_patterns_of_other_packages(load):
    """x * sigmoid(x) is SiLU; a product and a sum are a linear layer; Clip to 0 and 6 is ReLU6."""
    net = load(
        model_of(
            [
                ("MatMul", ["x", "fc.weight"], ["a"], {}),
                ("Add", ["a", "fc.bias"], ["b"], {}),
                ("Sigmoid", ["b"], ["s"], {}),
                ("Mul", ["s", "b"], ["m"], {}),
                ("Clip", ["m", "zero", "six"], ["y"], {}),
            ],
            DYNAMIC,
            {"y": ["N", 4, 3]},
            {"fc.weight": normal(6, 3), "fc.bias": normal(3), "zero": np.float32(0), "six": np.float32(6)},
        )
    )
    assert [type(module) for module in net.children()] == [fnn.Linear, fnn.SiLU, fnn.ReLU6, fnn.Identity]
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"]


@pytest.mark.parametrize("turned", [False, True])
def test_gelu_of_older_exporters(load, turned):
    def both(a, b):
        return [b, a] if turned else [a, b]

    net = load(
        model_of(
            [
                ("Mul", ["x", "c"], ["a"], {}) if turned else ("Div", ["x", "r"], ["a"], {}),
                ("Erf", ["a"], ["b"], {}),
                ("Add", both("b", "one"), ["d"], {}),
                ("Mul", both("x", "d"), ["e"], {}),
                ("Mul", both("e", "half"), ["y"], {}),
            ],
            DYNAMIC,
            {"y": ["N", 4, 6]},
            {"r": np.float32(2**0.5), "c": np.float32(0.5**0.5), "one": np.float32(1), "half": np.float32(0.5)},
        )
    )
    assert [type(module) for module in net.children()] == [fnn.GELU, fnn.Identity]


def test_a_table_of_rows_and_several_outputs(load):
    model = model_of(
        [
            ("Gather", ["table", "rows"], ["a"], {}),
            ("Split", ["a", "parts"], ["b", "c"], {"axis": 2}),
            ("TopK", ["c", "k"], ["d", "e"], {}),
        ],
        {},
        {"b": ["N", 3, 1], "e": ["N", 3, 2]},
        {"table": normal(9, 4), "parts": np.array([1, 3]), "k": np.array([2])},
    )
    model.graph.input.append(helper.make_tensor_value_info("rows", onnx.TensorProto.INT64, ["N", 3]))
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    net, rows = load(model), np.array([[1, 8, 1], [0, 2, 3]])
    b, e = net(rows)
    table = numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_array_equal(b, table[rows][..., :1])
    np.testing.assert_array_equal(e, np.argsort(-table[rows][..., 1:], -1)[..., :2])
    assert type(net["Gather_0"]) is fnn.Embedding


def test_copies_and_pickles(load):
    net = load(
        model_of(
            [("Erf", ["x"], ["a"], {}), ("Pow", ["a", "p"], ["y"], {})],
            DYNAMIC,
            {"y": ["N", 4, 6]},
            {"p": np.float32([2])},
        )
    )
    x = normal(2, 4, 6)
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(again(x), net(x))
    assert "Function(Pow, input 1 of shape (1,))" in repr(net)


def test_functions_are_written_again(load, tmp_path):
    """ONNX Runtime computes what they do, for several batches."""
    ort = pytest.importorskip("onnxruntime")
    net = load(
        model_of(
            [
                ("Erf", ["x"], ["a"], {}),
                ("Pow", ["a", "two"], ["b"], {}),
                ("ReduceMax", ["b"], ["c"], {"axes": [2]}),
                ("Where", ["is", "b", "c"], ["d"], {}),
                ("Shape", ["d"], ["s"], {}),
                ("ConstantOfShape", ["s"], ["e"], {}),
                ("Cast", ["e"], ["f"], {"to": 11}),
                ("Cast", ["f"], ["g"], {"to": 1}),
                ("TopK", ["d", "k"], ["h", "i"], {}),
                ("Concat", ["h", "g"], ["j"], {"axis": 2}),
                ("MatMul", ["j", "w"], ["k1"], {}),
                ("Clip", ["k1", "", "one"], ["y"], {}),
            ],
            DYNAMIC,
            {"y": ["N", 4, 2]},
            {
                "two": np.float32(2),
                "one": np.float32(1),
                "is": np.array([[True], [False], [True], [False]]),
                "k": np.array([3]),
                "w": normal(9, 2),
            },
        )
    )
    path = tmp_path / "again.onnx"
    fastnn_onnx.save(net, path, (1, 4, 6))
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for n in (1, 3):
        x = normal(n, 4, 6, seed=n)
        assert_agrees(session.run(["y"], {"x": x})[0], net(x))
        assert_agrees(fastnn_onnx.load(path)(x), net(x))


def test_a_function_of_a_later_opset_cannot_be_written(tmp_path):
    net = fnn.Sequential(fastnn_onnx.Function("Swish"))
    with pytest.raises(ValueError, match=r"^layer 0 \(Function\): is a Swish, which ONNX has not in opset 20"):
        fastnn_onnx.save(net, tmp_path / "net.onnx", (1, 4))


# Functions

SMALL, POSITIVE = normal(3, 4, dtype=np.float64), 0.5 + np.abs(normal(3, 4, dtype=np.float64))
IMAGES = normal(2, 4, 5, 6, dtype=np.float64)
ARRAY = np.array
SMOOTH = [
    "Abs",
    "Neg",
    "Exp",
    "Sin",
    "Cos",
    "Tan",
    "Atan",
    "Sinh",
    "Cosh",
    "Tanh",
    "Asinh",
    "Erf",
    "Sigmoid",
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Celu",
    "Softplus",
    "Softsign",
    "Mish",
    "Swish",
    "HardSwish",
    "HardSigmoid",
    "Gelu",
    "Shrink",
    "ThresholdedRelu",
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
    "Softmax",
    "LogSoftmax",
    "Identity",
]
FUNCTIONS = [
    *[(name, {}, {}, 0.7 * np.tanh(SMALL)) for name in ("Asin", "Acos", "Atanh")],
    *[(name, {}, {}, POSITIVE) for name in ("Log", "Sqrt", "Reciprocal", "ReduceLogSum", "ReduceProd")],
    ("Acosh", {}, {}, 1 + POSITIVE),
    *[(name, {}, {}, SMALL) for name in SMOOTH],
    ("ReduceSum", {"keepdims": 0}, {1: ARRAY([-1])}, SMALL),
    ("Pow", {}, {1: ARRAY(2.5)}, POSITIVE),
    ("Pow", {}, {0: ARRAY(2.5)}, SMALL),
    ("Div", {}, {0: ARRAY(2.5)}, POSITIVE),
    ("Max", {}, {1: ARRAY(0.1)}, SMALL),
    ("Clip", {}, {1: ARRAY(-0.4), 2: ARRAY(0.5)}, SMALL),
    ("Where", {}, {0: SMALL > 0, 2: np.ones(4)}, SMALL),
    ("Cast", {"to": "float64"}, {}, SMALL),
    ("Softmax", {"axis": 1, "flattened": 1}, {}, IMAGES),
    ("CumSum", {"exclusive": 1, "reverse": 1}, {1: ARRAY(1)}, SMALL),
    ("TopK", {}, {1: ARRAY([2])}, SMALL),
    ("Trilu", {"upper": 0}, {}, SMALL),
    ("Reshape", {}, {1: ARRAY([2, -1])}, SMALL),
    ("Transpose", {"perm": [1, 0]}, {}, SMALL),
    ("Gather", {"axis": 1}, {1: ARRAY([[0, 3], [3, 1]])}, SMALL),
    ("GatherElements", {"axis": 1}, {1: ARRAY([[0, 3], [3, 1]])}, SMALL),
    ("GatherND", {}, {1: ARRAY([[0, 3], [2, 1]])}, SMALL),
    ("Slice", {}, {1: ARRAY([-1]), 2: ARRAY([-9]), 3: ARRAY([1]), 4: ARRAY([-2])}, SMALL),
    ("Expand", {}, {1: ARRAY([2, 1, 4])}, SMALL),
    ("Tile", {}, {1: ARRAY([2, 3])}, SMALL),
    ("Pad", {"mode": "reflect"}, {1: ARRAY([1, -1, 0, 2])}, SMALL),
    ("DepthToSpace", {"blocksize": 2}, {}, IMAGES),
    ("SpaceToDepth", {"blocksize": 2}, {}, normal(2, 1, 4, 6, dtype=np.float64)),
    ("MatMul", {}, {1: normal(4, 2, dtype=np.float64)}, SMALL),
    ("MatMul", {}, {0: normal(2, 5, 3, dtype=np.float64)}, SMALL),
    ("MatMul", {}, {1: normal(4, dtype=np.float64)}, SMALL),
    ("Gemm", {"alpha": 0.5, "transA": 1, "transB": 1}, {1: normal(2, 3, dtype=np.float64)}, SMALL),
    ("Conv", {"pads": [0, 1, 2, 0], "group": 2}, {1: normal(4, 2, 3, 2, dtype=np.float64)}, IMAGES),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2]}, {1: normal(3, 4, 3, dtype=np.float64)}, IMAGES[..., 0]),
    ("MaxPool", {"kernel_shape": [3, 2], "pads": [1, 0, 0, 1], "strides": [2, 2], "ceil_mode": 1}, {}, IMAGES),
    ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 0, 1], "strides": [2, 2], "ceil_mode": 1}, {}, IMAGES),
    ("AveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 0, 1], "count_include_pad": 1}, {}, IMAGES),
    ("GlobalAveragePool", {}, {}, IMAGES),
    ("Resize", {"mode": "cubic"}, {1: None, 2: ARRAY([1, 1, 1.5, 0.7])}, IMAGES),
    ("Resize", {"mode": "linear", "antialias": 1}, {1: None, 2: None, 3: ARRAY([2, 4, 3, 9])}, IMAGES),
    ("LayerNormalization", {"axis": 2}, {1: normal(5, 6, dtype=np.float64)}, IMAGES),
    ("RMSNormalization", {}, {1: normal(6, dtype=np.float64)}, IMAGES),
    ("InstanceNormalization", {}, {1: normal(4, dtype=np.float64), 2: np.ones(4)}, IMAGES),
    ("GroupNormalization", {"num_groups": 2}, {1: normal(2, dtype=np.float64), 2: np.ones(2)}, IMAGES),
    ("Dropout", {"outputs": 2}, {1: ARRAY(0.5)}, SMALL),
]


@pytest.mark.parametrize(("kind", "attributes", "constants", "x"), FUNCTIONS, ids=[each[0] for each in FUNCTIONS])
def test_gradients_of_functions(kind, attributes, constants, x):
    function = fastnn_onnx.Function(kind, attributes, constants)
    y = function(x)
    net = function if not isinstance(y, tuple) else fnn.Graph({"f": (function, "x"), "y": (fnn.Identity(), "f[0]")})
    assert fnn.gradcheck(net, x, show=False).passed


TWO = [
    ("Add", {}, [SMALL, normal(4, dtype=np.float64)]),
    ("Mul", {}, [normal(2, 1, 4, dtype=np.float64), SMALL]),
    ("Div", {}, [SMALL, POSITIVE]),
    ("Pow", {}, [POSITIVE, SMALL]),
    ("PRelu", {}, [SMALL, normal(4, dtype=np.float64)]),
    ("Mean", {}, [SMALL, POSITIVE, normal(1, 4, dtype=np.float64)]),
    ("Min", {}, [SMALL, POSITIVE]),
    ("MatMul", {}, [normal(2, 3, 4, dtype=np.float64), normal(4, 5, dtype=np.float64)]),
    ("Gemm", {"beta": 2.0}, [normal(2, 3, dtype=np.float64), SMALL, normal(4, dtype=np.float64)]),
    ("Concat", {"axis": 1}, [SMALL, SMALL[:, :1]]),
    ("Conv", {"strides": [2]}, [normal(2, 3, 7, dtype=np.float64), normal(4, 3, 2, dtype=np.float64)]),
    ("LayerNormalization", {}, [SMALL, POSITIVE[0], SMALL[1]]),
]


@pytest.mark.parametrize(("kind", "attributes", "inputs"), TWO, ids=[each[0] for each in TWO])
def test_gradients_of_functions_of_several_inputs(kind, attributes, inputs):
    """Of each, with the others as constants; one call gives the gradients of all."""
    whole = fastnn_onnx.Function(kind, attributes)
    y = whole(*inputs)
    together = whole.backward(np.ones_like(y))
    for place, x in enumerate(inputs):
        others = {other: each for other, each in enumerate(inputs) if other != place}
        function = fastnn_onnx.Function(kind, attributes, others)
        assert fnn.gradcheck(function, x, show=False).passed
        function(x)
        np.testing.assert_allclose(together[place], function.backward(np.ones_like(y)))


@pytest.mark.parametrize("kind", ["Floor", "Shape", "ArgMax", "IsNaN", "Hardmax"])
def test_flat_functions_have_gradients_of_0(kind):
    function = fastnn_onnx.Function(kind)
    y = function(SMALL)
    np.testing.assert_array_equal(function.backward(np.ones(y.shape)), np.zeros_like(SMALL))


def test_a_function_without_backward_says_so():
    function = fastnn_onnx.Function("Einsum", {"equation": "ij->j"})
    function(SMALL)
    with pytest.raises(TypeError, match=r"^Einsum has no backward; expected"):
        function.backward(np.ones(4))
    with pytest.raises(ValueError, match=r"^kind: got 'Loop'"):
        fastnn_onnx.Function("Loop")


# What cannot be read

X, Y = {"x": ["N", 4]}, {"y": ["N", 4]}


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([("Frobnicate", ["x"], ["y"], {})], {}, r"node 'Frobnicate_0' \(Frobnicate\): is an operator that fastnn has"),
        ([("GRU", ["x", "x", "x"], ["y"], {"hidden_size": 3})], {}, r"node 'GRU_0' \(GRU\): is an operator that"),
        ([("Relu", ["x"], ["y"], {"domain": "my.own"})], {}, r"node 'Relu_0' \(Relu\): is an operator of 'my.own'"),
        ([("Relu", ["z"], ["y"], {})], {}, r"node 'Relu_0' \(Relu\): takes 'z', which nothing"),
        ([("Celu", ["x"], ["y"], {"beta": 1.0})], {}, r"node 'Celu_0' \(Celu\): has the attribute 'beta'"),
        ([("Cast", ["x"], ["y"], {"to": 16})], {}, r"node 'Cast_0' \(Cast\): makes numbers of a type"),
        ([("Relu", ["x"], ["z"], {})], {}, r"holds no ONNX model, or a damaged one \(KeyError"),
        (
            [("Squeeze", ["x", "a"], ["y"], {})],
            {"a": [9]},
            r".*Squeeze_0' \(Squeeze\): ValueError: has the axes \(9,\)",
        ),
        (
            [("ConstantOfShape", ["n"], ["c"], {}), ("Add", ["x", "c"], ["y"], {})],
            {"n": [1 << 20, 1 << 20]},
            r"node 'ConstantOfShape_0' \(ConstantOfShape\): makes arrays that are much larger than the file",
        ),
        (
            [("Expand", ["c", "n"], ["d"], {}), ("Add", ["x", "d"], ["y"], {})],
            {"c": np.float32([1]), "n": [1 << 40]},
            r"node 'Expand_0' \(Expand\): makes arrays",
        ),
        (
            [("Tile", ["c", "n"], ["d"], {}), ("Add", ["x", "d"], ["y"], {})],
            {"c": np.float32([1]), "n": [1 << 40]},
            r"node 'Tile_0' \(Tile\): makes arrays",
        ),
        (
            [("Range", ["c", "n", "d"], ["e"], {}), ("Add", ["x", "e"], ["y"], {})],
            {"c": np.float32(0), "n": np.float32(1e30), "d": np.float32(1)},
            r"node 'Range_0' \(Range\): makes arrays",
        ),
        (
            [
                ("Concat", ["c", "c"], ["c0"], {"axis": 0}),
                *[("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], {"axis": 0}) for i in range(40)],
                ("Add", ["x", "c40"], ["y"], {}),
            ],
            {"c": np.float32([1])},
            r"node 'Concat_\d+' \(Concat\): makes arrays",
        ),
        (
            [("MatMul", ["c", "d"], ["e"], {}), ("Add", ["x", "e"], ["y"], {})],
            {"c": np.ones((9000, 1), np.float32), "d": np.ones((1, 9000), np.float32)},
            r"node 'MatMul_0' \(MatMul\): makes arrays",
        ),
        (
            [("BatchNormalization", ["x", "s", "s", "s", "s"], [f"y{i}"], {}) for i in range(400)],
            {"s": np.ones(65536, np.float32)},
            r"node 'BatchNormalization_\d+' \(BatchNormalization\): makes arrays",
        ),
    ],
)
def test_what_cannot_be_read_is_named(load, nodes, constants, message):
    if nodes[0][3].get("domain"):
        model = model_of([(nodes[0][0], *nodes[0][1:3], {})], X, Y)
        model.graph.node[0].domain = nodes[0][3]["domain"]
    else:
        inputs = {"x": ["N", 65536]} if nodes[0][0] == "BatchNormalization" else X
        model = model_of(nodes, inputs, Y, constants)
    with pytest.raises(ValueError, match=rf"^\S*model\.onnx: {message}"):
        load(model)


@pytest.mark.parametrize("opset", [5, 99])
def test_other_opsets_are_named(load, opset):
    with pytest.raises(ValueError, match=rf"model\.onnx: is of opset {opset}; expected 6 to 28"):
        load(model_of([("Relu", ["x"], ["y"], {})], X, Y, opset=opset))


def test_max_bytes(load):
    model = model_of([("ConstantOfShape", ["n"], ["c"], {}), ("Add", ["x", "c"], ["y"], {})], X, Y, {"n": [3000, 1, 4]})
    with pytest.raises(ValueError, match="makes arrays that are much larger than the file; expected max_bytes"):
        load(model, max_bytes=10_000)
    assert load(model)(normal(2, 4)).shape == (3000, 2, 4)


def external(load, tmp_path, **entries):
    """A model whose weight is in another file."""
    model = model_of([("Add", ["x", "w"], ["y"], {})], X, Y, {"w": np.float32([1, 2, 3, 4])})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return load(model)


def test_weights_in_a_file_beside_the_model(load, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(b"????" + struct.pack("<4f", 1, 2, 3, 4))
    net = external(load, tmp_path, location="weights/w.bin", offset="4", length="16")
    np.testing.assert_array_equal(net(np.zeros((1, 4), np.float32)), [[1, 2, 3, 4]])


def test_arrays_of_a_file_are_not_more_than_it_holds(load, tmp_path):
    """The same bytes as thousands of weights."""
    (tmp_path / "w.bin").write_bytes(bytes(1 << 20))
    model = model_of([("Identity", ["x"], ["y"], {})], X, Y, {f"w{i}": np.zeros(4, np.float32) for i in range(200)})
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.dims[:] = [1 << 18]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    with pytest.raises(ValueError, match=r"model\.onnx: makes arrays that are much larger than the file"):
        load(model)


def test_weights_outside_of_the_folder_are_refused(load, tmp_path):
    outside = tmp_path.parent / "secret.bin"
    outside.write_bytes(bytes(16))
    (tmp_path / "short.bin").write_bytes(bytes(12))
    (tmp_path / "link.bin").symlink_to(outside)
    for location in ("../secret.bin", str(outside), "link.bin", "", "missing.bin", "."):
        with pytest.raises(ValueError, match=r"model\.onnx: keeps 'w' in "):
            external(load, tmp_path, location=location)
    for more in ({}, {"offset": "-4"}, {"length": "1000000000000"}, {"offset": "x"}):
        with pytest.raises(ValueError, match=r"model\.onnx: "):
            external(load, tmp_path, location="short.bin", **more)


def seeds(tmp_path):
    net = fnn.Sequential(
        fnn.Conv2d(1, 2, 3, padding=1),
        fnn.BatchNorm2d(2),
        fnn.ReLU(),
        fnn.MaxPool2d(2),
        fnn.Flatten(),
        fnn.Linear(18, 3),
    )
    fastnn_onnx.save(net, tmp_path / "seed.onnx", (1, 1, 6, 6))
    return (tmp_path / "seed.onnx").read_bytes()


def test_truncated_and_corrupt_files(load, tmp_path):
    """Every other byte once, changed in two ways, and cuts: an error that names the file, or a network."""
    whole, messages = seeds(tmp_path), []
    damaged = [whole[:cut] for cut in range(0, len(whole), 23)]
    for place in range(0, len(whole), 3):
        for change in (1, 0x80):
            damaged.append(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
    for content in damaged:
        try:
            load(content)
        except ValueError as error:
            messages.append(str(error))
    assert all("model.onnx: " in message for message in messages)
    assert len(messages) > len(damaged) / 4


def test_no_model_at_all(load, tmp_path):
    for content in (b"", b"\x89PNG\r\n", b"\x08\x07", b"\xff" * 100):
        with pytest.raises(ValueError, match=r"model\.onnx: "):
            load(content)
    with pytest.raises(OSError, match=r"nothing\.onnx"):
        fastnn_onnx.load(tmp_path / "nothing.onnx")


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'onnx is needed for .*: pip install "fastnn-kernels\[onnx\]"'):
        fastnn_onnx.load(tmp_path / "net.onnx")


def test_every_operator_is_in_one_table():
    assert len(OPERATIONS) > 120
    assert {"Relu", "Conv", "Resize", "Gather"} <= set(OPERATIONS)
