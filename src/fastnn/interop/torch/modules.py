"""Networks as modules of PyTorch's."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from typing import Any

import numpy as np

from fastnn import layers
from fastnn._extras import require

_PURPOSE, _EXTRA = "making a PyTorch module of a network", "torch"


def to_torch(net: layers.Module) -> Any:
    """Make the same network in PyTorch.

    Every layer but `Residual` and `Concat` becomes PyTorch's layer of its name; those two become small modules that do
    the same. The names in the state dict, the weights (copied), the mode and what is frozen are the network's.
    Parameters that layers share are shared in PyTorch too. Hooks and gradients are left out, and a dropout draws other
    random numbers.

    Parameters
    ----------
    net : Module
        A network, or one layer.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    ImportError
        PyTorch is not installed: ``pip install "fastnn-kernels[torch]"``.
    TypeError
        A layer is of a class that fastnn does not have; names the layer.

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
    return _Conversion(require("torch", _PURPOSE, _EXTRA)).module(net, "")


class _Conversion:
    """One network on its way. A parameter that several layers have is made once."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.parameters: dict[int, Any] = {}

    def module(self, ours: layers.Module, name: str) -> Any:
        """PyTorch's module for `ours`, which the network knows by this name."""
        theirs = self._empty(ours, name)
        for attribute, held in vars(ours).items():
            if isinstance(held, layers.Parameter):
                theirs.register_parameter(attribute, self._parameter(held))
            elif isinstance(held, layers.Buffer):
                theirs.register_buffer(attribute, self._tensor(held))
        theirs.training = ours.training
        return theirs

    def _empty(self, ours: layers.Module, name: str) -> Any:
        """The module before its arrays are put in."""
        known = isinstance(ours, layers.Residual | layers.Concat) or hasattr(self.torch.nn, type(ours).__name__)
        if getattr(layers, type(ours).__name__, None) is not type(ours) or not known:
            place = f"layer {name}: " if name else ""
            raise TypeError(f"{place}{type(ours).__name__} has no counterpart in PyTorch")
        children = ours.named_children()
        parts = OrderedDict((part, self.module(inner, f"{name}.{part}".lstrip("."))) for part, inner in children)
        if isinstance(ours, layers.Residual):
            return _branches().Residual(**parts)
        if isinstance(ours, layers.Concat):
            return _branches().Concat(parts, ours.dim)
        kind = getattr(self.torch.nn, type(ours).__name__)
        return kind(parts) if isinstance(ours, layers.Sequential) else kind(**_settings(ours))

    def _parameter(self, held: layers.Parameter) -> Any:
        if id(held) not in self.parameters:
            self.parameters[id(held)] = self.torch.nn.Parameter(self._tensor(held), held.requires_grad)
        return self.parameters[id(held)]

    def _tensor(self, held: layers.Parameter | layers.Buffer) -> Any:
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
