"""PyTorch: its files of arrays, its modules as networks and back, and states of optimisers.

Files are read without PyTorch. The other functions need it.
"""

from fastnn.interop.torch.files import load_torch, load_torch_optimizer
from fastnn.interop.torch.from_modules import from_torch
from fastnn.interop.torch.modules import to_torch
from fastnn.interop.torch.optimizers import optimizer_from_torch, optimizer_to_torch

__all__ = [
    "from_torch",
    "load_torch",
    "load_torch_optimizer",
    "optimizer_from_torch",
    "optimizer_to_torch",
    "to_torch",
]
