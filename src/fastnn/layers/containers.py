"""Networks made of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self, overload

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.naming import name_layer
from fastnn.layers.parameter import one_backward
from fastnn.layers.summary import Row
from fastnn.plan.fusion import Pairs
from fastnn.plan.inference import Inference
from fastnn.plan.steps import Steps


class LayerList(Module):
    """A module that is a list of layers: what containers share.

    It can be indexed, cut (a part shares the layers, and counts them from 0), changed and iterated over as a list.
    A layer's name is its place, unless it was given one; then it is an attribute of the container, too.
    """

    layers: tuple[Module, ...] = ()
    _given_names: Mapping[str, Module] = MappingProxyType({})  # those of layers that have one; never changed in place

    def _take(self, layers: Iterable[Module], names: Mapping[str, Module] | None = None) -> None:
        """Have these layers from now on, and of the `names`, by default those there were, the ones of these layers."""
        layers = tuple(layers)
        check.layers(layers, Module, self)
        for layer in layers:
            fed_with_features(layer)
        attributes, names = vars(self), self._given_names if names is None else names
        for name in self._given_names:
            attributes.pop(name, None)
        self._given_names = {name: layer for name, layer in names.items() if any(layer is each for each in layers)}
        attributes.update(self._given_names)
        attributes["layers"] = layers

    def _part(self, layers: tuple[Module, ...]) -> Self:
        """A module of this kind with some of the layers."""
        raise NotImplementedError(f"{type(self).__name__} cannot be cut")

    def named_children(self) -> Iterator[tuple[str, Module]]:
        names = {id(layer): name for name, layer in self._given_names.items()}
        return ((names.get(id(layer), str(place)), layer) for place, layer in enumerate(self.layers))

    def add_module(self, name: str, module: Module) -> None:
        """Put a layer in the place of the one of that name, or at the end."""
        check.attached(name, module, Module, self)
        places = [place for place, (each, _) in enumerate(self.named_children()) if each == name]
        if places:
            self[places[0]] = module
            return
        given = {} if name.isdecimal() else {name: module}
        self._take((*self.layers, module), {**self._given_names, **given})

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module) and "layers" in vars(self):
            self.add_module(name, value)
        else:
            super().__setattr__(name, value)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def _place(self, place: Any) -> int:
        return check.layer_place("place", place, len(self.layers), len(self.layers) - 1)

    @overload
    def __getitem__(self, place: int) -> Module: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Module:
        """One layer, or a network of some of the layers (the same ones, not copies)."""
        if not isinstance(place, slice):
            return self.layers[self._place(place)]
        part = self._part(self.layers[place])
        part._take(part.layers, self._given_names)
        part.training = self.training
        return part

    def __setitem__(self, place: int, layer: Module) -> None:
        layers, place = list(self.layers), self._place(place)
        before, layers[place] = layers[place], layer
        self._take(layers, {name: layer if each is before else each for name, each in self._given_names.items()})

    def __delitem__(self, place: int | slice) -> None:
        layers = list(self.layers)
        del layers[place if isinstance(place, slice) else self._place(place)]
        self._take(layers)

    def pop(self, place: int = -1) -> Module:
        """Take out the layer at `place` and return it."""
        layer = self[self._place(place)]
        del self[place]
        return layer

    def append(self, layer: Module) -> Self:
        """Add a layer at the end. Returns the module."""
        self._take((*self.layers, layer))
        return self

    def insert(self, place: int, layer: Module) -> Self:
        """Add a layer before the one at `place`, which may be their number. Returns the module."""
        place = check.layer_place("place", place, len(self.layers), len(self.layers))
        self._take((*self.layers[:place], layer, *self.layers[place:]))
        return self

    def extend(self, layers: Iterable[Module]) -> Self:
        """Add layers at the end. Returns the module."""
        self._take((*self.layers, *layers))
        return self


def fed_with_features(module: Module) -> None:
    """Tell the networks in `module` that they are a part of another: what they get are features, not pixels."""
    for inner in module.modules():
        if isinstance(inner, Sequential):
            inner._looked_at_input = True


class Sequential(LayerList):
    """Layers called one after the other.

    It is a list of layers, too: ``net[0]``, ``net[-1]``, ``net[:3]`` (a network of the same layers), ``len(net)``,
    ``net[2] = layer``, ``del net[2]``, `append`, `insert`, `extend` and `pop`.

    A ReLU costs no pass of its own where a neighbour can do it: a convolution, a linear layer or a normalisation before
    it, in `backward` also a `MaxPool2d` after it. The results are the same, to the bit.

    In eval mode neighbouring layers that have a `plan` are run in one call of compiled code, and the others by
    themselves in between; changes of layers and parameters are noticed. The results are the same, but for the last bits
    of 3 x 3 convolutions of few pixels and of linear layers of few outputs or for one row: for these, weights that are
    kept make another algorithm worth while.

    `backward` lets go of what the layers kept for it: another one needs another forward.

    At its first call in train mode, an input that looks like pixels of 0 to 255 is warned about.

    Parameters
    ----------
    *layers : Module
        Or one dict from names to layers, as in ``Sequential(OrderedDict(conv=..., relu=...))``. Then ``net.conv`` is
        the layer, and ``"conv.weight"`` a name in the state dict. A layer whose name is a number is named by its place.

    Raises
    ------
    TypeError, ValueError
        The message of an error that a layer raises begins with the layer, as ``layer 2 (Linear): x: got ...``; inside
        another network with its qualified name, as ``layer 1.body.0 (Conv2d)``. So do those of `backward`.

    Examples
    --------
    >>> net = fnn.Sequential(fnn.Conv2d(1, 8, 5), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(1152, 10))
    >>> net(np.ones((4, 1, 28, 28), np.float32)).shape
    (4, 10)
    >>> dx = net.backward(np.ones((4, 10), np.float32))  # and every parameter has its gradient
    >>> net[0].weight.grad.shape
    (8, 1, 5, 5)
    """

    _inference: Inference | None = None
    _pairs: Pairs | None = None

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        self._take(*check.named_layers(layers, self))
        self._looked_at_input = False

    def _part(self, layers: tuple[Module, ...]) -> Sequential:
        part = Sequential(*layers)
        part._looked_at_input = True
        return part

    def forward(self, x: Array) -> Array:
        try:
            if not self.training:
                inference = self._inference
                if inference is None or inference.layers is not self.layers:
                    inference = self._inference = Inference(self.layers)
                return inference(x)
            y = self._in_pairs().forward(x)
        except Exception as error:
            name_layer(error, self)
            raise
        if not self._looked_at_input:
            self._looked_at_input = True
            check.warn_of_bytes(x, stacklevel=3)
        return y

    def _in_pairs(self) -> Pairs:
        pairs = self._pairs
        if pairs is None or pairs.layers is not self.layers:
            pairs = self._pairs = Pairs(self.layers)
        return pairs

    def plan(self, steps: Steps) -> None:
        for layer in self.layers:
            steps.write(layer)

    def _chain(self, x: Any) -> tuple[Any, ...] | None:
        return self.layers

    @one_backward
    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        """As `Module.backward`; without `needs_dx` it ends at the first layer that has anything to learn.

        What a layer kept for it is let go as soon as the layer is done, so that the gradients of those before it can
        have the room.
        """
        first = 0 if needs_dx else self._first_that_learns()
        if first == len(self.layers):
            return dy if needs_dx else None
        try:
            return self._in_pairs().backward(dy, accumulate, needs_dx, first)
        except Exception as error:
            name_layer(error, self)
            raise

    def _first_that_learns(self) -> int:
        return next((place for place, layer in enumerate(self.layers) if layer.learns()), len(self.layers))

    def _trace(self, x: Array, name: str) -> tuple[Array, list[Row]]:
        rows = []
        for place, layer in self.named_children():
            x, more = layer._trace(x, f"{name}.{place}".lstrip("."))
            rows += more
        return x, rows
