"""What happened during training, as numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastnn._files import atomic_file
from fastnn._json import to_json, with_numbers

EVAL = "eval_"  # begins the names of what is measured on held-out data
Measured = float | Mapping[str, float] | None  # of one metric, of several by name, or of none
_COLUMNS = ("loss", "lr", "eval_iteration", "eval_loss")


class History:
    """Loss, metrics and learning rate of every training step, and of every evaluation on held-out data.

    A metric's lists have its name: those of `accuracy` are ``history.accuracy`` and ``history.eval_accuracy``.

    Parameters
    ----------
    loss, lr : lists, one entry a training step: the minibatch's mean loss before the step, and the step's learning rate
    eval_iteration, eval_loss : lists, one entry an evaluation: the number of steps taken before it, and the mean loss
        over the whole held-out set
    metric : any number, by their names: one entry a training step; and with ``eval_`` before its name, one an
        evaluation

    Attributes
    ----------
    metric_names : those of the metrics, in their order

    Examples
    --------
    >>> from fastnn.training import History
    >>> history = History(loss=[0.7, 0.6], lr=[0.1, 0.1], accuracy=[0.5, 0.75])
    >>> history.accuracy, history.eval_accuracy, history.metric_name
    ([0.5, 0.75], [], 'accuracy')
    """

    metric_names: tuple[str, ...] = ()
    loss: list[float]
    lr: list[float]
    eval_iteration: list[int]
    eval_loss: list[float]

    def __init__(self, **columns: list[Any]) -> None:
        names = dict.fromkeys(name.removeprefix(EVAL) for name in columns if name not in _COLUMNS)
        self.metric_names = tuple(map(metric_name, names))
        for name in (*_COLUMNS, *_columns_of(self.metric_names)):
            setattr(self, name, list(columns.get(name, ())))

    def __getattr__(self, name: str) -> list[float]:
        names = [name for name in vars(self) if name != "metric_names"]
        raise AttributeError(f"history: got {name!r}, expected one of {', '.join(names)}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        evaluations = len(self.eval_iteration)
        metrics = f"metric {self.metric_name!r}" if len(self.metric_names) < 2 else f"metrics {self.metrics_named}"
        return f"History({self.iterations} steps, {evaluations} evaluations, {metrics})"

    @property
    def iterations(self) -> int:
        """Training steps taken."""
        return len(self.loss)

    @property
    def metric_name(self) -> str | None:
        """Name of the metric, or of the first of several; None without one."""
        return self.metric_names[0] if self.metric_names else None

    @property
    def metrics_named(self) -> str | None:
        """Names of all metrics in a row, as errors have them; None without one."""
        return ", ".join(self.metric_names) or None

    @property
    def measured(self) -> list[float]:
        """The (first) metric of every training step, whatever its name; empty without one."""
        return [] if self.metric_name is None else getattr(self, self.metric_name)

    @property
    def eval_measured(self) -> list[float]:
        """The (first) metric of every evaluation."""
        return [] if self.metric_name is None else getattr(self, EVAL + self.metric_name)

    def add_step(self, loss: float, value: Measured, lr: float) -> None:
        """Record a training step; `value` is the metric's, a dict by name for several, None without one."""
        self._add("", value)
        self.loss.append(loss)
        self.lr.append(lr)

    def add_evaluation(self, loss: float, value: Measured) -> None:
        """Record an evaluation after the steps taken so far."""
        self._add(EVAL, value)
        self.eval_iteration.append(self.iterations)
        self.eval_loss.append(loss)

    def _add(self, prefix: str, value: Measured) -> None:
        several = value if isinstance(value, Mapping) else {} if value is None else {self.metric_name: value}
        if set(several) != set(self.metric_names):
            raise ValueError(f"value: got {value}, expected one of the metric, which is {self.metrics_named}")
        for name in self.metric_names:
            getattr(self, prefix + name).append(several[name])

    def as_dict(self) -> dict[str, list[Any]]:
        """All lists by their names."""
        return {name: getattr(self, name) for name in (*_COLUMNS, *_columns_of(self.metric_names))}

    def save(self, path: str | Path) -> None:
        """Write the history as JSON; the file appears whole or not at all.

        JSON has no word for NaN, which is null, nor for infinity, which is the text "Infinity".
        """
        with atomic_file(path) as file:
            file.write(to_json(self.as_dict()).encode())

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
        if not isinstance(content, dict) or not content.keys() >= set(_COLUMNS):
            got = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise ValueError(
                f"{path}: not a history: got {got}, expected the keys {sorted(_COLUMNS)} and those of metrics"
            )
        for name, values in content.items():
            if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
                raise ValueError(f"{path}: not a history: {name!r} is not a list of numbers")
        try:
            history = cls(**content)
        except ValueError as error:
            raise ValueError(f"{path}: not a history: {error}") from error
        metric = _columns_of(history.metric_names)
        for group in (("loss", "lr", *metric[::2]), (EVAL + "iteration", EVAL + "loss", *metric[1::2])):
            columns = {name: getattr(history, name) for name in group}
            lengths = {name: len(values) for name, values in columns.items() if values or name not in metric}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"{path}: not a history: lists of different lengths {lengths}")
        return history


def metric_name(name: Any) -> str:
    """`name`, if a metric may have it: its lists are attributes of a history beside the others."""
    taken = name in _COLUMNS or EVAL + str(name) in _COLUMNS
    if not isinstance(name, str) or not name or name.startswith(EVAL) or taken or hasattr(History, name):
        raise ValueError(f"metric: got the name {name!r}, expected another one, as in metric=('f1', function)")
    return name


def _columns_of(names: Iterable[str]) -> tuple[str, ...]:
    """For each name two columns: of steps, and of evaluations."""
    return tuple(column for name in names for column in (name, EVAL + name))
