"""SqueezeNet 1.1's published weights, for `fastnn.networks.squeezenet`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastnn.data import read_arrays
from fastnn.data.transforms import Normalize
from fastnn.interop.torch import load_torch
from fastnn.networks import squeezenet

# Mean and standard deviation of red, green and blue in 0..1 that the weights expect: of Caffe's, and torchvision's.
_CAFFE = (122.679 / 255, 116.669 / 255, 104.006 / 255), (1.0, 1.0, 1.0)
_TORCHVISION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_PLACES = (3, 4, 6, 7, 9, 10, 11, 12)  # of the fire modules 2 to 9, between the poolings


def load_squeezenet(path: str | Path) -> dict[str, np.ndarray]:
    """Read SqueezeNet 1.1's weights from Keras' layout (.npz) or from torchvision's file (.pth).

    The network expects images of red, green and blue in 0..1, changed by `normalisation` of the same file. The first
    layer's weights of the first file, which are for blue, green and red in 0..255, are changed to fit.

    Parameters
    ----------
    path : .npz with arrays ``<layer>/weight_HWIO`` and ``<layer>/bias``, or torchvision's ``squeezenet1_1-*.pth``

    Returns
    -------
    state_dict : float32, for ``networks.squeezenet(classes=1000)``

    Raises
    ------
    ValueError
        The file is truncated, corrupt or of another network; names it.
    """
    path = Path(path)
    keras = path.suffix.lower() == ".npz"
    names = _keras_names() if keras else _torchvision_names()
    arrays = read_arrays(path, *names.values()) if keras else load_torch(path)
    for name in arrays.keys() - names.values():
        raise ValueError(f"{path}: has {name}, which SqueezeNet 1.1 has not")
    state = {}
    for name, like in squeezenet().state_dict().items():
        if names[name] not in arrays:
            raise ValueError(f"{path}: has no {names[name]}, which SqueezeNet 1.1 has")
        array = arrays[names[name]]
        if array.dtype.kind != "f":
            raise ValueError(f"{path}: has {names[name]} of dtype {array.dtype}, expected floats")
        if keras and array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        if array.shape != like.shape:
            raise ValueError(f"{path}: has {names[name]} of shape {array.shape}, expected {like.shape}")
        state[name] = np.ascontiguousarray(array, np.float32)
    if keras:
        state["0.0.weight"] = np.ascontiguousarray(state["0.0.weight"][:, ::-1] * np.float32(255))
    return state


def normalisation(path: str | Path) -> Normalize:
    """How images in 0..1 are normalised for the weights of this file, by its ending."""
    return Normalize(*(_CAFFE if Path(path).suffix.lower() == ".npz" else _TORCHVISION))


# The names of a file's arrays by those of our state dict.


def _keras_names() -> dict[str, str]:
    layers = {"0.0": "conv1", "1.1": "conv10"}
    for number, place in enumerate(_PLACES, start=2):
        layers[f"0.{place}.0"] = f"fire{number}/squeeze1x1"
        layers[f"0.{place}.2.0.0"] = f"fire{number}/expand1x1"
        layers[f"0.{place}.2.1.0"] = f"fire{number}/expand3x3"
    parts = {"weight": "weight_HWIO", "bias": "bias"}
    return {f"{ours}.{part}": f"{theirs}/{kept}" for ours, theirs in layers.items() for part, kept in parts.items()}


def _torchvision_names() -> dict[str, str]:
    layers = {"0.0": "features.0", "1.1": "classifier.1"}
    for place in _PLACES:
        layers[f"0.{place}.0"] = f"features.{place}.squeeze"
        layers[f"0.{place}.2.0.0"] = f"features.{place}.expand1x1"
        layers[f"0.{place}.2.1.0"] = f"features.{place}.expand3x3"
    return {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in layers.items() for part in ("weight", "bias")}
