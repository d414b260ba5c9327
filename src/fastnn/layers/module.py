"""Module, what every layer and every container of layers is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.layers.compat import PyTorchHabits
from fastnn.layers.hooks import ForwardHook, RemovableHandle
from fastnn.layers.naming import name_layer, naming_layers, of_fastnn
from fastnn.layers.own_forward import OwnForward
from fastnn.layers.parameter import Buffer, Held, Parameter, one_backward
from fastnn.layers.summary import Row, table
from fastnn.layers.symbol import Traced, traced_call
from fastnn.plan.contract import NoPlan
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps

# Attributes of modules that a copy or a pickle has none of.
NOT_COPIED = ("_kept", "_inference", "_pairs", "_hooks", "_traces", "_wiring")
HELD_NAMES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")  # of layers, as PyTorch's


class Module(OwnForward, PyTorchHabits):
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
    fusion = Fusion()  # what the layer can do for a ReLU beside it
    _kept: Any = None
    joins = False  # whether it takes several inputs, given as one tuple too
    _hooks: tuple[RemovableHandle, ...] = ()  # another tuple at every change, which plans notice
    _required: ClassVar[tuple[str, ...]] = ()  # parameters that cannot be None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a backward that somebody else has written add up what parameters get, and its errors name the layer."""
        super().__init_subclass__(**kwargs)
        backward = vars(cls).get("backward")
        if callable(backward) and not of_fastnn(cls):
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
            if value.__class__ in check.PLAIN and not of_fastnn(type(self)):
                check.warn_of_plain_layers(name, value, Module)
        elif isinstance(held, Held) and not held.may_be_replaced_by(value, name not in self._required):
            held.become(name, value)
            return
        object.__setattr__(self, name, value)

    def forward(self, x: Array) -> Array:
        """Compute the output of the layer."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, x: Any, *more: Any, **named: Any) -> Any:
        if more or named or x.__class__ is Traced:
            return self._call(x, *more, **named)
        try:
            y = self.forward(x)
            for handle in self._hooks:
                y = handle.call(self, x if x.__class__ is tuple else (x,), y)
        except Exception as error:
            name_layer(error, self)
            raise
        return y

    def _call(self, *inputs: Any, **named: Any) -> Any:
        """As `__call__`, with several inputs, or with some that are traced."""
        y = traced_call(self, inputs, named)
        if y is not None:
            return y
        try:
            y = self.forward(*inputs, **named)
            for handle in self._hooks:
                y = handle.call(self, inputs, y)
        except Exception as error:
            name_layer(error, self)
            raise
        return y

    def _name_layer(self, error: Exception) -> None:
        """Begin the message of `error` with the layer that it came from: for plans, which run layers by themselves."""
        name_layer(error, self)

    def register_forward_hook(self, hook: ForwardHook) -> RemovableHandle:
        """From now on call ``hook(module, inputs, output)`` after every forward.

        `inputs` is a tuple of one array. What the hook returns, unless it is None, takes the place of the output, in
        eval mode only: no backward goes through it. In a network the module is run by itself. Copies and pickles of a
        module have no hooks.

        Returns
        -------
        RemovableHandle
            Its `remove` ends it, and so does the end of a ``with`` block that it is given to.
        """
        return RemovableHandle(self, hook)

    def plan(self, steps: Steps) -> None:
        """Write down what `forward` does in eval mode, so that a `Sequential` can do it together with its neighbours.

        For `TrainingSteps`, which fastnn's own layers alone are asked for, write down what it does in train mode.

        What it writes must follow from the attributes of the layer alone, and from none that is changed in place. A
        layer without a plan of its own is run by its `forward`, between those that have one.
        """
        if not self.is_traced:
            raise NoPlan(f"{type(self).__name__} has no plan")
        self.tracer.plan(self, steps)

    def has_plan(self) -> bool:
        """Whether `plan` speaks of the forward that this layer has: a subclass may have changed anything."""
        kind = type(self)
        known = "plan" in vars(kind) or of_fastnn(kind) or self.is_traced
        return known and not vars(self).keys() & {"forward", "plan"}

    def has_plan_of_training(self) -> bool:
        """Whether `plan` speaks of the forward that this layer has in train mode, and a plan knows its backward."""
        methods = {"__call__", "forward", "backward", "plan"}
        asked = methods - {"forward"} if self.is_traced else methods
        return all(of_fastnn(getattr(type(self), name)) for name in asked) and not vars(self).keys() & methods

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
        if self.is_traced:
            return self._backward_of_trace(dy, accumulate, needs_dx)
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
        """Have a `Buffer` of the array `tensor`, or None, as the attribute `name`; in state dicts if `persistent`."""
        check.true_or_false("persistent", persistent)
        buffer = tensor if tensor is None or isinstance(tensor, Buffer) else Buffer(tensor)
        self._attach(name, buffer, Buffer)
        if buffer is not None:
            buffer.persistent = persistent

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
        """Copies of all parameters and persistent buffers by their qualified names, which are PyTorch's."""
        return {name: held.data.copy() for name, held in self.named_arrays() if held.persistent}

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
        own = {name: held.data for name, held in self.named_arrays() if held.persistent}
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

    def summary(self, input_shape: tuple[int, ...], *more: tuple[int, ...]) -> str:
        """A table of the layers: input, kernel, stride, output, number of parameters.

        A parameter that layers share is counted in the first of them.

        Parameters
        ----------
        input_shape, *more : tuple of int
            Shape of each input, batch included, as in ``(1, 1, 28, 28)``.
        """
        shapes = [check.input_shape(shape) for shape in (input_shape, *more)]
        first = next(self.parameters(), None)
        dtype = np.float32 if first is None else first.dtype
        inputs = tuple(np.zeros((0, *shape[1:]), dtype) for shape in shapes)
        net = copied(self).eval()
        try:
            _, rows = net._trace(inputs if more else inputs[0], "")
        except Exception as error:
            name_layer(error, net)
            raise
        return table(rows, shapes[0][0])

    def _trace(self, x: Any, name: str) -> tuple[Any, list[Row]]:
        """Run `x` through; return the output and a row for every layer."""
        if self.is_traced:
            return self.tracer.rows(self, x, name)
        y: Any = self.forward(x)
        shape = y[0].shape if isinstance(y, tuple) else y.shape
        kernel, stride = getattr(self, "kernel_size", None), getattr(self, "stride", None)
        return y, [Row(name, type(self).__name__, x.shape, kernel, stride, shape, tuple(self.parameters()))]

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
