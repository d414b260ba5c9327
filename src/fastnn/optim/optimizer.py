"""What every optimiser is: groups of parameters, their state, and the order of a step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fastnn import _validate as check
from fastnn._runtime import empty
from fastnn._validate import Array
from fastnn.layers import Parameter
from fastnn.layers.parameter import writable

Params = Iterable[Parameter] | Iterable[dict[str, Any]]


class Cohort:
    """Parameters of a group that have taken all their steps together, and what is kept of them.

    Attributes
    ----------
    params : list of Parameter
    numbers : dict
        Numbers that they have in common, of which ``"step"`` counts their steps.
    arrays : dict
        Lists of an array for each, by name.
    """

    __slots__ = ("arrays", "numbers", "params")

    def __init__(self, params: list[Parameter], numbers: Mapping[str, Any], arrays: Mapping[str, list[Array]]) -> None:
        self.params = params
        self.numbers = dict(numbers)
        self.arrays = {name: [writable(a) for a in those] for name, those in arrays.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is made, since large arrays may be read-only where they come out."""
        return Cohort, (self.params, self.numbers, self.arrays)

    def kept(self, name: str, fill: float = 0.0) -> list[Array]:
        """The arrays of this name; where there are none yet, they begin, filled with `fill`."""
        if name not in self.arrays:
            self.arrays[name] = [empty(p.data.shape, p.data.dtype) for p in self.params]
            for a in self.arrays[name]:
                a.fill(fill)
        return self.arrays[name]

    def parted(self) -> list[Cohort]:
        """Those that have a gradient, and those that have none: two cohorts from now on."""
        places = range(len(self.params))
        parts = [[i for i in places if (self.params[i].grad is None) == none] for none in (False, True)]
        return [
            Cohort(
                [self.params[i] for i in part], self.numbers, {k: [v[i] for i in part] for k, v in self.arrays.items()}
            )
            for part in parts
            if part
        ]


Factors = tuple[float, ...]
Columns = tuple[list[Array] | None, ...]
PlannedRule = tuple[Cohort, int, Factors, Columns]


