"""PyTorch: its files of arrays, and its modules as networks and back. Only the latter need PyTorch itself."""

from fastnn.interop.torch.files import load_torch
from fastnn.interop.torch.from_modules import from_torch
from fastnn.interop.torch.modules import to_torch

__all__ = ["from_torch", "load_torch", "to_torch"]
