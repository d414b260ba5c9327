"""How good the predictions are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastnn import _validate as check
from fastnn._extras import require
from fastnn.losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, NLLLoss
from fastnn.training._arguments import described
from fastnn.training.history import metric_name

_LARGEST = 2**62  # what int64 and float64 both hold


class Metric(NamedTuple):
    """What is measured beside the loss: a function of scores and targets, by its name."""

    name: str
    function: Callable[[np.ndarray, np.ndarray], Any]

    def __call__(self, scores: np.ndarray, target: np.ndarray) -> float:
        """The measure as a float."""
        value = self.function(scores, target)
        if isinstance(value, float):
            return float(value)
        try:
            return float(np.asarray(value).item())
        except (TypeError, ValueError):
            raise TypeError(f"metric: got {value!r} from {self.name}, expected a number") from None


class ConfusedPair(NamedTuple):
    """`times` examples of class `true` that were taken for class `predicted`."""

    true: str
    predicted: str
    times: int

    def __str__(self) -> str:
        return f"{self.true} -> {self.predicted} x{self.times}"


def accuracy(scores: np.ndarray, target: np.ndarray, *, ignore_index: int | None = None) -> float:
    """Share of examples, or of pixels, whose highest score is that of their class.

    Parameters
    ----------
    scores : (N, K) or (N, K, d1, ...) scores, axis 1 the classes; (N, 1) probabilities of the second of two classes,
        cut at 0.5; or (N,) predicted classes themselves
    target : (N,) or (N, d1, ...) classes; or probabilities of the shape of the scores
    ignore_index : a class that is left out

    Returns
    -------
    accuracy : 0..1; 0 for no examples. Scores with NaN are never right
    """
    scores, target = np.asarray(scores), np.asarray(target)
    if scores.ndim == 1:
        if scores.shape != target.shape:
            raise ValueError(
                f"target: got shape {target.shape}, expected {scores.shape}, that of the predicted classes"
            )
        if scores.dtype.kind == "f" and not (scores == np.floor(scores)).all():
            raise ValueError(
                "scores: got fractions, expected (N,) predicted classes or (N, K) scores; binary_accuracy cuts "
                "probabilities of yes or no"
            )
        return _share(scores == target, _counted(target, ignore_index))
    if scores.ndim == 2 and scores.shape[1] == 1:
        true = target.reshape(-1, 1) if target.ndim == 1 else target
        if ignore_index is not None and true.shape == scores.shape:
            scores, true = scores[true != ignore_index], true[true != ignore_index]
        if true.size and not (true.min() >= 0 and true.max() <= 1):
            raise ValueError(f"target: got {true.min()} to {true.max()}, expected 0 to 1 beside (N, 1) probabilities")
        return binary_accuracy(scores, true)
    if scores.ndim == 0 or 0 in scores.shape[1:2]:
        raise ValueError(f"scores: got shape {scores.shape}, expected (N, K), (N, K, d1, ...) or (N,)")
    return class_accuracy(scores, target, ignore_index)


def class_accuracy(scores: np.ndarray, target: np.ndarray, ignore_index: int | None = None) -> float:
    """`accuracy` of scores that have an axis of classes, however few there are."""
    predicted = scores.argmax(axis=1)
    if target.shape == scores.shape:
        right, counted = predicted == target.argmax(axis=1), None
    elif target.shape == predicted.shape:
        right, counted = predicted == target, _counted(target, ignore_index)
    else:
        raise ValueError(
            f"target: got shape {target.shape}, expected {predicted.shape} classes, or probabilities of the scores' "
            f"shape, {scores.shape}"
        )
    if scores.dtype.kind == "f":
        nan = np.isnan(scores)
        if np.count_nonzero(nan):
            right &= ~nan.any(axis=1)
    return _share(right, counted)


def binary_accuracy(scores: np.ndarray, target: np.ndarray, threshold: float = 0.5) -> float:
    """Share of answers, each yes or no, that are right; of several questions an example, all count alike.

    Parameters
    ----------
    scores : probabilities of yes, of any shape; or logits, with a threshold of 0
    target : of the shape of the scores: 0 or 1, or a probability, which is cut at 0.5
    threshold : a score of at least this says yes

    Returns
    -------
    accuracy : 0..1; 0 for no examples. A score of NaN is never right
    """
    scores, target = np.asarray(scores), np.asarray(target)
    if scores.shape != target.shape:
        raise ValueError(f"target: got shape {target.shape}, expected {scores.shape}, that of the scores")
    right = (scores >= threshold) == (target >= 0.5)
    if scores.dtype.kind == "f":
        right &= scores == scores  # not NaN
    return _share(right)


def top_k_accuracy(scores: np.ndarray, target: np.ndarray, k: int = 5) -> float:
    """Share of examples whose class is among the `k` that have the highest scores.

    Parameters
    ----------
    scores : (N, K) scores, one column a class
    target : (N,) classes
    k : 1..K

    Returns
    -------
    accuracy : 0..1; 0 for no examples. Of equal scores the lower classes come first; NaN is above all, and never right
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or np.shape(target) != scores.shape[:1]:
        raise ValueError(f"got shapes {scores.shape} and {np.shape(target)}, expected (N, K) scores and (N,) classes")
    classes = scores.shape[1]
    if not 1 <= check.integer("k", k) <= classes:
        raise ValueError(f"k: got {k}, expected 1 to {classes}, the number of classes")
    true = _labels("target", target, classes)[:, None]
    own = np.take_along_axis(scores, true, axis=1)
    before = ~(scores <= own) | ((scores == own) & (np.arange(classes) < true))
    return _share(np.count_nonzero(before, axis=1) < k)


