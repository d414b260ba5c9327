"""Clipping of the gradients of parameters, under the names of torch.nn.utils."""

from __future__ import annotations

from collections.abc import Iterable

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers import Parameter


def clip_grad_norm_(
    parameters: Parameter | Iterable[Parameter],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> float:
    """Scale the gradients of all parameters, in place, so that their norm together is at most `max_norm`.

    Parameters
    ----------
    parameters : Parameter, or iterable of them
        Those without a gradient are left out.
    max_norm : float, at least 0, or infinity
    norm_type : float above 0, or infinity
    error_if_nonfinite : bool
        Do not scale by a norm that is NaN or infinite.
    foreach
        PyTorch's choice of a kernel: ignored.

    Returns
    -------
    float
        The norm as it was.

    Raises
    ------
    RuntimeError
        The norm is NaN or infinite, and that is an error; nothing has changed.
    ValueError
        `parameters` is an iterator that has been used up, or has one of them twice.
    """
    return functional.clip_grad_norm_(_gradients(parameters), max_norm, norm_type, error_if_nonfinite)


def clip_grad_value_(
    parameters: Parameter | Iterable[Parameter], clip_value: float, foreach: bool | None = None
) -> None:
    """Clip the gradients of all parameters, in place, to -`clip_value` to `clip_value`.

    Parameters
    ----------
    parameters : Parameter, or iterable of them
        Those without a gradient are left out.
    clip_value : float, at least 0
    foreach
        PyTorch's choice of a kernel: ignored.

    Raises
    ------
    ValueError
        `parameters` is an iterator that has been used up, or has one of them twice.
    """
    functional.clip_grad_value_(_gradients(parameters), clip_value)


def _gradients(parameters: Parameter | Iterable[Parameter]) -> list[Array]:
    """The gradients that there are."""
    return [p.grad for p in check.clipped_parameters(parameters, Parameter) if p.grad is not None]
