"""What layers hold: Parameters, which are learnt, and Buffers, which are not.

A plan keeps packed copies of weights, so it must know that nobody has written to an array since. NumPy tells nobody of
a write. So a *seal* is given for an array only while nobody but its `Held` refers to it; reading `data`, the one way
to the array, breaks the seal.
"""

from __future__ import annotations

import functools
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array


class _Tracing(threading.local):
    """What gives the value that stands for a parameter in the forward that this thread traces; None outside of any."""

    value_of: Callable[[Held], Any] | None = None

    @contextmanager
    def by(self, value_of: Callable[[Held], Any] | None) -> Iterator[None]:
        """Have `value_of` inside, and what there was afterwards."""
        before, self.value_of = self.value_of, value_of
        try:
            yield
        finally:
            self.value_of = before


tracing = _Tracing()


def _operator(function: Callable[[Any, Any], Any]) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """An operator of a parameter or buffer on the left, and on the right."""

    def value_beside(held: Any, other: Any) -> Any:
        is_number = isinstance(other, int | float) and not isinstance(other, np.number)
        if tracing.value_of is None and not is_number and not isinstance(other, Held):
            return NotImplemented
        return held._as_value("is computed with")

    def on_left(self: Any, other: Any) -> Any:
        value = value_beside(self, other)
        return value if value is NotImplemented else function(value, other)

    def on_right(self: Any, other: Any) -> Any:
        value = value_beside(self, other)
        return value if value is NotImplemented else function(other, value)

    return on_left, on_right


