"""A network as an ONNX model, which both inference engines read."""

from __future__ import annotations

from typing import Any

from fastnn import _extras
from fastnn._bench.cases import Array, Network

INPUT, OUTPUT = "x", "y"
OPSET, IR_VERSION = 17, 8  # of 2022: everything since reads them


def require_onnx() -> Any:
    """The package that writes models."""
    return _extras.require("onnx", "comparing with inference engines", "bench")


def onnx_model(network: Network, weights: dict[str, Array]) -> bytes:
    """The network with these weights in eval mode, for one size of minibatch."""
    onnx = require_onnx()
    make = onnx.helper
    nodes = []
    tensor = INPUT
    for place, (kind, *arguments) in enumerate(network.layers):
        operator, parameters, attributes = _operator(kind, *arguments)
        result = OUTPUT if place == len(network.layers) - 1 else f"{place}"
        inputs = [tensor, *(f"{place}.{parameter}" for parameter in parameters)]
        nodes.append(make.make_node(operator, inputs, [result], **attributes))
        tensor = result
    used = {name for node in nodes for name in node.input}
    graph = make.make_graph(
        nodes,
        "network",
        [make.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, network.x)],
        [make.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, [network.x[0], None])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items() if name in used],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _operator(kind: str, *arguments: Any) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """ONNX's operator for a layer, the parameters of the layer that it takes, and its attributes."""
    match kind:
        case "conv":
            _, _, kernel, padding = arguments
            return "Conv", ("weight", "bias"), {"kernel_shape": [kernel] * 2, "pads": [padding] * 4}
        case "linear":
            return "Gemm", ("weight", "bias"), {"transB": 1}
        case "maxpool":
            (kernel,) = arguments
            return "MaxPool", (), {"kernel_shape": [kernel] * 2, "strides": [kernel] * 2}
        case "batchnorm":
            return "BatchNormalization", ("weight", "bias", "running_mean", "running_var"), {}
        case "dropout":
            return "Dropout", (), {}
        case "relu":
            return "Relu", (), {}
        case "sigmoid":
            return "Sigmoid", (), {}
        case "flatten":
            return "Flatten", (), {}
    raise AssertionError(f"no operator for {kind!r}")
