"""Padding of images, other than what a convolution has for itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, Frame
from fastnn.reference._windows import quiet

__all__ = ["pad", "pad_backward"]

_NAMES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x: Array, pad: Frame, mode: str = "constant", value: float | None = None) -> Array:
    """Put a frame around images, or cut one off.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
        With two widths (N, C, L) or (C, L); in the mode "constant" an array of any axes.
    pad : int or (left, right, top, bottom)
        Width of the frame, in PyTorch's order: two for each axis, the last axis first. A negative one cuts off. An int
        is the width on all four sides.
    mode : str
        What the frame is made of. "constant": `value`; "reflect": the pixels on the other side of the border, which is
        not repeated; "replicate": the border; "circular": the pixels at the opposite border.
    value : float, optional
        0 by default.

    Returns
    -------
    (N, C, top + H + bottom, left + W + right) array
        The axes of `x`.

    Raises
    ------
    TypeError, ValueError
        Not images; a frame as wide as the image ("reflect") or wider ("circular"); nothing is left.

    Examples
    --------
    >>> print(F.pad(np.ones((1, 1, 1, 2), np.float32), (1, 1, 1, 0))[0, 0])
    [[0. 0. 0. 0.]
     [0. 1. 1. 0.]]
    >>> print(F.pad(np.ones((1, 3), np.float32), (2, -2), value=5.0))
    [[5. 5. 1.]]
    """
    pads, fill = check.pad(x, pad, mode, value)
    options: dict[str, Any] = {"constant_values": fill} if mode == "constant" else {}
    y = np.pad(_inside(x, pads.cut), pads.added, _NAMES[mode], **options)  # type: ignore[call-overload]
    return np.ascontiguousarray(_inside(y, pads.cut_after))


def _inside(x: Array, widths: tuple[tuple[int, int], ...]) -> Array:
    """A view without what is cut off."""
    return x[tuple(slice(before, size - after) for (before, after), size in zip(widths, x.shape, strict=True))]


@quiet
def pad_backward(dy: Array, pad: Frame, mode: str = "constant") -> Array:
    """Gradient of `pad`: what came of a pixel is added up.

    Parameters
    ----------
    dy : array of the shape of the output
        Gradient of the output.
    pad, mode
        As given to `pad`.

    Returns
    -------
    array of the shape of the input

    Examples
    --------
    >>> F.pad_backward(np.ones((1, 1, 2, 4), np.float32), (1, 1, 1, 0))[0, 0].tolist()
    [[1.0, 1.0]]
    """
    pads, shape = check.pad_backward(dy, pad, mode)
    places = np.arange(math.prod(shape)).reshape(shape)
    places = np.pad(_inside(places, pads.cut), pads.added, _NAMES[mode])  # type: ignore[call-overload]
    if mode == "constant":  # what was added came from no pixel
        inside = np.pad(np.ones_like(_inside(dy, pads.added), bool), pads.added)
        dx = np.zeros(math.prod(shape), dy.dtype)
        dx[places[inside]] = dy[inside]
        return dx.reshape(shape)
    dx = np.zeros(math.prod(shape), dy.dtype)
    np.add.at(dx, _inside(places, pads.cut_after), dy)
    return dx.reshape(shape)
