"""What layers and plans promise one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np

from fastnn._validate import Array

if TYPE_CHECKING:
    from fastnn.plan.training_steps import TrainingSteps


class NoPlan(Exception):
    """Layers have no steps for what they do, and are to be run by themselves.

    Attributes
    ----------
    places : tuple of int
        Their places in the network, once they are known.
    """

    def __init__(self, why: str, places: tuple[int, ...] = ()) -> None:
        super().__init__(why)
        self.places = places


class NotYet(NoPlan):
    """A module has to run once before it can say what it does."""


class Parameter(Protocol):
    """A parameter or a buffer.

    `sealed` returns what holds the array, and a token that is good for as long as nobody else has had the array.
    """

    @property
    def dtype(self) -> np.dtype[Any]: ...
    def sealed(self) -> tuple[list[Array], object]: ...


class Loss(Protocol):
    """A loss that may be the last step of a plan of training, which `plan` writes down as a layer does."""

    def has_plan(self) -> bool: ...
    def plan(self, steps: Any) -> None: ...
    def value(self, loss: float) -> Any: ...


class Layer(Protocol):
    """A layer that may have steps.

    `plan` writes them down. They say what the forward of the layer does in eval mode, and follow from attributes of the
    layer that are not changed in place. It raises `NoPlan` where there are none for these attributes, and TypeError or
    ValueError where an input does not fit, as the forward does. `has_plan` is false where `plan` may speak of another
    forward than the layer has: where a subclass or somebody else has put one in its place. `has_plan_of_training` is
    true where it speaks of the forward in train mode too, and the backward is the layer's own. `_chain` gives the
    layers that this one calls one after the other, or None.

    Of a layer with several inputs `plan` also takes marks of the inputs after the first. Of one with several outputs it
    takes the place of the one that is wanted.
    """

    def has_plan(self) -> bool: ...
    def has_plan_of_training(self) -> bool: ...
    def _chain(self, x: Array | None) -> tuple[Any, ...] | None: ...
    @property
    def plan(self) -> Callable[..., None]: ...


def for_training(steps: Any) -> TypeGuard[TrainingSteps]:
    """Whether these are the steps of a training step. A network that only runs does not load the module of those."""
    return bool(steps.training)
