"""Optimisers, which change parameters by their gradients, clipping of gradients, and schedules of learning rates."""

from importlib import import_module
from typing import TYPE_CHECKING

from fastnn.optim.adaptive import Adagrad, Adam, AdamW, NAdam, RMSprop
from fastnn.optim.clip import clip_grad_norm_, clip_grad_value_
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.sgd import SGD

if TYPE_CHECKING:
    from fastnn.optim import lr_scheduler

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load the schedules of learning rates at their first use: many programs have none."""
        if name == "lr_scheduler":
            return import_module("fastnn.optim.lr_scheduler")
        raise AttributeError(f"module 'fastnn.optim' has no attribute {name!r}")
