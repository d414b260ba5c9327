"""What neighbours do for one another in train mode: a ReLU is rarely worth a pass of its own.

A layer declares in its attribute `fusion` what it can do for a ReLU beside it; `Pairs` finds the neighbours and runs
them. The results are those of the layers one by one, to the bit::

    forward     Conv2d, ReLU           the ReLU while the convolution stores its output
    backward    BatchNorm2d, ReLU      the ReLU while the normalisation reads its gradient
    backward    ReLU, MaxPool2d        the ReLU first, on the pooled gradient, which has fewer numbers
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastnn import functional


class Fusion(NamedTuple):
    """What a layer is and can do beside a ReLU.

    It holds for the class that declares it, and for those below it that leave forward and backward as they are.

    Attributes
    ----------
    is_relu : bool
        The layer is a ReLU, whose output `output` returns until the backward.
    in_forward : bool
        ``forward(x, activation="relu")`` also does the ReLU after the layer. Only that ReLU keeps the output.
    in_backward : bool
        ``backward(..., relu_output=y)`` also goes back through the ReLU after the layer, whose output is y.
    commutes : bool
        A ReLU before the layer may be done after it, and so may its backward. The layer has no parameters, and its
        `output` returns the output until the backward.
    """

    is_relu: bool = False
    in_forward: bool = False
    in_backward: bool = False
    commutes: bool = False


NOTHING = Fusion()


class _Forward(NamedTuple):
    layer: Any
    relu: Any  # the ReLU after it, to be done while the layer stores, or None
    spared: Any  # the ReLU before it, which need not keep its output, or None


class _Backward(NamedTuple):
    first: int  # place of the first layer
    layer: Any
    relu: Any  # its neighbour, or None
    commutes: bool  # the ReLU is before the layer


class Pairs:
    """The layers of a network, with each ReLU given to a neighbour that can do it."""

    def __init__(self, layers: tuple[Any, ...]) -> None:
        self.layers = layers
        can = [fusion_of(layer) for layer in layers]
        self._forward = _forward_pairs(layers, can)
        self._backward = _backward_pairs(layers, can)

    def forward(self, x: Any) -> Any:
        """The output of the last layer. A layer with a hook does nothing for others: the hook is to see its output."""
        for layer, relu, spared in self._forward:
            if relu is None:
                x = layer(x)
            elif layer._hooks or relu._hooks:
                x = relu(layer(x))
            else:
                x = layer.forward(x, activation="relu")
                relu._keep(x)
            if spared is not None:
                spared._keep(None)  # the largest array of many a network
        return x

    def backward(self, dy: Any, accumulate: bool, needs_dx: bool, first: int) -> Any:
        """Back from the last layer to the one at place `first`; each lets go of what it kept as soon as it is done."""
        for place, layer, relu, commutes in self._backward:
            if place < first:
                break
            wanted = needs_dx or place > first
            if relu is None:
                dy = layer.backward(dy, accumulate, wanted)
            elif commutes:
                y = layer.output()
                dy = layer.backward(functional.relu_backward(dy, y), accumulate, wanted)
                relu._keep(None)
            else:
                dy = layer.backward(dy, accumulate, wanted, relu_output=relu.output())
                relu._keep(None)
            layer._keep(None)
        return dy


def fusion_of(layer: Any) -> Fusion:
    """What the layer declares; nothing if somebody has changed its forward or backward below that."""
    if vars(layer).keys() & {"forward", "backward"}:
        return NOTHING
    for kind in type(layer).__mro__:
        own = vars(kind)
        if "fusion" in own:
            declared: Fusion = own["fusion"]
            return declared
        if "forward" in own or "backward" in own:
            return NOTHING
    return NOTHING


def _forward_pairs(layers: tuple[Any, ...], can: list[Fusion]) -> tuple[_Forward, ...]:
    pairs, place = [], 0
    while place < len(layers):
        fuses = can[place].in_forward and place + 1 < len(layers) and can[place + 1].is_relu
        spared = can[place].commutes and place > 0 and can[place - 1].is_relu
        pairs.append(
            _Forward(layers[place], layers[place + 1] if fuses else None, layers[place - 1] if spared else None)
        )
        place += 2 if fuses else 1
    return tuple(pairs)


def _backward_pairs(layers: tuple[Any, ...], can: list[Fusion]) -> tuple[_Backward, ...]:
    """From the last layer to the first."""
    pairs, place = [], len(layers) - 1
    while place >= 0:
        if place and can[place].commutes and can[place - 1].is_relu:
            pairs.append(_Backward(place - 1, layers[place], layers[place - 1], True))
        elif place and can[place].is_relu and can[place - 1].in_backward:
            pairs.append(_Backward(place - 1, layers[place - 1], layers[place], False))
        else:
            pairs.append(_Backward(place, layers[place], None, False))
        place = pairs[-1].first - 1
    return tuple(pairs)
