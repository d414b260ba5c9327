"""Networks as modules of PyTorch's."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from typing import Any

import numpy as np

from fastnn import _runtime, layers
from fastnn._extras import require
from fastnn._validate import Array
from fastnn.interop.onnx.function import Function
from fastnn.interop.torch import nodes
from fastnn.layers.graph import traced_graph
from fastnn.layers.module import copied

_PURPOSE, _EXTRA = "making a PyTorch module of a network", "torch"


def to_torch(net: layers.Module, *inputs: Array) -> Any:
    """Make the same network in PyTorch.

    A layer becomes PyTorch's layer of its name. A `Graph`, and a module with a forward of its own, becomes a
    ``torch.fx.GraphModule``, whose `code` is its forward in Python. `Residual` and `Concat` become small modules that
    do the same. The names in the state dict, the weights (copied), the mode and what is frozen are the network's.
    Parameters that layers share are shared in PyTorch too. Hooks and gradients are left out, and a dropout draws other
    random numbers.

    Parameters
    ----------
    net : Module
        A network, or one layer.
    *inputs : array
        Examples of what the network gets. They are needed only where a module has a forward of its own, and has not
        been called yet in its mode.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    ImportError
        PyTorch is not installed: ``pip install "fastnn-kernels[torch]"``.
    TypeError
        A layer is of a class that fastnn does not have, or of none that PyTorch has; names the layer.

    Examples
    --------
    >>> import fastnn as fnn
    >>> from fastnn.interop.torch import to_torch
    >>> to_torch(fnn.Sequential(fnn.Linear(4, 2), fnn.ReLU()))
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): ReLU()
    )
    """
    conversion = _Conversion(require("torch", _PURPOSE, _EXTRA))
    if inputs:
        net = _called_with(net, inputs)
    return conversion.module(net, "")


def _called_with(net: layers.Module, inputs: tuple[Array, ...]) -> layers.Module:
    """A copy of a network that has been called, so that each forward inside has been traced."""
    copy, generator = copied(net), _runtime.generator().bit_generator
    state = generator.state
    try:
        copy(*inputs)
    finally:
        generator.state = state
    copy.load_state_dict(net.state_dict())  # statistics have taken the call in
    return copy


class _Conversion:
    """One network on its way. A parameter that several layers have is made once."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.parameters: dict[int, Any] = {}

    def module(self, ours: layers.Module, name: str) -> Any:
        """PyTorch's module for `ours`, which the network knows by this name."""
        if ours.is_traced:
            ours = traced_graph(ours, f"layer {name}: " if name else "")
        theirs = self._empty(ours, name)
        for attribute, held in vars(ours).items():
            if isinstance(held, layers.Parameter):
                theirs.register_parameter(attribute, self.parameter(held))
            elif isinstance(held, layers.Buffer):
                theirs.register_buffer(attribute, self.tensor(held), held.persistent)
        theirs.training = ours.training
        return theirs

    def _empty(self, ours: layers.Module, name: str) -> Any:
        """The module before its arrays are put in."""
        label = type(ours).__name__
        if getattr(layers, label, None) is not type(ours) and type(ours) is not Function:
            raise TypeError(f"{f'layer {name}: ' if name else ''}{label} has no counterpart in PyTorch")
        if isinstance(ours, layers.Graph) or nodes.is_operation(ours):
            return nodes.graph_module(self, ours, name)
        children = ours.named_children()
        parts = OrderedDict((part, self.module(inner, f"{name}.{part}".lstrip("."))) for part, inner in children)
        match ours:
            case layers.Residual():
                return _branches().Residual(**parts)
            case layers.Concat():
                return _branches().Concat(parts, ours.dim)
            case layers.ModuleList():
                return self.torch.nn.ModuleList(parts.values())
            case layers.Sequential() | layers.ModuleDict():
                return getattr(self.torch.nn, label)(parts)
        return getattr(self.torch.nn, label)(**_settings(ours))

    def held(self, held: layers.Parameter | layers.Buffer) -> Any:
        """The parameter or tensor for what a layer holds."""
        return self.parameter(held) if isinstance(held, layers.Parameter) else self.tensor(held)

    def parameter(self, held: layers.Parameter) -> Any:
        if id(held) not in self.parameters:
            self.parameters[id(held)] = self.torch.nn.Parameter(self.tensor(held), held.requires_grad)
        return self.parameters[id(held)]

    def tensor(self, held: layers.Parameter | layers.Buffer) -> Any:
        return self.torch.from_numpy(np.array(held, order="C"))


def _settings(layer: layers.Module) -> dict[str, Any]:
    """The arguments of PyTorch's class. They have the names of ours, and a layer keeps each under its name."""
    names = inspect.signature(type(layer)).parameters
    settings = {name: getattr(layer, name) for name in names if hasattr(layer, name)}
    if "bias" in settings:
        settings["bias"] = settings["bias"] is not None
    if "device" in names:
        settings["device"] = "meta"  # no memory, and no random numbers: all arrays are replaced
    return settings


@functools.cache
def _branches() -> Any:
    """The modules that PyTorch has not, as attributes."""
    torch = require("torch", _PURPOSE, _EXTRA)

    class Branches:
        class Residual(torch.nn.Module):  # type: ignore[name-defined]
            def __init__(self, body: Any, shortcut: Any = None) -> None:
                super().__init__()
                self.body, self.shortcut = body, shortcut

            def forward(self, x: Any) -> Any:
                return self.body(x) + (x if self.shortcut is None else self.shortcut(x))

        class Concat(torch.nn.Sequential):  # type: ignore[name-defined]
            def __init__(self, branches: Any, dim: int) -> None:
                super().__init__(branches)
                self.dim = dim

            def forward(self, x: Any) -> Any:
                return torch.cat([branch(x) for branch in self], self.dim)

    return Branches
