"""Every rule about arguments, and every message about a broken one.

Each operation has one check here, called by its door in ``functional`` and by its twin in ``reference``. A check
returns what it had to work out (pairs of integers, output sizes), so that nobody works it out a second time. A
message names the argument, says what came and what was expected.

Checks run on every call, so the usual case (a plain array of a supported dtype, an int for a pair) takes the first
branch and the words are put together only when something is wrong.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IntPair = int | tuple[int, int]
MaybeArray = Array | Any  # None where the caller asked for none, which type checkers need not ask about

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
GRADIENTS = ("dx", "dw", "db")
LARGEST = 2**31 - 1  # window, stride or padding: kernels multiply them by sizes of arrays
REDUCTIONS = ("mean", "sum", "none")


# Arrays


def float_array(name: str, a: Array) -> None:
    """`a` is a NumPy array of float32 or float64."""
    if type(a) is not np.ndarray and (not isinstance(a, np.ndarray) or isinstance(a, np.ma.MaskedArray | np.matrix)):
        raise TypeError(f"{name}: got {type(a).__name__}; expected a NumPy array of float32 or float64")
    dtype = a.dtype
    if dtype is not FLOAT32 and dtype is not FLOAT64 and dtype != FLOAT32 and dtype != FLOAT64:
        raise TypeError(
            f"{name}: got an array of {dtype}; expected float32 or float64: convert it, as in {name}.astype(np.float32)"
        )


def _same_dtype(first: str, a: Array, second: str, b: Array) -> None:
    """`b` is a float array of the dtype of `a`, which has been checked."""
    float_array(second, b)
    if a.dtype != b.dtype:
        raise TypeError(
            f"{first} and {second}: got {a.dtype} and {b.dtype}; expected one dtype: convert one of them, "
            f"or build the layers with dtype=np.{a.dtype}"
        )


def _axes(name: str, a: Array, count: int, axes: str) -> None:
    if a.ndim != count:
        raise ValueError(f"{name}: got shape {a.shape}; expected {count} axes, {axes}")


def _shape(name: str, a: Array, expected: tuple[int, ...], why: str) -> None:
    if a.shape != expected:
        raise ValueError(f"{name}: got shape {a.shape}; expected {expected}, {why}")


def _images(name: str, x: Array) -> None:
    """`x` is (N, C, H, W); only the batch may be empty."""
    float_array(name, x)
    _axes(name, x, 4, "(N, C, H, W)")
    if 0 in x.shape[1:]:
        raise ValueError(f"{name}: got shape {x.shape}; expected at least one channel, row and column")


# Integers and other small arguments


def integer(name: str, value: int, least: int | None = None) -> int:
    """`value` as an int, of at least `least`."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: got {value!r}; expected an int")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}; expected an int") from None
    if least is not None and number < least:
        raise ValueError(f"{name}: got {value!r}; expected at least {least}")
    return number


def pair(name: str, value: IntPair, least: int) -> tuple[int, int]:
    """`value`, an int or two of them (rows, columns), as two ints of at least `least`."""
    if type(value) is int:
        first = second = value
    elif type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        first, second = value
    else:
        first, second = _pair_of_other(name, value)
    if first < least or second < least:
        raise ValueError(f"{name}: got {value!r}; expected at least {least}")
    if first > LARGEST or second > LARGEST:
        raise ValueError(f"{name}: got {value!r}; expected at most {LARGEST}")
    return first, second


def _pair_of_other(name: str, value: Any) -> tuple[int, int]:
    items = tuple(value) if isinstance(value, tuple | list | np.ndarray) else (value, value)
    try:
        if any(isinstance(item, bool | np.bool_) for item in items):
            raise TypeError
        numbers = tuple(operator.index(item) for item in items)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}; expected an int or a pair of ints") from None
    if len(numbers) != 2:
        raise ValueError(f"{name}: got {value!r}; expected an int or a pair of ints")
    return numbers


