"""Training: the loop, its history, and what is measured."""

from .history import History
from .metrics import (
    ConfusedPair,
    accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
)
from .progress import write
from .trainer import DivergenceError, Trainer

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
