"""PyTorch: its files of arrays, and networks as modules of PyTorch's. Only `to_torch` needs PyTorch itself."""

from fastnn.interop.torch.files import load_torch
from fastnn.interop.torch.modules import to_torch

__all__ = ["load_torch", "to_torch"]
