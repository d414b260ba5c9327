"""The weights of LeNet in MATLAB's format, as a course hands them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastnn.data import read_arrays

# Place in the file, name in the network, shape of the weights there.
_LAYERS = ((0, "0", (20, 1, 5, 5)), (3, "3", (50, 20, 5, 5)), (6, "7", (500, 800)), (8, "9", (10, 500)))


def load_lenet_mat(path: str | Path) -> dict[str, np.ndarray]:
    """Read LeNet's weights from a .mat file with a cell array `params` of nine structs {w, b}.

    Weights are transposed there, (inputs, outputs), but for those of the last layer. It has no weights for the last
    class, whose score is 0.

    Returns
    -------
    state_dict : float32, for the network of the recipe `lenet`

    Raises
    ------
    ValueError
        The file is truncated, corrupt or not of this layout; names the file.
    """
    params = read_arrays(path, "params")["params"]
    state = {}
    for place, name, shape in _LAYERS:
        try:
            layer = params.reshape(-1)[place]
            weight, bias = (np.asarray(layer[field][0, 0], np.float32) for field in ("w", "b"))
        except (IndexError, ValueError, TypeError) as error:
            raise ValueError(f"{path}: not LeNet: no struct with w and b at {place} of params ({error})") from error
        if name == "9":
            weight, bias = np.pad(weight, ((0, 1), (0, 0))), np.pad(bias.reshape(-1), (0, 1))
        else:
            weight = weight.T
        if weight.size != np.prod(shape) or len(weight) != shape[0] or bias.size != shape[0]:
            raise ValueError(f"{path}: not LeNet: params {place} has {weight.shape} weights, expected those of {shape}")
        state[f"{name}.weight"] = np.ascontiguousarray(weight).reshape(shape)
        state[f"{name}.bias"] = bias.reshape(-1)
    return state