def number(name: str, value: float, least: float = -math.inf) -> float:
    """`value` as a finite float of at least `least`."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        result = float(value)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}; expected a number") from None
    if not least <= result < math.inf:
        wanted = "a finite number" if least == -math.inf else f"a finite number of at least {least:g}"
        raise ValueError(f"{name}: got {value!r}; expected {wanted}")
    return result


def positive(name: str, value: float) -> float:
    """`value` as a finite float above 0."""
    result = number(name, value, 0.0)
    if result == 0.0:
        raise ValueError(f"{name}: got {value!r}; expected a finite number above 0")
    return result


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """`dtype` as np.dtype, float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: got {dtype!r}; expected float32 or float64") from None
    if dtype is None or found not in (FLOAT32, FLOAT64):
        raise TypeError(f"dtype: got {dtype!r}; expected float32 or float64")
    return found


def _choice(name: str, value: Any, choices: Iterable[Any]) -> NoReturn:
    raise ValueError(f"{name}: got {value!r}; expected one of {', '.join(map(repr, choices))}")


def reduction(value: str) -> None:
    if value not in REDUCTIONS:
        _choice("reduction", value, REDUCTIONS)


def _activation(value: str | None) -> None:
    if value is not None and value != "relu":
        _choice("activation", value, (None, "relu"))


def _needs(needs: Iterable[str]) -> None:
    if isinstance(needs, str):
        raise TypeError(f"needs: got {needs!r}; expected a tuple of names, as in needs=({needs!r},)")
    for name in needs:
        if name not in GRADIENTS:
            _choice("needs", name, GRADIENTS)


def _axis(name: str, value: int, ndim: int) -> int:
    """`value` as an axis of an array with `ndim` of them, counted from the front."""
    axis = integer(name, value)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: got {value}; expected {-ndim} to {ndim - 1} for an array of {ndim} axes")
    return axis + ndim if axis < 0 else axis


# Windows: convolution, im2col, pooling


def _windows_fit(H: int, W: int, KH: int, KW: int, PH: int, PW: int, DH: int = 1, DW: int = 1) -> None:
    if DH * (KH - 1) + 1 > H + 2 * PH or DW * (KW - 1) + 1 > W + 2 * PW:
        dilated = f" with dilation {(DH, DW)}" if (DH, DW) != (1, 1) else ""
        raise ValueError(
            f"kernel_size: got {(KH, KW)}{dilated}; expected at most the padded input, "
            f"{(H + 2 * PH, W + 2 * PW)} (input {(H, W)}, padding {(PH, PW)})"
        )


def _undilated_and_ungrouped(dilation: IntPair, groups: int) -> None:
    if pair("dilation", dilation, 1) != (1, 1):
        raise ValueError(f"dilation: got {dilation!r}; only 1 is supported so far")
    if integer("groups", groups, 1) != 1:
        raise ValueError(f"groups: got {groups!r}; only 1 is supported so far")


