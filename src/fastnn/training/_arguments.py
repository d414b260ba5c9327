"""The rules of what a `Trainer` is made with, and `fit` called with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from fastnn import _runtime
from fastnn import _validate as check
from fastnn.data.batches import Examples
from fastnn.data.loader import Loader, is_loader
from fastnn.layers import Module
from fastnn.training.callbacks import Callback

Data = Any  # (x, y) or (x, y, sample_weight), see `Examples`; or an iterable of minibatches, see `Loader`
MetricFunction = Callable[[np.ndarray, np.ndarray], Any]


class Criterion(Protocol):
    """A loss: the call gives its value, `backward` the gradient with respect to the scores of that call."""

    reduction: str

    def __call__(self, x: np.ndarray, target: np.ndarray) -> float: ...

    def backward(self) -> np.ndarray: ...


class Optimizer(Protocol):
    """Changes the parameters it was made with, which its groups have as "params", by their gradients."""

    param_groups: list[dict[str, Any]]

    def step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None: ...


def examples_of(name: str, data: Data) -> Examples | Loader:
    """`data` as examples and targets, and perhaps weights; or as minibatches of somebody else's making."""
    if is_loader(data):
        return Loader(name, data)
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        came = f"{len(data)} things" if isinstance(data, tuple | list) else type(data).__name__
        raise TypeError(f"{name}: got {came}, expected examples and targets, (x, y), or an iterable of minibatches")
    examples = Examples(*data)
    for which, source in (("x", examples.x), ("y", examples.y)):
        if isinstance(source, np.ndarray) and source.dtype.kind in "SU":
            hint = "; number the classes, as by np.unique(y, return_inverse=True)" if which == "y" else ""
            raise TypeError(f"{name}: got texts as {which} (dtype {source.dtype}), expected numbers{hint}")
    return examples


def steps_per_epoch(data: Examples | Loader, batch_size: int, drop_last: bool) -> int:
    """Minibatches of an epoch, at least one."""
    examples = len(data)
    if isinstance(data, Loader):
        if drop_last:
            raise ValueError("drop_last: got True, expected False: the batches of an iterable are its own")
        return examples
    steps = examples // batch_size if drop_last else math.ceil(examples / batch_size)
    if steps == 0:
        raise ValueError(f"train: got {examples} examples, expected at least one minibatch of {batch_size}")
    return steps


def total_steps(iterations: int | None, epochs: int | None, per_epoch: int) -> int:
    """Steps of a `fit`, by the one of the two that is given."""
    if (iterations is None) == (epochs is None):
        raise ValueError(f"got iterations={iterations} and epochs={epochs}, expected exactly one of them")
    if iterations is not None:
        return check.integer("iterations", iterations, 0)
    return check.integer("epochs", epochs, 0) * per_epoch  # type: ignore[arg-type]


def fit_options(*, prefetch: bool | None, **others: bool) -> None:
    """All are True or False; `prefetch` may be None."""
    for name, value in others.items():
        check.true_or_false(name, value)
    if prefetch is not None:
        check.true_or_false("prefetch", prefetch)


def described(value: Any) -> str:
    """What came, by its class; a class by its name."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def function(name: str, value: Any, of: str) -> None:
    """`value` is None or a function of what `of` says; a class is called by nobody."""
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise TypeError(f"{name}: got {described(value)}, expected a function of {of}")


def parts(net: Any, criterion: Any, optimizer: Any) -> None:
    """A network, a loss and an optimiser, which can be trained together."""
    if not isinstance(net, Module):
        raise TypeError(f"net: got {described(net)}, expected a network, as Sequential(...)")
    reduction = getattr(criterion, "reduction", None)
    if isinstance(criterion, type) or reduction is None or not callable(getattr(criterion, "backward", None)):
        raise TypeError(
            f"criterion: got {described(criterion)}, expected a loss, as CrossEntropyLoss(), with a call, a "
            "backward and a reduction"
        )
    if reduction == "none":
        raise ValueError("criterion: got reduction='none', expected 'mean' or 'sum': training follows one number")
    groups = getattr(optimizer, "param_groups", None)
    if isinstance(optimizer, type) or groups is None:
        raise TypeError(f"optimizer: got {described(optimizer)}, expected one, as SGD(net.parameters(), lr=0.1)")
    own = {id(p) for p in net.parameters()}
    held = [p for group in groups for p in group.get("params", ())]
    others = sum(id(p) not in own for p in held)
    if others:
        raise ValueError(
            f"optimizer: got {len(held)} parameters, of which {others} are not the network's; expected those of the "
            "network as it is now: make the optimizer with net.parameters() when all layers are in their places"
        )
    if not any(p.requires_grad for p in held):
        raise ValueError(f"optimizer: got {len(held)} parameters, all of them frozen; expected at least one to train")


def listed(callbacks: Any) -> list[Callback]:
    """Callbacks as a list."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: got {described(callbacks)}, expected a list of callbacks, as [BestWeights()]")
    found = list(callbacks)
    for each in found:
        if not isinstance(each, Callback):
            raise TypeError(f"callbacks: got {described(each)}, expected a Callback, as BestWeights()")
    return found


def seed_of(rng: Any) -> int:
    """A seed, drawn from a generator, that of another seed, or the package's."""
    if rng is None:
        return int(_runtime.generator().integers(2**63))
    try:
        return int(np.random.default_rng(rng).integers(2**63))
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng: got {rng!r}, expected a seed, an int of at least 0, or a numpy.random.Generator"
        ) from None


def clip_bound(name: str, value: Any) -> None:
    """`value` is None, or bounds gradients."""
    if value is not None:
        check.number(name, value, 0.0)
