"""Where training stands, which a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn.data.batches import Batch


class Position:
    """The minibatch that comes next, and the steps at which something began.

    Attributes
    ----------
    begun : steps taken before this call of `fit`
    epoch, number : of the minibatch that comes next
    per_epoch : minibatches of the epoch that is going on
    looked, looked_before : steps taken before the last evaluation, and before the one before it
    """

    def __init__(self) -> None:
        self.begun = self.epoch = self.number = self.per_epoch = self.looked = self.looked_before = 0

    def begin(self, iterations: int) -> None:
        """A call of `fit` begins after so many steps; an epoch that another call left begins anew."""
        self.begun = iterations
        if self.number:
            self.epoch, self.number = self.epoch + 1, 0

    def divide(self, per_epoch: int) -> None:
        """Epochs have so many minibatches.

        Raises
        ------
        ValueError
            Those of a run that is resumed in the middle of an epoch had another number.
        """
        if self.number and self.per_epoch != per_epoch:
            raise ValueError(
                f"train: got {per_epoch} minibatches an epoch, expected {self.per_epoch}: the run that is resumed was "
                "in the middle of an epoch; give it the same examples and batch_size"
            )
        self.per_epoch = per_epoch

    def advance(self, batch: Batch) -> bool:
        """This minibatch is done; whether it was the last one of its epoch."""
        last = batch.number == self.per_epoch - 1
        self.epoch, self.number = (batch.epoch + 1, 0) if last else (batch.epoch, batch.number + 1)
        return last

    def look(self, iterations: int) -> None:
        """The network is evaluated after so many steps."""
        self.looked_before, self.looked = self.looked, iterations

    @property
    def between_looks(self) -> slice:
        """The steps between the last two evaluations."""
        return slice(self.looked_before, self.looked)

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": (self.begun, self.looked, self.looked_before),
            "place": (self.epoch, self.number, self.per_epoch),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over these two of the entries of `state`."""
        self.begun, self.looked, self.looked_before = state["steps"]
        self.epoch, self.number, self.per_epoch = state["place"]
