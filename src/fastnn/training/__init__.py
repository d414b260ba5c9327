"""Training: the loop, its history, and what is measured."""

from fastnn.training.best_weights import BestWeights
from fastnn.training.callbacks import Callback
from fastnn.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fastnn.training.divergence import DivergenceError
from fastnn.training.early_stopping import EarlyStopping
from fastnn.training.history import History
from fastnn.training.metrics import (
    ConfusedPair,
    accuracy,
    binary_accuracy,
    classification_report,
    confusion_matrix,
    confusion_table,
    most_confused_pairs,
    psnr,
    top_k_accuracy,
)
from fastnn.training.progress import write
from fastnn.training.sweep import Sweep, sweep
from fastnn.training.trainer import Trainer

__all__ = [
    "BestWeights",
    "Callback",
    "Checkpoint",
    "ConfusedPair",
    "DivergenceError",
    "EarlyStopping",
    "History",
    "Sweep",
    "Trainer",
    "accuracy",
    "binary_accuracy",
    "classification_report",
    "confusion_matrix",
    "confusion_table",
    "load_checkpoint",
    "most_confused_pairs",
    "psnr",
    "save_checkpoint",
    "sweep",
    "top_k_accuracy",
    "write",
]
