"""ONNX files: the model, its constants, and what is known of its values. Files may come from anybody."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from fastnn._validate import Array
from fastnn.interop.onnx.values import Building, Dims, Refused

LEAST_OPSET, MOST_OPSET = 6, 28


def parse(onnx: Any, content: bytes) -> Any:
    """The model in a file's bytes, of a version that can be read."""
    model = onnx.ModelProto.FromString(content)
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if not model.graph.node and not model.graph.output:
        raise Refused("holds no network")
    for version in versions:
        if not LEAST_OPSET <= version <= MOST_OPSET:
            raise Refused(f"is of opset {version}; expected {LEAST_OPSET} to {MOST_OPSET}")
    if model.graph.sparse_initializer:
        raise Refused("holds sparse weights; expected dense ones")
    return model


def opset_of(model: Any) -> int:
    return int(next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), LEAST_OPSET))


def dtype_of(onnx: Any, kind: int) -> np.dtype[Any] | None:
    """NumPy's dtype for one of ONNX; None if it has none."""
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, ValueError, TypeError):
        return None
    return dtype if dtype.kind in "biuf" and dtype.isbuiltin == 1 else None


def array_of(onnx: Any, tensor: Any, folder: Path, build: Building) -> Array:
    """The array of a tensor."""
    dtype = dtype_of(onnx, tensor.data_type)
    if dtype is None:
        raise Refused(f"holds {tensor.name[:60]!r} of a type that fastnn has not ({tensor.data_type})")
    if any(n < 0 for n in tensor.dims):
        raise Refused(f"holds {tensor.name[:60]!r} with a negative length")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _external(tensor, dtype, folder, build)
    return np.asarray(onnx.numpy_helper.to_array(tensor))


def _external(tensor: Any, dtype: np.dtype[Any], folder: Path, build: Building) -> Array:
    """The array of a tensor in a file beside the model: in its folder, regular, and long enough."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not file.is_relative_to(folder.resolve()):
        raise Refused(f"keeps {tensor.name[:60]!r} in {location[:60]!r}; expected a file in the model's folder")
    if not file.is_file():
        raise Refused(f"keeps {tensor.name[:60]!r} in {location[:60]!r}, which is no file")
    size = math.prod(tensor.dims) * dtype.itemsize
    start = int(entries.get("offset", 0))
    length = int(entries.get("length", size))
    if length != size or start < 0 or start + size > file.stat().st_size:
        raise Refused(f"keeps {tensor.name[:60]!r} in {location[:60]!r}, which is truncated or of another length")
    build.claim_of_file(file, size)
    with file.open("rb") as stream:
        stream.seek(start)
        content = stream.read(size)
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(tuple(tensor.dims))


def attribute_of(onnx: Any, attribute: Any, folder: Path, build: Building) -> Any:
    """A Python number, text, list of these, or array."""
    kinds = onnx.AttributeProto
    if attribute.type == kinds.TENSOR:
        return array_of(onnx, attribute.t, folder, build)
    if attribute.type not in (kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS):
        raise Refused(f"has the attribute {attribute.name[:40]!r}, of a kind that fastnn does not read")
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type in (kinds.FLOAT, kinds.FLOATS):  # as it was written: 0.1 is not 0.10000000149
        numbers = [float(str(np.float32(each))) for each in np.ravel(value)]
        return numbers if attribute.type == kinds.FLOATS else numbers[0]
    return value.decode() if isinstance(value, bytes) else list(value) if attribute.type == kinds.INTS else value


def dims_of_input(info: Any) -> Dims | None:
    """The lengths of an input of the model."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.shape.dim)
