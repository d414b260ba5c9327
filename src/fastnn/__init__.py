"""Small and mid-size neural networks on a CPU, from NumPy, fast.

>>> import fastnn as fnn
>>> net = fnn.Sequential(fnn.Linear(784, 100), fnn.ReLU(), fnn.Linear(100, 10))
>>> criterion = fnn.CrossEntropyLoss()
>>> optimizer = fnn.SGD(net.parameters(), lr=0.1, momentum=0.9)
"""

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
from fastnn.gradients import gradcheck, numeric_gradient
from fastnn.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Buffer,
    Concat,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
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
from fastnn.optim import SGD

__all__ = [
    "SGD",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Concat",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Tanh",
    "__version__",
    "functional",
    "get_num_threads",
    "gradcheck",
    "implementation",
    "init",
    "isa",
    "isa_available",
    "manual_seed",
    "num_threads",
    "numeric_gradient",
    "reference",
    "register_threadpoolctl",
    "set_num_threads",
    "show_config",
]
