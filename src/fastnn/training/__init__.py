"""Training: the loop, its history, and what is measured."""

from fastnn.training.history import History
from fastnn.training.metrics import (
    ConfusedPair,
    accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
)
from fastnn.training.progress import write
from fastnn.training.trainer import DivergenceError, Trainer

__all__ = [
    "ConfusedPair",
    "DivergenceError",
    "History",
    "Trainer",
    "accuracy",
    "classification_report",
    "confusion_matrix",
    "confusion_table",
    "most_confused_pairs",
    "write",
]