def psnr(output: np.ndarray, target: np.ndarray, peak: float = 1.0) -> float:
    """Mean over the examples of the peak signal-to-noise ratio, ``10 * log10(peak**2 / mse)``, in decibels.

    Parameters
    ----------
    output, target : (N, ...) reconstructions and originals
    peak : the largest value that there can be

    Returns
    -------
    psnr : infinite where a reconstruction has no error at all; 0 for no examples, or examples of no elements
    """
    output, target = np.asarray(output), np.asarray(target)
    if output.ndim == 0:
        raise ValueError("output: got a number, expected (N, ...) reconstructions")
    if output.shape != target.shape:
        raise ValueError(f"target: got shape {target.shape}, expected {output.shape}, that of the reconstructions")
    peak = check.positive("peak", peak)
    if not output.size:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.subtract(output, target, dtype=np.float64).reshape(len(target), -1)
        return float((10 * np.log10(peak**2 / np.square(errors).mean(axis=1))).mean())


def confusion_matrix(target: np.ndarray, predicted: np.ndarray, classes: int | None = None) -> np.ndarray:
    """Count examples by true class (row) and predicted class (column).

    Parameters
    ----------
    target, predicted : (N,) classes
    classes : K, the number of classes; by default one more than the highest that occurs

    Returns
    -------
    matrix : int64 (K, K)

    Raises
    ------
    ValueError
        A class is below 0, or not below K: none is left out in silence.
    """
    target, predicted, classes = _pair(target, predicted, classes)
    return np.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confusion_table(matrix: np.ndarray, class_names: Sequence[str] | None = None) -> str:
    """A confusion matrix as text: a row for each true class, a column for each predicted one, a dot for 0.

    Parameters
    ----------
    matrix : (K, K) from `confusion_matrix`
    class_names : K names; by default the classes' numbers
    """
    matrix = _counts(matrix)
    names = _names(class_names, len(matrix))
    cells = [[str(count) if count else "." for count in row] for row in matrix.tolist()]
    width = max(len(text) for text in [*names, *(cell for row in cells for cell in row)]) + 1
    corner = "true \\ predicted "
    lines = [corner + "".join(name.rjust(width) for name in names)]
    lines += [
        name.rjust(len(corner) - 1) + " " + "".join(cell.rjust(width) for cell in row)
        for name, row in zip(names, cells, strict=True)
    ]
    return "\n".join(lines)


def classification_report(
    target: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] | None = None, *, as_dict: bool = False
) -> Any:
    """Precision, recall, f1 and support of each class, with accuracy and averages.

    Parameters
    ----------
    target, predicted : (N,) classes
    class_names : K names, in the order of the classes; by default the numbers of those up to the highest that occurs
    as_dict : numbers by class instead of a table

    Returns
    -------
    report : a table as text, or a dict
    """
    sklearn = require("sklearn.metrics", "the per-class report")
    target, predicted, classes = _pair(target, predicted, None)
    if not len(target):
        raise ValueError("target: got no examples, expected at least one")
    names = _names(class_names, classes if class_names is None else max(classes, len(class_names)))
    return sklearn.classification_report(
        target,
        predicted,
        labels=np.arange(len(names)),
        target_names=names,
        digits=3,
        zero_division=0,
        output_dict=as_dict,
    )


