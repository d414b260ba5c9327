"""ONNX, the format in which networks go from one package to another."""

from fastnn.interop.onnx.function import Function
from fastnn.interop.onnx.reader import load
from fastnn.interop.onnx.writer import save

__all__ = ["Function", "load", "save"]
