"""Losses: a call gives the value, `backward` the gradient of what was scored in that call."""

from fastnn.losses._base import Loss, LossValue
from fastnn.losses.classes import CrossEntropyLoss, NLLLoss
from fastnn.losses.pairs import BCELoss, BCEWithLogitsLoss, HuberLoss, KLDivLoss, L1Loss, MSELoss, SmoothL1Loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "LossValue",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
]
