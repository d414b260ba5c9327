"""Gradients from differences, to hold against those that a backward computes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn._console import write
from fastnn._validate import Array
from fastnn._validate import gradients as rules
from fastnn.layers import Module
from fastnn.layers.module import copied
from fastnn.losses import Loss


def numeric_gradient(f: Callable[[Array], float], x: Array, eps: float = 1e-6) -> Array:
    """Gradient of `f` at `x` by central differences in float64, ``(f(x + eps) - f(x - eps)) / (2 * eps)``.

    Parameters
    ----------
    f : callable
        Takes a float64 array of the shape of `x`, which it must not change, and returns a number.
    x : array of float32 or float64
        Left alone.
    eps : float
        Half of the distance between the two points.

    Returns
    -------
    float64 array of the shape of `x`
        Its error is of the order ``eps**2`` from the curvature and ``1e-16 / eps`` from rounding.
    """
    check.float_array("x", x)
    eps = check.positive("eps", eps)
    point = np.array(x, np.float64, order="C")
    gradient = np.empty(x.shape, np.float64)
    for place in np.ndindex(x.shape):
        gradient[place] = _difference(lambda: float(f(point)), point, place, eps)
    return gradient


def _difference(value: Callable[[], float], array: Array, place: tuple[int, ...], eps: float) -> float:
    """How `value` changes with one element of `array`, which is written to and put back."""
    before = array[place]
    array[place] = before + eps
    above = value()
    array[place] = before - eps
    below = value()
    array[place] = before
    return (above - below) / (2 * eps)


@dataclass(frozen=True)
class Entry:
    """One element of a gradient.

    Attributes
    ----------
    name, place : which array, and which of its elements
    analytic, numeric : float
        What the backward gives, and what differences give.
    error : float
        Relative: how far they are apart, divided by the larger of the two.
    """

    name: str
    place: tuple[int, ...]
    analytic: float
    numeric: float
    error: float


@dataclass(frozen=True)
class Gradcheck:
    """What `gradcheck` found; its text is the table, and it is true if the check passed.

    Attributes
    ----------
    entries : tuple of Entry
    eps, tolerance : float
    """

    entries: tuple[Entry, ...]
    eps: float
    tolerance: float

    @property
    def worst(self) -> Entry | None:
        """The entry with the largest relative error (NaN is the largest); None if there are no entries."""
        return max(self.entries, key=lambda entry: np.nan_to_num(entry.error, nan=np.inf), default=None)

    @property
    def largest_error(self) -> float:
        """The largest relative error."""
        return self.worst.error if self.worst else 0.0

    @property
    def largest_difference(self) -> float:
        """The largest absolute difference between an analytic and a numeric value."""
        return float(max((abs(e.analytic - e.numeric) for e in self.entries), default=0.0))

    @property
    def passed(self) -> bool:
        """Whether the largest relative error is at most `tolerance`."""
        return self.largest_error <= self.tolerance

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        names = [f"{e.name}[{', '.join(map(str, e.place))}]" for e in self.entries]
        width = max(map(len, [*names, "gradient of"]))
        lines = [f"{'gradient of':{width}}  {'analytic':>15}  {'numeric':>15}  relative error"]
        for name, e in zip(names, self.entries, strict=True):
            wrong = "" if e.error <= self.tolerance else "  <- apart"
            lines.append(f"{name:{width}}  {e.analytic:15.8e}  {e.numeric:15.8e}  {e.error:14.1e}{wrong}")
        verdict = "passed" if self.passed else "FAILED"
        lines.append(f"{verdict}: largest relative error {self.largest_error:.1e}, tolerance {self.tolerance:.1e}")
        return "\n".join(lines)


def gradcheck(
    function: Module | Loss | Callable[..., Any],
    inputs: Array | tuple[Array, ...],
    *,
    target: Array | None = None,
    criterion: Loss | None = None,
    backward: Callable[..., Any] | None = None,
    eps: float = 1e-6,
    tolerance: float = 1e-5,
    samples: int | None = 10,
    names: Iterable[str] | None = None,
    seed: int = 0,
    show: bool = True,
) -> Gradcheck:
    """Compare gradients with central differences in float64, element by element, and print both side by side.

    The numeric value is ``(f(v + eps) - f(v - eps)) / (2 * eps)`` for one element v; f is the loss, or, where the
    output is an array, its sum with random factors. The relative error is ``|analytic - numeric|`` divided by the
    larger magnitude of the two, and by ``2e-16 * |f| / (eps * tolerance)`` at least: of smaller gradients, differences
    in float64 do not have enough digits. Near a kink (of a ReLU, of a maximum) differences can be wrong.

    Parameters
    ----------
    function : layer, network, loss, or function
        Of layers and networks a copy in float64 and in train mode is checked (with dropout, one that drops the same at
        every call): the gradients of the input ``x`` and of all parameters that are not frozen. Of a loss, that of its
        first argument.
    inputs : array, or tuple of arrays
        What `function` is called with; a function may have several. Left alone.
    target : array, optional
        What a loss compares with.
    criterion : loss, optional
        Behind a layer or network.
    backward : callable, for a function
        ``backward(dy, *inputs)`` returns the gradient of each input in a tuple (None: not to be checked), or that of
        the only one.
    eps : float
    tolerance : float
        The largest relative error that passes.
    samples : int or None
        Elements of each array, chosen at random; None: all of them.
    names : names, optional
        The arrays to check, as ``["x", "0.weight"]`` (``"0"``, ``"1"`` and so on of a function); by default all.
    seed : int
        Of the choice of elements and of the random factors.
    show : bool
        Print the table.

    Returns
    -------
    Gradcheck
        With `largest_error`, `passed`, all `entries`, and the table as its text.

    Raises
    ------
    TypeError
        Inputs that are no arrays of floats, a function without `backward`.
    ValueError
        A loss without `target`, a name that is not there, a gradient that has not the shape of its array.

    Examples
    --------
    >>> net = fnn.Sequential(fnn.Linear(4, 3), fnn.Tanh(), fnn.Linear(3, 2))
    >>> x, labels = np.ones((5, 4), np.float32), np.array([0, 1, 1, 0, 1])
    >>> result = fnn.gradcheck(net, x, target=labels, criterion=fnn.CrossEntropyLoss(), samples=2)  # doctest: +SKIP
    gradient of          analytic          numeric  relative error
    x[0, 3]       -1.94310241e-02  -1.94310241e-02         2.7e-10
    ...
    >>> result.passed, result.largest_error  # doctest: +SKIP
    (True, 1.3e-09)
    >>> def square_backward(dy, x):
    ...     return 2 * x * dy
    >>> fnn.gradcheck(np.square, x, backward=square_backward, show=False).passed
    True
    """
    eps, tolerance = check.positive("eps", eps), check.positive("tolerance", tolerance)
    samples = None if samples is None else check.integer("samples", samples, 1)
    rng = np.random.default_rng(seed)
    arrays = [_wide(a) for a in (inputs if isinstance(inputs, tuple) else (inputs,))]
    run: _Network | _Function
    if isinstance(function, Module | Loss):
        rules.one_input(arrays, criterion is not None or isinstance(function, Loss), target)
        run = _Network(function, criterion, arrays[0], target)
    else:
        rules.function_inputs(arrays, function, backward)
        run = _Function(function, backward, arrays)
    y = np.asarray(run.forward(), np.float64)
    dy = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) if y.ndim else np.float64(1)
    pairs = run.gradients(dy if y.ndim else 1.0)
    wanted = list(pairs) if names is None else rules.array_names(names, pairs)

    def value() -> float:
        return float(np.sum(run.forward() * dy))

    floor = np.finfo(np.float64).eps * float(np.sum(np.abs(y * dy))) / (eps * tolerance)
    entries = []
    for name in wanted:
        array, gradient = pairs[name]
        for place in _places(rng, array.shape, samples):
            analytic, numeric = float(gradient[place]), _difference(value, array, place, eps)
            error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), floor, np.finfo(np.float64).tiny)
            entries.append(Entry(name, place, analytic, numeric, float(error)))
    result = Gradcheck(tuple(entries), eps, tolerance)
    if show:
        write(str(result))
    return result


def _wide(a: Any) -> Any:
    """A copy in float64 of an array of floats; anything else as it is."""
    if isinstance(a, np.ndarray) and a.dtype.kind == "f":
        check.float_array("inputs", a)
        return np.array(a, np.float64, order="C")
    return a


def _places(rng: np.random.Generator, shape: tuple[int, ...], samples: int | None) -> list[tuple[int, ...]]:
    """`samples` different elements, or all of them, in order."""
    size = int(np.prod(shape))
    chosen = range(size) if samples is None or samples >= size else np.sort(rng.choice(size, samples, replace=False))
    return [tuple(int(i) for i in np.unravel_index(flat, shape)) for flat in chosen]


Pairs = dict[str, tuple[Array, Array]]


class _Function:
    """A function and its backward, as `gradcheck` runs them."""

    def __init__(self, function: Callable[..., Any], backward: Any, inputs: list[Any]) -> None:
        self.function, self.backward, self.inputs = function, backward, inputs

    def forward(self) -> Any:
        return self.function(*self.inputs)

    def gradients(self, dy: Any) -> Pairs:
        """Each array that is checked, and its gradient."""
        gradients = self.backward(dy, *self.inputs)
        gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
        rules.gradient_count(self.inputs, gradients)
        found = {str(i): g for i, g in enumerate(gradients) if g is not None}
        return _pairs({name: self.inputs[int(name)] for name in found}, found)


class _Network:
    """A layer, a network, a loss, or a loss behind a network, as `gradcheck` runs them: copies in float64."""

    def __init__(self, function: Module | Loss, criterion: Loss | None, x: Array, target: Array | None) -> None:
        self.net = copied(function).train() if isinstance(function, Module) else None
        self.criterion = copy.copy(function if isinstance(function, Loss) else criterion)
        self.x, self.target = x, _wide(target)
        self.states: list[tuple[dict[str, Any], dict[str, Any]]] = []
        if self.criterion is not None:
            for name, setting in dict(vars(self.criterion)).items():
                setattr(self.criterion, name, _wide(setting))
        if self.net is not None:
            for _, held in self.net.named_arrays():
                held.data = _wide(held.data)
            self.net(x)  # what a layer draws at its first call, as a dropout does its stream, is drawn
            self.states = [(vars(module), dict(vars(module))) for module in self.net.modules()]

    def forward(self) -> Any:
        for attributes, before in self.states:  # so that a dropout drops what it dropped before
            attributes.update(before)
        y = self.x if self.net is None else self.net(self.x)
        return y if self.criterion is None else self.criterion(y, self.target)

    def gradients(self, dy: Any) -> Pairs:
        """Each array that is checked, and its gradient, right after a forward."""
        dy = dy if self.criterion is None else self.criterion.backward(dy)
        if self.net is None:
            return _pairs({"x": self.x}, {"x": dy})
        learnt = {name: p for name, p in self.net.named_parameters() if p.requires_grad}
        for p in learnt.values():
            p.grad = None
        dx = self.net.backward(dy)
        arrays, gradients = {name: p.data for name, p in learnt.items()}, {name: p.grad for name, p in learnt.items()}
        # A layer whose input is made of integers has no gradient of it.
        return _pairs(arrays, gradients) if dx is None else _pairs({"x": self.x, **arrays}, {"x": dx, **gradients})


def _pairs(arrays: dict[str, Any], gradients: dict[str, Any]) -> Pairs:
    rules.gradients_of(arrays, gradients)
    return {name: (arrays[name], np.asarray(gradients[name])) for name in arrays}
