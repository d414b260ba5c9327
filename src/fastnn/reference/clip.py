"""Clipping of gradients, in place."""

from __future__ import annotations

import math

import numpy as np

from fastnn import _validate as check
from fastnn._validate import Arrays
from fastnn.reference._windows import quiet

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


@quiet
def clip_grad_norm_(grads: Arrays, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> float:
    """Scale gradients, in place, so that the norm of all of them together is at most `max_norm`.

    ``norm = sum(abs(g)**norm_type)**(1/norm_type)`` over all elements of all arrays, or for infinity the largest
    ``abs(g)``; ``g = g * min(1, max_norm / (norm + 1e-6))``: the rule of PyTorch's function of this name, after Pascanu
    et al., "On the difficulty of training recurrent neural networks", 2013.

    Parameters
    ----------
    grads : array of float32 or float64, or a list of such arrays
        Updated.
    max_norm : float, at least 0, or infinity
    norm_type : float above 0, or infinity
    error_if_nonfinite : bool
        Do not scale by a norm that is NaN or infinite.

    Returns
    -------
    float
        The norm as it was, worked out in double precision.

    Raises
    ------
    RuntimeError
        The norm is NaN or infinite, and that is an error; nothing has changed.

    Examples
    --------
    >>> grads = [np.array([3.0, 4.0])]
    >>> float(F.clip_grad_norm_(grads, max_norm=1.0))
    5.0
    >>> print(grads[0].round(3))
    [0.6 0.8]
    """
    max_norm, norm_type = check.clip_norm(max_norm, norm_type)
    check.true_or_false("error_if_nonfinite", error_if_nonfinite)
    arrays = [g for g in check.gradient_arrays(grads) if g.size]
    largest = float(np.max([np.abs(g).max() for g in arrays], initial=0.0))
    # Powers are those of multiples of `unit`: neither they nor the factor overflow or vanish where the results do not.
    unit = 2.0 ** (math.frexp(largest)[1] - 1) if 0 < largest < math.inf else 1.0
    magnitudes = [np.abs(g.astype(np.float64)) / unit for g in arrays]
    if math.isinf(norm_type):
        units = largest / unit
    else:
        units = float(np.sum([(m**norm_type).sum() for m in magnitudes]) ** (1 / norm_type))
    norm = units * unit
    if error_if_nonfinite:
        check.finite_norm(norm, norm_type)
    if unit < 1:
        unit, units = 1.0, norm
    factor = max_norm / (units + 1e-6 / unit)
    if not factor >= unit:
        for g in arrays:
            g[...] = g.astype(np.float64) / unit * factor
    return norm


@quiet
def clip_grad_value_(grads: Arrays, clip_value: float) -> None:
    """Clip gradients, in place, to -`clip_value` to `clip_value`: ``g = min(max(g, -clip_value), clip_value)``.

    NaN stays. This is the rule of PyTorch's function of this name.

    Parameters
    ----------
    grads : array of float32 or float64, or a list of such arrays
        Updated.
    clip_value : float, at least 0

    Examples
    --------
    >>> grads = [np.array([3.0, -4.0])]
    >>> F.clip_grad_value_(grads, 1.0)
    >>> grads[0].tolist()
    [1.0, -1.0]
    """
    clip_value = check.clip_value(clip_value)
    for g in check.gradient_arrays(grads):
        np.clip(g, -clip_value, clip_value, out=g)
