"""What to do about a wrong argument: the ends of messages, put together only when something is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# How arrays of other libraries become NumPy's, by the library and the name of their class.
CONVERSIONS = {
    "torch.Tensor": "{name}.detach().cpu().numpy()",
    "torch.Parameter": "{name}.detach().cpu().numpy()",
    "pandas.DataFrame": "{name}.to_numpy(np.float32)",
    "pandas.Series": "{name}.to_numpy()",
    "tensorflow.EagerTensor": "{name}.numpy()",
    "fastnn.Parameter": "{name}.data",
    "fastnn.Buffer": "{name}.data",
    "numpy.matrix": "np.asarray({name})",
    "numpy.MaskedArray": "{name}.filled(0)",
}


def kind_of(value: Any) -> str:
    """The class of `value`, with its library: ``list``, ``torch.Tensor``."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    return kind.__name__ if library in ("builtins", "__main__") else f"{library}.{kind.__name__}"


def to_array(name: str, value: Any, dtype: str = "np.float32") -> str:
    """How `value`, which is no array of NumPy, becomes one of `dtype`; "": of whatever it is made of."""
    if name == "dy" and isinstance(value, float):
        return ": a network goes back from the gradient of the loss, as in net.backward(criterion.backward())"
    if isinstance(value, list | tuple | range):
        return f": convert it, as in np.array({name}{dtype and ', '}{dtype})"
    conversion = CONVERSIONS.get(kind_of(value))
    return "" if conversion is None else f": convert it, as in {conversion.format(name=name)}"


def to_float(name: str, a: Any) -> str:
    """How the array `a` becomes one of float32."""
    as_float = f"{name}.astype(np.float32)"
    if a.dtype.kind == "c":
        return f"take {name}.real or np.abs({name}) and convert that, as in np.abs({name}).astype(np.float32)"
    if name == "x" and a.dtype == np.uint8:
        return f"convert with {as_float} and divide by 255"
    if name == "x" and a.dtype.kind in "iu":
        return f"convert with {as_float}, and divide by 255 if it is made of pixels"
    return f"convert it, as in {as_float}"


def to_one_dtype(first: str, a: Any, second: str, of_layer: bool) -> str:
    """How the arrays, `a` and one of the other float dtype, get the same."""
    wide = first if a.dtype == np.float64 else second
    layers = f", or the layers, as in net.to(np.{a.dtype})" if of_layer else ""
    return f"convert one of them, as in {wide}.astype(np.float32){layers}"


def axis_of_channels(x: Any) -> str:
    """How `x`, without 4 axes, becomes images."""
    if x.ndim == 3:
        return (
            ": x[:, None] if it is (N, H, W), images without an axis of channels; x[None] if it is one image (C, H, W)"
        )
    if x.ndim == 2:
        return ": x.reshape(-1, C, H, W) if its rows are images; x[None, None] if it is one image (H, W)"
    return ""


def axis_of_sequences(x: Any) -> str:
    """How `x`, without 3 axes, becomes sequences."""
    if x.ndim == 2:
        return ": x[:, None] if it is (N, L), sequences without an axis of channels; x[None] if it is one, (C, L)"
    return ": x[None, None] if it is one sequence (L,)" if x.ndim == 1 else ""


def taken_for_one(name: str, batch: Any, message: str) -> str:
    """That the array of this name was taken for one example, as `batch` has it, and what else it may be."""
    taken = f": {name}, of shape {batch.shape[1:]}, was taken for one example"
    if name != "x" or "channel" not in message:
        return taken
    axes, what = ("(N, H, W)", "images") if batch.ndim == 4 else ("(N, L)", "sequences")
    return f"{taken}; x[:, None] if it is {axes}, {what} without an axis of channels"


def channels_last(x: Any, C: int) -> None:
    """Complain if `x`, whose second axis has not `C` channels, has them on the last."""
    if x.ndim < 3 or x.shape[-1] != C:
        return
    order = (0, x.ndim - 1, *range(1, x.ndim - 1))
    came, wanted = {3: ("NLC", "NCL"), 4: ("NHWC", "NCHW")}.get(x.ndim, ("(N, ..., C)", "(N, C, ...)"))
    raise ValueError(
        f"x: got shape {x.shape}, which looks like {came}; expected {wanted}, with {C} channels on the second axis: "
        f"x.transpose{order}"
    )


def to_features(x: Any, features: int) -> str:
    """How `x` gets `features` features, if it has them on several axes or on the first."""
    if x.ndim > 2 and math.prod(x.shape[1:]) == features:
        return ": flatten it, by a Flatten() before this layer or x.reshape(len(x), -1)"
    if x.ndim > 2:
        return f"; flattened, as by a Flatten() before this layer, it would have {math.prod(x.shape[1:])}"
    return ": x.T has them" if x.ndim == 2 and x.shape[0] == features else ""


def to_labels(target: Any, shape: tuple[int, ...], scores: tuple[int, ...]) -> str:
    """How the array `target` becomes integer labels of this `shape`, for scores of the shape `scores`."""
    kind = target.dtype.kind
    if kind in "US" or (kind == "O" and any(isinstance(label, str | bytes) for label in target.flat)):
        return ": number the names, as in names, target = np.unique(target, return_inverse=True)"
    if target.shape == scores and scores != shape:
        return ": of a one-hot matrix the labels are target.argmax(1)"
    steps = "" if target.shape == shape else f".reshape{shape}" if len(shape) > 1 else ".ravel()"
    if math.prod(target.shape) != math.prod(shape):
        return ""
    if kind not in "iu" and not (kind == "f" and np.isnan(target).any()):
        steps += ".astype(np.int64)"
    return f": convert it, as in target{steps}" if steps else ""


def like_scores(target: Any, shape: tuple[int, ...]) -> str:
    """How `target` gets the `shape` of the scores, if it has it but for axes of length 1."""
    same = [n for n in target.shape if n != 1] == [n for n in shape if n != 1]
    return f": target.reshape{shape}" if same and target.shape != shape else ""
