"""Clipping of gradients, in place: all arrays of a list in one call of compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fastnn._kernels._optim as _optim
from fastnn import _validate as check
from fastnn import reference
from fastnn._runtime import use_reference
from fastnn._validate import Arrays
from fastnn.functional._update import one_by_one

__all__ = ["clip_grad_norm_", "clip_grad_value_"]

# Sums of powers in which a double keeps all digits, and factors that a float32 holds. What is beyond them goes by the
# reference, which scales first.
LEAST_SUM, MOST_SUM, LEAST_FACTOR = 1e-280, 1e300, 1e-30


def clip_grad_norm_(grads: Arrays, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> float:
    max_norm, norm_type = check.clip_norm(max_norm, norm_type)
    check.true_or_false("error_if_nonfinite", error_if_nonfinite)
    if use_reference() or norm_type < 1:
        return reference.clip_grad_norm_(grads, max_norm, norm_type, error_if_nonfinite=error_if_nonfinite)
    total = _optim.power_sum(norm_type, grads)
    if total is None:
        parts: list[Any] = [_optim.power_sum(norm_type, np.array(g, order="C")) for g in check.gradient_arrays(grads)]
        total = float(np.max(parts, initial=0.0) if math.isinf(norm_type) else np.sum(parts))
    norm = total if math.isinf(norm_type) else total ** (1 / norm_type)
    factor = max_norm / (norm + 1e-6)
    if not (LEAST_SUM < total < MOST_SUM and factor > LEAST_FACTOR):
        return reference.clip_grad_norm_(grads, max_norm, norm_type, error_if_nonfinite=error_if_nonfinite)
    if factor < 1 and not _optim.update(_optim.SCALE, (factor,), (grads,)):
        one_by_one(_optim.SCALE, (factor,), grads=grads)
    return norm


def clip_grad_value_(grads: Arrays, clip_value: float) -> None:
    clip_value = check.clip_value(clip_value)
    if use_reference():
        return reference.clip_grad_value_(grads, clip_value)
    if not _optim.update(_optim.CLAMP, (-clip_value, clip_value), (grads,)):
        one_by_one(_optim.CLAMP, (-clip_value, clip_value), grads=grads)
