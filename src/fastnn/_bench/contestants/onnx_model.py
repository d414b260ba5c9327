"""A network as an ONNX model, which both inference engines read."""

from __future__ import annotations

from typing import Any

from fastnn import _extras
from fastnn._bench.cases import Array
from fastnn._bench.settings import Network

INPUT, OUTPUT = "x", "y"
OPSET, IR_VERSION = 17, 8  # of 2022: everything since reads them


def require_onnx() -> Any:
    """The package that writes models."""
    return _extras.require("onnx", "comparing with inference engines", "bench")


def onnx_model(network: Network, weights: dict[str, Array]) -> bytes:
    """The network with these weights in eval mode, for one size of minibatch."""
    onnx = require_onnx()
    make = onnx.helper
    nodes: list[Any] = []

    def write(layer: tuple[Any, ...], tensor: str, name: str) -> str:
        """Write the nodes of a layer of this name; return the name of its output."""
        kind, *arguments = layer
        inner = _inner(kind, arguments, name)
        if kind == "sequential":
            for part, path in inner:
                tensor = write(part, tensor, path)
            return tensor
        outputs = [write(part, tensor, path) for part, path in inner]
        if kind == "residual" and len(outputs) == 1:
            outputs.append(tensor)
        operator, parameters, attributes = _operator(kind, *arguments)
        inputs = outputs or [tensor, *(f"{name}.{parameter}" for parameter in parameters)]
        nodes.append(make.make_node(operator, inputs, [name], **attributes))
        return name

    last = write(("sequential", *network.layers), INPUT, "")
    nodes.append(make.make_node("Identity", [last], [OUTPUT]))
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


def _inner(kind: str, arguments: list[Any], name: str) -> list[tuple[tuple[Any, ...], str]]:
    """The layers inside a layer, and their names in a state dict."""
    parts: tuple[str, ...] = ()
    if kind == "residual":
        parts = "body", "shortcut"
    elif kind in ("sequential", "concat"):
        parts = tuple(map(str, range(len(arguments))))
    return [(part, f"{name}.{place}".lstrip(".")) for part, place in zip(arguments, parts, strict=False)]


def _operator(kind: str, *arguments: Any) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """ONNX's operator for a layer, the parameters of the layer that it takes, and its attributes."""
    match kind:
        case "residual":
            return "Add", (), {}
        case "concat":
            return "Concat", (), {"axis": 1}
        case "conv":
            _, _, kernel, padding, *stride = arguments
            windows = {"kernel_shape": [kernel] * 2, "pads": [padding] * 4, "strides": (stride or [1]) * 2}
            return "Conv", ("weight", "bias"), windows
        case "linear":
            return "Gemm", ("weight", "bias"), {"transB": 1}
        case "maxpool":
            kernel, *stride = arguments
            windows = {"kernel_shape": [kernel] * 2, "strides": (stride or [kernel]) * 2}
            return "MaxPool", (), {**windows, "ceil_mode": len(stride)}
        case "avgpool":
            (kernel,) = arguments
            return "AveragePool", (), {"kernel_shape": [kernel] * 2, "strides": [kernel] * 2}
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
