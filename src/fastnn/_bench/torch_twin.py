"""Networks as PyTorch has them, for comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import layers as nn
from fastnn._extras import require


def torch_twin(module: nn.Module) -> Any:
    """The same layers in PyTorch, in the dtype of the network's parameters; their values are not set.

    Raises
    ------
    TypeError
        A layer that has no twin here.
    """
    torch = require("torch", "comparing with PyTorch", "bench")
    dtype = next((torch.float64 for p in module.parameters() if p.data.dtype == np.float64), torch.float32)
    return _twin(module, torch, dtype)


def _twin(module: nn.Module, torch: Any, dtype: Any) -> Any:
    theirs = torch.nn

    class Residual(theirs.Module):  # type: ignore[misc, name-defined]
        def __init__(self, body: Any, shortcut: Any) -> None:
            super().__init__()
            self.body = body
            if shortcut is not None:
                self.shortcut = shortcut

        def forward(self, x: Any) -> Any:
            return self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)

    class Concat(theirs.ModuleList):  # type: ignore[misc, name-defined]
        def __init__(self, branches: list[Any], dim: int) -> None:
            super().__init__(branches)
            self.dim = dim

        def forward(self, x: Any) -> Any:
            return torch.cat([branch(x) for branch in self], self.dim)

    match module:
        case nn.Sequential():
            return theirs.Sequential(*(_twin(layer, torch, dtype) for layer in module))
        case nn.Concat():
            return Concat([_twin(branch, torch, dtype) for branch in module], module.dim)
        case nn.Residual():
            return Residual(_twin(module.body, torch, dtype), module.shortcut and _twin(module.shortcut, torch, dtype))
        case nn.Conv2d():
            sizes = module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding
            return theirs.Conv2d(*sizes, bias=module.bias is not None, dtype=dtype)
        case nn.Linear():
            return theirs.Linear(module.in_features, module.out_features, dtype=dtype)
        case nn.BatchNorm2d():
            return theirs.BatchNorm2d(module.num_features, dtype=dtype)
        case nn.MaxPool2d():
            return theirs.MaxPool2d(module.kernel_size, module.stride, module.padding, ceil_mode=module.ceil_mode)
        case nn.AdaptiveAvgPool2d():
            return theirs.AdaptiveAvgPool2d(module.output_size)
        case nn.Dropout():
            return theirs.Dropout(module.p)
        case nn.ReLU() | nn.Sigmoid() | nn.Flatten():
            return getattr(theirs, type(module).__name__)()
    raise TypeError(f"{type(module).__name__} has no twin in PyTorch here")
