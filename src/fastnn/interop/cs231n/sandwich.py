"""Layers that often follow each other: the course's layer_utils.py. A cache is a tuple of the layers' caches."""

from __future__ import annotations

from typing import Any

from fastnn._validate import Array
from fastnn.interop.cs231n._arrays import Cache
from fastnn.interop.cs231n.layers import affine_backward, affine_forward, relu_backward, relu_forward
from fastnn.interop.cs231n.norm import (
    batchnorm_backward,
    batchnorm_forward,
    spatial_batchnorm_backward,
    spatial_batchnorm_forward,
)
from fastnn.interop.cs231n.windows import (
    conv_backward_fast,
    conv_forward_fast,
    max_pool_backward_fast,
    max_pool_forward_fast,
)

Three = tuple[Array, Array, Array]
Five = tuple[Array, Array, Array, Array, Array]


def affine_relu_forward(x: Any, w: Any, b: Any) -> tuple[Array, Cache]:
    """Affine layer and ReLU."""
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout: Any, cache: Cache) -> Three:
    """Gradients dx, dw and db."""
    fc_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), fc_cache)


def affine_bn_relu_forward(
    x: Any, w: Any, b: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """Affine layer, batch normalisation and ReLU."""
    a, fc_cache = affine_forward(x, w, b)
    a, bn_cache = batchnorm_forward(a, gamma, beta, bn_param)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, bn_cache, relu_cache)


def affine_bn_relu_backward(dout: Any, cache: Cache) -> Five:
    """Gradients dx, dw, db, dgamma and dbeta."""
    fc_cache, bn_cache, relu_cache = cache
    da, dgamma, dbeta = batchnorm_backward(relu_backward(dout, relu_cache), bn_cache)
    return *affine_backward(da, fc_cache), dgamma, dbeta


def conv_relu_forward(x: Any, w: Any, b: Any, conv_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Convolution and ReLU."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    out, relu_cache = relu_forward(a)
    return out, (conv_cache, relu_cache)


def conv_relu_backward(dout: Any, cache: Cache) -> Three:
    """Gradients dx, dw and db."""
    conv_cache, relu_cache = cache
    return conv_backward_fast(relu_backward(dout, relu_cache), conv_cache)


def conv_bn_relu_forward(
    x: Any, w: Any, b: Any, gamma: Any, beta: Any, conv_param: dict[str, Any], bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """Convolution, spatial batch normalisation and ReLU."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    a, bn_cache = spatial_batchnorm_forward(a, gamma, beta, bn_param)
    out, relu_cache = relu_forward(a)
    return out, (conv_cache, bn_cache, relu_cache)


def conv_bn_relu_backward(dout: Any, cache: Cache) -> Five:
    """Gradients dx, dw, db, dgamma and dbeta."""
    conv_cache, bn_cache, relu_cache = cache
    da, dgamma, dbeta = spatial_batchnorm_backward(relu_backward(dout, relu_cache), bn_cache)
    return *conv_backward_fast(da, conv_cache), dgamma, dbeta


def conv_relu_pool_forward(
    x: Any, w: Any, b: Any, conv_param: dict[str, Any], pool_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """Convolution, ReLU and max pooling."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    s, relu_cache = relu_forward(a)
    out, pool_cache = max_pool_forward_fast(s, pool_param)
    return out, (conv_cache, relu_cache, pool_cache)


def conv_relu_pool_backward(dout: Any, cache: Cache) -> Three:
    """Gradients dx, dw and db."""
    conv_cache, relu_cache, pool_cache = cache
    return conv_backward_fast(relu_backward(max_pool_backward_fast(dout, pool_cache), relu_cache), conv_cache)
