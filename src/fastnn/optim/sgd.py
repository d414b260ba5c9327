"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.functional.optim import sgd_rule
from fastnn.optim.optimizer import Cohort, Columns, Factors, Optimizer, Params


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; the rule is that of ``functional.sgd_step``.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    lr : float
        Learning rate.
    momentum, weight_decay : float
    dampening : float
        Of the gradient on its way into the momentum, from the second step on.
    nesterov : bool
        Needs a momentum above 0 and no dampening.
    maximize : bool

    Examples
    --------
    >>> p = fnn.Parameter(np.array([1.0, 2.0]))
    >>> p.grad = np.array([0.5, -0.5])
    >>> optimizer = fnn.SGD([p], lr=0.1, momentum=0.9)
    >>> optimizer.step()
    >>> print(p.data.round(4))
    [0.95 2.05]
    """

    _arrays = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **unused: Any,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**options, "nesterov": nesterov, "maximize": maximize}, **unused)

    def _check(self, group: Mapping[str, Any]) -> None:
        check.sgd_settings(group["lr"], group["momentum"], group["dampening"], group["weight_decay"], group["nesterov"])
        check.flags(group, "maximize")

    def _update(self, group: Mapping[str, Any], cohort: Cohort, p: list[Array], g: list[Array]) -> None:
        momentum, begun = group["momentum"], "momentum_buffer" in cohort.arrays
        functional.sgd_step(
            p,
            g,
            cohort.kept("momentum_buffer") if momentum else None,
            lr=group["lr"],
            momentum=momentum,
            dampening=group["dampening"] if begun else 0.0,  # the first gradient begins the momentum as it is
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )

    def _rule(self, group: Mapping[str, Any], cohort: Cohort) -> tuple[int, Factors, Columns] | None:
        momentum, dampening, kept = group["momentum"], group["dampening"], cohort.arrays.get("momentum_buffer")
        if momentum and kept is None:
            return None
        rule = sgd_rule(group["lr"], momentum, dampening, group["weight_decay"], group["nesterov"], group["maximize"])
        return *rule, (kept if momentum else None,)