def conv2d_settings(
    kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair, groups: int
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return kernel_size, stride and padding as pairs."""
    _undilated_and_ungrouped(dilation, groups)
    return pair("kernel_size", kernel_size, 1), pair("stride", stride, 1), pair("padding", padding, 0)


def _conv_geometry(
    x: Array, w: Array, stride: IntPair, padding: IntPair, dilation: IntPair, groups: int
) -> tuple[int, int, int, int, int, int]:
    _images("x", x)
    _same_dtype("x", x, "w", w)
    _axes("w", w, 4, "(O, C, KH, KW)")
    SH, SW = pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    if dilation != 1 or groups != 1:
        _undilated_and_ungrouped(dilation, groups)
    _, C, H, W = x.shape
    _, WC, KH, KW = w.shape
    if WC != C:
        raise ValueError(f"w: got shape {w.shape}, for {WC} input channels; expected {C}, the channels of x {x.shape}")
    if 0 in w.shape:
        raise ValueError(f"w: got shape {w.shape}; expected no empty axis")
    _windows_fit(H, W, KH, KW, PH, PW)
    return SH, SW, PH, PW, (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1


def conv2d(
    x: Array,
    w: Array,
    b: Array | None,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
    groups: int,
    activation: str | None,
) -> tuple[int, int, int, int, int, int]:
    """Return SH, SW, PH, PW, OH, OW."""
    geometry = _conv_geometry(x, w, stride, padding, dilation, groups)
    if b is not None:
        _same_dtype("x", x, "b", b)
        _shape("b", b, (w.shape[0],), "one number for each output channel of w")
    _activation(activation)
    return geometry


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
    groups: int,
    needs: Iterable[str],
) -> tuple[int, int, int, int]:
    """Return SH, SW, PH, PW."""
    SH, SW, PH, PW, OH, OW = _conv_geometry(x, w, stride, padding, dilation, groups)
    _same_dtype("x", x, "dy", dy)
    _shape("dy", dy, (x.shape[0], w.shape[0], OH, OW), "the shape of the output of conv2d")
    _needs(needs)
    return SH, SW, PH, PW


def im2col(
    x: Array, kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair
) -> tuple[int, int, int, int, int, int, int, int, int, int]:
    """Return KH, KW, SH, SW, PH, PW, DH, DW, OH, OW."""
    _images("x", x)
    return _im2col_geometry(x.shape[2], x.shape[3], kernel_size, stride, padding, dilation)


def _im2col_geometry(
    H: int, W: int, kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair
) -> tuple[int, int, int, int, int, int, int, int, int, int]:
    KH, KW = pair("kernel_size", kernel_size, 1)
    SH, SW = pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    DH, DW = pair("dilation", dilation, 1)
    _windows_fit(H, W, KH, KW, PH, PW, DH, DW)
    OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    return KH, KW, SH, SW, PH, PW, DH, DW, OH, OW


def col2im(
    cols: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair,
    padding: IntPair,
    dilation: IntPair,
) -> tuple[int, int, int, int, int, int, int, int, int, int, int]:
    """Return C, H, W, KH, KW, SH, SW, PH, PW, DH, DW."""
    float_array("cols", cols)
    _axes("cols", cols, 3, "(N, C*KH*KW, OH*OW)")
    H, W = pair("output_size", output_size, 1)
    KH, KW, SH, SW, PH, PW, DH, DW, OH, OW = _im2col_geometry(H, W, kernel_size, stride, padding, dilation)
    _, rows, places = cols.shape
    if rows == 0 or rows % (KH * KW):
        raise ValueError(
            f"cols: got shape {cols.shape}, {rows} rows; expected a multiple of KH*KW = {KH * KW}, C*KH*KW"
        )
    if places != OH * OW:
        raise ValueError(
            f"cols: got shape {cols.shape}, {places} windows; expected OH*OW = {OH}*{OW} = {OH * OW} "
            f"for output_size {(H, W)}"
        )
    return rows // (KH * KW), H, W, KH, KW, SH, SW, PH, PW, DH, DW


def _pool_axis(size: int, K: int, S: int, P: int, ceil_mode: bool) -> int:
    """How many windows fit along one axis, by PyTorch's rule."""
    if not ceil_mode:
        return (size + 2 * P - K) // S + 1
    count = (size + 2 * P - K + S - 1) // S + 1
    return count - 1 if (count - 1) * S >= size + P else count


def pool2d_settings(
    kernel_size: IntPair, stride: IntPair | None, padding: IntPair, ceil_mode: bool
) -> tuple[int, int, int, int, int, int]:
    """Return KH, KW, SH, SW, PH, PW."""
    KH, KW = pair("kernel_size", kernel_size, 1)
    SH, SW = (KH, KW) if stride is None else pair("stride", stride, 1)
    PH, PW = pair("padding", padding, 0)
    if 2 * PH > KH or 2 * PW > KW:
        raise ValueError(f"padding: got {padding!r}; expected at most half of kernel_size {(KH, KW)}")
    if KH * KW > LARGEST:
        raise ValueError(f"kernel_size: got {(KH, KW)}; expected at most {LARGEST} elements")
    if ceil_mode is not True and ceil_mode is not False:
        raise TypeError(f"ceil_mode: got {ceil_mode!r}; expected True or False")
    return KH, KW, SH, SW, PH, PW


def _pool_geometry(
    H: int, W: int, kernel_size: IntPair, stride: IntPair | None, padding: IntPair, ceil_mode: bool
) -> tuple[int, int, int, int, int, int, int, int]:
    KH, KW, SH, SW, PH, PW = pool2d_settings(kernel_size, stride, padding, ceil_mode)
    OH, OW = _pool_axis(H, KH, SH, PH, ceil_mode), _pool_axis(W, KW, SW, PW, ceil_mode)
    if OH < 1 or OW < 1:
        _windows_fit(H, W, KH, KW, PH, PW)
    return KH, KW, SH, SW, PH, PW, OH, OW


def pool2d(
    x: Array, kernel_size: IntPair, stride: IntPair | None, padding: IntPair, ceil_mode: bool
) -> tuple[int, int, int, int, int, int, int, int]:
    """Return KH, KW, SH, SW, PH, PW, OH, OW."""
    _images("x", x)
    return _pool_geometry(x.shape[2], x.shape[3], kernel_size, stride, padding, ceil_mode)


def pool2d_backward(
    dy: Array,
    input_size: IntPair,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    ceil_mode: bool,
) -> tuple[int, int, int, int, int, int, int, int]:
    """Return H, W, KH, KW, SH, SW, PH, PW."""
    _images("dy", dy)
    H, W = pair("input_size", input_size, 1)
    KH, KW, SH, SW, PH, PW, OH, OW = _pool_geometry(H, W, kernel_size, stride, padding, ceil_mode)
    N, C = dy.shape[:2]
    _shape("dy", dy, (N, C, OH, OW), f"the output of pooling an input of {(H, W)}")
    return H, W, KH, KW, SH, SW, PH, PW


def positions(
    positions: Array,
    dy: Array,
    H: int,
    W: int,
    KH: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
) -> None:
    """`positions` is what maxpool2d returned beside the output that `dy` belongs to: all inside the input."""
    wanted = positions_dtype(KH, KW)
    if not isinstance(positions, np.ndarray) or isinstance(positions, np.ma.MaskedArray) or positions.dtype != wanted:
        came = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(
            f"positions: got {came}; expected an array of {wanted}, as maxpool2d returns for kernel_size {(KH, KW)}"
        )
    _shape("positions", positions, dy.shape, "the shape of dy")
    if positions.size and (positions.max() >= KH * KW or (wanted != np.uint8 and positions.min() < 0)):
        raise ValueError(
            f"positions: got values from {positions.min()} to {positions.max()}; "
            f"expected 0 to {KH * KW - 1}, places in a window of {(KH, KW)}"
        )
    for o in _overhanging(positions.shape[2], H, KH, SH, PH):
        _positions_inside(positions[:, :, o] // KW, o * SH - PH, H)
    for o in _overhanging(positions.shape[3], W, KW, SW, PW):
        _positions_inside(positions[:, :, :, o] % KW, o * SW - PW, W)


def _overhanging(count: int, size: int, K: int, S: int, P: int) -> list[int]:
    """The windows along one axis that hang over the edge of the input."""
    if P == 0 and (count - 1) * S + K <= size:
        return []
    return [o for o in range(count) if o * S < P or o * S - P + K > size]


def _positions_inside(places: Array, start: int, size: int) -> None:
    if places.size and (start + int(places.min()) < 0 or start + int(places.max()) >= size):
        raise ValueError("positions: got one in the padding; expected places inside the input, as from maxpool2d")


def positions_dtype(KH: int, KW: int) -> np.dtype[Any]:
    """The smallest of the two dtypes that holds every place in a window."""
    return np.dtype(np.uint8) if KH * KW <= 256 else np.dtype(np.int32)


# Products


def matmul(a: Array, b: Array) -> None:
    float_array("a", a)
    _same_dtype("a", a, "b", b)
    _axes("a", a, 2, "(M, K)")
    _axes("b", b, 2, "(K, N)")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"b: got shape {b.shape}; expected {a.shape[1]} rows, as many as a {a.shape} has columns")


def _linear_arrays(x: Array, w: Array) -> None:
    float_array("x", x)
    _same_dtype("x", x, "w", w)
    _axes("w", w, 2, "(O, I)")
    if 0 in w.shape:
        raise ValueError(f"w: got shape {w.shape}; expected no empty axis")
    if x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ValueError(f"x: got shape {x.shape}; expected (..., {w.shape[1]}), as many features as w {w.shape} takes")


def linear(x: Array, w: Array, b: Array | None, activation: str | None) -> None:
    _linear_arrays(x, w)
    if b is not None:
        _same_dtype("x", x, "b", b)
        _shape("b", b, (w.shape[0],), "one number for each output feature of w")
    _activation(activation)


def linear_backward(dy: Array, x: Array, w: Array, needs: Iterable[str]) -> None:
    _linear_arrays(x, w)
    _same_dtype("x", x, "dy", dy)
    _shape("dy", dy, (*x.shape[:-1], w.shape[0]), "the shape of the output of linear")
    _needs(needs)


# Activations


def elementwise_backward(dy: Array, y: Array) -> None:
    float_array("y", y)
    _same_dtype("y", y, "dy", dy)
    _shape("dy", dy, y.shape, "the shape of y")


def softmax(x: Array, dim: int, name: str = "x") -> int:
    """Return `dim` counted from the front."""
    float_array(name, x)
    if x.ndim == 0:
        raise ValueError(f"{name}: got shape (); expected at least one axis")
    return _axis("dim", dim, x.ndim)


def softmax_backward(dy: Array, y: Array, dim: int) -> int:
    """Return `dim` counted from the front."""
    axis = softmax(y, dim, "y")
    _same_dtype("y", y, "dy", dy)
    _shape("dy", dy, y.shape, "the shape of y")
    return axis


def flatten(x: Array, start_dim: int) -> int:
    """Return `start_dim` counted from the front."""
    float_array("x", x)
    if x.ndim == 0:
        raise ValueError("x: got shape (); expected at least one axis")
    return _axis("start_dim", start_dim, x.ndim)


def flatten_backward(dy: Array, flattened: tuple[int, ...]) -> None:
    float_array("dy", dy)
    _shape("dy", dy, flattened, "the shape of the output of Flatten")


# Losses


def cross_entropy(x: Array, target: Array, reduction_name: str) -> bool:
    """Return whether `target` holds labels (True) or probabilities (False)."""
    float_array("x", x)
    _axes("x", x, 2, "(N, K)")
    if x.shape[1] == 0:
        raise ValueError(f"x: got shape {x.shape}; expected at least one class")
    reduction(reduction_name)
    if not isinstance(target, np.ndarray):
        raise TypeError(
            f"target: got {type(target).__name__}; expected an array of integer labels (N,) or of probabilities (N, K)"
        )
    if target.ndim == 2 and target.dtype.kind == "f":
        _same_dtype("x", x, "target", target)
        _shape("target", target, x.shape, "the shape of x")
        if target.size and math.isnan(target.min()):
            raise ValueError("target: got NaN among the probabilities; expected numbers")
        return False
    _labels(target, *x.shape)
    return True


def _labels(target: Array, N: int, K: int) -> None:
    if isinstance(target, np.ma.MaskedArray | np.matrix):
        raise TypeError(f"target: got {type(target).__name__}; expected a plain NumPy array of labels")
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"target: got labels of {target.dtype}{_nan_note(target)}; expected integers 0 to {K - 1}, shape ({N},)"
        )
    if target.shape != (N,):
        raise ValueError(f"target: got shape {target.shape}; expected ({N},), one label for each row of x")
    if N and not 0 <= target.min() <= target.max() < K:
        place = int(np.argmax((target < 0) | (target >= K)))
        raise ValueError(f"target: got label {target[place]} at place {place}; expected 0 to {K - 1}")