class Held:
    """An array that a layer holds: a `Parameter` or a `Buffer`.

    NumPy takes it for the array: ``np.asarray(p)``, ``np.linalg.norm(p)`` and ``np.savez(path, w=p)`` work. While a
    forward is traced it has the operators and methods of a value: ``self.weight[None]``, ``self.weight.view(-1, 1)``.
    NumPy gets no array then: nothing could be learnt through it.
    """

    __slots__ = ("_keeper", "_seal")
    _keeper: list[Array]
    _seal: object
    persistent = True

    def __init__(self, data: Array) -> None:
        self.data = data

    @staticmethod
    def _check(array: Array) -> None:
        check.array("data", array)

    @property
    def data(self) -> Array:
        # First the array, then the seal: `sealed` does it the other way round, so that one of the two sees the other.
        array = self._keeper[0]
        self._seal = None
        return array

    @data.setter
    def data(self, array: Array) -> None:
        self._check(array)
        self._keeper = [writable(array)]
        self._seal = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._keeper[0].shape  # not of `data`, which would break the seal; so are those below

    @property
    def ndim(self) -> int:
        return self._keeper[0].ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._keeper[0].dtype

    @property
    def size(self) -> int:
        """Number of elements; `numel`, under PyTorch's name, returns it too."""
        return self._keeper[0].size

    def numel(self) -> int:
        """Number of elements."""
        return self.size

    def numpy(self) -> Array:
        """The array itself, `data`: what is written to it is written to the layer."""
        return self.data

    def item(self) -> int | float:
        """The only element as a Python number.

        Raises
        ------
        ValueError
            There are more, or none.
        """
        number: int | float = self._keeper[0].item()
        return number

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The array for NumPy: itself, unless another dtype or a copy is asked for."""
        if tracing.value_of is not None:
            tracing.value_of(self).numpy()  # refuses: nothing could be learnt through the array
        return np.asarray(self.data, dtype) if copy is None else np.array(self.data, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """The array for functions of NumPy's and operators with arrays; in a forward, the value that stands for it."""
        if any(isinstance(each, Held) for each in kwargs.get("out", ())):
            return NotImplemented
        if tracing.value_of is not None:
            inputs = tuple(tracing.value_of(each) if isinstance(each, Held) else each for each in inputs)
            return tracing.value_of(self).__array_ufunc__(ufunc, method, *inputs, **kwargs)
        arrays = (each.data if isinstance(each, Held) else each for each in inputs)
        return getattr(ufunc, method)(*arrays, **kwargs)

    def may_be_replaced_by(self, value: Any, optional: bool) -> bool:
        """Whether a layer may have `value` instead of this: a parameter for a parameter, a buffer for a buffer."""
        if value is None:
            return optional
        return isinstance(value, Held) and isinstance(value, Parameter) == isinstance(self, Parameter)

    def become(self, name: str, value: Any) -> None:
        """Have `value` for the array, which must be one of the same shape and dtype; `name` is what errors call it."""
        value = np.asarray(value) if isinstance(value, np.generic) else value  # what NumPy makes of arrays without axes
        check.same_kind_of_array(name, value, self)
        self.data = value

    def sealed(self) -> tuple[list[Array], object]:
        """What holds the array, and a token: `_seal` is the same object for as long as nobody else has had the array.

        Whoever has the array can write to it, now or later, and nothing tells. So there is no token (None) while
        somebody has it, or memory that it shares; and `data` takes the token away from all who have it. The array that
        is returned is for reading, and for no longer than a call: keep what holds it.
        """
        seal = self._seal
        if seal is not None:
            return self._keeper, seal
        seal = self._seal = object()
        keeper = self._keeper
        if not _nobody_else_has(keeper):
            seal = self._seal = None
        return keeper, seal

    def _as_value(self, what: str) -> Any:
        """What stands for the array in the forward that is traced."""
        if tracing.value_of is None:
            raise TypeError(f"a {type(self).__name__} {what} outside of a forward; expected its array, data")
        return tracing.value_of(self)

    __add__, __radd__ = _operator(operator.add)
    __sub__, __rsub__ = _operator(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv)
    __matmul__, __rmatmul__ = _operator(operator.matmul)
    __pow__, __rpow__ = _operator(operator.pow)

    def __getitem__(self, index: Any) -> Any:
        return self._as_value("is indexed")[index]

    def __neg__(self) -> Any:
        return -self._as_value("is negated")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or tracing.value_of is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(tracing.value_of(self), name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"

    def __getstate__(self) -> Any:
        return self.data

    def __setstate__(self, state: Any) -> None:
        self.data = with_own_memory(state)


class Buffer(Held):
    """An array of a layer's state that is not learnt, such as running statistics.

    Attributes
    ----------
    data : array
    persistent : bool
        It is in state dicts.
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Array, persistent: bool = True) -> None:
        super().__init__(data)
        self.persistent = persistent

    def __getstate__(self) -> Any:
        return self.data if self.persistent else (self.data, False)

    def __setstate__(self, state: Any) -> None:
        array, self.persistent = state if isinstance(state, tuple) else (state, True)
        super().__setstate__(array)


class Parameter(Held):
    """An array that is learnt, and its gradient.

    Attributes
    ----------
    data : array of float32 or float64
    grad : array of the shape and dtype of `data`, or None before the first backward
    name : str
        As seen from the network that `parameters()` was last called on, such as ``"0.weight"``.
    requires_grad : bool
        False: frozen. It has no gradient, the one it had is forgotten, and none is computed; so optimisers leave it
        alone.
    """

    __slots__ = ("_grad", "_requires_grad", "name")
    _grad: Array | None

    def __init__(self, data: Array, name: str = "", requires_grad: bool = True) -> None:
        super().__init__(data)
        self._grad = None
        self.name = name
        self.requires_grad = requires_grad

    @property
    def grad(self) -> Array | None:
        return self._grad

    @grad.setter
    def grad(self, grad: Array | None) -> None:
        if grad is not None:
            check.same_kind_of_array("grad", grad, self)
            grad = writable(grad)
        self._grad = grad

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._requires_grad = check.true_or_false("requires_grad", value)
        if not value:
            self.grad = None

    @staticmethod
    def _check(array: Array) -> None:
        check.float_array("data", array)

    def __getstate__(self) -> tuple[Array, Array | None, str, bool]:
        return self.data, self.grad, self.name, self.requires_grad

    def __setstate__(self, state: tuple[Array, Array | None, str, bool]) -> None:
        array, grad, self.name, self._requires_grad = state
        self.data = with_own_memory(array)
        self.grad = grad

    def receive(self, grad: Array, accumulate: bool) -> None:
        """Make `grad` the gradient, or add it to the one there is; a frozen parameter takes none.

        What layers that share the parameter give to it in one `backward` of the network around them is always added.
        """
        if not self._requires_grad:
            return
        received = _going_back.received
        if received is not None:
            accumulate = accumulate or self in received
            received.add(self)
        self._grad = self._grad + grad if accumulate and self._grad is not None else grad

    def __repr__(self) -> str:
        frozen = "" if self._requires_grad else ", requires_grad=False"
        return f"Parameter({self.name!r}, shape={self.shape}, dtype={self.dtype}{frozen})"


class _GoingBack(threading.local):
    """The parameters that have received a gradient in the backward that this thread is in; None outside of any."""

    received: set[Parameter] | None = None


_going_back = _GoingBack()


def one_backward(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Have the gradients that a parameter receives in one call of `backward`, from layers that share it, added up.

    Calls inside the call belong to it. Each class of a module with layers inside has its `backward` made so; classes
    outside of this package have it done by `Module`.
    """

    @functools.wraps(backward)
    def whole(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _going_back.received is not None:
            return backward(self, *args, **kwargs)
        _going_back.received = set()
        try:
            return backward(self, *args, **kwargs)
        finally:
            _going_back.received = None

    return whole


def with_own_memory(array: Array) -> Array:
    """`array`, or a copy of one in foreign memory, which has no seal: NumPy leaves large arrays in the pickle."""
    return array if array.flags.owndata else array.copy()


def writable(array: Array) -> Array:
    """`array`, or a copy of one that is read-only, as arrays of processes that share memory and mapped files are."""
    return array if array.flags.writeable else np.array(array)


def _nobody_else_has(keeper: list[Array]) -> bool:
    """Whether the array in `keeper` is referred to from nowhere else, and owns its memory.

    Views, exported buffers and arrays of other libraries all refer to the array whose memory they use. Counts of
    references mean this only where one thread runs Python at a time.
    """
    return (
        _one_thread_at_a_time()
        and sys.getrefcount(keeper[0]) <= 2  # the list's, and the argument
        and type(keeper[0]) is np.ndarray
        and keeper[0].flags.owndata
        and weakref.getweakrefcount(keeper[0]) == 0
    )


def _one_thread_at_a_time() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def data_of(held: Held | None) -> Array | None:
    """Its array, or None of none."""
    return None if held is None else held.data


NEEDS = ((), ("db",), ("dw",), ("dw", "db"), ("dx",), ("dx", "db"), ("dx", "dw"), ("dx", "dw", "db"))


def needed(needs_dx: bool, weight: Parameter | None, bias: Parameter | None) -> tuple[str, ...]:
    """The gradients that a layer asks its backward for: none of a parameter that is None or frozen."""
    dw = weight is not None and weight.requires_grad
    db = bias is not None and bias.requires_grad
    return NEEDS[4 * bool(needs_dx) + 2 * dw + db]
