"""What an optimiser is made with, the state it saves, and schedules of its learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from fastnn._validate._base import Array, has_shape, integer, number, true_or_false
from fastnn._validate.network import parameters

__all__ = [
    "below_one",
    "entry",
    "factor_above_zero",
    "flags",
    "for_each",
    "fraction",
    "functions",
    "has_momentum",
    "instance",
    "metric",
    "milestones",
    "no_options",
    "numbers_for_each",
    "one_for_each_group",
    "optimizer_state",
    "param_group",
    "param_groups",
    "schedule_state",
    "schedule_states",
    "schedulers",
    "steps_left",
    "total_steps",
    "turns",
]

# Options of PyTorch's optimisers that choose among its implementations, or serve its graphs: taken, and no option here.
NO_OPTIONS = {"foreach", "fused", "capturable", "differentiable"}
NOTES = {
    "initial_lr",
    "name",
}  # what a group may have beside options: a schedule's first rate, and whatever it is called


def listed(name: str, values: Any, kind: type) -> list[Any]:
    """`values`, an iterable of parameters of the class `kind` or of groups, as a list."""
    if isinstance(values, kind):
        raise TypeError(f"{name}: got one {kind.__name__}; expected a list of them, as in [p], or net.parameters()")
    if hasattr(values, "parameters"):
        came = f"the class {values.__name__}" if isinstance(values, type) else f"a {type(values).__name__}"
        raise TypeError(f"{name}: got {came}; expected its parameters, as in net.parameters()")
    if callable(values):
        came = getattr(values, "__name__", type(values).__name__)
        raise TypeError(f"{name}: got the function {came}; expected what it returns, as in net.parameters()")
    if not isinstance(values, Iterable) or isinstance(values, Mapping | Set | str | bytes | np.ndarray):
        raise TypeError(f"{name}: got {type(values).__name__}; expected a list of parameters, as from net.parameters()")
    return list(values)


def param_groups(params: Any, defaults: Mapping[str, Any], kind: type) -> list[dict[str, Any]]:
    """Groups of parameters with all their options: of parameters alone, or of dicts with options of their own."""
    given = listed("params", params, kind)
    if not given or not isinstance(given[0], dict):
        given = [{"params": given}]
    return [param_group(f"params: group {place}", group, defaults, kind) for place, group in enumerate(given)]


def param_group(name: str, group: Any, defaults: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """A group of parameters with all its options, those of `defaults` where it has none of its own."""
    if not isinstance(group, dict) or "params" not in group:
        raise TypeError(f'{name}: got {group!r}; expected a dict with "params", as {{"params": net.parameters()}}')
    unknown = sorted(group.keys() - {"params", *defaults} - NOTES - NO_OPTIONS)
    if unknown:
        raise ValueError(f"{name}: got {', '.join(map(repr, unknown))}; expected options among {', '.join(defaults)}")
    those = group["params"]
    found = parameters([those] if isinstance(those, kind) else listed("params", those, kind), kind)
    if not found:
        raise ValueError("params: got none; expected at least one parameter, as from net.parameters()")
    options = {option: value for option, value in group.items() if option not in NO_OPTIONS}
    return {**defaults, **options, "params": tuple(found)}


def no_options(owner: object, given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """What else an optimiser is `given` means nothing here."""
    for name in given.keys() - NO_OPTIONS:
        raise TypeError(f"{type(owner).__name__}: got {name!r}; expected options among {', '.join(options)}")


def flags(group: Mapping[str, Any], *names: str) -> None:
    """The options of these `names` are True or False."""
    for name in names:
        true_or_false(name, group[name])


def optimizer_state(
    state_dict: Any, groups: Sequence[Mapping[str, Any]], names: Sequence[str], arrays: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[Any, dict[str, Any]]]:
    """The groups and the states by parameter of a `state_dict`, ours or PyTorch's, if they fit these `groups`.

    States have entries among `names`; those among `arrays` are arrays.
    """
    if not isinstance(state_dict, Mapping) or set(state_dict) != {"state", "param_groups"}:
        came = ", ".join(map(str, state_dict)) if isinstance(state_dict, Mapping) else type(state_dict).__name__
        raise ValueError(f"state_dict: got {came}; expected state and param_groups")
    given, state_of = state_dict["param_groups"], state_dict["state"]
    if not (_is_list_of(given, Mapping) and all("params" in group for group in given)):
        raise ValueError('state_dict: got no groups in param_groups; expected a list of dicts with "params"')
    if not (isinstance(state_of, Mapping) and _is_list_of(list(state_of.values()), Mapping)):
        raise ValueError("state_dict: got no states in state; expected a dict of number to dict")
    came_lengths, lengths = ([len(group["params"]) for group in those] for those in (given, groups))
    if came_lengths != lengths:
        raise ValueError(f"state_dict: got groups of {came_lengths} parameters; expected {lengths}")
    loaded = [_loaded_group(place, group, own) for place, (group, own) in enumerate(zip(given, groups, strict=True))]
    numbers = [number for group in given for number in group["params"]]
    params = dict(zip(numbers, (p for group in groups for p in group["params"]), strict=True))
    states = {}
    for place, state in state_of.items():
        if place not in params:
            raise ValueError(f"state_dict: got a state of parameter {place}; expected {numbers[0]} to {numbers[-1]}")
        if not set(state) <= set(names):
            came = ", ".join(map(str, state))
            raise ValueError(f"state_dict: got {came} for parameter {place}; expected {', '.join(names)}")
        states[params[place]] = {
            name: _state_array(f"state_dict: {name} {place}", value, params[place].data) if name in arrays
            else number(f"state_dict: {name} {place}", value, 0.0) if name != "step"
            else _whole(f"state_dict: {name} {place}", value)
            for name, value in state.items()
            if value is not None  # as PyTorch has a momentum that has not begun
        }  # fmt: skip
    return loaded, states


def _is_list_of(values: Any, kind: type) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, kind) for value in values)


def _loaded_group(place: int, group: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a loaded group as numbers, with the parameters of our `own`.

    Switches may be missing, as those that PyTorch's optimisers had not yet; they stay as they are.
    """
    switches = {name: value for name, value in own.items() if isinstance(value, bool)}
    if missing := sorted(own.keys() - group.keys() - switches.keys() - NOTES):
        raise ValueError(f"state_dict: got no {', '.join(missing)} in group {place}; expected all options")
    options = {name: value for name, value in group.items() if name not in NO_OPTIONS}
    plain = {name: value.item() if getattr(value, "ndim", None) == 0 else value for name, value in options.items()}
    return {**switches, **plain, "params": own["params"]}