class Optimizer:
    """What every optimiser is. A subclass checks the options of a group in `_check`, and applies its rule in `_update`.

    Parameters
    ----------
    params : iterable of Parameter, or of dicts
        Dicts are groups with options of their own, as ``[{"params": net[0].parameters(), "lr": 0.01}, ...]``.
    defaults : dict
        The options of groups that have none of their own.
    **unused
        PyTorch's `foreach`, `fused`, `capturable` and `differentiable`, which mean nothing here: ignored.

    Attributes
    ----------
    defaults : dict
    param_groups : list of dicts
        ``"params"``, which stay as they are, and the options of each group. These may be changed between steps, as in
        ``optimizer.param_groups[0]["lr"] = 0.01``.
    """

    _arrays: tuple[str, ...] = ()  # what may be kept of a parameter
    _numbers: tuple[str, ...] = ()

    def __init__(self, params: Params, defaults: dict[str, Any], **unused: Any) -> None:
        check.no_options(self, unused, defaults)
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._cohorts: list[list[Cohort]] = []
        for group in check.param_groups(params, defaults, Parameter):
            self._add(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take on another group of parameters, a dict as those that an optimiser is made with.

        Raises
        ------
        ValueError
            The optimiser has one of them already; nothing has changed.
        """
        self._add(check.param_group("param_group", param_group, self.defaults, Parameter))

    def _add(self, group: dict[str, Any]) -> None:
        groups = [*self.param_groups, group]
        check.parameters([p for each in groups for p in each["params"]], Parameter)
        self._check(group)
        self._cohorts.append(self._together(group, {}))
        self.param_groups = groups

    def step(self) -> None:
        """Change every parameter that has a gradient: those of a group in one call, unless some had none before."""
        for group, cohorts in zip(self.param_groups, self._cohorts, strict=True):
            for cohort in tuple(cohorts):
                grads = [g for p in cohort.params if (g := p.grad) is not None]
                if len(grads) < len(cohort.params):
                    if not grads:
                        continue
                    cohorts.remove(cohort)
                    cohorts += cohort.parted()
                    cohort = cohorts[-2]
                self._update(group, cohort, [p.data for p in cohort.params], grads)
                cohort.numbers["step"] += 1

    def rules(self, learnt: Collection[Parameter]) -> list[PlannedRule] | None:
        """The step as rules of the kernels, for a plan of training, in which the parameters `learnt` get gradients.

        None where only `step` can do it. The caller counts the steps of the cohorts.
        """
        kind = type(self)
        if not kind.__module__.startswith(f"{__package__}.") or vars(self).keys() & {"step", "_update"}:
            return None
        found = []
        for group, cohorts in zip(self.param_groups, self._cohorts, strict=True):
            for cohort in cohorts:
                learns = [p in learnt for p in cohort.params]
                if not any(learns) and all(p.grad is None for p in cohort.params):
                    continue
                rule = self._rule(group, cohort) if all(learns) else None
                if rule is None:
                    return None
                found.append((cohort, *rule))
        return found

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take the gradients away: a step changes nothing until the next backward. `set_to_none` is ignored."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The options of all groups, and copies of what is kept of each parameter, under PyTorch's names.

        Parameters go by their numbers, through all groups. Training goes on from it with the same bits.
        """
        number = {p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        state = {
            number[p]: cohort.numbers | {name: arrays[i].copy() for name, arrays in cohort.arrays.items()}
            for cohorts in self._cohorts
            for cohort in cohorts
            if cohort.numbers["step"] or cohort.arrays
            for i, p in enumerate(cohort.params)
        }
        groups = [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, here or of PyTorch's optimiser, in the dtype of the parameters.

        Raises
        ------
        ValueError
            It does not fit these parameters, or this optimiser; nothing has changed.
        """
        names = ("step", *self._numbers, *self._arrays)
        groups, states = check.optimizer_state(state_dict, self.param_groups, names, self._arrays)
        for group in groups:
            self._check(group)
        self._cohorts = [self._together(group, states) for group in groups]
        self.param_groups = groups

    def _together(self, group: Mapping[str, Any], states: Mapping[Parameter, dict[str, Any]]) -> list[Cohort]:
        """Cohorts of the parameters of a group that have numbers and names of arrays in common."""
        cohorts: dict[Any, Cohort] = {}
        for p in group["params"]:
            state = {"step": 0, **states.get(p, {})}
            numbers = {name: v for name, v in state.items() if name not in self._arrays}
            arrays = {name: v for name, v in state.items() if name in self._arrays}
            key = (*numbers.items(), *arrays)
            cohort = cohorts.setdefault(key, Cohort([], numbers, {name: [] for name in arrays}))
            cohort.params.append(p)
            for name, a in arrays.items():
                cohort.arrays[name].append(a)
        for cohort in cohorts.values():
            self._begin(group, cohort)
        return list(cohorts.values())

    def _begin(self, group: Mapping[str, Any], cohort: Cohort) -> None:
        """What is kept before the first step."""

    def _check(self, group: Mapping[str, Any]) -> None:
        """The options of a group are such as the rule can go by."""
        raise NotImplementedError(f"{type(self).__name__} has no _check")

    def _update(self, group: Mapping[str, Any], cohort: Cohort, p: list[Array], g: list[Array]) -> None:
        """Apply the rule to the values and gradients of a cohort, with the options of its group."""
        raise NotImplementedError(f"{type(self).__name__} has no _update")

    def _rule(self, group: Mapping[str, Any], cohort: Cohort) -> tuple[int, Factors, Columns] | None:
        """What `_update` does, as a rule of the kernels: its factors, and the columns of what is kept.

        None where there is no such rule, and before the first step, which makes what is kept.
        """
        return None

    def __repr__(self) -> str:
        options = (", ".join(f"{k}={v}" for k, v in g.items() if k != "params") for g in self.param_groups)
        groups = (f"{len(g['params'])} parameters, {o}" for g, o in zip(self.param_groups, options, strict=True))
        return f"{type(self).__name__}({'; '.join(groups)})"
