"""Module, what every layer is, and what layers hold: Parameters, which are learnt, and Buffers, which are not."""

from __future__ import annotations

import copy
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.functional._plan import NoPlan, Steps
from fastnn.layers.compat import PyTorchHabits
from fastnn.layers.hooks import ForwardHook, RemovableHandle
from fastnn.layers.naming import name_layer, naming_layers
from fastnn.layers.summary import Row, table

NOT_COPIED = ("_kept", "_planned", "_unplanned", "_hooks")  # attributes of modules: of a copy or a pickle, none
HELD_NAMES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")  # of layers, as PyTorch's


class Held:
    """An array that a layer holds: a `Parameter` or a `Buffer`.

    NumPy takes it for the array: ``np.asarray(p)``, ``np.linalg.norm(p)`` and ``np.savez(path, w=p)`` work.
    """

    __slots__ = ("_keeper", "_seal")
    _keeper: list[Array]
    _seal: object

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
        return np.asarray(self.data, dtype) if copy is None else np.array(self.data, dtype, copy=copy)

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

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"

    def __getstate__(self) -> Any:
        return self.data

    def __setstate__(self, state: Any) -> None:
        self.data = state


class Buffer(Held):
    """An array of a layer's state that is not learnt, such as running statistics.

    Attributes
    ----------
    data : array
    """

    __slots__ = ()


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
        self.data, self.grad, self.name, self._requires_grad = state

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
    def whole(self: Module, *args: Any, **kwargs: Any) -> Any:
        if _going_back.received is not None:
            return backward(self, *args, **kwargs)
        _going_back.received = set()
        try:
            return backward(self, *args, **kwargs)
        finally:
            _going_back.received = None

    return whole


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


