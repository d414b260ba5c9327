"""The metrics of a trainer, together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastnn.training.history import EVAL, Measured
from fastnn.training.metrics import Metric, metric_of


class Metrics:
    """What is measured beside the loss: none, one, or several functions of scores and targets."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)
        self.names = tuple(each.name for each in self._metrics)
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(f"metrics: got {name!r} twice, expected a name for each, as in {{'f1': function}}")

    def __call__(self, scores: np.ndarray, y: np.ndarray) -> Measured:
        """None without metrics, the value of one, or those of several by their names."""
        values = {each.name: each(scores, y) for each in self._metrics}
        return values if len(values) > 1 else next(iter(values.values()), None)

    def columns(self) -> dict[str, list[float]]:
        """What a history begins with."""
        return {name: [] for name in self.names}


def metrics_of(metric: Any, metrics: Any, criterion: Any) -> Metrics:
    """The metrics that a trainer was given: `metrics`, several by name or in a list; or else the one `metric`."""
    if metrics is None:
        one = metric_of(metric, criterion)
        return Metrics([] if one is None else [one])
    if metric != "auto":
        raise ValueError("metric: got one beside metrics, expected one of the two")
    if not isinstance(metrics, Mapping | list | tuple):
        came = f"the class {metrics.__name__}" if isinstance(metrics, type) else type(metrics).__name__
        raise TypeError(f"metrics: got {came}, expected a dict of functions by name, or a list of functions")
    each = list(metrics.items()) if isinstance(metrics, Mapping) else list(metrics)
    found = [metric_of(one, criterion) for one in each]
    return Metrics(one for one in found if one is not None)


def monitored(monitor: str | None, metrics: tuple[str, ...]) -> str:
    """`monitor`, if it is the name of what is measured; for None the first metric on held-out data, or their loss."""
    if monitor is None:
        return EVAL + (metrics[0] if metrics else "loss")
    names = [EVAL + "loss", *(EVAL + name for name in metrics), "loss", *metrics]
    if monitor not in names:
        raise ValueError(f"monitor: got {monitor!r}, expected one of {', '.join(names)}")
    return monitor


def mean_loss(criterion: Any, loss: float, examples: int, weights: Any = None) -> float:
    """The mean of a loss over examples, whatever its reduction."""
    if criterion.reduction != "sum":
        return float(loss)
    whole = max(examples, 1) if weights is None else float(np.sum(weights, dtype=np.float64))
    return float(loss) / whole if whole else 0.0
