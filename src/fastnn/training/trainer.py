"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from fastnn.data.batches import batches
from fastnn.layers import Module
from fastnn.training.history import History
from fastnn.training.metrics import accuracy
from fastnn.training.progress import Progress

_EVALUATION_BATCH = 250


class Criterion(Protocol):
    """A loss: the call gives its value, `backward` the gradient with respect to the scores of that call."""

    reduction: str

    def __call__(self, x: np.ndarray, target: np.ndarray) -> float: ...

    def backward(self) -> np.ndarray: ...


class Optimizer(Protocol):
    """Changes the parameters it was made with by their gradients."""

    param_groups: list[dict[str, Any]]

    def step(self) -> None: ...


class Scheduler(Protocol):
    """Changes the optimiser's learning rates."""

    def step(self) -> None: ...


class DivergenceError(ArithmeticError):
    """The loss became NaN or infinite."""


class Trainer:
    """Trains a network by minibatches.

    Parameters
    ----------
    net : the network
    criterion : the loss, as `CrossEntropyLoss`
    optimizer : as `SGD`, made with the network's parameters
    scheduler : of `fastnn.lr_scheduler`, made with the optimizer; its `step` is called after each of the optimizer's
    rng : source of the minibatches' order; by default the package's generator, seeded by `fastnn.manual_seed`

    Attributes
    ----------
    history : History; several calls of `fit` continue it
    seconds : time spent on training steps, without evaluations
    """

    def __init__(
        self,
        net: Module,
        criterion: Criterion,
        optimizer: Optimizer,
        *,
        scheduler: Scheduler | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.net = net
        self.criterion = criterion
        self.optimizer = optimizer
        self.history = History()
        self.seconds = 0.0
        self._scheduler = scheduler
        self._rng = rng

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        iterations: int | None = None,
        epochs: int | None = None,
        batch_size: int = 64,
        drop_last: bool = False,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        evaluate_every: int | None = None,
        callback: Callable[[Trainer], object] | None = None,
        progress: bool = True,
    ) -> History:
        """Train; the network is in eval mode afterwards.

        Parameters
        ----------
        x, y : training examples and targets, the same length along axis 0
        iterations, epochs : how long; exactly one of the two
        batch_size, drop_last : as in `fastnn.data.batches`
        validation : examples and targets that loss and accuracy are measured on before the first step of all,
            every `evaluate_every` iterations, and at the end
        evaluate_every : iterations; by default one epoch
        callback : called with the trainer after each of these; returning True ends training
        progress : show a bar (on a terminal) or lines

        Raises
        ------
        DivergenceError
            The loss is NaN or infinite.
        """
        if len(y) != len(x):
            raise ValueError(f"y: got {len(y)} targets, expected {len(x)}: one for each example of x")
        per_epoch = _steps_per_epoch(len(x), batch_size, drop_last)
        total = _total_steps(iterations, epochs, per_epoch)
        every = per_epoch if evaluate_every is None else evaluate_every
        if every < 1:
            raise ValueError(f"evaluate_every: got {every}, expected at least 1")

        stream = self._stream(x, y, batch_size, drop_last)
        stop = self.history.iterations == 0 and self._look(validation, callback)
        with Progress(total, show=progress) as shown:
            for done in range(0, total, every):
                if stop:
                    break
                start = time.perf_counter()
                self.net.train()
                for _ in range(min(every, total - done)):
                    shown.step(*self._step(*next(stream)))
                self.seconds += time.perf_counter() - start
                stop = self._look(validation, callback)
        self.net.eval()
        return self.history

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Mean loss and accuracy on (x, y), in eval mode; the network stays in it."""
        scores = self.predict(x)
        return self._mean_loss(self.criterion(scores, y), len(y)), accuracy(scores, y)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The network's output for x, piece by piece, in eval mode; the network stays in it."""
        self.net.eval()
        return np.concatenate(
            [self.net(x[start : start + _EVALUATION_BATCH]) for start in range(0, max(len(x), 1), _EVALUATION_BATCH)]
        )

    @property
    def _lr(self) -> float:
        """The learning rate of the next step, of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        scores = self.net(x)
        loss = self._mean_loss(self.criterion(scores, y), len(y))
        if not math.isfinite(loss):
            raise DivergenceError(self._divergence(loss))
        self.net.backward(self.criterion.backward(), needs_dx=False)
        self.optimizer.step()
        right = accuracy(scores, y)
        self.history.add_step(loss, right, self._lr)
        if self._scheduler is not None:
            self._scheduler.step()
        return loss, right

    def _look(
        self, validation: tuple[np.ndarray, np.ndarray] | None, callback: Callable[[Trainer], object] | None
    ) -> bool:
        """Evaluate and call back; whether training is to stop."""
        if validation is not None:
            self.history.add_evaluation(*self.evaluate(*validation))
        return callback is not None and callback(self) is True

    def _stream(
        self, x: np.ndarray, y: np.ndarray, batch_size: int, drop_last: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield from batches(x, y, batch_size, drop_last=drop_last, rng=self._rng)

    def _mean_loss(self, loss: float, examples: int) -> float:
        return float(loss) / max(examples, 1) if self.criterion.reduction == "sum" else float(loss)

    def _divergence(self, loss: float) -> str:
        before = f"; the last finite loss was {self.history.loss[-1]:.4g}" if self.history.loss else ""
        return (
            f"training diverged at iteration {self.history.iterations + 1}: the loss is {loss} with learning rate "
            f"{self._lr:g}{before}. Try a smaller learning rate, and inputs scaled to 0-1"
        )


def _steps_per_epoch(examples: int, batch_size: int, drop_last: bool) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size: got {batch_size}, expected at least 1")
    steps = examples // batch_size if drop_last else math.ceil(examples / batch_size)
    if steps == 0:
        raise ValueError(f"x: got {examples} examples, expected at least one minibatch of {batch_size}")
    return steps


def _total_steps(iterations: int | None, epochs: int | None, per_epoch: int) -> int:
    if iterations is not None and epochs is None:
        name, given, total = "iterations", iterations, iterations
    elif epochs is not None and iterations is None:
        name, given, total = "epochs", epochs, epochs * per_epoch
    else:
        raise ValueError(f"got iterations={iterations} and epochs={epochs}, expected exactly one of them")
    if given < 0:
        raise ValueError(f"{name}: got {given}, expected at least 0")
    return total
