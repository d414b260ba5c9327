"""Padding of images, other than what a convolution has for itself."""

from __future__ import annotations

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, Frame
from fastnn.reference._windows import quiet

_NAMES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad2d(x: Array, padding: Frame, *, mode: str = "zeros") -> Array:
    """Put a frame around images.

    Parameters
    ----------
    x : (N, C, H, W) array of float32 or float64
    padding : int or (left, right, top, bottom)
        Width of the frame, in PyTorch's order.
    mode : str
        What the frame is made of. "zeros"; "reflect": the pixels on the other side of the border, which is not
        repeated; "replicate": the border; "circular": the pixels at the opposite border.

    Returns
    -------
    (N, C, top + H + bottom, left + W + right) array

    Raises
    ------
    TypeError, ValueError
        Not images; a frame as wide as the image ("reflect") or wider ("circular").
    """
    left, right, top, bottom = check.pad2d(x, padding, mode)
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), _NAMES[mode])  # type: ignore[call-overload]


@quiet
def pad2d_backward(dy: Array, padding: Frame, *, mode: str = "zeros") -> Array:
    """Gradient of `pad2d`: what came of a pixel is added up.

    Parameters
    ----------
    dy : (N, C, top + H + bottom, left + W + right) array
        Gradient of the output.
    padding, mode
        As given to `pad2d`.

    Returns
    -------
    (N, C, H, W) array
    """
    left, right, top, bottom = check.pad2d_backward(dy, padding, mode)
    N, C, OH, OW = dy.shape
    H, W = OH - top - bottom, OW - left - right
    if mode == "zeros":
        return dy[:, :, top : top + H, left : left + W].copy()
    dx = np.zeros((N, C, H * W), dy.dtype)
    places = np.pad(np.arange(H * W).reshape(H, W), ((top, bottom), (left, right)), _NAMES[mode])  # type: ignore[call-overload]
    np.add.at(dx.transpose(2, 0, 1), places, dy.transpose(2, 3, 0, 1))
    return dx.reshape(N, C, H, W)
