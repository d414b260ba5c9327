"""Weights to and from other packages' formats."""

from fastnn.interop.lenet_mat import load_lenet_mat
from fastnn.interop.safetensors import load_safetensors, save_safetensors
from fastnn.interop.squeezenet_weights import load_squeezenet
from fastnn.interop.torch import load_torch, load_torch_optimizer

__all__ = [
    "load_lenet_mat",
    "load_safetensors",
    "load_squeezenet",
    "load_torch",
    "load_torch_optimizer",
    "save_safetensors",
]
