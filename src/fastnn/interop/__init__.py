"""Weights to and from other packages' formats."""

from fastnn.interop.lenet_mat import load_lenet_mat
from fastnn.interop.safetensors import load_safetensors, save_safetensors

__all__ = ["load_lenet_mat", "load_safetensors", "save_safetensors"]
