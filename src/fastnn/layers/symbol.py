"""The values that go through a `forward` while it is traced."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fastnn.functional._symbol import Symbol

if TYPE_CHECKING:
    from fastnn.plan.wiring import Source

NOTHING: Mapping[str, Any] = MappingProxyType({})
ONCE = "forward is run once to see which layers it calls, and not again"
INSTEAD = "or write a backward, as in examples/own_layer.py"


class TraceError(TypeError):
    """A forward does something that no graph can do again."""


def refuse(what: str, remedy: str) -> TraceError:
    return TraceError(f"forward: {what}; {ONCE}: {remedy}, {INSTEAD}")


class Length:
    """The number of examples in a batch: a whole number, which is noticed to be used as one.

    A `view` or `reshape` takes it as it is; then the graph is for batches of any size.
    """

    __slots__ = ("_trace", "value")

    def __init__(self, trace: Any, value: int) -> None:
        self._trace, self.value = trace, value

    def __index__(self) -> int:
        self._trace.is_of_one_size = True
        return self.value

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.__index__())

    def __bool__(self) -> bool:
        return bool(self.__index__())

    def __repr__(self) -> str:
        return repr(self.__index__())

    def __hash__(self) -> int:
        return hash(self.__index__())

    def __eq__(self, other: object) -> bool:
        return self.__index__() == other


def _number(function: Callable[..., Any], turned: bool) -> Callable[[Length, Any], Any]:
    def on_numbers(self: Length, other: Any) -> Any:
        other = other.__index__() if isinstance(other, Length) else other
        return function(other, self.__index__()) if turned else function(self.__index__(), other)

    return on_numbers


for _name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow"):
    setattr(Length, f"__{_name}__", _number(getattr(operator, _name), False))
    setattr(Length, f"__r{_name}__", _number(getattr(operator, _name), True))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Length, f"__{_name}__", _number(getattr(operator, _name), False))
del _name


class Traced(Symbol):
    """A value on its way through a `forward` that is traced: PyTorch's operators and methods make nodes of a graph.

    It has a shape and a dtype, and no elements: a graph does the same for all values.
    """

    __slots__ = ("_array", "_has_batch", "_source", "_trace")
    __hash__ = object.__hash__

    def __init__(self, trace: Any, source: Source, array: Any, has_batch: bool) -> None:
        self._trace, self._source, self._array, self._has_batch = trace, source, array, has_batch

    def called_with(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._trace.function(function, args, kwargs)

    # What it is

    @property
    def shape(self) -> tuple[Any, ...]:
        shape = self._array.shape
        if not self._has_batch:
            self._trace.is_of_one_size = True
            return tuple(shape)
        return Length(self._trace, shape[0]), *shape[1:]

    @property
    def ndim(self) -> int:
        return int(self._array.ndim)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    @property
    def device(self) -> str:
        return "cpu"

    def dim(self) -> int:
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        self._trace.is_of_one_size = True
        return int(self._array.size)

    def __len__(self) -> int:
        return int(self._array.shape[0]) if not self._has_batch else self.shape[0].__index__()

    def __repr__(self) -> str:
        return f"Traced(shape={tuple(self._array.shape)}, dtype={self._array.dtype})"

    # Arithmetic

    def __add__(self, other: Any) -> Any:
        return self._trace.joined("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._trace.joined("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._trace.joined("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._trace.joined("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._trace.joined("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._trace.joined("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._trace.joined("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._trace.joined("div", other, self)

    def __neg__(self) -> Any:
        return self._trace.joined("mul", self, -1)

    def __pow__(self, power: Any) -> Any:
        if power != 2:
            raise refuse(f"the power {power!r} of a value", "x * x, and products of that")
        return self._trace.joined("mul", self, self)

    def __matmul__(self, other: Any) -> Any:
        return self._trace.joined("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._trace.joined("matmul", other, self)

    add, sub, mul, div, neg, matmul = __add__, __sub__, __mul__, __truediv__, __neg__, __matmul__

    # Shapes

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        return self._trace.layer("Flatten", self, start_dim, end_dim)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Any:
        return self._trace.layer("Unflatten", self, dim, tuple(sizes))

    def reshape(self, *shape: Any) -> Any:
        return self._trace.reshape(self, shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape)

    view = reshape

    def permute(self, *dims: Any) -> Any:
        axes = dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
        return self._trace.layer("Permute", self, *axes)

    def transpose(self, dim0: int, dim1: int) -> Any:
        axes = list(range(self.ndim))
        axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
        return self._trace.layer("Permute", self, *axes)

    def t(self) -> Any:
        if self.ndim != 2:
            raise refuse(f"t() of a value of {self.ndim} axes", "x.transpose(dim0, dim1)")
        return self.transpose(0, 1)

    @property
    def T(self) -> Any:
        return self.t()

    @property
    def mT(self) -> Any:
        return self.transpose(-2, -1)

    def expand(self, *sizes: Any) -> Any:
        return self._trace.expanded(self, sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes)

    def expand_as(self, other: Any) -> Any:
        return self._trace.expanded(self, (), other)

    def unsqueeze(self, dim: int) -> Any:
        index: list[Any] = [slice(None)] * self.ndim
        index.insert(dim if dim >= 0 else dim + self.ndim + 1, None)
        return self._trace.layer("Slice", self, *index)

    def squeeze(self, dim: int | None = None) -> Any:
        if dim is None:
            raise refuse("squeeze() of all axes, that of the batch among them", "x.squeeze(dim)")
        if self._array.shape[dim] != 1:
            return self
        index: list[Any] = [slice(None)] * self.ndim
        index[dim] = 0
        return self._trace.layer("Slice", self, *index)

    def __getitem__(self, index: Any) -> Any:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(each, Traced) for each in parts):
            raise refuse("an index that is a value", "whole numbers and slices")
        return self._trace.layer("Slice", self, *parts)

    def split(self, split_size: Any, dim: int = 0) -> Any:
        return self._trace.layer("Split", self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> Any:
        return self.split(max(1, -(-int(self._array.shape[dim]) // chunks)), dim)

    def unbind(self, dim: int = 0) -> tuple[Any, ...]:
        before = (slice(None),) * (dim % self.ndim)
        return tuple(self[(*before, place)] for place in range(self._array.shape[dim]))

    def mean(self, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            raise refuse("the mean of all elements, examples of the batch among them", "x.mean(dim)")
        return self._trace.layer("Mean", self, dim, keepdim)

    def sum(self, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            raise refuse("the sum of all elements, examples of the batch among them", "x.sum(dim)")
        return self._trace.layer("Sum", self, dim, keepdim)

    # Functions that PyTorch has as methods

    def clamp(self, min: float | None = None, max: float | None = None) -> Any:
        return self._trace.layer("Clamp", self, min, max)

    def relu(self) -> Any:
        return self._trace.layer("ReLU", self)

    def sigmoid(self) -> Any:
        return self._trace.layer("Sigmoid", self)

    def tanh(self) -> Any:
        return self._trace.layer("Tanh", self)

    def softmax(self, dim: int = -1) -> Any:
        return self._trace.layer("Softmax", self, dim)

    def log_softmax(self, dim: int = -1) -> Any:
        return self._trace.layer("LogSoftmax", self, dim)

    def contiguous(self) -> Traced:
        return self

    def clone(self) -> Traced:
        return self

    # What a graph cannot do

    def __bool__(self) -> bool:
        raise refuse("asks whether a value is true", "let the way depend on settings or on self.training alone")

    def _compared(self, other: object) -> NoReturn:
        raise refuse("compares a value", "let the way depend on settings or on self.training alone")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compared

    def _as_number(self, *_: Any) -> NoReturn:
        raise refuse("makes a number of a value", "keep it an array")

    __int__ = __float__ = __complex__ = __index__ = item = _as_number

    def tolist(self) -> NoReturn:
        raise refuse("makes a list of a value", "keep it an array")

    def __iter__(self) -> NoReturn:
        raise refuse("goes through a value one by one", "parts of it are x.split(1, dim) or x[:, i]")

    def __contains__(self, _: object) -> NoReturn:
        raise refuse("looks for something in a value", "let the way depend on settings alone")

    def __setitem__(self, *_: Any) -> NoReturn:
        raise refuse("writes into a value", "make another one, as by fastnn.cat")

    def numpy(self) -> NoReturn:
        raise refuse("makes an array of a value", "use layers, fastnn.functional, or the value's own operators")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.numpy()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        names = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "matmul": "matmul"}
        name = names.get(ufunc.__name__)
        if method == "__call__" and not kwargs and name is not None:  # an array on the left
            return self._trace.joined(name, *inputs)
        raise refuse(f"calls numpy.{ufunc.__name__}", "use layers, fastnn.functional, or the value's own operators")

    def __array_function__(self, function: Any, *_: Any) -> NoReturn:
        raise refuse(f"calls numpy.{function.__name__}", "use layers, fastnn.functional, or the value's own operators")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"forward: a value has no {name}; expected a layer, a function of fastnn.functional, {INSTEAD}"
        )


def traced_call(module: Any, inputs: Sequence[Any], named: Mapping[str, Any] = NOTHING) -> Any:
    """What stands for the output of a module, if one of its inputs is traced; otherwise None."""
    for each in (*inputs, *named.values()):
        if each.__class__ is Traced:
            return each._trace.call(module, tuple(inputs), dict(named))
    return None
