"""What an optimiser is made with, the state it saves, and schedules of its learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn._validate._base import Array, has_shape, integer, number
from fastnn._validate.network import parameters


def param_groups(params: Iterable[Any], defaults: Mapping[str, Any], kind: type) -> list[dict[str, Any]]:
    """Groups of parameters with all their options: of parameters alone, or of dicts with options of their own."""
    given = list(params)
    if not given or not isinstance(given[0], dict):
        given = [{"params": given}]
    groups = []
    for place, group in enumerate(given):
        name = f"params: group {place}"
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'{name}: got {group!r}; expected a dict with "params", as the first group is')
        unknown = sorted(group.keys() - {"params", *defaults})
        if unknown:
            raise ValueError(
                f"{name}: got {', '.join(map(repr, unknown))}; expected options among {', '.join(defaults)}"
            )
        those = [group["params"]] if isinstance(group["params"], kind) else group["params"]
        groups.append({**defaults, **group, "params": tuple(parameters(those, kind))})
    parameters([p for group in groups for p in group["params"]], kind)
    return groups


def optimizer_state(
    state_dict: Any, groups: Sequence[Mapping[str, Any]], names: Sequence[str], arrays: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[Any, dict[str, Any]]]:
    """The groups and the states by parameter of a `state_dict`, if they fit these `groups`.

    States have entries among `names`, of which ``"step"`` must be there, and `arrays` are arrays.
    """
    if not isinstance(state_dict, Mapping) or set(state_dict) != {"state", "param_groups"}:
        came = ", ".join(map(str, state_dict)) if isinstance(state_dict, Mapping) else type(state_dict).__name__
        raise ValueError(f"state_dict: got {came}; expected state and param_groups")
    given = state_dict["param_groups"]
    came_lengths, lengths = ([len(group["params"]) for group in those] for those in (given, groups))
    if came_lengths != lengths:
        raise ValueError(f"state_dict: got groups of {came_lengths} parameters; expected {lengths}")
    for place, (group, own) in enumerate(zip(given, groups, strict=True)):
        if missing := sorted(own.keys() - group.keys() - {"initial_lr"}):
            raise ValueError(f"state_dict: got no {', '.join(missing)} in group {place}; expected all options")
    params = [p for group in groups for p in group["params"]]
    states = {}
    for place, state in state_dict["state"].items():
        if integer("state_dict: parameter", place, 0) >= len(params):
            raise ValueError(f"state_dict: got a state of parameter {place}; expected 0 to {len(params) - 1}")
        if "step" not in state or not set(state) <= set(names):
            came = ", ".join(map(str, state))
            raise ValueError(f"state_dict: got {came} for parameter {place}; expected {', '.join(names)}")
        states[params[place]] = {
            name: _state_array(f"state_dict: {name} {place}", value, params[place].data) if name in arrays
            else number(f"state_dict: {name} {place}", value, 0.0) if name != "step"
            else integer(f"state_dict: {name} {place}", value, 1)
            for name, value in state.items()
        }  # fmt: skip
    return [{**group, "params": own["params"]} for group, own in zip(given, groups, strict=True)], states


def _state_array(title: str, value: Any, p: Array) -> Array:
    a = np.array(value, p.dtype, order="C")
    has_shape(title, a, p.shape, "the shape of its parameter")
    return a


# Schedules of the learning rate


def instance(name: str, value: Any, kind: type) -> Any:
    """`value`, which is of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: got {type(value).__name__}; expected {kind.__name__}")
    return value


def for_each(name: str, value: Any, groups: Sequence[Any]) -> list[Any]:
    """One value for each group: those given, or the one given."""
    if not isinstance(value, list | tuple):
        return [value] * len(groups)
    if len(value) != len(groups):
        raise ValueError(f"{name}: got {len(value)}; expected {len(groups)}, one for each group of the optimizer")
    return list(value)


def fraction(name: str, value: float) -> float:
    """`value` as a float from 0 to 1."""
    result = number(name, value, 0.0)
    if result > 1.0:
        raise ValueError(f"{name}: got {value!r}; expected a number from 0 to 1")
    return result


def below_one(name: str, value: float) -> float:
    """`value` as a float of at least 0 and below 1."""
    result = number(name, value, 0.0)
    if result >= 1.0:
        raise ValueError(f"{name}: got {value!r}; expected a number below 1")
    return result


def entry(name: str, group: Mapping[str, Any], wanted: str) -> Any:
    """What a group has under a name."""
    if wanted not in group:
        raise ValueError(
            f"{name}: got a group without {wanted!r}; expected one, as in a loaded state, or last_epoch=-1"
        )
    return group[wanted]


def same_entries(name: str, came: Any, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """`came`, which has entries of the same names as `own`."""
    if not isinstance(came, Mapping) or came.keys() != own.keys():
        names = ", ".join(map(str, came)) if isinstance(came, Mapping) else type(came).__name__
        raise ValueError(f"{name}: got {names}; expected {', '.join(own)}")
    return came


def total_steps(total: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """The number of steps of a schedule."""
    if total is not None:
        return integer("total_steps", total, 1)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("total_steps: got None; expected an int, or both epochs and steps_per_epoch")
    return integer("epochs", epochs, 1) * integer("steps_per_epoch", steps_per_epoch, 1)


def steps_left(step: int, total: int) -> None:
    """The schedule goes as far as this step."""
    if step > total:
        raise ValueError(f"total_steps: got step {step}; expected at most {total}")


def has_momentum(groups: Sequence[Mapping[str, Any]]) -> None:
    """Every group has a momentum to change."""
    for group in groups:
        if "momentum" not in group and "betas" not in group:
            raise ValueError("cycle_momentum: got True; expected an optimizer with momentum or betas, or False")
