"""Layers: each holds its parameters and what its backward needs; the arithmetic is in ``fastnn.functional``."""

from typing import TYPE_CHECKING, Any

from fastnn.layers.activation import (
    ELU,
    GELU,
    SELU,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from fastnn.layers.branches import Concat, Residual
from fastnn.layers.containers import Sequential
from fastnn.layers.conv import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from fastnn.layers.dropout import Dropout, Dropout2d
from fastnn.layers.embedding import Embedding
from fastnn.layers.fold_batch_norm import fold_batch_norm
from fastnn.layers.hooks import RemovableHandle
from fastnn.layers.joints import Add, Cat, Constant, Div, Expand, MatMul, Mul, Split, Sub
from fastnn.layers.linear import Linear
from fastnn.layers.lists import ModuleDict, ModuleList
from fastnn.layers.localnorm import LocalResponseNorm
from fastnn.layers.module import Module
from fastnn.layers.norm import BatchNorm1d, BatchNorm2d
from fastnn.layers.own_forward import OwnForward
from fastnn.layers.parameter import Buffer, Parameter
from fastnn.layers.patches import (
    CircularPad1d,
    CircularPad2d,
    ConstantPad1d,
    ConstantPad2d,
    Fold,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    Unfold,
    ZeroPad1d,
    ZeroPad2d,
)
from fastnn.layers.pool import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from fastnn.layers.prelu import PReLU
from fastnn.layers.rearrange import Clamp, Mean, Pad, Permute, Reshape, Slice, Sum
from fastnn.layers.resample import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    Upsample,
)
from fastnn.layers.rownorm import GroupNorm, InstanceNorm2d, LayerNorm
from fastnn.layers.shape import Flatten, Identity, PixelShuffle, PixelUnshuffle, Unflatten
from fastnn.layers.softmax import LogSoftmax, Softmax
from fastnn.layers.symbol import TraceError

if TYPE_CHECKING:
    from fastnn.layers.graph import Graph, trace

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Cat",
    "CircularPad1d",
    "CircularPad2d",
    "Clamp",
    "Concat",
    "Constant",
    "ConstantPad1d",
    "ConstantPad2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Div",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Expand",
    "Flatten",
    "Fold",
    "Graph",
    "GroupNorm",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "InstanceNorm2d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MatMul",
    "MaxPool1d",
    "MaxPool2d",
    "Mean",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Mul",
    "PReLU",
    "Pad",
    "Parameter",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "RemovableHandle",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Split",
    "Sub",
    "Sum",
    "Tanh",
    "TraceError",
    "Unflatten",
    "Unfold",
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "fold_batch_norm",
    "trace",
]


class _Tracer:
    """What traces modules with a forward of their own. It is loaded for the first of them: most networks have none."""

    def __getattr__(self, name: str) -> Any:
        from fastnn.layers import traces

        return getattr(traces.tracer, name)


OwnForward.tracer = _Tracer()

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load graphs when they are first used."""
        if name not in ("Graph", "trace"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from fastnn.layers import graph

        value = globals()[name] = getattr(graph, name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
