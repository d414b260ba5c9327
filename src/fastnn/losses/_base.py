"""What every loss is: a call gives the value, `backward` the gradient of what was scored in that call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, MaybeArray
from fastnn.plan.contract import NoPlan


def as_array(name: str, weight: Any) -> MaybeArray:
    """A series of weights, or another array of others, as NumPy's; anything else as it is."""
    others = hasattr(weight, "__array__") and not isinstance(weight, np.ndarray)
    return check.as_array(name, weight) if others else weight


class LossValue(float):
    """The value of a loss: a float in all that it is computed with, which knows what to say to habits from PyTorch."""

    __slots__ = ()

    def item(self) -> float:
        """Return the value as a plain float."""
        return float(self)

    def backward(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a float knows no network.

        Raises
        ------
        RuntimeError
            Always; it says what to call.
        """
        raise RuntimeError(
            "loss.backward: got a float, which knows no network; expected net.backward(criterion.backward())"
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from fastnn._validate import habits

            raise habits.no_attribute(self, name, habits.OF_LOSSES)


class Loss:
    """What every loss is: a function of outputs and targets, its gradient, and their settings.

    Attributes
    ----------
    reduction : str
        How the losses of all elements are put together.
    """

    reduction: str
    _function: ClassVar[str]  # its name in `functional`; that of its gradient is this and "_backward"
    _settings: ClassVar[tuple[str, ...]] = ("reduction",)
    _kept: tuple[Any, ...] | None = None  # outputs and targets; with weights, these and the masses too

    if not TYPE_CHECKING:

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            check.known_arguments(cls, args, kwargs)
            return super().__new__(cls)

    def __init__(self, reduction: str = "mean") -> None:
        check.reduction(reduction)
        self.reduction = reduction

    def __call__(self, x: Array, target: Array, sample_weight: Any = None) -> Any:
        """Compute the loss of `x`, as the function of the same name does.

        Parameters
        ----------
        x, target : outputs and targets of N examples; losses of classes take one without N, too
        sample_weight : N numbers, or one of one example, optional
            How much each example counts. The mean is ``sum(w * losses) / sum(w)``, as scikit-learn's, or as
            PyTorch's with weights of classes, ``sum(w * losses) / sum(w * weight[label])``; the sum is
            ``sum(w * losses)``. If all weights of a call are 0, so are the mean and its gradient.

        Returns
        -------
        float, or array for the reduction "none"
            The float has `item`, which returns it as it is, for loops that were written for PyTorch.
        """
        if sample_weight is None:
            loss = getattr(functional, self._function)(x, target, **self._options())
            self._kept = x, target
        else:
            losses = getattr(functional, self._function)(x, target, **self._options() | {"reduction": "none"})
            weighed = losses, check.sample_weight(sample_weight, losses), self._mass(x, target, losses)
            loss = functional.weigh_losses(*weighed, reduction=self._reduced())
            self._kept = x, target, weighed
        return LossValue(loss) if type(loss) is float else loss

    def backward(self, dloss: float | Array = 1.0) -> Array:
        """Return the gradient of `x` of the last call, of its shape.

        Parameters
        ----------
        dloss : float, or array of the shape of the loss with reduction "none"
            Gradient of the loss.
        """
        x, target, *weighed = check.kept(self, self._kept)
        options = self._options()
        if weighed:
            dloss = functional.weigh_losses_backward(*weighed[0], reduction=self._reduced(), dloss=dloss)
            options["reduction"] = "none"
        gradient: Array = getattr(functional, f"{self._function}_backward")(x, target, dloss=dloss, **options)
        return gradient

    def _mass(self, x: Array, target: Array, losses: Array) -> MaybeArray:
        """How much each of the losses counts in their mean; None where all count alike."""
        return None

    def _reduced(self) -> str:
        """The reduction of losses that have masses."""
        return self.reduction

    def plan(self, steps: Any) -> None:
        """Write down this loss as the last step of a plan of training."""
        raise NoPlan(f"{type(self).__name__} has no plan")

    def has_plan(self) -> bool:
        """Whether `plan` speaks of the loss that this is: a subclass may have changed anything."""
        return type(self).__module__.rpartition(".")[0] == __package__ and not vars(self).keys() & {"backward", "plan"}

    @staticmethod
    def value(loss: float) -> LossValue:
        """`loss` as a call returns it."""
        return LossValue(loss)

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._settings}

    def __repr__(self) -> str:
        options = ((name, value) for name, value in self._options().items() if value is not None)
        shown = (
            f"{name}=({value.size} of them)" if hasattr(value, "size") else f"{name}={value!r}"
            for name, value in options
        )
        return f"{type(self).__name__}({', '.join(shown)})"
