"""Optimisers, which change parameters by their gradients, clipping of gradients, and schedules of learning rates."""

from fastnn.optim import lr_scheduler
from fastnn.optim.adaptive import Adagrad, Adam, AdamW, NAdam, RMSprop
from fastnn.optim.clip import clip_grad_norm_, clip_grad_value_
from fastnn.optim.optimizer import Optimizer
from fastnn.optim.sgd import SGD

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
