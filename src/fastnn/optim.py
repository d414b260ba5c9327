"""Optimisers: they change parameters by their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers import Parameter


class SGD:
    """Stochastic gradient descent with momentum; the rule is that of ``functional.sgd_step``.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
        Learning rate; it may be changed between steps, as ``optimizer.lr = 0.01``.
    momentum, weight_decay : float
    nesterov : bool
        Needs a momentum above 0.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.params: list[Parameter] = check.parameters(params, Parameter)
        self.lr, self.momentum, self.weight_decay = check.sgd_settings(lr, momentum, weight_decay, nesterov)
        self.nesterov = bool(nesterov)
        self._velocities: list[Array | None] = [None] * len(self.params)

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        for place, p in enumerate(self.params):
            if p.grad is None:
                continue
            if self.momentum and self._velocities[place] is None:
                self._velocities[place] = np.zeros(p.data.shape, p.data.dtype)
            functional.sgd_step(
                p.data,
                p.grad,
                self._velocities[place],
                lr=self.lr,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                nesterov=self.nesterov,
            )

    def state_dict(self) -> dict[str, Any]:
        """The settings, and copies of the velocities in the order of the parameters (None before a first step)."""
        return {
            "lr": self.lr,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "nesterov": self.nesterov,
            "velocities": [None if v is None else v.copy() for v in self._velocities],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; nothing changes if any of it does not fit."""
        velocities = check.sgd_state(state_dict, [p.data.shape for p in self.params])
        self._velocities = [
            None if v is None else v.astype(p.data.dtype) for v, p in zip(velocities, self.params, strict=True)
        ]
        self.lr, self.momentum = float(state_dict["lr"]), float(state_dict["momentum"])
        self.weight_decay, self.nesterov = float(state_dict["weight_decay"]), bool(state_dict["nesterov"])

    def __repr__(self) -> str:
        return (
            f"SGD({len(self.params)} parameters, lr={self.lr}, momentum={self.momentum}, "
            f"weight_decay={self.weight_decay}, nesterov={self.nesterov})"
        )
