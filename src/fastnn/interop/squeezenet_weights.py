"""SqueezeNet 1.1's published weights, for `fastnn.networks.squeezenet`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastnn.data import read_arrays
from fastnn.data.transforms import Normalize
from fastnn.interop.torch_files import load_torch

# Mean and standard deviation of red, green and blue in 0..1 that the weights expect: of Caffe's, and torchvision's.
_CAFFE = (122.679 / 255, 116.669 / 255, 104.006 / 255), (1.0, 1.0, 1.0)
_TORCHVISION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_FIRES = range(2, 10)
_NAMES = (
    "conv1",
    *(f"fire{number}/{part}" for number in _FIRES for part in ("squeeze1x1", "expand1x1", "expand3x3")),
    "conv10",
)


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
    if path.suffix.lower() == ".npz":
        arrays = read_arrays(path, *(f"{name}/{part}" for name in _NAMES for part in ("weight_HWIO", "bias")))
        values = [a.transpose(3, 2, 0, 1) if a.ndim == 4 else a for a in arrays.values()]
        values[0] = values[0][:, ::-1] * np.float32(255)
    else:
        values = list(load_torch(path).values())
    names = _state_names()
    if len(values) != len(names):
        raise ValueError(f"{path}: has {len(values)} arrays, expected {len(names)}: those of SqueezeNet 1.1")
    return {name: np.ascontiguousarray(a, np.float32) for name, a in zip(names, values, strict=True)}


def normalisation(path: str | Path) -> Normalize:
    """How images in 0..1 are normalised for the weights of this file, by its ending."""
    return Normalize(*(_CAFFE if Path(path).suffix.lower() == ".npz" else _TORCHVISION))


def _state_names() -> list[str]:
    """In the order of both files: a fire module's squeeze, and its two expands."""
    places = (3, 4, 6, 7, 9, 10, 11, 12)  # of the fire modules, between the poolings
    layers = ["0.0"]
    for place in places:
        layers += [f"0.{place}.0", f"0.{place}.2.0.0", f"0.{place}.2.1.0"]
    return [f"{layer}.{kind}" for layer in (*layers, "1.1") for kind in ("weight", "bias")]
