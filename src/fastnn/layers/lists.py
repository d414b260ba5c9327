"""Layers in a list or a dict, for a forward that says what is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastnn import _validate as check
from fastnn.layers.containers import LayerList
from fastnn.layers.module import Module


class ModuleList(LayerList):
    """A list of layers, which are parts of the module that has it as an attribute; as in PyTorch, it has no forward.

    Parameters
    ----------
    modules : iterable of Module, optional

    Examples
    --------
    >>> class Twice(fnn.Module):
    ...     def __init__(self):
    ...         self.blocks = fnn.ModuleList(fnn.Linear(4, 4) for _ in range(2))
    ...
    ...     def forward(self, x):
    ...         for block in self.blocks:
    ...             x = x + block(x)
    ...         return x
    >>> list(Twice().state_dict())
    ['blocks.0.weight', 'blocks.0.bias', 'blocks.1.weight', 'blocks.1.bias']
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self._take(check.list_of_layers("modules", () if modules is None else modules))

    def _part(self, layers: tuple[Module, ...]) -> ModuleList:
        return ModuleList(layers)

    def forward(self, x: Any) -> Any:
        raise NotImplementedError("a ModuleList is not called: the forward of the module that has it calls its layers")


class ModuleDict(Module):
    """Layers by their names, which are parts of the module that has it as an attribute; as in PyTorch, no forward.

    Parameters
    ----------
    modules : dict from names to Module, optional

    Examples
    --------
    >>> heads = fnn.ModuleDict({"digits": fnn.Linear(8, 10), "sign": fnn.Linear(8, 1)})
    >>> heads["sign"](np.ones((2, 8), np.float32)).shape
    (2, 1)
    """

    _modules: Mapping[str, Module] = {}

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update({} if modules is None else modules)

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add layers, or put them in the place of those of their names."""
        check.dict_of_layers("modules", modules, Module)
        self._modules = {**self._modules, **modules}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(tuple(self._modules.items()))

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.update({name: module})

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def pop(self, name: str) -> Module:
        """Take out the layer of that name and return it."""
        module = self[name]
        self._modules = {each: layer for each, layer in self._modules.items() if each != name}
        return module

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self._modules.items()

    def forward(self, x: Any) -> Any:
        raise NotImplementedError("a ModuleDict is not called: the forward of the module that has it calls its layers")
