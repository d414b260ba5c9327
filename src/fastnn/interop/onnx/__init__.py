"""ONNX, the format that other packages run networks from."""

from fastnn.interop.onnx.writer import save

__all__ = ["save"]
