"""Weights to and from other packages' formats."""

from fastnn.interop.safetensors import load_safetensors, save_safetensors

__all__ = ["load_safetensors", "save_safetensors"]
