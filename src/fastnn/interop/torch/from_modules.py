"""PyTorch's modules as networks of fastnn's own layers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn import _runtime, layers
from fastnn._extras import require
from fastnn.interop.torch import formulas, from_graphs

PURPOSE, EXTRA = "reading a PyTorch module", "torch"
_LEFT_OUT = ("inplace", "device", "dtype")  # of the arguments of PyTorch's classes: nothing depends on them here
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "Module")

Inputs = tuple[Any, ...]


def from_torch(module: Any, *inputs: Any) -> layers.Module:
    """Make the same network in fastnn.

    A layer becomes fastnn's layer of its name, and an ``nn.Sequential`` of different layers a `Sequential`. The forward
    of any other module is traced by torch.fx; what comes out is a `Graph`, whose layers have the names that they have
    in the module. The weights and statistics (copied), the mode and what is frozen are the module's. Parameters that
    layers share are shared here too. A dropout draws other random numbers. The forward is traced in the mode of the
    module: ``F.dropout(x, training=self.training)`` of one in eval mode is left out.

    Parameters
    ----------
    module : torch.nn.Module
    *inputs : tensor or array
        Examples of what the module gets, which are run through it in eval mode. They are needed only where a forward
        depends on shapes: ``transpose``, ``chunk``, ``squeeze`` and lengths other than the batch's.

    Returns
    -------
    Module
        A `Sequential`, a `Graph` or a layer.

    Raises
    ------
    ImportError
        PyTorch is not installed: ``pip install "fastnn-kernels[torch]"``.
    TypeError
        The module does something that has no form here; names the operation and its node, or the layer.

    Examples
    --------
    >>> import torch
    >>> from fastnn.interop.torch import from_torch
    >>> from_torch(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU()))
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): ReLU()
    )
    """
    torch = require("torch", PURPOSE, EXTRA)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module: got {type(module).__name__}; expected a torch.nn.Module")
    examples = tuple(torch.as_tensor(each) for each in inputs)
    generator = _runtime.generator().bit_generator
    state = generator.state
    try:
        return Reading(torch).module(module, "", examples)
    finally:
        generator.state = state  # weights were drawn in vain


class Reading:
    """One module on its way. A parameter or layer that stands in several places is made once."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.held: dict[int, layers.Parameter | layers.Buffer] = {}
        self.made: dict[int, layers.Module] = {}

    def module(self, theirs: Any, name: str, inputs: Inputs) -> layers.Module:
        """The network for a module of this name, with examples of its inputs if there are any."""
        if self.is_layer(theirs):
            return self.layer(theirs, name)
        nn = self.torch.nn
        is_plain = isinstance(theirs, nn.Sequential) and type(theirs).forward is nn.Sequential.forward
        inside = [id(each) for _, each in theirs.named_modules(remove_duplicate=False)]
        if is_plain and len(set(inside)) == len(inside):  # a layer has one place in a Sequential of ours
            return self._sequential(theirs, name, inputs)
        return from_graphs.Reader(self, theirs, name, inputs).graph()

    def is_layer(self, theirs: Any) -> bool:
        """Whether a module is taken as a whole: it is a layer of PyTorch's, known here or not."""
        return self._kind(theirs) is not None

    def _kind(self, theirs: Any) -> Any:
        """The layer of PyTorch's that a module is, perhaps of a subclass that has its forward; or None."""
        if self.torch.nn.utils.parametrize.is_parametrized(theirs):
            return None
        for kind in type(theirs).__mro__:
            if getattr(self.torch.nn, kind.__name__, None) is kind and kind.__name__ not in _CONTAINERS:
                return kind if type(theirs).forward is kind.forward else None
        return None

    def _sequential(self, theirs: Any, name: str, inputs: Inputs) -> layers.Module:
        refuse_hooks(theirs, name)
        parts = {}
        for part, inner in theirs.named_children():
            parts[part] = self.module(inner, f"{name}.{part}".lstrip("."), inputs)
            if inputs:
                inputs = (self.run(inner, inputs),)
        in_order = list(parts) == [str(place) for place in range(len(parts))]
        net = layers.Sequential(*parts.values()) if in_order else layers.Sequential(parts)
        net.training = theirs.training
        return net

    def layer(self, theirs: Any, name: str) -> layers.Module:
        """The layer of that name."""
        if id(theirs) in self.made:
            return self.made[id(theirs)]
        label = self._kind(theirs).__name__
        place = f"layer {name} ({label})" if name else label
        refuse_hooks(theirs, name)
        kind = getattr(layers, label, None)
        formula = formulas.layer_of_module(label)
        if formula is not None:
            formula.training = theirs.training
            return self.made.setdefault(id(theirs), formula)
        if not (isinstance(kind, type) and issubclass(kind, layers.Module)):
            raise TypeError(f"{place} has no counterpart in fastnn")
        try:
            ours = kind(**_settings(theirs, self._kind(theirs), kind, place))
            for attribute, held in list(vars(ours).items()):
                if isinstance(held, layers.Parameter | layers.Buffer):
                    setattr(ours, attribute, self.array(getattr(theirs, attribute), f"{place}: {attribute}"))
        except (TypeError, ValueError) as error:
            raise TypeError(str(error) if str(error).startswith(place) else f"{place}: {error}") from error
        ours.training = theirs.training
        self.made[id(theirs)] = ours
        return ours

    def array(self, tensor: Any, label: str, persistent: bool = True) -> Any:
        """The parameter or buffer for a tensor."""
        if id(tensor) not in self.held:
            learnt = isinstance(tensor, self.torch.nn.Parameter)
            if learnt and tensor.dtype not in (self.torch.float32, self.torch.float64):
                raise TypeError(f"{label}: got a parameter of {tensor.dtype}; expected float32 or float64")
            array = np.array(tensor.detach().cpu().numpy(), order="C")
            self.held[id(tensor)] = (
                layers.Parameter(array, requires_grad=tensor.requires_grad)
                if learnt
                else layers.Buffer(array, persistent)
            )
        return self.held[id(tensor)]

    def run(self, theirs: Any, inputs: Inputs) -> Any:
        """What a module makes of examples in eval mode."""
        with self.evaluated(theirs):
            return theirs(*(each.clone() for each in inputs))

    @contextlib.contextmanager
    def evaluated(self, theirs: Any) -> Iterator[None]:
        """A module in eval mode, and afterwards in the one that it had, and with the statistics that it had."""
        kept = [(each, each.clone()) for each in theirs.buffers()]
        modes = [(module, module.training) for module in theirs.modules()]
        theirs.eval()
        try:
            with self.torch.no_grad():
                yield
        finally:
            for module, training in modes:
                module.training = training
            for buffer, before in kept:
                if not self.torch.equal(buffer, before):  # a norm that the forward calls as a function
                    buffer.data.copy_(before)


