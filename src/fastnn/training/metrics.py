"""How good the predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn._extras import require


class ConfusedPair(NamedTuple):
    """`times` examples of class `true` that were taken for class `predicted`."""

    true: str
    predicted: str
    times: int

    def __str__(self) -> str:
        return f"{self.true} -> {self.predicted} x{self.times}"


def accuracy(scores: np.ndarray, target: np.ndarray) -> float:
    """Share of examples whose highest score is that of their class.

    Parameters
    ----------
    scores : (N, K) scores, one column a class; (N, 1) probabilities of the second of two classes; or (N,) integer, the
        predicted classes themselves
    target : (N,) integer classes; or probabilities as above

    Returns
    -------
    accuracy : 0..1; 0 for no examples
    """
    predicted, true = _classes(scores), _classes(target)
    if predicted.shape != true.shape:
        raise ValueError(f"target: got {len(true)} targets, expected {len(predicted)}: one for each row of scores")
    return np.count_nonzero(predicted == true) / max(len(true), 1)


def top_k_accuracy(scores: np.ndarray, target: np.ndarray, k: int = 5) -> float:
    """Share of examples whose class is among the `k` that have the highest scores.

    Parameters
    ----------
    scores : (N, K) scores, one column a class
    target : (N,) integer classes
    k : 1..K

    Returns
    -------
    accuracy : 0..1; 0 for no examples; of classes with equal scores, the lower ones come first
    """
    if scores.ndim != 2 or target.shape != scores.shape[:1]:
        raise ValueError(f"got shapes {scores.shape} and {target.shape}, expected (N, K) scores and (N,) classes")
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k: got {k}, expected 1 to {scores.shape[1]}, the number of classes")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.count_nonzero((best == target[:, None]).any(axis=1)) / max(len(target), 1)


def psnr(output: np.ndarray, target: np.ndarray, peak: float = 1.0) -> float:
    """Mean over the examples of the peak signal-to-noise ratio, ``10 * log10(peak**2 / mse)``, in decibels.

    Parameters
    ----------
    output, target : (N, ...) reconstructions and originals
    peak : the largest value that there can be

    Returns
    -------
    psnr : infinite where a reconstruction has no error at all; 0 for no examples
    """
    if output.shape != target.shape:
        raise ValueError(f"target: got shape {target.shape}, expected {output.shape}, that of the reconstructions")
    if not peak > 0:
        raise ValueError(f"peak: got {peak}, expected a number above 0")
    errors = np.subtract(output, target, dtype=np.float64).reshape(len(target), -1)
    with np.errstate(divide="ignore"):
        each = 10 * np.log10(peak**2 / np.square(errors).mean(axis=1)) if len(target) else np.zeros(1)
    return float(each.mean())


def confusion_matrix(target: np.ndarray, predicted: np.ndarray, classes: int | None = None) -> np.ndarray:
    """Count examples by true class (row) and predicted class (column).

    Parameters
    ----------
    target, predicted : (N,) integer classes
    classes : K, the number of classes; by default one more than the highest that occurs

    Returns
    -------
    matrix : int64 (K, K)
    """
    if classes is None:
        classes = 1 + int(max(target.max(initial=0), predicted.max(initial=0)))
    sklearn = require("sklearn.metrics", "the confusion matrix")
    matrix: np.ndarray = sklearn.confusion_matrix(target, predicted, labels=np.arange(classes))
    return matrix


def confusion_table(matrix: np.ndarray, class_names: Sequence[str] | None = None) -> str:
    """A confusion matrix as text: a row for each true class, a column for each predicted one, a dot for 0.

    Parameters
    ----------
    matrix : (K, K) from `confusion_matrix`
    class_names : K names; by default the classes' numbers
    """
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
    target, predicted : (N,) integer classes
    class_names : K names, in the order of the classes; by default their numbers
    as_dict : numbers by class instead of a table

    Returns
    -------
    report : a table as text, or a dict
    """
    sklearn = require("sklearn.metrics", "the per-class report")
    names = _names(class_names, 1 + int(max(target.max(initial=0), predicted.max(initial=0))))
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
    names = _names(class_names, len(matrix))
    errors = matrix.copy()
    np.fill_diagonal(errors, 0)
    worst = np.argsort(-errors, axis=None, kind="stable")[:count]
    pairs = (divmod(int(place), len(matrix)) for place in worst)
    return [ConfusedPair(names[i], names[j], int(errors[i, j])) for i, j in pairs if errors[i, j] > 0]


def _classes(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2:
        return array
    return array[:, 0] >= 0.5 if array.shape[1] == 1 else array.argmax(axis=1)


def _names(class_names: Sequence[str] | None, classes: int) -> list[str]:
    names = [str(k) for k in range(classes)] if class_names is None else list(class_names)
    if len(names) < classes:
        raise ValueError(f"class_names: got {len(names)} names, expected {classes}: one for each class")
    return names
