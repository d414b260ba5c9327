"""A training step as one call: forward, loss, backward and update.

`TrainingStep` takes the three lines of a training loop together. Where it has no plan, it runs these very lines::

    loss = criterion(net(x), y)
    net.backward(criterion.backward(), needs_dx=False)
    optimizer.step()
"""

from __future__ import annotations

import math
from typing import Any

from fastnn._validate import Array


class TrainingStep:
    """Forward, loss, backward and update of one minibatch, as one call.

    The result is that of the three lines of a training loop, ``criterion(net(x), y)``,
    ``net.backward(criterion.backward(), needs_dx=False)`` and ``optimizer.step()``: loss, weights, gradients, state of
    the optimiser, running statistics and masks. So are the errors.

    Parameters
    ----------
    net : Module
        In train mode when it is called.
    criterion : a loss
        As `CrossEntropyLoss`.
    optimizer : Optimizer
        Made with parameters of `net`.

    Examples
    --------
    >>> import numpy as np, fastnn as fnn
    >>> net = fnn.Sequential(fnn.Linear(4, 8), fnn.Tanh(), fnn.Linear(8, 3))
    >>> step = fnn.TrainingStep(net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters(), lr=0.1))
    >>> losses = [step(np.eye(4, dtype=np.float32)[:3], np.arange(3)) for _ in range(50)]
    >>> losses[-1] < losses[0]
    True
    """

    def __init__(self, net: Any, criterion: Any, optimizer: Any) -> None:
        self.net, self.criterion, self.optimizer = net, criterion, optimizer

    def __call__(self, x: Array, y: Array) -> Any:
        """Take one step with the examples `x` and targets `y`, and return the loss before it.

        Returns
        -------
        float, or array for the reduction "none"
        """
        loss = self.criterion(self.net(x), y)
        self.net.backward(self.criterion.backward(), needs_dx=False)
        self.optimizer.step()
        return loss

    def gradients(self, x: Array, y: Array) -> tuple[Any, Array]:
        """The first half of a step: forward, loss and backward.

        Where the loss is NaN or infinite the parameters may be left without gradients.

        Returns
        -------
        loss, scores : the loss, and the output of the network
        """
        scores = self.net(x)
        loss = self.criterion(scores, y)
        if math.isfinite(loss):
            self.net.backward(self.criterion.backward(), needs_dx=False)
        return loss, scores

    def update(self) -> None:
        """The second half of a step: change the parameters by their gradients."""
        self.optimizer.step()

    def __repr__(self) -> str:
        return f"TrainingStep({type(self.net).__name__}, {self.criterion!r}, {self.optimizer!r})"