def refuse_hooks(theirs: Any, name: str) -> None:
    """A hook is code that no layer here knows."""
    if theirs._forward_hooks or theirs._forward_pre_hooks or theirs._backward_hooks or theirs._backward_pre_hooks:
        raise TypeError(f"layer {name or type(theirs).__name__}: has a hook; expected none")


def _settings(theirs: Any, their_kind: type, kind: type, place: str) -> dict[str, Any]:
    """The arguments of our class: PyTorch's layer keeps each under its name."""
    names = inspect.signature(kind).parameters
    settings = {each: getattr(theirs, each) for each in names if hasattr(theirs, each) and each not in _LEFT_OUT}
    for each, argument in inspect.signature(their_kind).parameters.items():
        value = getattr(theirs, each, argument.default)
        if each not in (*names, *_LEFT_OUT) and value is not argument.default and value != argument.default:
            raise TypeError(f"{place}: has {each}={value!r}, which fastnn's does not take")
    for each in ("kernel_size", "stride", "padding", "dilation"):
        if isinstance(settings.get(each), tuple) and len(settings[each]) == 1:
            (settings[each],) = settings[each]
    if "bias" in names:
        settings["bias"] = settings.get("bias") is not None
    if "dtype" in names:
        weights = (each for each in theirs.parameters(recurse=False))
        settings["dtype"] = next((_dtype(each, place) for each in weights), np.float32)
    return settings


def _dtype(tensor: Any, place: str) -> Any:
    found = str(tensor.dtype).removeprefix("torch.")
    if found not in ("float32", "float64"):
        raise TypeError(f"{place}: got parameters of {tensor.dtype}; expected float32 or float64")
    return np.dtype(found)
