"""Networks made of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self, TypeGuard, overload

from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.functional._plan import NoPlan, Planned, Steps
from fastnn.layers.activation import ReLU
from fastnn.layers.module import Module, one_backward
from fastnn.layers.naming import name_layer
from fastnn.layers.norm import BatchNorm1d, BatchNorm2d
from fastnn.layers.pool import MaxPool2d
from fastnn.layers.summary import Row

NOT_COMPUTED_WITH = ("_kept", "_looked_at_input", "_planned", "_unplanned")  # attributes of layers that may change


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
        self.layers = layers

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

    A layer that can apply a ReLU while it stores its output (``fuses_activation``: Conv2d, Linear, BatchNorm) does so
    when a ReLU follows it, and `backward` goes through a ReLU and the max pooling after it, or the batch normalisation
    before it, in one step. The results are the same, to the bit.

    In eval mode all layers are run in one call of compiled code, if every one of them has a `plan`; changes of layers
    and parameters are noticed. The results are the same, but for the last bits of 3 x 3 convolutions of few pixels and
    of linear layers of few outputs, for which weights that are kept make another algorithm worth while.

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

    _planned: Planned | None = None
    _unplanned: tuple[Module, ...] | None = None  # layers that are to be run one by one

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        self._take(*check.named_layers(layers, self))
        self._looked_at_input = False

    def _part(self, layers: tuple[Module, ...]) -> Sequential:
        part = Sequential(*layers)
        part._looked_at_input = True
        return part

    def forward(self, x: Array) -> Array:
        try:
            if not self.training and self._unplanned is not self.layers:
                y = self._forward_as_planned(x)
                if y is not None:
                    return y
            pixels = None if self._looked_at_input or not self.training else x
            place, layers = 0, self.layers
            while place < len(layers):
                layer = layers[place]
                following = layers[place + 1] if place + 1 < len(layers) else None
                if type(following) is ReLU and _fuses_activation(layer) and not following._hooks:
                    x = layer.forward(x, activation="relu")  # type: ignore[call-arg]
                    following.remember(x)
                    place += 2
                else:
                    x = layer(x)
                    if place and _goes_back_through_relu(layer, layers[place - 1]):
                        layers[place - 1]._keep(None)  # the largest array of many a network
                    place += 1
        except Exception as error:
            name_layer(error, self)
            raise
        if pixels is not None:
            self._looked_at_input = True
            check.warn_of_bytes(pixels, stacklevel=3)
        return x

    def _forward_as_planned(self, x: Array) -> Array | None:
        """All layers in one call, or None."""
        layers, planned = self.layers, self._planned
        if planned is None or planned.layers is not layers or not planned.unchanged:
            inner = list(self.modules())[1:]
            arrays = (held for _, held in self.named_arrays())
            planned = Planned(layers, inner, arrays, but=NOT_COMPUTED_WITH)
            # Looked at once changes are noticed: other threads may make some meanwhile.
            if list(self.modules())[1:] != inner or any(module.training or module._hooks for module in inner):
                return None
            self._planned = planned
        try:
            return planned(x, self._plan_layers)
        except NoPlan:
            self._unplanned, self._planned = layers, None
            return None

    def plan(self, steps: Steps) -> None:
        self._plan_layers(steps)

    def _plan_layers(self, steps: Steps) -> None:
        for layer in self.layers:
            layer.write_plan(steps)

    @one_backward
    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array | None:
        """As `Module.backward`; without `needs_dx` it ends at the first layer that has anything to learn.

        What a layer kept for it is let go as soon as the layer is done, so that the gradients of those before it can
        have the room.
        """
        first = 0 if needs_dx else self._first_that_learns()
        if first == len(self.layers):
            return dy if needs_dx else None
        gradient: Any = dy
        place = len(self.layers) - 1
        try:
            while place >= first:
                layer, before = self.layers[place], self.layers[place - 1] if place > first else None
                behind = place - 1
                if _goes_back_through_relu(layer, before):
                    gradient = layer.backward(gradient, accumulate, through_relu=True)
                    behind -= 1
                elif type(layer) is ReLU and isinstance(before, BatchNorm1d | BatchNorm2d):
                    wanted = needs_dx or place - 1 > first
                    gradient = before.backward(gradient, accumulate, wanted, relu_output=layer.output())
                    behind -= 1
                else:
                    gradient = layer.backward(gradient, accumulate, needs_dx or place > first)
                for done in self.layers[behind + 1 : place + 1]:
                    done._keep(None)
                place = behind
        except Exception as error:
            name_layer(error, self)
            raise
        return gradient

    def _first_that_learns(self) -> int:
        return next((place for place, layer in enumerate(self.layers) if layer.learns()), len(self.layers))

    def _trace(self, x: Array, name: str) -> tuple[Array, list[Row]]:
        rows = []
        for place, layer in self.named_children():
            x, more = layer._trace(x, f"{name}.{place}".lstrip("."))
            rows += more
        return x, rows


def _goes_back_through_relu(layer: Module, before: Module | None) -> TypeGuard[MaxPool2d]:
    """Whether a backward goes through the layer and the one before it in one step, for which the layer keeps enough."""
    return type(layer) is MaxPool2d and type(before) is ReLU


def _fuses_activation(layer: Module) -> bool:
    """Whether the layer applies a ReLU itself; one with hooks does not, for they are to see its own output."""
    return layer.fuses_activation and not layer._hooks