def _nan_note(target: Array) -> str:
    return ", NaN among them" if target.dtype.kind == "f" and np.isnan(target).any() else ""


def cross_entropy_backward(x: Array, target: Array, reduction_name: str, dloss: Any) -> bool:
    """Return whether `target` holds labels (True) or probabilities (False)."""
    labels = cross_entropy(x, target, reduction_name)
    shape = np.shape(dloss)
    if shape != () and (reduction_name != "none" or shape != x.shape[:1]):
        wanted = f"a number or shape ({x.shape[0]},)" if reduction_name == "none" else "a number"
        raise ValueError(f"dloss: got shape {shape}; expected {wanted} with reduction {reduction_name!r}")
    return labels


# Optimisers


def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[float, float, float]:
    """Return lr, momentum and weight_decay as floats."""
    float_array("p", p)
    _same_dtype("p", p, "g", g)
    _shape("g", g, p.shape, "the shape of p")
    if not p.flags.writeable:
        raise ValueError("p: got a read-only array; expected a writable one, it is updated in place")
    if p is g or p is velocity or (g is velocity and g is not None):
        raise ValueError("p, g, velocity: got one array twice; expected three that share no memory")
    lr, momentum, weight_decay = sgd_settings(lr, momentum, weight_decay, nesterov)
    if momentum:
        if velocity is None:
            raise ValueError(f"velocity: got None; expected an array like p, since momentum is {momentum}")
        _same_dtype("p", p, "velocity", velocity)
        _shape("velocity", velocity, p.shape, "the shape of p")
        if not velocity.flags.writeable:
            raise ValueError("velocity: got a read-only array; expected a writable one, it is updated in place")
    return lr, momentum, weight_decay


