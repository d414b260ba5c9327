"""The operations as functions on NumPy arrays: the door to the kernels.

Every function follows one pattern: check the arguments, hand over to the NumPy twin if ``implementation("reference")``
is in force, allocate the output, call the kernel, return. The twins carry the documentation, and their docstrings are
given to the functions here at the end of the file.

Arrays are float32 or float64, all of one dtype in a call. They need not be contiguous, aligned or writeable: a kernel
is handed a copy when it needs one. Outputs are new, C-contiguous arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, overload

import numpy as np

import fastnn._kernels._activation as _activation
import fastnn._kernels._conv as _conv
import fastnn._kernels._conv_backward as _conv_backward
import fastnn._kernels._im2col as _im2col
import fastnn._kernels._loss as _loss
import fastnn._kernels._matmul as _matmul
import fastnn._kernels._optim as _optim
import fastnn._kernels._pool as _pool
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import empty, use_reference
from fastnn._validate import Array, IntPair, MaybeArray

__all__ = reference.__all__


def _pick(kernel: Any, dtype: np.dtype[Any]) -> Any:
    """The float or double version of a kernel; left to choose for itself, it takes microseconds."""
    return kernel["float" if dtype == check.FLOAT32 else "double"]


def _c(a: Array) -> Array:
    """`a`, or a copy of it, as a kernel can read it: contiguous and aligned."""
    flags = a.flags
    return a if flags.c_contiguous and flags.aligned else np.array(a, order="C")


def _c_or_none(a: Array | None) -> Array | None:
    return None if a is None else _c(a)


def _flat(a: Array) -> Array:
    return _c(a).reshape(-1)


# Convolution


def im2col(
    x: Array, kernel_size: IntPair, *, stride: IntPair = 1, padding: IntPair = 0, dilation: IntPair = 1
) -> Array:
    KH, KW, SH, SW, PH, PW, DH, DW, OH, OW = check.im2col(x, kernel_size, stride, padding, dilation)
    if use_reference():
        return reference.im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    N, C = x.shape[:2]
    cols = empty((N, C * KH * KW, OH * OW), x.dtype)
    _pick(_im2col.im2col, x.dtype)(_c(x), cols, KH, KW, SH, SW, PH, PW, DH, DW)
    return cols


def col2im(
    cols: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
) -> Array:
    C, H, W, KH, KW, SH, SW, PH, PW, DH, DW = check.col2im(cols, output_size, kernel_size, stride, padding, dilation)
    if use_reference():
        return reference.col2im(cols, output_size, kernel_size, stride=stride, padding=padding, dilation=dilation)
    x = empty((cols.shape[0], C, H, W), cols.dtype)
    _pick(_im2col.col2im, x.dtype)(_c(cols), x, KH, KW, SH, SW, PH, PW, DH, DW)
    return x


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    SH, SW, PH, PW, OH, OW = check.conv2d(x, w, b, stride, padding, dilation, groups, activation)
    if use_reference():
        return reference.conv2d(x, w, b, stride=stride, padding=padding, activation=activation)
    y = empty((x.shape[0], w.shape[0], OH, OW), x.dtype)
    relu = activation is not None
    _pick(_conv.conv2d_forward, x.dtype)(_c(x), _c(w), _c_or_none(b), y, SH, SW, PH, PW, relu)
    return y


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    *,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
    needs: Iterable[str] = check.GRADIENTS,
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    SH, SW, PH, PW = check.conv2d_backward(dy, x, w, stride, padding, dilation, groups, needs)
    if use_reference():
        return reference.conv2d_backward(dy, x, w, stride=stride, padding=padding, needs=needs)
    dtype, dy = x.dtype, _c(dy)
    dx = dw = db = None
    if "dx" in needs:
        dx = empty(x.shape, dtype)
        _pick(_conv_backward.conv2d_backward_input, dtype)(dy, _c(w), dx, SH, SW, PH, PW)
    if "db" in needs:
        db = empty(w.shape[:1], dtype)
    if "dw" in needs:
        dw = empty(w.shape, dtype)
        _pick(_conv_backward.conv2d_backward_weight, dtype)(dy, _c(x), dw, db, SH, SW, PH, PW)
    elif db is not None:
        _pick(_conv_backward.conv2d_backward_bias, dtype)(dy, db)
    return dx, dw, db


# Pooling


@overload
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: Literal[False] = False,
) -> Array: ...
@overload
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: Literal[True],
) -> tuple[Array, Array]: ...
def maxpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    return_positions: bool = False,
) -> Array | tuple[Array, Array]:
    KH, KW, SH, SW, PH, PW, OH, OW = check.pool2d(x, kernel_size, stride, padding, ceil_mode)
    if use_reference():
        return reference.maxpool2d(
            x,
            kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            return_positions=return_positions,
        )
    shape = (*x.shape[:2], OH, OW)
    y = empty(shape, x.dtype)
    positions = empty(shape, check.positions_dtype(KH, KW)) if return_positions else None
    forward = _pool.maxpool2d_forward_wide if KH * KW > 256 else _pool.maxpool2d_forward
    _pick(forward, x.dtype)(_c(x), y, positions, KH, KW, SH, SW, PH, PW)
    return y if positions is None else (y, positions)


def maxpool2d_backward(
    dy: Array,
    positions: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    H, W, KH, KW, SH, SW, PH, PW = check.pool2d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode)
    check.positions(positions, dy, H, W, KH, KW, SH, SW, PH, PW)
    if use_reference():
        return reference.maxpool2d_backward(
            dy, positions, input_size, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
        )
    dx = empty((*dy.shape[:2], H, W), dy.dtype)
    backward = _pool.maxpool2d_backward_wide if KH * KW > 256 else _pool.maxpool2d_backward
    _pick(backward, dy.dtype)(_c(dy), _c(positions), dx, KH, KW, SH, SW, PH, PW)
    return dx


def avgpool2d(
    x: Array,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    KH, KW, SH, SW, PH, PW, OH, OW = check.pool2d(x, kernel_size, stride, padding, ceil_mode)
    if use_reference():
        return reference.avgpool2d(x, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    y = empty((*x.shape[:2], OH, OW), x.dtype)
    _pick(_pool.avgpool2d_forward, x.dtype)(_c(x), y, KH, KW, SH, SW, PH, PW)
    return y


def avgpool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    *,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Array:
    H, W, KH, KW, SH, SW, PH, PW = check.pool2d_backward(dy, input_size, kernel_size, stride, padding, ceil_mode)
    if use_reference():
        return reference.avgpool2d_backward(
            dy, input_size, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
        )
    dx = empty((*dy.shape[:2], H, W), dy.dtype)
    _pick(_pool.avgpool2d_backward, dy.dtype)(_c(dy), dx, KH, KW, SH, SW, PH, PW)
    return dx


# Products


def matmul(a: Array, b: Array) -> Array:
    check.matmul(a, b)
    if use_reference():
        return reference.matmul(a, b)
    c = empty((a.shape[0], b.shape[1]), a.dtype)
    _pick(_matmul.matmul, a.dtype)(_c(a), _c(b), c)
    return c


def _rows(x: Array) -> Array:
    """`x` as a matrix whose rows are its last axis, which is not empty."""
    return _c(x) if x.ndim == 2 else _c(x).reshape(-1, x.shape[-1])


def linear(x: Array, w: Array, b: Array | None = None, *, activation: str | None = None) -> Array:
    check.linear(x, w, b, activation)
    if use_reference():
        return reference.linear(x, w, b, activation=activation)
    y = empty((*x.shape[:-1], w.shape[0]), x.dtype)
    relu = activation is not None
    _pick(_matmul.linear_forward, x.dtype)(_rows(x), _c(w), _c_or_none(b), _rows(y), relu)
    return y


def linear_backward(
    dy: Array, x: Array, w: Array, *, needs: Iterable[str] = check.GRADIENTS
) -> tuple[MaybeArray, MaybeArray, MaybeArray]:
    check.linear_backward(dy, x, w, needs)
    if use_reference():
        return reference.linear_backward(dy, x, w, needs=needs)
    dtype, dy_rows = x.dtype, _rows(dy)
    dx = dw = db = None
    if "dx" in needs:
        dx = empty(x.shape, dtype)
        _pick(_matmul.linear_backward_input, dtype)(dy_rows, _c(w), _rows(dx))
    if "dw" in needs:
        dw = empty(w.shape, dtype)
        _pick(_matmul.linear_backward_weight, dtype)(dy_rows, _rows(x), dw)
    if "db" in needs:
        db = empty(w.shape[:1], dtype)
        _pick(_matmul.linear_backward_bias, dtype)(dy_rows, db)
    return dx, dw, db


# Activations


def relu(x: Array) -> Array:
    check.float_array("x", x)
    if use_reference():
        return reference.relu(x)
    y = empty(x.shape, x.dtype)
    _pick(_activation.relu_forward, x.dtype)(_flat(x), y.reshape(-1))
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.relu_backward(dy, y)
    dx = empty(y.shape, y.dtype)
    _pick(_activation.relu_backward, y.dtype)(_flat(dy), _flat(y), dx.reshape(-1))
    return dx


def sigmoid(x: Array) -> Array:
    check.float_array("x", x)
    if use_reference():
        return reference.sigmoid(x)
    y = empty(x.shape, x.dtype)
    _pick(_activation.sigmoid_forward, x.dtype)(_flat(x), y.reshape(-1))
    return y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.sigmoid_backward(dy, y)
    dx = empty(y.shape, y.dtype)
    _pick(_activation.sigmoid_backward, y.dtype)(_flat(dy), _flat(y), dx.reshape(-1))
    return dx


def tanh(x: Array) -> Array:
    check.float_array("x", x)
    if use_reference():
        return reference.tanh(x)
    y = empty(x.shape, x.dtype)
    _pick(_activation.tanh_forward, x.dtype)(_flat(x), y.reshape(-1))
    return y


def tanh_backward(dy: Array, y: Array) -> Array:
    check.elementwise_backward(dy, y)
    if use_reference():
        return reference.tanh_backward(dy, y)
    dx = empty(y.shape, y.dtype)
    _pick(_activation.tanh_backward, y.dtype)(_flat(dy), _flat(y), dx.reshape(-1))
    return dx


def _along(axis: int, kernel: Any, *inputs: Array) -> Array:
    """Call a kernel that works on rows with lines along `axis` as its rows."""
    last = inputs[0].ndim - 1
    if axis != last:
        inputs = tuple(a.swapaxes(axis, last) for a in inputs)
    y = empty(inputs[0].shape, inputs[0].dtype)
    if y.size:  # no rows could be counted along an empty axis
        _pick(kernel, y.dtype)(*map(_rows, inputs), _rows(y))
    return y if axis == last else np.ascontiguousarray(y.swapaxes(axis, last))


def softmax(x: Array, *, dim: int = -1) -> Array:
    axis = check.softmax(x, dim)
    if use_reference():
        return reference.softmax(x, dim=dim)
    return _along(axis, _activation.softmax_forward, x)


def softmax_backward(dy: Array, y: Array, *, dim: int = -1) -> Array:
    axis = check.softmax_backward(dy, y, dim)
    if use_reference():
        return reference.softmax_backward(dy, y, dim=dim)
    return _along(axis, _activation.softmax_backward, dy, y)


def log_softmax(x: Array, *, dim: int = -1) -> Array:
    axis = check.softmax(x, dim)
    if use_reference():
        return reference.log_softmax(x, dim=dim)
    return _along(axis, _activation.log_softmax_forward, x)


def log_softmax_backward(dy: Array, y: Array, *, dim: int = -1) -> Array:
    axis = check.softmax_backward(dy, y, dim)
    if use_reference():
        return reference.log_softmax_backward(dy, y, dim=dim)
    return _along(axis, _activation.log_softmax_backward, dy, y)


def flatten(x: Array, start_dim: int = 1) -> Array:
    return reference.flatten(x, start_dim)  # nothing is computed


# Losses


@overload
def cross_entropy(x: Array, target: Array, *, reduction: Literal["mean", "sum"] = "mean") -> float: ...
@overload
def cross_entropy(x: Array, target: Array, *, reduction: str) -> float | Array: ...
def cross_entropy(x: Array, target: Array, *, reduction: str = "mean") -> float | Array:
    labels = check.cross_entropy(x, target, reduction)
    if use_reference():
        return reference.cross_entropy(x, target, reduction=reduction)
    N = x.shape[0]
    losses = empty((N,), x.dtype)
    if labels:
        _pick(_loss.cross_entropy_labels_forward, x.dtype)(_c(x), _int64(target), losses)
    else:
        _pick(_loss.cross_entropy_probs_forward, x.dtype)(_c(x), _c(target), losses)
    if reduction == "none":
        return losses
    total = float(losses.sum(dtype=np.float64))
    if reduction == "sum":
        return total
    return total / N if N else float("nan")


def cross_entropy_backward(x: Array, target: Array, *, reduction: str = "mean", dloss: float | Array = 1.0) -> Array:
    labels = check.cross_entropy_backward(x, target, reduction, dloss)
    if use_reference():
        return reference.cross_entropy_backward(x, target, reduction=reduction, dloss=dloss)
    N = x.shape[0]
    row_scale = empty((N,), x.dtype)
    row_scale[...] = dloss / max(N, 1) if reduction == "mean" else dloss
    dx = empty(x.shape, x.dtype)
    if labels:
        _pick(_loss.cross_entropy_labels_backward, x.dtype)(_c(x), _int64(target), row_scale, dx)
    else:
        _pick(_loss.cross_entropy_probs_backward, x.dtype)(_c(x), _c(target), row_scale, dx)
    return dx


def _int64(labels: Array) -> Array:
    return _c(labels.astype(np.int64, copy=False))


# Optimisers


def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    lr, momentum, weight_decay = check.sgd_step(p, g, velocity, lr, momentum, weight_decay, nesterov)
    if use_reference():
        return reference.sgd_step(
            p, g, velocity, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
        )
    if momentum == 0.0:
        velocity = None
    flat_p = _flat(p)
    flat_v = None if velocity is None else _flat(velocity)
    _pick(_optim.sgd_step, p.dtype)(flat_p, _flat(g), flat_v, lr, momentum, weight_decay, bool(nesterov))
    _write_back(p, flat_p)
    if velocity is not None and flat_v is not None:
        _write_back(velocity, flat_v)


def _write_back(target: Array, updated: Array) -> None:
    """Copy `updated` into `target`, if it was a copy of it that the kernel updated."""
    if not np.may_share_memory(target, updated):
        target[...] = updated.reshape(target.shape)


for _name in __all__:
    globals()[_name].__doc__ = getattr(reference, _name).__doc__
del _name