class Module(PyTorchHabits):
    """What every layer and every container of layers is.

    A subclass writes `forward` and `backward`. Parameters, buffers and layers that it has as attributes are found by
    their names. In train mode `forward` keeps in ``self._kept`` what `backward` needs (references, not copies: the
    input of a layer must not be changed in between); in eval mode it keeps nothing. So a layer is called once in a
    forward. Layers may share a parameter, as after ``b.weight = a.weight``: its gradient is the sum of theirs.

    Examples
    --------
    >>> class Square(fnn.Module):
    ...     def forward(self, x):
    ...         self._keep(x)
    ...         return x**2
    ...
    ...     def backward(self, dy, accumulate=False, needs_dx=True):
    ...         return 2 * self._kept * dy
    >>> fnn.gradcheck(Square(), np.ones((2, 3)), show=False).passed
    True
    """

    training = True
    fuses_activation = False  # whether `forward` has the argument `activation`
    _kept: Any = None
    _hooks: tuple[RemovableHandle, ...] = ()  # another tuple at every change, which plans notice
    _required: ClassVar[tuple[str, ...]] = ()  # parameters that cannot be None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a backward that somebody else has written add up what parameters get, and its errors name the layer."""
        super().__init_subclass__(**kwargs)
        backward = vars(cls).get("backward")
        if callable(backward) and not _of_fastnn(cls):
            cls.backward = one_backward(naming_layers(backward))  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; an array that is given to a parameter or a buffer becomes its data.

        Raises
        ------
        TypeError, ValueError
            The attribute is a parameter or a buffer, and `value` neither another one, nor None, nor an array of the
            same shape and dtype; or a layer without a bias or weight is given an array for it.
        """
        held = self.__dict__.get(name)
        if held is None:
            if name in HELD_NAMES and name in self.__dict__:
                check.not_an_array(name, value, self)
        elif isinstance(held, Held) and not held.may_be_replaced_by(value, name not in self._required):
            held.become(name, value)
            return
        object.__setattr__(self, name, value)

    def forward(self, x: Array) -> Array:
        """Compute the output of the layer."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, x: Array) -> Array:
        try:
            y = self.forward(x)
            for handle in self._hooks:
                y = handle.call(self, x, y)
        except Exception as error:
            name_layer(error, self)
            raise
        return y

    def register_forward_hook(self, hook: ForwardHook) -> RemovableHandle:
        """From now on call ``hook(module, inputs, output)`` after every forward.

        `inputs` is a tuple of one array. What the hook returns, unless it is None, takes the place of the output, in
        eval mode only: no backward goes through it. A network with a hook inside is run layer by layer. Copies and
        pickles of a module have no hooks.

        Returns
        -------
        RemovableHandle
            Its `remove` ends it, and so does the end of a ``with`` block that it is given to.
        """
        return RemovableHandle(self, hook)

    def plan(self, steps: Steps) -> None:
        """Write down what `forward` does in eval mode, so that a `Sequential` can do it together with all the rest.

        What it writes must follow from the attributes of the layer alone, and from none that is changed in place. A
        layer without a plan of its own is run by its `forward`.
        """
        raise NoPlan(f"{type(self).__name__} has no plan")

    def write_plan(self, steps: Steps) -> None:
        """Have the layer write down its `plan`, if it speaks of the forward that the layer has."""
        if not self.has_plan():
            raise NoPlan(f"{type(self).__name__} is run by its forward alone")
        self.plan(steps)

    def has_plan(self) -> bool:
        """Whether `plan` speaks of the forward that this layer has: a subclass may have changed anything."""
        kind = type(self)
        known = "plan" in vars(kind) or _of_fastnn(kind)
        return known and not vars(self).keys() & {"forward", "plan"}

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        """Write the gradients of the parameters, and return the gradient of the input.

        Parameters
        ----------
        dy : array of the shape of the output
            Gradient of the output of the last forward.
        accumulate : bool
            Add to the gradients that the parameters have, instead of replacing them.
        needs_dx : bool
            False: the gradient of the input is not wanted, and a layer may save itself the work and return None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def _keep(self, value: Any) -> None:
        self.__dict__["_kept"] = value if self.training else None  # without the rules of other attributes: it is hot

    def _attributes(self) -> dict[str, Any]:
        """The attributes as they are: other threads may add to them while they are looked through."""
        return vars(self).copy()

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The layers right inside this one, with their names."""
        return ((name, value) for name, value in self._attributes().items() if isinstance(value, Module))

    def modules(self) -> Iterator[Module]:
        """This layer and all layers inside it."""
        yield self
        for _, child in self.named_children():
            yield from child.modules()

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This layer, whose name is `prefix`, and all layers inside it with their qualified names, as ``"3.1"``."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}".lstrip("."))

    def get_submodule(self, target: str) -> Module:
        """The layer of this qualified name, as ``"3.1"``; the module itself for ``""``.

        Raises
        ------
        AttributeError
            There is none.
        """
        named = dict(self.named_modules())
        check.submodule(target, named)
        return named[target]

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call `fn` for all layers inside this one, then for itself. Returns the module."""
        for _, child in self.named_children():
            child.apply(fn)
        fn(self)
        return self

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """All parameters with their qualified names, as ``("0.weight", ...)``; one that layers share, once."""
        held = self.named_arrays(prefix)
        return _each_once((name, p) for name, p in held if isinstance(p, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once; each is given its qualified name, the first of those it has."""
        for name, p in self.named_parameters():
            p.name = name
            yield p

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of all parameters; False freezes them. Returns the module."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def learns(self) -> bool:
        """Whether any parameter wants a gradient."""
        own = any(isinstance(value, Parameter) and value.requires_grad for value in self._attributes().values())
        return own or any(child.learns() for _, child in self.named_children())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """All buffers with their qualified names, as ``("1.running_mean", ...)``; one that layers share, once."""
        return _each_once((name, held) for name, held in self.named_arrays() if isinstance(held, Buffer))

    def named_arrays(self, prefix: str = "") -> Iterator[tuple[str, Held]]:
        """All parameters and buffers with their qualified names, layer by layer, parameters first, as PyTorch does.

        One that layers share has several names, and is there under each.
        """
        attributes = self._attributes()
        for kind in (Parameter, Buffer):
            for name, value in attributes.items():
                if isinstance(value, kind):
                    yield prefix + name, value
        for name, child in self.named_children():
            yield from child.named_arrays(f"{prefix}{name}.")

    def add_module(self, name: str, module: Module) -> None:
        """Have a layer as the attribute `name`."""
        self._attach(name, module, Module)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Have a `Parameter`, or None, as the attribute `name`."""
        self._attach(name, param, Parameter)

    def register_buffer(self, name: str, tensor: Array | None, persistent: bool = True) -> None:
        """Have a `Buffer` of the array `tensor`, or None, as the attribute `name`.

        Raises
        ------
        ValueError
            It is not to be `persistent`: all buffers are in the state dict.
        """
        check.only("persistent", persistent, (True,), ": an array that is a plain attribute is not in the state dict")
        self._attach(name, tensor if tensor is None or isinstance(tensor, Buffer) else Buffer(tensor), Buffer)

    def _attach(self, name: str, value: Any, kind: type) -> None:
        check.attached(name, value, kind, self)
        setattr(self, name, value)

    def train(self, mode: bool = True) -> Self:
        """From now on keep what backward needs; with `mode` False as `eval`. Returns the module."""
        if not mode:
            return self.eval()
        for module in self.modules():
            module.training = True
        return self

    def eval(self) -> Self:
        """Forget what was kept for backward, and keep nothing from now on. Returns the module."""
        for module in self.modules():
            module.training = False
            module._kept = None
        return self

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by their qualified names, which are PyTorch's."""
        return {name: held.data.copy() for name, held in self.named_arrays()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> check.IncompatibleKeys:
        """Copy arrays into the parameters and buffers, in the dtype of the layers.

        Parameters
        ----------
        state_dict : dict from qualified names to arrays
        strict : bool
            False: entries may be missing, or have no place in the network.

        Returns
        -------
        IncompatibleKeys
            Its `missing_keys` and `unexpected_keys`: the names that were left out.

        Raises
        ------
        ValueError
            An entry is missing or extra, if `strict`; or of another shape, or not made of real numbers (a count: not an
            integer). Nothing has changed.
        """
        own = {name: held.data for name, held in self.named_arrays()}
        arrays, left_out = check.state_dict(state_dict, own, strict)
        for name, array in arrays.items():
            own[name][...] = array
        return left_out

    def get_extra_state(self) -> dict[str, Any]:
        """What training goes on from besides parameters and buffers: numbers and texts, by name; mostly nothing.

        It is in checkpoints, and not in the state dict.
        """
        return {}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_extra_state` returned."""

    def summary(self, input_shape: tuple[int, ...]) -> str:
        """A table of the layers: input, kernel, stride, output, number of parameters.

        A parameter that layers share is counted in the first of them.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of `x`, batch included, as in ``(1, 1, 28, 28)``.
        """
        N, *shape = check.input_shape(input_shape)
        first = next(self.parameters(), None)
        nothing = np.zeros((0, *shape), np.float32 if first is None else first.dtype)
        net = copied(self).eval()
        try:
            _, rows = net._trace(nothing, "")
        except Exception as error:
            name_layer(error, net)
            raise
        return table(rows, N)

    def _trace(self, x: Array, name: str) -> tuple[Array, list[Row]]:
        """Run `x` through; return the output and a row for every layer."""
        y = self.forward(x)
        kernel, stride = getattr(self, "kernel_size", None), getattr(self, "stride", None)
        return y, [Row(name, type(self).__name__, x.shape, kernel, stride, y.shape, tuple(self.parameters()))]

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        inside = "\n  " + "\n  ".join(lines) + "\n" if lines else self.extra_repr()
        return f"{type(self).__name__}({inside})"

    def __getstate__(self) -> dict[str, Any]:
        """A copy or a pickle holds what was learnt, not what was kept for a backward."""
        return {name: value for name, value in self._attributes().items() if name not in NOT_COPIED}


def _of_fastnn(kind: type) -> bool:
    """Whether a class of modules is one of fastnn's own layers: of others nothing is known."""
    return kind.__module__.startswith(f"{__package__}.")


H = TypeVar("H", bound=Held)
M = TypeVar("M", bound=Module)


def _each_once(named: Iterable[tuple[str, H]]) -> Iterator[tuple[str, H]]:
    """Each array under its first name."""
    seen: set[H] = set()
    for name, held in named:
        if held not in seen:
            seen.add(held)
            yield name, held


def copied(module: M) -> M:
    """A copy of a module to run or to change; what cannot be copied, as a lock or an open file, it shares."""
    inside: dict[int, Any] = {id(each): each for each in module.modules()}
    inside.update((id(held), held) for _, held in module.named_arrays())
    shared: dict[int, Any] = {}
    for each in list(inside.values()):
        for value in Module.__getstate__(each).values() if isinstance(each, Module) else ():
            try:
                copy.deepcopy(value, {**inside, **shared})  # all but the modules and arrays themselves
            except Exception:  # whatever the classes of others say of it
                shared[id(value)] = value
    return copy.deepcopy(module, shared)


def data_of(held: Held | None) -> Array | None:
    """Its array, or None of none."""
    return None if held is None else held.data


def needed(needs_dx: bool, weight: Parameter | None, bias: Parameter | None) -> tuple[str, ...]:
    """The gradients that a layer asks its backward for: none of a parameter that is None or frozen."""
    of_parameters = (name for name, p in (("dw", weight), ("db", bias)) if p is not None and p.requires_grad)
    return ("dx", *of_parameters) if needs_dx else (*of_parameters,)
