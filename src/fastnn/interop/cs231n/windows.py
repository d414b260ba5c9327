"""Convolution and max pooling: the last part of the course's layers.py, and its fast_layers.py.

What the course has several versions of is one function here, under all their names.
"""

from __future__ import annotations

from typing import Any

from fastnn import functional as F
from fastnn._validate import Array
from fastnn.interop.cs231n._arrays import Cache, float64


def conv_forward_naive(x: Any, w: Any, b: Any, conv_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Convolve x (N, C, H, W) with the filters w (F, C, HH, WW) and add b (F,); conv_param has stride and pad.

    The cache is (x, w, b, conv_param).
    """
    options = {"stride": conv_param["stride"], "padding": conv_param["pad"]}
    return F.conv2d(float64(x), float64(w), float64(b), **options), (x, w, b, conv_param)


def conv_backward_naive(dout: Any, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients dx, dw and db."""
    x, w, _, conv_param = cache
    options = {"stride": conv_param["stride"], "padding": conv_param["pad"]}
    return F.conv2d_backward(float64(dout), float64(x), float64(w), **options)


def max_pool_forward_naive(x: Any, pool_param: dict[str, Any]) -> tuple[Array, Cache]:
    """The largest pixel of each window; pool_param has pool_height, pool_width and stride.

    The cache is (x, pool_param, where the maxima were). The first of equal maxima has all of the gradient.
    """
    window = pool_param["pool_height"], pool_param["pool_width"]
    out, positions = F.max_pool2d(float64(x), window, stride=pool_param["stride"], return_positions=True)
    return out, (x, pool_param, positions)


def max_pool_backward_naive(dout: Any, cache: Cache) -> Array:
    """The gradient dx."""
    x, pool_param, positions = cache
    window = pool_param["pool_height"], pool_param["pool_width"]
    return F.max_pool2d_backward(float64(dout), positions, x.shape[2:], window, stride=pool_param["stride"])


conv_forward_fast = conv_forward_im2col = conv_forward_strides = conv_forward_naive
conv_backward_fast = conv_backward_im2col = conv_backward_strides = conv_backward_naive
max_pool_forward_fast = max_pool_forward_reshape = max_pool_forward_im2col = max_pool_forward_naive
max_pool_backward_fast = max_pool_backward_reshape = max_pool_backward_im2col = max_pool_backward_naive
