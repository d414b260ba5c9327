"""Losses: a call gives the value, `backward` the gradient of what was scored in that call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array, MaybeArray


def _as_array(name: str, weight: Any) -> MaybeArray:
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
    _kept: tuple[Array, Array] | None = None

    if not TYPE_CHECKING:

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            check.known_arguments(cls, args, kwargs)
            return super().__new__(cls)

    def __init__(self, reduction: str = "mean") -> None:
        check.reduction(reduction)
        self.reduction = reduction

    def __call__(self, x: Array, target: Array) -> Any:
        """Compute the loss of `x`, as the function of the same name does.

        Returns
        -------
        float, or array for the reduction "none"
            The float has `item`, which returns it as it is, for loops that were written for PyTorch.
        """
        loss = getattr(functional, self._function)(x, target, **self._options())
        self._kept = x, target
        return LossValue(loss) if type(loss) is float else loss

    def backward(self, dloss: float | Array = 1.0) -> Array:
        """Return the gradient of `x` of the last call, of its shape.

        Parameters
        ----------
        dloss : float, or array of the shape of the loss with reduction "none"
            Gradient of the loss.
        """
        x, target = check.kept(self, self._kept)
        gradient: Array = getattr(functional, f"{self._function}_backward")(x, target, dloss=dloss, **self._options())
        return gradient

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._settings}

    def __repr__(self) -> str:
        options = ((name, value) for name, value in self._options().items() if value is not None)
        shown = (
            f"{name}=({value.size} of them)" if hasattr(value, "size") else f"{name}={value!r}"
            for name, value in options
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class CrossEntropyLoss(Loss):
    """Cross-entropy between targets and the softmax of scores, see `fastnn.functional.cross_entropy`.

    Called with scores (N, K) or (N, K, d1, ...), and labels (N,) or (N, d1, ...) or probabilities of the scores' shape.

    Parameters
    ----------
    weight : (K,) array, optional
        Of the classes.
    ignore_index : int
        A label that is left out.
    reduction : "mean", "sum" or "none"
    label_smoothing : float, 0 to 1
        How much of each target goes to all classes alike.

    Examples
    --------
    >>> criterion = fnn.CrossEntropyLoss()
    >>> scores, labels = np.array([[2, 1, 0], [0, 0, 0]], np.float32), np.array([0, 2])
    >>> print(round(float(criterion(scores, labels)), 4))
    0.7531
    >>> print(criterion.backward().round(3))
    [[-0.167  0.122  0.045]
     [ 0.167  0.167 -0.333]]
    """

    _function = "cross_entropy"
    _settings = ("weight", "ignore_index", "reduction", "label_smoothing")

    def __init__(
        self,
        weight: MaybeArray = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        weight = _as_array("weight", weight)
        check.class_losses(weight, ignore_index, reduction)
        check.smoothing(label_smoothing)
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing


class NLLLoss(Loss):
    """Negative log-likelihood of labels, see `fastnn.functional.nll_loss`.

    Called with logarithms of probabilities (N, K) or (N, K, d1, ...), as of `LogSoftmax`, and labels (N,) or
    (N, d1, ...).

    Parameters
    ----------
    weight : (K,) array, optional
        Of the classes.
    ignore_index : int
        A label that is left out.
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> log_p = np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32))
    >>> print(round(float(fnn.NLLLoss()(log_p, np.array([0, 1]))), 4))
    0.3993
    """

    _function = "nll_loss"
    _settings = ("weight", "ignore_index", "reduction")

    def __init__(self, weight: MaybeArray = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        weight = _as_array("weight", weight)
        check.class_losses(weight, ignore_index, reduction)
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction


class BCELoss(Loss):
    """Cross-entropy of probabilities of yes or no, see `fastnn.functional.binary_cross_entropy`.

    Called with probabilities, as of `Sigmoid`, and targets of their shape; `BCEWithLogitsLoss` is more exact.

    Parameters
    ----------
    weight : array that broadcasts to the outputs, optional
        Of the elements.
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> p, y = np.array([0.9, 0.2], np.float32), np.array([1, 0], np.float32)
    >>> print(round(float(fnn.BCELoss()(p, y)), 4))
    0.1643
    """

    _function = "binary_cross_entropy"
    _settings = ("weight", "reduction")

    def __init__(self, weight: MaybeArray = None, reduction: str = "mean") -> None:
        weight = _as_array("weight", weight)
        check.element_losses(reduction, weight=weight)
        self.weight = weight
        self.reduction = reduction


class BCEWithLogitsLoss(Loss):
    """Cross-entropy of the sigmoid of scores, see `fastnn.functional.binary_cross_entropy_with_logits`.

    Called with scores, and targets 0 to 1 of their shape.

    Parameters
    ----------
    weight : array that broadcasts to the outputs, optional
        Of the elements.
    reduction : "mean", "sum" or "none"
    pos_weight : array that broadcasts to the outputs, optional
        Of yes, as (K,) for K questions.

    Examples
    --------
    >>> x, y = np.array([2, -1], np.float32), np.array([1, 0], np.float32)
    >>> print(round(float(fnn.BCEWithLogitsLoss()(x, y)), 4))
    0.2201
    """

    _function = "binary_cross_entropy_with_logits"
    _settings = ("weight", "reduction", "pos_weight")

    def __init__(self, weight: MaybeArray = None, reduction: str = "mean", pos_weight: MaybeArray = None) -> None:
        weight, pos_weight = _as_array("weight", weight), _as_array("pos_weight", pos_weight)
        check.element_losses(reduction, weight=weight, pos_weight=pos_weight)
        self.weight = weight
        self.reduction = reduction
        self.pos_weight = pos_weight


class MSELoss(Loss):
    """Mean squared error, the squared difference of outputs and targets of one shape.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> criterion = fnn.MSELoss()
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(criterion(x, y)), criterion.backward().tolist()
    (4.625, [-0.5, 3.0])
    """

    _function = "mse_loss"


class L1Loss(Loss):
    """Mean absolute error, the absolute difference of outputs and targets of one shape.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Examples
    --------
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(fnn.L1Loss()(x, y))
    1.75
    """

    _function = "l1_loss"


class SmoothL1Loss(Loss):
    """Absolute difference, rounded to a parabola below `beta`, see `fastnn.functional.smooth_l1_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    beta : float, at least 0

    Examples
    --------
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(fnn.SmoothL1Loss()(x, y))
    1.3125
    """

    _function = "smooth_l1_loss"
    _settings = ("reduction", "beta")

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        check.reduction(reduction)
        self.reduction = reduction
        self.beta = check.number("beta", beta, 0.0)


class HuberLoss(Loss):
    """Half of the squared difference below `delta`, linear above, see `fastnn.functional.huber_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    delta : float, above 0

    Examples
    --------
    >>> x, y = np.array([0, 3], np.float32), np.array([0.5, 0], np.float32)
    >>> float(fnn.HuberLoss()(x, y))
    1.3125
    """

    _function = "huber_loss"
    _settings = ("reduction", "delta")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        check.reduction(reduction)
        self.reduction = reduction
        self.delta = check.positive("delta", delta)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of logarithms of probabilities from targets, see `fastnn.functional.kl_div`.

    Parameters
    ----------
    reduction : "mean", "batchmean", "sum" or "none"
        "batchmean", the mean over the examples, is the divergence as mathematics has it.
    log_target : bool
        Targets are logarithms too.

    Examples
    --------
    >>> log_p, q = np.log(np.array([[0.5, 0.5]], np.float32)), np.array([[0.9, 0.1]], np.float32)
    >>> print(round(float(fnn.KLDivLoss(reduction="sum")(log_p, q)), 4))
    0.3681
    """

    _function = "kl_div"
    _settings = ("reduction", "log_target")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        check.kl_reduction(reduction)
        check.true_or_false("log_target", log_target)
        self.reduction = reduction
        self.log_target = log_target