def _whole(title: str, value: Any) -> int:
    """`value`, which may be a float or an array of one number, as an int of at least 0."""
    count = number(title, value, 0.0)
    if not count.is_integer():
        raise ValueError(f"{title}: got {value!r}; expected a whole number")
    return int(count)


def _state_array(title: str, value: Any, p: Array) -> Array:
    a = np.asarray(value).astype(p.dtype, order="C")  # a copy, in both steps as PyTorch's tensors allow it
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


def numbers_for_each(name: str, value: Any, groups: Sequence[Any]) -> list[float]:
    """A number of at least 0 for each group."""
    return [number(name, each, 0.0) for each in for_each(name, value, groups)]


def functions(name: str, value: Any, optimizer: Any) -> list[Any]:
    """A function for each group of `optimizer`, if it is one."""
    found = for_each(name, value, getattr(optimizer, "param_groups", [None]))
    for each in found:
        if not callable(each):
            raise TypeError(f"{name}: got {each!r}; expected a function of the number of steps, as lambda t: 0.9**t")
    return found


def one_for_each_group(schedule: object, values: Sequence[Any], groups: Sequence[Any]) -> None:
    """`schedule` has a value for each group that the optimizer has by now."""
    if len(values) != len(groups):
        raise ValueError(
            f"optimizer: got {len(groups)} groups; expected {len(values)}, as when the {type(schedule).__name__} was "
            "made: make it after add_param_group"
        )


def milestones(values: Any, name: str = "milestones") -> list[int]:
    """`values` as a list of numbers of steps."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: got {values!r}; expected a list of numbers of steps, as [30, 80]")
    return [integer(name, each, 0) for each in values]


def turns(values: Any, count: int) -> list[int]:
    """The `milestones` between `count` schedules, each larger than the one before."""
    found = milestones(values)
    if len(found) != count - 1:
        raise ValueError(f"milestones: got {len(found)}; expected {count - 1}, one less than schedulers")
    if found != sorted(set(found)):
        raise ValueError(f"milestones: got {found}; expected each to be larger than the one before")
    return found


def schedulers(values: Any, optimizer: Any, kind: type[Any]) -> list[Any]:
    """`values` as a list of at least one schedule of the class `kind`, all of `optimizer`, or of one if it is None."""
    if not isinstance(values, Iterable):
        raise TypeError(f"schedulers: got {type(values).__name__}; expected a list of schedules")
    found = list(values)
    if not found:
        raise ValueError("schedulers: got none; expected at least one schedule")
    for each in found:
        if not isinstance(each, kind):
            raise TypeError(f"schedulers: got {type(each).__name__}; expected schedules that step without a metric")
        if each.optimizer is not (optimizer or found[0].optimizer):
            raise ValueError(f"schedulers: got a {type(each).__name__} of another optimizer; expected the same for all")
    if len({id(each) for each in found}) < len(found):
        raise ValueError("schedulers: got one twice; expected each once")
    return found


def metric(value: Any) -> float:
    """`value` as a float, which may be NaN or infinite."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except TypeError:
        raise TypeError(f"metrics: got {value!r}; expected a number, as the loss of an evaluation") from None


def factor_above_zero(name: str, value: float) -> float:
    """`value` as a float above 0 and at most 1."""
    factor = fraction(name, value)
    if factor == 0.0:
        raise ValueError(f"{name}: got {value!r}; expected a number above 0: from 0 no factor leads on")
    return factor


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


def schedule_state(came: Any, own: Mapping[str, Any], not_saved: Sequence[str]) -> dict[str, Any]:
    """The entries of `came` that `own` has, all of them.

    What else there may be is private, as in PyTorch's states, or `not_saved`.
    """
    if not isinstance(came, Mapping):
        raise TypeError(f"state_dict: got {type(came).__name__}; expected what state_dict() of a schedule returns")
    others = {name for name in came if name not in not_saved and not name.startswith("_")} - own.keys()
    if others or not own.keys() <= came.keys():
        raise ValueError(f"state_dict: got {', '.join(map(str, came)) or 'nothing'}; expected {', '.join(own)}")
    return {name: came[name] for name in own}


def schedule_states(came: Any, count: int) -> None:
    """`came` are the states of that many schedules."""
    if len(came) != count:
        raise ValueError(f"state_dict: got states of {len(came)} schedulers; expected {count}")


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