def sgd_settings(lr: float, momentum: float, weight_decay: float, nesterov: bool) -> tuple[float, float, float]:
    """Return lr, momentum and weight_decay as floats."""
    lr = number("lr", lr, 0.0)
    momentum = number("momentum", momentum, 0.0)
    weight_decay = number("weight_decay", weight_decay, 0.0)
    if nesterov and momentum == 0.0:
        raise ValueError("nesterov: got True with momentum 0; expected a momentum above 0")
    return lr, momentum, weight_decay


# Layers and what is built on them


def kept(owner: object, value: Any) -> Any:
    """What `owner` kept in its forward for its backward, or an error if it kept nothing."""
    if value is None:
        name = type(owner).__name__
        raise RuntimeError(
            f"{name}.backward: got nothing to go back through; expected a call of this {name} first "
            "(a layer keeps what backward needs in train mode only)"
        )
    return value


def layers(values: Iterable[Any], kind: type) -> None:
    """All of `values` are of the class `kind` of layers, and none is there twice."""
    seen: dict[int, int] = {}
    for place, layer in enumerate(values):
        if not isinstance(layer, kind):
            came = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
            raise TypeError(f"layer {place}: got {came}; expected a layer, as in ReLU()")
        for module in layer.modules():  # type: ignore[attr-defined]
            if id(module) in seen:
                raise ValueError(
                    f"layer {place}: got the {type(module).__name__} that is also in layer {seen[id(module)]}; "
                    "expected another one: a layer keeps what its backward needs, so it has one place in a network"
                )
            seen[id(module)] = place


