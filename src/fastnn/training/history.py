"""What happened during training, as numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from fastnn._files import atomic_file
from fastnn._json import to_json, with_numbers


@dataclass
class History:
    """Loss, accuracy and learning rate of every training step, and of every evaluation on held-out data.

    Attributes
    ----------
    loss, accuracy, lr : one entry a training step: the minibatch's mean loss and accuracy (or the trainer's other
        metric) before the step, and the step's learning rate
    eval_iteration, eval_loss, eval_accuracy : one entry an evaluation: the number of steps taken before it, mean loss
        and accuracy over the whole held-out set

    Without a metric there are no accuracies.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    eval_iteration: list[int] = field(default_factory=list)
    eval_loss: list[float] = field(default_factory=list)
    eval_accuracy: list[float] = field(default_factory=list)

    @property
    def iterations(self) -> int:
        """Training steps taken."""
        return len(self.loss)

    def add_step(self, loss: float, accuracy: float | None, lr: float) -> None:
        """Record a training step."""
        self.loss.append(loss)
        self.lr.append(lr)
        if accuracy is not None:
            self.accuracy.append(accuracy)

    def add_evaluation(self, loss: float, accuracy: float | None) -> None:
        """Record an evaluation after the steps taken so far."""
        self.eval_iteration.append(self.iterations)
        self.eval_loss.append(loss)
        if accuracy is not None:
            self.eval_accuracy.append(accuracy)

    def save(self, path: str | Path) -> None:
        """Write the history as JSON; the file appears whole or not at all.

        JSON has no word for NaN, which is null, nor for infinity, which is the text "Infinity".
        """
        with atomic_file(path) as file:
            file.write(to_json(asdict(self)).encode())

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            The file is truncated, corrupt or not a history; names the file.
        """
        try:
            content = with_numbers(json.loads(Path(path).read_bytes()))
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
            raise ValueError(f"{path}: truncated or corrupt history ({error})") from error
        names = {each.name for each in fields(cls)}
        if not isinstance(content, dict) or content.keys() != names:
            got = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise ValueError(f"{path}: not a history: got {got}, expected the keys {sorted(names)}")
        for name, values in content.items():
            if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
                raise ValueError(f"{path}: not a history: {name!r} is not a list of numbers")
        history = cls(**content)
        for group in (("loss", "accuracy", "lr"), ("eval_iteration", "eval_loss", "eval_accuracy")):
            lengths = {name: len(content[name]) for name in group if content[name] or "accuracy" not in name}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"{path}: not a history: lists of different lengths {lengths}")
        return history
