"""Convolution and pooling of any number of axes; one and two go to fastnn's kernels where these know the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn import functional
from fastnn._validate import Array
from fastnn.interop.onnx.operation import Attributes, Inputs, Operation

Pairs = list[tuple[int, int]]


class Window(NamedTuple):
    """For each axis of the plane: kernel, stride, dilation, and what is added before and behind."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pairs

    @property
    def spans(self) -> list[int]:
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]


def window_of(attributes: Attributes, kernel: Sequence[int], plane: Sequence[int] | None) -> Window | None:
    """The window of an operator's attributes; None if its frame depends on the plane, which is not known."""
    kernel = tuple(attributes.get("kernel_shape", kernel))
    n = len(kernel)
    stride = tuple(attributes.get("strides") or (1,) * n)
    dilation = tuple(attributes.get("dilations") or (1,) * n)
    pads = list(attributes.get("pads") or (0,) * 2 * n)
    if not len(stride) == len(dilation) == n or len(pads) != 2 * n or min((*kernel, *stride, *dilation), default=1) < 1:
        raise ValueError(f"has kernel_shape={kernel}, strides={stride}, dilations={dilation}, pads={tuple(pads)[:8]}")
    auto = attributes.get("auto_pad", "NOTSET")
    if auto == "VALID":
        pads = [0] * 2 * n
    window = Window(kernel, stride, dilation, list(zip(pads[:n], pads[n:], strict=True)))
    if not auto.startswith("SAME"):
        return window
    if plane is None:
        if any(s > 1 for s in stride):
            return None
        plane = kernel  # at stride 1 the frame is the same for every plane
    frame: Pairs = []
    for length, s, span in zip(plane, stride, window.spans, strict=True):
        both = max((-(-length // s) - 1) * s + span - length, 0)
        frame.append((both // 2, both - both // 2) if auto == "SAME_UPPER" else (both - both // 2, both // 2))
    return window._replace(pads=frame)


def _framed(x: Array, pads: Pairs, value: Any = 0) -> Array:
    if not any(map(any, pads)):
        return x
    return np.pad(x, [(0, 0), (0, 0), *pads], constant_values=value)


def _windows(x: Array, window: Window) -> Array:
    """(N, C, ..., kernel ...): a view of what each output sees."""
    n = len(window.kernel)
    axes = tuple(range(2, 2 + n))
    view = np.lib.stride_tricks.sliding_window_view(x, window.spans, axes)
    steps = tuple(slice(None, None, s) for s in window.stride)
    inside = tuple(slice(None, None, d) for d in window.dilation)
    return view[(slice(None), slice(None), *steps, *inside)]


# Convolution


def _conv(x: Array, weight: Array, bias: Array | None = None, group: int = 1, **attributes: Any) -> Array:
    window = window_of(attributes, weight.shape[2:], x.shape[2:])
    assert window is not None
    framed = _framed(x, window.pads)
    if len(window.kernel) in _CONV and x.dtype.kind == "f":
        return _CONV[len(window.kernel)][0](framed, weight, bias, window.stride, 0, window.dilation, group)
    seen = _windows(framed, window)
    N, _, *plane = seen.shape[: 2 + len(window.kernel)]
    seen = seen.reshape(N, group, -1, *seen.shape[2:])
    filters = weight.reshape(group, -1, *weight.shape[1:])
    letters = "uvw"[: len(plane)], "abc"[: len(plane)]
    y = np.einsum(f"ngi{letters[0]}{letters[1]},goi{letters[1]}->ngo{letters[0]}", seen, filters, optimize=True)
    y = y.reshape(N, -1, *plane)
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(plane))


_CONV: dict[int, tuple[Any, Any]] = {
    1: (functional.conv1d, functional.conv1d_backward),
    2: (functional.conv2d, functional.conv2d_backward),
}


def _conv_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x, weight = inputs[:2]
    window = window_of(attributes, weight.shape[2:], x.shape[2:])
    assert window is not None
    if len(window.kernel) not in _CONV:
        raise TypeError(f"Conv of {len(window.kernel)} axes has no backward; expected 1 or 2 axes")
    backward = _CONV[len(window.kernel)][1]
    group = attributes.get("group", 1)
    framed = _framed(x, window.pads)
    dx, dw, db = backward(dy, framed, weight, window.stride, 0, window.dilation, group)
    inside = tuple(slice(a, a + n) for (a, _), n in zip(window.pads, x.shape[2:], strict=True))
    return (dx[(slice(None), slice(None), *inside)], dw, db)[: len(inputs)]


def transposed_frame(window: Window, attributes: Attributes, plane: Sequence[int]) -> tuple[list[int], Pairs]:
    """What is added behind the output, and what is cut from it, of a transposed convolution."""
    n = len(window.kernel)
    more = list(attributes.get("output_padding") or (0,) * n)
    whole = [s * (length - 1) + span for s, length, span in zip(window.stride, plane, window.spans, strict=True)]
    auto = attributes.get("auto_pad", "NOTSET")
    lengths = attributes.get("output_shape")
    if lengths is None and not auto.startswith("SAME"):
        return more, window.pads
    lengths = lengths or [length * s for length, s in zip(plane, window.stride, strict=True)]
    pads = []
    for full, extra, wanted in zip(whole, more, lengths[-n:], strict=True):
        both = full + extra - wanted
        small, large = (both // 2, both - both // 2) if both >= 0 else (0, both)
        pads.append((large, small) if auto == "SAME_LOWER" else (small, large))
    return more, pads


def _conv_transpose(x: Array, weight: Array, bias: Array | None = None, group: int = 1, **attributes: Any) -> Array:
    window = window_of({**attributes, "auto_pad": "NOTSET"}, weight.shape[2:], None)
    assert window is not None
    more, pads = transposed_frame(window, attributes, x.shape[2:])
    N, plane = x.shape[0], x.shape[2:]
    parts = x.reshape(N, group, -1, *plane)
    filters = weight.reshape(group, -1, *weight.shape[1:])
    lengths = [
        s * (n - 1) + span + extra for s, n, span, extra in zip(window.stride, plane, window.spans, more, strict=True)
    ]
    y = np.zeros((N, group, weight.shape[1], *lengths), x.dtype)
    for offset in np.ndindex(*window.kernel):
        at: tuple[Any, ...] = tuple(
            slice(o * d, o * d + s * (n - 1) + 1, s)
            for o, d, s, n in zip(offset, window.dilation, window.stride, plane, strict=True)
        )
        y[(..., *at)] += np.einsum("ngi...,gio->ngo...", parts, filters[(..., *offset)])
    y = y.reshape(N, -1, *lengths)
    cut = tuple(slice(max(a, 0), n - max(b, 0)) for (a, b), n in zip(pads, lengths, strict=True))
    y = _framed(y[(slice(None), slice(None), *cut)], [(max(-a, 0), max(-b, 0)) for a, b in pads])
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(plane))


# Pooling


def behind(window: Window, plane: Sequence[int], ceil_mode: int) -> Pairs:
    """The frame, with what the last window needs behind the plane in ceil mode; it begins inside plane and frame."""
    frame: Pairs = []
    for n, k, s, (a, b) in zip(plane, window.spans, window.stride, window.pads, strict=True):
        out = (n + a + b - k) // s + 1
        if ceil_mode and (n + a + b - k) % s and out * s < n + a:
            out += 1
        frame.append((a, max((out - 1) * s + k - n - a, b if not ceil_mode else 0)))
    return frame


def _pool_windows(x: Array, attributes: Attributes, value: Any) -> tuple[Array, Window]:
    window = window_of(attributes, (), x.shape[2:])
    assert window is not None
    frame = behind(window, x.shape[2:], attributes.get("ceil_mode", 0))
    return _windows(_framed(x, frame, value), window), window


def _max_pool(x: Array, storage_order: int = 0, outputs: int = 1, **attributes: Any) -> Any:
    least: Any = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    seen, window = _pool_windows(x, attributes, least)
    axes = tuple(range(-len(window.kernel), 0))
    y = seen.max(axes)
    if outputs == 1:
        return y
    places = np.arange(x[0, 0].size).reshape(x.shape[2:], order="F" if storage_order else "C")
    places = places + x[0, 0].size * np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * len(axes))
    where, _ = _pool_windows(places, attributes, -1)
    flat = (*y.shape, math.prod(window.kernel))
    first = np.argmax(seen.reshape(flat), -1)[..., None]
    return y, np.take_along_axis(where.reshape(flat), first, -1)[..., 0].astype(np.int64)


def _max_pool_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x = inputs[0]
    settings = {**attributes, "outputs": 2, "storage_order": 0}
    _, where = _max_pool(x, **settings)
    dy = dy[0] if isinstance(dy, tuple) else dy
    return (np.bincount(where.ravel(), dy.ravel(), x.size).reshape(x.shape).astype(x.dtype),)


def _number(x: Array, count_include_pad: int = 0, **attributes: Any) -> Array:
    """How many numbers each output is the average of."""
    window = window_of(attributes, (), x.shape[2:])
    assert window is not None
    counted = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if count_include_pad:  # the frame counts, and what ceil mode adds behind it does not
        counted = _framed(counted, window.pads, 1)
        attributes = {**attributes, "pads": [0] * 2 * len(window.kernel), "auto_pad": "NOTSET"}
    seen, _ = _pool_windows(counted, attributes, 0)
    return np.asarray(seen.sum(tuple(range(-len(window.kernel), 0))))


def _average_pool(x: Array, count_include_pad: int = 0, **attributes: Any) -> Array:
    seen, window = _pool_windows(x, attributes, 0)
    axes = tuple(range(-len(window.kernel), 0))
    return np.asarray(seen.sum(axes) / _number(x, count_include_pad, **attributes), x.dtype)


def _average_pool_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    """Each output's gradient, shared out among the numbers that it is the average of."""
    x = inputs[0]
    settings = {name: each for name, each in attributes.items() if name != "count_include_pad"}
    where, window = _pool_windows(np.arange(1, x.size + 1).reshape(x.shape), settings, 0)
    axes = tuple(range(-len(window.kernel), 0))
    each = np.broadcast_to(np.expand_dims(dy / _number(x, **attributes), axes), where.shape)
    return (np.bincount(where.ravel(), each.ravel(), x.size + 1)[1:].reshape(x.shape).astype(x.dtype),)


def _lp_pool(x: Array, p: int = 2, **attributes: Any) -> Array:
    seen, window = _pool_windows(x, attributes, 0)
    axes = tuple(range(-len(window.kernel), 0))
    return np.asarray((np.abs(seen) ** p).sum(axes) ** (1 / p), x.dtype)


def _planes(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _of_planes(function: Any) -> Any:
    return lambda x: np.asarray(function(x, axis=_planes(x), keepdims=True), x.dtype)


def _global_average_backward(dy: Any, y: Any, inputs: Inputs, attributes: Attributes) -> tuple[Any, ...]:
    x = inputs[0]
    return (np.array(np.broadcast_to(dy / math.prod(x.shape[2:]), x.shape), dy.dtype),)


OPERATIONS: dict[str, Operation] = {
    "Conv": Operation(_conv, _conv_backward),
    "ConvTranspose": Operation(_conv_transpose),
    "MaxPool": Operation(_max_pool, _max_pool_backward),
    "AveragePool": Operation(_average_pool, _average_pool_backward),
    "LpPool": Operation(_lp_pool),
    "GlobalAveragePool": Operation(_of_planes(np.mean), _global_average_backward),
    "GlobalMaxPool": Operation(_of_planes(np.max)),
}