def parameters(values: Iterable[Any], kind: type) -> list[Any]:
    """All of `values` as a list: at least one, all of the class `kind` of parameters, none twice."""
    found = list(values)
    if not found:
        raise ValueError("params: got none; expected at least one parameter, as from net.parameters()")
    for p in found:
        if not isinstance(p, kind):
            raise TypeError(f"params: got {type(p).__name__}; expected parameters, as from net.parameters()")
    if len({id(p) for p in found}) < len(found):
        twice = next(p for i, p in enumerate(found) if any(p is q for q in found[:i]))
        raise ValueError(f"params: got {twice.name!r} twice; expected each parameter once")
    return found


def input_shape(shape: Any) -> tuple[int, ...]:
    """`shape` as a tuple of ints of at least 1."""
    if not isinstance(shape, tuple | list) or not shape:
        raise TypeError(f"input_shape: got {shape!r}; expected the shape of x as a tuple, as in (1, 1, 28, 28)")
    return tuple(integer("input_shape", length, 1) for length in shape)


def warn_of_bytes(x: Array, stacklevel: int) -> None:
    """Warn if the input of a network looks like pixels that were not scaled."""
    if x.size and x.min() >= 0 and 8 < x.max() <= 255:
        warnings.warn(
            f"x looks like 0-255 (got {x.min():g} to {x.max():g}); 0-1 expected: divide by 255",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def state_dict(state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The entries of `state` as arrays, if they have exactly the names and shapes of `shapes`."""
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict: got {type(state).__name__}; expected a dict of name to array")
    wrong = [f"{name} is missing" for name in shapes if name not in state]
    wrong += [f"{name} is not in this network" for name in state if name not in shapes]
    arrays = {name: np.asarray(state[name]) for name in shapes if name in state}
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            wrong.append(f"{name}: got shape {array.shape}; expected {shapes[name]}")
        elif array.dtype.kind not in "fiu":
            wrong.append(f"{name}: got {array.dtype}; expected real numbers")
    if wrong:
        raise ValueError(
            f"state_dict: got {len(state)} entries; expected the {len(shapes)} of this network, but " + "; ".join(wrong)
        )
    return arrays


def sgd_state(state: Mapping[str, Any], shapes: list[tuple[int, ...]]) -> list[Array | None]:
    """The velocities in the state of an SGD, if they fit parameters of these `shapes`."""
    wanted = {"lr", "momentum", "weight_decay", "nesterov", "velocities"}
    if not isinstance(state, Mapping) or set(state) != wanted:
        came = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"state_dict: got {came}; expected a dict of {', '.join(sorted(wanted))}")
    sgd_settings(state["lr"], state["momentum"], state["weight_decay"], state["nesterov"])
    velocities = [None if v is None else np.asarray(v) for v in state["velocities"]]
    if len(velocities) != len(shapes):
        raise ValueError(
            f"state_dict: got {len(velocities)} velocities; expected {len(shapes)}, one for each parameter"
        )
    for place, (v, wanted_shape) in enumerate(zip(velocities, shapes, strict=True)):
        if v is not None:
            _shape(f"state_dict: velocity {place}", v, wanted_shape, "the shape of its parameter")
    return velocities


# Initialisation


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan_in and fan_out: how many inputs an output of a weight has, and how many outputs an input has."""
    if len(shape) < 2:
        raise ValueError(f"p: got shape {shape}; expected at least 2 axes, (outputs, inputs, ...)")
    receptive_field = math.prod(shape[2:])
    return shape[1] * receptive_field, shape[0] * receptive_field


def initialised(p: Any) -> Array:
    """The array of a parameter, or `p` itself, to be written in place."""
    array = p if isinstance(p, np.ndarray) else getattr(p, "data", p)
    float_array("p", array)
    if not array.flags.writeable:
        raise ValueError("p: got a read-only array; expected a writable one, it is written in place")
    return array


def choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    if value not in choices:
        _choice(name, value, choices)
