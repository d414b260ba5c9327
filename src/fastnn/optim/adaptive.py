"""Optimisers that give each element a learning rate of its own, by the squares of its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.functional.optim import adam_rule
from fastnn.optim.optimizer import Cohort, Columns, Factors, Optimizer, Params

Betas = tuple[float, float]


class Adam(Optimizer):
    """Adam; the rule is that of ``functional.adam_step``.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    lr : float
        Learning rate.
    betas : two floats
        How much of the averages of the gradient and of its square a step keeps.
    eps, weight_decay : float
    amsgrad : bool
        Go by the largest average of squares so far.
    maximize : bool
    decoupled_weight_decay : bool
        As `AdamW`.

    Examples
    --------
    >>> p = fnn.Parameter(np.array([1.0, 2.0]))
    >>> p.grad = np.array([0.5, -0.5])
    >>> optimizer = fnn.Adam([p], lr=1e-3)
    >>> optimizer.step()
    >>> print(p.data.round(4))
    [0.999 2.001]
    """

    _arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        **unused: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        more = {"maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, {**options, **more}, **unused)

    def _check(self, group: Mapping[str, Any]) -> None:
        check.adam_settings(group["lr"], group["betas"], group["eps"], group["weight_decay"])
        check.flags(group, "amsgrad", "maximize", "decoupled_weight_decay")

    def _update(self, group: Mapping[str, Any], cohort: Cohort, p: list[Array], g: list[Array]) -> None:
        functional.adam_step(
            p,
            g,
            cohort.kept("exp_avg"),
            cohort.kept("exp_avg_sq"),
            cohort.kept("max_exp_avg_sq") if group["amsgrad"] else None,
            step=cohort.numbers["step"] + 1,
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )

    def _rule(self, group: Mapping[str, Any], cohort: Cohort) -> tuple[int, Factors, Columns] | None:
        names = self._arrays if group["amsgrad"] else self._arrays[:2]
        columns = [cohort.arrays.get(name) for name in names]
        if None in columns:
            return None
        step, decoupled = cohort.numbers["step"] + 1, group["decoupled_weight_decay"]
        rule = adam_rule(
            step, group["lr"], group["betas"], group["eps"], group["weight_decay"], decoupled, group["maximize"]
        )
        return *rule, tuple(columns)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient, ``p = (1 - lr*weight_decay)*p``.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    lr, betas, eps, weight_decay, amsgrad, maximize
        As those of `Adam`.

    Examples
    --------
    >>> p = fnn.Parameter(np.array([1.0, 2.0]))
    >>> p.grad = np.array([0.5, -0.5])
    >>> optimizer = fnn.AdamW([p], lr=1e-3, weight_decay=0.01)
    >>> optimizer.step()
    >>> print(p.data.round(4))
    [0.999 2.001]
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **unused: Any,
    ) -> None:
        more: dict[str, Any] = {"maximize": maximize, "decoupled_weight_decay": True, **unused}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **more)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True  # whoever's state it was


class NAdam(Optimizer):
    """Adam with Nesterov's momentum; the rule is that of ``functional.nadam_step``.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    lr, betas, eps, weight_decay, decoupled_weight_decay, maximize
        As those of `Adam`.
    momentum_decay : float
        How slowly the momentum grows to the first of `betas`.

    Examples
    --------
    >>> p = fnn.Parameter(np.array([1.0, 2.0]))
    >>> p.grad = np.array([0.5, -0.5])
    >>> optimizer = fnn.NAdam([p], lr=2e-3)
    >>> optimizer.step()
    >>> print(p.data.round(4))
    [0.9979 2.0021]
    """

    _arrays = ("exp_avg", "exp_avg_sq")
    _numbers = ("mu_product",)

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **unused: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        more = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, {**options, "momentum_decay": momentum_decay, **more}, **unused)

    def _check(self, group: Mapping[str, Any]) -> None:
        check.nadam_settings(group["lr"], group["betas"], group["eps"], group["weight_decay"], group["momentum_decay"])
        check.flags(group, "decoupled_weight_decay", "maximize")

    def _update(self, group: Mapping[str, Any], cohort: Cohort, p: list[Array], g: list[Array]) -> None:
        cohort.numbers["mu_product"] = functional.nadam_step(
            p,
            g,
            cohort.kept("exp_avg"),
            cohort.kept("exp_avg_sq"),
            step=cohort.numbers["step"] + 1,
            mu_product=cohort.numbers.get("mu_product", 1.0),
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum_decay=group["momentum_decay"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )


class RMSprop(Optimizer):
    """RMSprop; the rule is that of ``functional.rmsprop_step``.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    lr : float
        Learning rate.
    alpha : float
        How much of the average of squares a step keeps.
    eps, weight_decay, momentum : float
    centered : bool
        Go by the variance of the gradient, not by its mean square.
    maximize : bool

    Examples
    --------
    >>> p = fnn.Parameter(np.array([1.0, 2.0]))
    >>> p.grad = np.array([0.5, -0.5])
    >>> optimizer = fnn.RMSprop([p], lr=1e-3)
    >>> optimizer.step()
    >>> print(p.data.round(4))
    [0.99 2.01]
    """

    _arrays = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **unused: Any,
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**options, "centered": centered, "maximize": maximize}, **unused)

    def _check(self, group: Mapping[str, Any]) -> None:
        check.rmsprop_settings(group["lr"], group["alpha"], group["eps"], group["weight_decay"], group["momentum"])
        check.flags(group, "centered", "maximize")

    def _update(self, group: Mapping[str, Any], cohort: Cohort, p: list[Array], g: list[Array]) -> None:
        functional.rmsprop_step(
            p,
            g,
            cohort.kept("square_avg"),
            cohort.kept("momentum_buffer") if group["momentum"] else None,
            cohort.kept("grad_avg") if group["centered"] else None,
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            maximize=group["maximize"],
        )


class Adagrad(Optimizer):
    """Adagrad; the rule is that of ``functional.adagrad_step``.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    lr : float
        Learning rate.
    lr_decay, weight_decay, eps : float
    initial_accumulator_value : float
        What the sums of squares begin with.
    maximize : bool

    Examples
    --------
    >>> p = fnn.Parameter(np.array([1.0, 2.0]))
    >>> p.grad = np.array([0.5, -0.5])
    >>> optimizer = fnn.Adagrad([p], lr=0.01)
    >>> optimizer.step()
    >>> print(p.data.round(4))
    [0.99 2.01]
    """

    _arrays = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **unused: Any,
    ) -> None:
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps, "maximize": maximize}
        super().__init__(params, {**options, "initial_accumulator_value": initial_accumulator_value}, **unused)

    def _check(self, group: Mapping[str, Any]) -> None:
        check.adagrad_settings(group["lr"], group["lr_decay"], group["weight_decay"], group["eps"])
        check.number("initial_accumulator_value", group["initial_accumulator_value"], 0.0)
        check.flags(group, "maximize")

    def _begin(self, group: Mapping[str, Any], cohort: Cohort) -> None:
        cohort.kept("sum", group["initial_accumulator_value"])

    def _update(self, group: Mapping[str, Any], cohort: Cohort, p: list[Array], g: list[Array]) -> None:
        functional.adagrad_step(
            p,
            g,
            cohort.kept("sum"),
            step=cohort.numbers["step"] + 1,
            lr=group["lr"],
            lr_decay=group["lr_decay"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
        )