def most_confused_pairs(
    matrix: np.ndarray, count: int = 5, class_names: Sequence[str] | None = None
) -> list[ConfusedPair]:
    """The pairs of classes that are most often taken one for the other, worst first.

    Parameters
    ----------
    matrix : (K, K) from `confusion_matrix`
    count : how many pairs at most; pairs that never occur are left out
    class_names : K names; by default the classes' numbers
    """
    errors = _counts(matrix)
    names = _names(class_names, len(errors))
    count = check.integer("count", count, 0)
    np.fill_diagonal(errors, 0)
    worst = np.argsort(-errors, axis=None, kind="stable")[:count]
    pairs = (divmod(int(place), len(errors)) for place in worst)
    return [ConfusedPair(names[i], names[j], int(errors[i, j])) for i, j in pairs if errors[i, j] > 0]


def metric_of(metric: Any, criterion: Any) -> Metric | None:
    """The metric that a trainer was given, with its name; for "auto" that which follows from the loss.

    Losses of classes, and of answers yes or no, have an accuracy; all others, and losses of one's own, have none.
    """
    if metric is None:
        return None
    if isinstance(metric, str) and metric == "auto":
        match criterion:
            case CrossEntropyLoss() | NLLLoss():
                return Metric("accuracy", partial(class_accuracy, ignore_index=criterion.ignore_index))
            case BCEWithLogitsLoss():
                return Metric("accuracy", partial(binary_accuracy, threshold=0.0))
            case BCELoss():
                return Metric("accuracy", binary_accuracy)
        return None
    name, function = metric if isinstance(metric, tuple) and len(metric) == 2 else (_name(metric), metric)
    if not callable(function) or isinstance(function, type):
        raise TypeError(
            f"metric: got {described(function)}, expected a function of scores and targets, (name, function), "
            "'auto' or None"
        )
    return Metric(metric_name(name), function)


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return "metric" if name == "<lambda>" else name


def _share(right: np.ndarray, counted: np.ndarray | None = None) -> float:
    """The share of True, among those that are counted."""
    if counted is None:
        return int(np.count_nonzero(right)) / max(right.size, 1)
    return int(np.count_nonzero(right & counted)) / max(int(np.count_nonzero(counted)), 1)


def _counted(target: np.ndarray, ignore_index: int | None) -> np.ndarray | None:
    return None if ignore_index is None else target != ignore_index


def _pair(target: Any, predicted: Any, classes: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """True and predicted classes as int64, and how many classes there are."""
    if classes is not None:
        classes = check.integer("classes", classes, 1)
    target, predicted = _labels("target", target, classes), _labels("predicted", predicted, classes)
    if len(target) != len(predicted):
        raise ValueError(f"predicted: got {len(predicted)} classes, expected {len(target)}: one for each target")
    return target, predicted, classes or 1 + int(max(target.max(initial=0), predicted.max(initial=0)))


def _labels(name: str, values: Any, classes: int | None) -> np.ndarray:
    """Classes as int64: whole numbers from 0, below `classes`."""
    labels = np.asarray(values)
    if labels.ndim != 1:
        raise ValueError(f"{name}: got shape {labels.shape}, expected (N,) classes")
    if labels.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got an array of {labels.dtype}, expected classes as integers")
    outside = labels[~((labels >= 0) & (labels < (_LARGEST if classes is None else classes)))]
    if outside.size:
        expected = "at least 0" if classes is None else f"0 to {classes - 1}"
        raise ValueError(f"{name}: got class {outside[0]}, expected {expected}")
    whole = labels.astype(np.int64)
    if labels.dtype.kind == "f" and (whole != labels).any():
        raise ValueError(f"{name}: got class {labels[whole != labels][0]}, expected whole numbers")
    return whole


def _counts(matrix: Any) -> np.ndarray:
    """A confusion matrix as int64, a copy."""
    given = np.asarray(matrix)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise ValueError(f"matrix: got shape {given.shape}, expected (K, K) counts")
    if given.dtype.kind not in "iuf" or not ((given >= 0) & (given < _LARGEST) & (given == np.floor(given))).all():
        raise ValueError(f"matrix: got an array of {given.dtype}, expected counts, whole numbers of at least 0")
    return given.astype(np.int64)


def _names(class_names: Sequence[str] | None, classes: int) -> list[str]:
    names = [str(k) for k in range(classes)] if class_names is None else [str(name) for name in class_names]
    if len(names) != classes:
        raise ValueError(f"class_names: got {len(names)} names, expected {classes}: one for each class")
    return names
