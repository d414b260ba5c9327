"""Small and mid-size neural networks on a CPU, from NumPy, fast.

>>> import fastnn as fnn
>>> net = fnn.Sequential(fnn.Linear(784, 100), fnn.ReLU(), fnn.Linear(100, 10))
>>> criterion = fnn.CrossEntropyLoss()
>>> optimizer = fnn.SGD(net.parameters(), lr=0.1, momentum=0.9)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fastnn import functional, init, reference
from fastnn._runtime import (
    get_num_threads,
    implementation,
    isa,
    isa_available,
    manual_seed,
    num_threads,
    register_threadpoolctl,
    set_num_threads,
    show_config,
)
from fastnn._version import __version__
from fastnn.functional import cat
from fastnn.layers import (
    ELU,
    GELU,
    SELU,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Buffer,
    Cat,
    CircularPad1d,
    CircularPad2d,
    Clamp,
    Concat,
    ConstantPad1d,
    ConstantPad2d,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Div,
    Dropout,
    Dropout2d,
    Embedding,
    Flatten,
    Fold,
    GroupNorm,
    Hardswish,
    Hardtanh,
    Identity,
    InstanceNorm2d,
    LayerNorm,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    LogSoftmax,
    MatMul,
    MaxPool1d,
    MaxPool2d,
    Mean,
    Module,
    ModuleDict,
    ModuleList,
    Mul,
    Pad,
    Parameter,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PReLU,
    ReflectionPad1d,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad1d,
    ReplicationPad2d,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Slice,
    Softmax,
    Softplus,
    Split,
    Sub,
    Sum,
    Tanh,
    TraceError,
    Unflatten,
    Unfold,
    Upsample,
    ZeroPad1d,
    ZeroPad2d,
    fold_batch_norm,
)

if TYPE_CHECKING:
    from fastnn import optim
    from fastnn.gradients import gradcheck, numeric_gradient
    from fastnn.layers import Graph, trace
    from fastnn.losses import (
        BCELoss,
        BCEWithLogitsLoss,
        CrossEntropyLoss,
        HuberLoss,
        KLDivLoss,
        L1Loss,
        MSELoss,
        NLLLoss,
        SmoothL1Loss,
    )
    from fastnn.optim import (
        SGD,
        Adagrad,
        Adam,
        AdamW,
        NAdam,
        RMSprop,
        clip_grad_norm_,
        clip_grad_value_,
        lr_scheduler,
    )
    from fastnn.plan.training import TrainingStep
    from fastnn.saving import load, save

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Cat",
    "CircularPad1d",
    "CircularPad2d",
    "Clamp",
    "Concat",
    "ConstantPad1d",
    "ConstantPad2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Div",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "Fold",
    "Graph",
    "GroupNorm",
    "Hardswish",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "InstanceNorm2d",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MSELoss",
    "MatMul",
    "MaxPool1d",
    "MaxPool2d",
    "Mean",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Mul",
    "NAdam",
    "NLLLoss",
    "PReLU",
    "Pad",
    "Parameter",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "RMSprop",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Slice",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Split",
    "Sub",
    "Sum",
    "Tanh",
    "TraceError",
    "TrainingStep",
    "Unflatten",
    "Unfold",
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "__version__",
    "cat",
    "clip_grad_norm_",
    "clip_grad_value_",
    "fold_batch_norm",
    "functional",
    "get_num_threads",
    "gradcheck",
    "implementation",
    "init",
    "isa",
    "isa_available",
    "load",
    "lr_scheduler",
    "manual_seed",
    "num_threads",
    "numeric_gradient",
    "optim",
    "reference",
    "register_threadpoolctl",
    "save",
    "set_num_threads",
    "show_config",
    "trace",
]

# Names and modules that are loaded at their first use: who runs a network needs none of them, and imports sooner.
_LATER = {
    name: module
    for module, names in {
        "fastnn.gradients": ("gradcheck", "gradients", "numeric_gradient"),
        "fastnn.layers.graph": ("Graph", "trace"),
        "fastnn.losses": (
            "BCELoss",
            "BCEWithLogitsLoss",
            "CrossEntropyLoss",
            "HuberLoss",
            "KLDivLoss",
            "L1Loss",
            "MSELoss",
            "NLLLoss",
            "SmoothL1Loss",
            "losses",
        ),
        "fastnn.optim": (
            "SGD",
            "Adagrad",
            "Adam",
            "AdamW",
            "NAdam",
            "RMSprop",
            "clip_grad_norm_",
            "clip_grad_value_",
            "optim",
        ),
        "fastnn.optim.lr_scheduler": ("lr_scheduler",),
        "fastnn.plan.training": ("TrainingStep",),
        "fastnn.saving": ("load", "save", "saving"),
    }.items()
    for name in names
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load what is loaded late. Refuse other names, and say what is in the place of those that PyTorch has."""
        if name in _LATER:
            module = import_module(_LATER[name])
            value = globals()[name] = getattr(module, name, module)
            return value
        from fastnn._validate import habits
        from fastnn.optim import lr_scheduler

        elsewhere = {each: f"it is fastnn.functional.{each}" for each in functional.__all__}
        elsewhere |= {each: f"it is fastnn.lr_scheduler.{each}" for each in lr_scheduler.__all__}
        raise habits.no_name("fastnn", name, __all__, elsewhere | habits.OF_PACKAGE)
