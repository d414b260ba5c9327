"""Padding of images, other than what a convolution has for itself."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, Frame
from fastnn.reference._windows import quiet

__all__ = ["pad", "pad_backward"]

_NAMES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x: Array, pad: Frame, mode: str = "constant") -> Array:
    """Put a frame around images.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    pad : int or (left, right, top, bottom)
        Width of the frame, in PyTorch's order.
    mode : str
        What the frame is made of. "constant": zeros; "reflect": the pixels on the other side of the border, which is
        not repeated; "replicate": the border; "circular": the pixels at the opposite border.

    Returns
    -------
    (N, C, top + H + bottom, left + W + right) array

    Raises
    ------
    TypeError, ValueError
        Not images; a frame as wide as the image ("reflect") or wider ("circular").

    Examples
    --------
    >>> print(F.pad(np.ones((1, 1, 1, 2), np.float32), (1, 1, 1, 0))[0, 0])
    [[0. 0. 0. 0.]
     [0. 1. 1. 0.]]
    """
    left, right, top, bottom = check.pad(x, pad, mode)
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), _NAMES[mode])  # type: ignore[call-overload]


@quiet
def pad_backward(dy: Array, pad: Frame, mode: str = "constant") -> Array:
    """Gradient of `pad`: what came of a pixel is added up.

    Parameters
    ----------
    dy : (N, C, top + H + bottom, left + W + right) array
        Gradient of the output.
    pad, mode
        As given to `pad`.

    Returns
    -------
    (N, C, H, W) array

    Examples
    --------
    >>> F.pad_backward(np.ones((1, 1, 2, 4), np.float32), (1, 1, 1, 0))[0, 0].tolist()
    [[1.0, 1.0]]
    """
    left, right, top, bottom = check.pad_backward(dy, pad, mode)
    N, C, OH, OW = dy.shape
    H, W = OH - top - bottom, OW - left - right
    if mode == "constant":
        return dy[:, :, top : top + H, left : left + W].copy()
    dx = np.zeros((N, C, H * W), dy.dtype)
    places = np.pad(np.arange(H * W).reshape(H, W), ((top, bottom), (left, right)), _NAMES[mode])  # type: ignore[call-overload]
    np.add.at(dx.transpose(2, 0, 1), places, dy.transpose(2, 3, 0, 1))
    return dx.reshape(N, C, H, W)
