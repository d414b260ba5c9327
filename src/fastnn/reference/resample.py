"""Planes of another size: adaptive pooling and interpolation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array, Interpolation, IntPair, IntSingle, OutputSize, Scale, Sizes
from fastnn.reference._windows import quiet

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool1d_backward",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "interpolate",
    "interpolate_backward",
]


def _shares(size: int, outputs: int) -> list[slice]:
    """The windows along one axis: window o reaches from o*size/outputs to (o + 1)*size/outputs, rounded outwards."""
    edges = np.arange(outputs + 1) * size
    return [slice(int(a), int(b)) for a, b in zip(edges[:-1] // outputs, -(-edges[1:] // outputs), strict=True)]


def _windows(H: int, W: int, OH: int, OW: int) -> Iterator[tuple[int, int, slice, slice]]:
    """(oh, ow, its rows, its columns) of every window, in row-major order."""
    for oh, rows in enumerate(_shares(H, OH)):
        for ow, columns in enumerate(_shares(W, OW)):
            yield oh, ow, rows, columns


@check.takes_one("x", axes=4)
@quiet
def adaptive_avg_pool2d(x: Array, output_size: OutputSize) -> Array:
    """Average of windows that share out the plane, so many as are asked for.

    Window o of O along an axis of size L holds the pixels from ``floor(o*L / O)`` to ``ceil((o + 1)*L / O)``
    (PyTorch's rule): neighbours may have a pixel in common. An output of 1 is the average of the whole plane.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    output_size : int, None or a pair of these
        Size (OH, OW) of the output; None: that of the input.

    Returns
    -------
    (N, C, OH, OW) or (C, OH, OW) array

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> F.adaptive_avg_pool2d(x, 1).item()
    7.5
    """
    OH, OW = check.adaptive_pool(2, x, output_size)
    y = np.empty((*x.shape[:2], OH, OW), x.dtype)
    H, W = x.shape[2:]
    for oh, ow, rows, columns in _windows(H, W, OH, OW):
        y[..., oh, ow] = x[..., rows, columns].mean(axis=(2, 3), dtype=np.float64)
    return y


@check.takes_one("dy", axes=4)
@quiet
def adaptive_avg_pool2d_backward(dy: Array, input_size: IntPair) -> Array:
    """Gradient of `adaptive_avg_pool2d`: each element of `dy` is shared equally among the pixels of its window.

    Parameters
    ----------
    dy : (N, C, OH, OW) or (C, OH, OW) array of float32 or float64
    input_size : int or (int, int)
        Size (H, W) of the input.

    Returns
    -------
    (N, C, H, W) or (C, H, W) array

    Examples
    --------
    >>> print(F.adaptive_avg_pool2d_backward(np.ones((1, 1, 1, 1), np.float32), (2, 2))[0, 0])
    [[0.25 0.25]
     [0.25 0.25]]
    """
    H, W = check.adaptive_backward(2, dy, input_size)
    dx = np.zeros((*dy.shape[:2], H, W))
    OH, OW = dy.shape[2:]
    for oh, ow, rows, columns in _windows(H, W, OH, OW):
        window = dx[..., rows, columns]
        window += dy[..., oh, ow, None, None] / np.float64(window.shape[2] * window.shape[3])
    return dx.astype(dy.dtype)


@check.takes_one("x", axes=4)
@quiet
def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: bool = False) -> Array | tuple[Array, Array]:
    """Maximum of windows that share out the plane, as those of `adaptive_avg_pool2d`.

    The first maximum in row-major order wins, and the first NaN wins over everything.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W) array of float32 or float64
    output_size : int, None or a pair of these
        Size (OH, OW) of the output; None: that of the input.
    return_indices : bool
        Also return where in its plane each maximum was found.

    Returns
    -------
    y : (N, C, OH, OW) or (C, OH, OW) array
    indices : (N, C, OH, OW) or (C, OH, OW) array of int64
        ``h*W + w`` of each maximum; only with `return_indices`.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> F.adaptive_max_pool2d(x, 2)[0, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    OH, OW = check.adaptive_pool(2, x, output_size)
    y = np.empty((*x.shape[:2], OH, OW), x.dtype)
    indices = np.empty(y.shape, np.int64)
    H, W = x.shape[2:]
    for oh, ow, rows, columns in _windows(H, W, OH, OW):
        window = x[..., rows, columns]
        pixels = window.reshape(*x.shape[:2], window.shape[2] * window.shape[3])
        best = pixels.argmax(axis=2)  # the first; NaN is greater than all numbers
        h, w = np.divmod(best, window.shape[3])
        indices[..., oh, ow] = (rows.start + h) * x.shape[3] + columns.start + w
        y[..., oh, ow] = window.max(axis=(2, 3))
    return (y, indices) if return_indices else y


@check.takes_one("dy", "indices", axes=4)
@quiet
def adaptive_max_pool2d_backward(dy: Array, indices: Array, input_size: IntPair) -> Array:
    """Gradient of `adaptive_max_pool2d`: each element of `dy` goes to the pixel that was its window's maximum.

    Parameters
    ----------
    dy : (N, C, OH, OW) or (C, OH, OW) array of float32 or float64
    indices : (N, C, OH, OW) or (C, OH, OW) array of int64
        From ``adaptive_max_pool2d(..., return_indices=True)``.
    input_size : int or (int, int)
        Size (H, W) of the input.

    Returns
    -------
    (N, C, H, W) or (C, H, W) array
        A pixel that is the maximum of several windows receives their sum, added in row-major order of the windows.

    Examples
    --------
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> y, indices = F.adaptive_max_pool2d(x, 1, return_indices=True)
    >>> print(F.adaptive_max_pool2d_backward(y, indices, (4, 4))[0, 0])
    [[ 0.  0.  0.  0.]
     [ 0.  0.  0.  0.]
     [ 0.  0.  0.  0.]
     [ 0.  0.  0. 15.]]
    """
    H, W = check.adaptive_backward(2, dy, input_size)
    check.plane_indices(indices, dy, H, W)
    dx = np.zeros((*dy.shape[:2], H * W), dy.dtype)
    for oh, ow in np.ndindex(dy.shape[2:]):
        here = indices[..., oh, ow, None]
        np.put_along_axis(dx, here, np.take_along_axis(dx, here, axis=2) + dy[..., oh, ow, None], axis=2)
    return dx.reshape(*dy.shape[:2], H, W)


@check.takes_one("x", axes=3)
def adaptive_avg_pool1d(x: Array, output_size: int | tuple[int] | None) -> Array:
    """Average of windows that share out each row: `adaptive_avg_pool2d` of maps of one row.

    Parameters
    ----------
    x : (N, C, L) or (C, L) array of float32 or float64
    output_size : int or None
        Length OL of the output; None: that of the input.

    Returns
    -------
    (N, C, OL) or (C, OL) array

    Examples
    --------
    >>> F.adaptive_avg_pool1d(np.array([[[1, 3, 5, 7]]], np.float32), 2).tolist()
    [[[2.0, 6.0]]]
    """
    return adaptive_avg_pool2d(x[:, :, None], check.adaptive_pool(1, x, output_size))[:, :, 0]


@check.takes_one("dy", axes=3)
def adaptive_avg_pool1d_backward(dy: Array, input_size: IntSingle) -> Array:
    """Gradient of `adaptive_avg_pool1d`, as `adaptive_avg_pool2d_backward` has it.

    Parameters
    ----------
    dy : (N, C, OL) or (C, OL) array of float32 or float64
    input_size : int
        Length L of the input.

    Returns
    -------
    (N, C, L) or (C, L) array

    Examples
    --------
    >>> F.adaptive_avg_pool1d_backward(np.ones((1, 1, 1), np.float32), 2).tolist()
    [[[0.5, 0.5]]]
    """
    return adaptive_avg_pool2d_backward(dy[:, :, None], check.adaptive_backward(1, dy, input_size))[:, :, 0]


@check.takes_one("x", axes=3)
def adaptive_max_pool1d(
    x: Array, output_size: int | tuple[int] | None, return_indices: bool = False
) -> Array | tuple[Array, Array]:
    """Maximum of windows that share out each row: `adaptive_max_pool2d` of maps of one row.

    Parameters
    ----------
    x : (N, C, L) or (C, L) array of float32 or float64
    output_size : int or None
        Length OL of the output; None: that of the input.
    return_indices : bool
        Also return where in its row each maximum was found.

    Returns
    -------
    y : (N, C, OL) or (C, OL) array
    indices : (N, C, OL) or (C, OL) array of int64
        Only with `return_indices`.

    Examples
    --------
    >>> F.adaptive_max_pool1d(np.array([[[1, 3, 7, 5]]], np.float32), 2).tolist()
    [[[3.0, 7.0]]]
    """
    y, indices = adaptive_max_pool2d(x[:, :, None], check.adaptive_pool(1, x, output_size), return_indices=True)
    return (y[:, :, 0], indices[:, :, 0]) if return_indices else y[:, :, 0]


@check.takes_one("dy", "indices", axes=3)
def adaptive_max_pool1d_backward(dy: Array, indices: Array, input_size: IntSingle) -> Array:
    """Gradient of `adaptive_max_pool1d`, as `adaptive_max_pool2d_backward` has it.

    Parameters
    ----------
    dy : (N, C, OL) or (C, OL) array of float32 or float64
    indices : (N, C, OL) or (C, OL) array of int64
        From ``adaptive_max_pool1d(..., return_indices=True)``.
    input_size : int
        Length L of the input.

    Returns
    -------
    (N, C, L) or (C, L) array

    Examples
    --------
    >>> y, indices = F.adaptive_max_pool1d(np.array([[[1, 3, 7, 5]]], np.float32), 2, return_indices=True)
    >>> F.adaptive_max_pool1d_backward(y, indices, 4).tolist()
    [[[0.0, 3.0, 7.0, 0.0]]]
    """
    H, W = check.adaptive_backward(1, dy, input_size)
    check.plane_indices(indices, dy, H, W)
    return adaptive_max_pool2d_backward(dy[:, :, None], indices[:, :, None], (H, W))[:, :, 0]


Taps = tuple[Array, Array]


def _nearest(size: int, outputs: int, scale: float, exact: bool) -> Taps:
    """PyTorch counts in float32, whatever the pixels are."""
    o = np.arange(outputs)
    step = np.float32(1 / scale) if scale else np.float32(size) / np.float32(outputs)
    pixels = np.floor((o.astype(np.float32) + np.float32(0.5 if exact else 0)) * step).astype(np.int64)
    if not exact and outputs in (size, 2 * size):
        pixels = o * size // outputs
    return np.minimum(pixels, size - 1)[:, None], np.ones((outputs, 1))


def _between(size: int, outputs: int, scale: float, align_corners: bool) -> Taps:
    o = np.arange(outputs)
    if outputs == size:
        return o[:, None], np.ones((outputs, 1))
    at = np.maximum(_places(size, outputs, scale, align_corners), 0)
    low = np.minimum(at.astype(np.int64), size - 1)
    part = np.minimum(at - low, 1)
    return np.stack([low, np.minimum(low + 1, size - 1)], axis=1), np.stack([1 - part, part], axis=1)


def _among_four(size: int, outputs: int, scale: float, align_corners: bool) -> Taps:
    """Keys' kernel with a = -0.75: a piecewise cubic function of the distance."""
    at = _places(size, outputs, scale, align_corners)
    low = np.minimum(np.floor(at).astype(np.int64), size - 1)
    t = np.minimum(at - low, 1)
    s = 1 - t
    weights = [-0.75 * t * s**2, s * (1 + t - 1.25 * t**2), t * (1 + s - 1.25 * s**2), -0.75 * s * t**2]
    return np.clip(low[:, None] + np.arange(-1, 3), 0, size - 1), np.stack(weights, axis=1)


def _places(size: int, outputs: int, scale: float, align_corners: bool) -> Array:
    """Where the outputs of an axis are in the input."""
    if align_corners:
        return np.arange(outputs) * ((size - 1) / (outputs - 1) if outputs > 1 else 0.0)
    return (np.arange(outputs) + 0.5) * (1 / scale if scale else size / outputs) - 0.5


def _taps(size: int, outputs: int, scale: float, how: Interpolation) -> Taps:
    """The pixels (outputs, 1 to 4) that each output of an axis is made of, and their weights."""
    if how.mode in ("nearest", "nearest-exact"):
        return _nearest(size, outputs, scale, how.mode == "nearest-exact")
    among = _among_four if how.mode == "bicubic" else _between
    return among(size, outputs, scale, how.align_corners)


@quiet
def interpolate(
    x: Array,
    size: Sizes | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Planes or rows of another size, made of the pixels around, as PyTorch's `interpolate` does.

    Output o of an axis is at ``(o + 0.5)/scale - 0.5``, or, with `align_corners`, at ``o*(size - 1)/(outputs - 1)``
    of the input; in the mode "nearest" it is pixel ``floor(o/scale)``, in "nearest-exact" the pixel around its centre,
    in "area" the average that `adaptive_avg_pool2d` gives. `scale` is what was asked for, or the ratio of the sizes.

    Parameters
    ----------
    x : (N, C, H, W) or (N, C, L) array of float32 or float64
    size : int or (int, int), optional
        Size (OH, OW), or length, of the output.
    scale_factor : float or (float, float), optional
        Instead of `size`: the output has ``floor(H*scale)`` rows, and so on.
    mode : "nearest", "nearest-exact", "area"; "linear" of (N, C, L); "bilinear" or "bicubic" of (N, C, H, W)
        "bicubic" is Keys' kernel with a = -0.75.
    align_corners : bool, optional
        Of "linear", "bilinear" and "bicubic": the corner pixels of input and output have the same centres.
    recompute_scale_factor : bool, optional
        With True the scale is the ratio of the sizes, not the `scale_factor`.
    antialias : False
        PyTorch's, for smaller planes.

    Returns
    -------
    (N, C, OH, OW) or (N, C, OL) array

    Examples
    --------
    >>> x = np.array([[[[1, 2]]]], np.float32)
    >>> print(F.interpolate(x, scale_factor=2)[0, 0])
    [[1. 1. 2. 2.]
     [1. 1. 2. 2.]]
    """
    how, OH, OW = check.interpolate(x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    planes = x if x.ndim == 4 else x[:, :, None]
    if mode == "area":
        y = adaptive_avg_pool2d(planes, (OH, OW))
    else:
        H, W = planes.shape[2:]
        rows, of_rows = _taps(H, OH, how.scale_h, how)
        columns, of_columns = _taps(W, OW, how.scale_w, how)
        y = np.zeros((*x.shape[:2], OH, OW), x.dtype)
        for i, j in np.ndindex(rows.shape[1], columns.shape[1]):
            weights = np.outer(of_rows[:, i], of_columns[:, j]).astype(x.dtype)
            y += planes[:, :, rows[:, i, None], columns[:, j]] * weights
    return y if x.ndim == 4 else y[:, :, 0]


@quiet
def interpolate_backward(
    dy: Array,
    input_size: Sizes,
    size: Sizes | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Gradient of `interpolate`: each element of `dy` goes to the pixels that it was made of, by their weights.

    Parameters
    ----------
    dy : (N, C, OH, OW) or (N, C, OL) array of float32 or float64
    input_size : int or (int, int)
        Size (H, W), or length, of the input.
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        As given to `interpolate`.

    Returns
    -------
    (N, C, H, W) or (N, C, L) array

    Examples
    --------
    >>> dy = np.ones((1, 1, 2, 4), np.float32)
    >>> print(F.interpolate_backward(dy, (1, 2), scale_factor=2)[0, 0])
    [[4. 4.]]
    """
    how, H, W = check.interpolate_backward(
        dy, input_size, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )
    planes = dy if dy.ndim == 4 else dy[:, :, None]
    if mode == "area":
        dx = adaptive_avg_pool2d_backward(planes, (H, W))
    else:
        OH, OW = planes.shape[2:]
        rows, of_rows = _taps(H, OH, how.scale_h, how)
        columns, of_columns = _taps(W, OW, how.scale_w, how)
        dx = np.zeros((*dy.shape[:2], H, W))
        for i, j in np.ndindex(rows.shape[1], columns.shape[1]):
            weights = np.outer(of_rows[:, i], of_columns[:, j]).astype(dy.dtype)
            places: Any = (slice(None), slice(None), rows[:, i, None], columns[:, j])
            np.add.at(dx, places, planes * weights)
        dx = dx.astype(dy.dtype)
    return dx if dy.ndim == 4 else dx[:, :, 0]
