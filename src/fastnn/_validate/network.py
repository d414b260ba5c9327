"""Layers, networks and parameters, and what they are built, loaded and called with."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import Array, float_dtype, has_shape, integer, true_or_false
from fastnn._validate._base import array as is_array

__all__ = [
    "IncompatibleKeys",
    "attached",
    "branches",
    "destination",
    "hook",
    "hook_result",
    "input_shape",
    "kept",
    "known_arguments",
    "layer_place",
    "layers",
    "named_layers",
    "no_effect",
    "not_an_array",
    "only",
    "parameters",
    "same_kind_of_array",
    "state_dict",
    "submodule",
    "warn_of_bytes",
]

# Arguments that PyTorch itself has others for.
OLD_ARGUMENTS = {
    "size_average": "reduction='mean' or 'sum'",
    "reduce": "reduction='none' for reduce=False",
    "min_value": "min_val",
    "max_value": "max_val",
}


def kept(owner: object, value: Any) -> Any:
    """What `owner` kept in its forward for its backward, or an error if it kept nothing."""
    if value is None:
        name = type(owner).__name__
        if not getattr(owner, "training", True):
            why = "in eval mode a layer keeps nothing: call net.train() first, then the network, then backward"
        elif "_kept" in vars(owner):
            why = "the backward of a network lets go of what its layers kept, as eval() does: call the network again"
        else:
            why = f"call it first, as in {'criterion(outputs, targets)' if name.endswith('Loss') else 'net(x)'}"
        raise RuntimeError(
            f"{name}.backward: got nothing to go back through; expected a call of this {name} before: {why}"
        )
    return value


def layers(values: Iterable[Any], kind: type, owner: object) -> None:
    """All of `values` are of the class `kind` of layers, and none is there twice, nor has `owner` inside."""
    seen: dict[int, int] = {}
    for place, layer in enumerate(values):
        if not isinstance(layer, kind):
            came = f"the class {layer.__name__}" if isinstance(layer, type) else hints.kind_of(layer)
            star = ": layers are given one by one, as in Sequential(*layers)" if isinstance(layer, Iterable) else ""
            raise TypeError(f"layer {place}: got {came}; expected a layer, as in ReLU(){star}")
        for module in layer.modules():  # type: ignore[attr-defined]
            if module is owner:
                raise ValueError(f"layer {place}: got the {type(owner).__name__} itself; expected another layer")
            if id(module) in seen:
                raise ValueError(
                    f"layer {place}: got the {type(module).__name__} that is also in layer {seen[id(module)]}; "
                    "expected another one: a layer keeps what its backward needs, so it has one place in a network; "
                    "two layers may share parameters, as in b.weight = a.weight"
                )
            seen[id(module)] = place


def named_layers(values: tuple[Any, ...], owner: object) -> tuple[Iterable[Any], dict[str, Any]]:
    """The layers that a network is made of, and those that have names: `values` may be one dict."""
    if len(values) != 1 or not isinstance(values[0], Mapping):
        return values, {}
    named = {layer_name(name, owner): layer for name, layer in values[0].items()}
    named.pop("", None)
    return values[0].values(), named


def layer_name(name: Any, owner: object) -> str:
    """`name` for a layer of `owner`, or "" where it is a number, which is no name but a place."""
    if not isinstance(name, str):
        raise TypeError(f"name: got {name!r}; expected the name of a layer, as in 'conv1'")
    if not name or "." in name or hasattr(type(owner), name):
        taken = "one that is no attribute of a module" if name and "." not in name else "one without a point"
        raise ValueError(f"name: got {name!r}; expected another one, {taken}")
    return "" if name.isdecimal() else name


def attached(name: Any, value: Any, kind: type, owner: object) -> None:
    """`name` and `value` are of an attribute that `owner` can have: a layer, a parameter or a buffer, or None."""
    layer_name(name, owner)
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name}: got {hints.kind_of(value)}; expected a {kind.__name__}")


def branches(values: Any) -> list[Any]:
    """`values` as a list of at least one."""
    if not isinstance(values, Iterable):
        raise TypeError(f"branches: got {type(values).__name__}; expected a list of layers")
    found = list(values)
    if not found:
        raise ValueError("branches: got none; expected at least one layer")
    return found


def layer_place(name: str, value: Any, count: int, most: int) -> int:
    """`value` as a place among `count` layers from 0 to `most`; negative ones count from the end."""
    place = integer(name, value)
    if not -count <= place <= most:
        raise IndexError(f"{name}: got {place}; expected {-count} to {most}, in a network of {count} layers")
    return place + count if place < 0 else place


def submodule(target: Any, names: Collection[str]) -> None:
    """`target` is one of the `names` of layers in a network."""
    if target not in names:
        found = ", ".join(repr(name) for name in names if name)
        raise AttributeError(
            f"target: got {target!r}; expected the name of a layer in this one: {found or 'it has none'}"
        )


def hook(value: Any) -> None:
    """`value` can be called."""
    if not callable(value):
        raise TypeError(f"hook: got {type(value).__name__}; expected a function of (module, inputs, output)")


def hook_result(module: Any, value: Any) -> None:
    """A hook of `module` may return `value`, which is not None."""
    if module.training:
        raise RuntimeError(
            f"hook: got {type(value).__name__} from a hook of {type(module).__name__} in train mode; expected None: "
            "no backward goes through what a hook puts in the place of the output"
        )
    is_array("the output of a hook", value)


def parameters(values: Iterable[Any], kind: type, name: str = "params") -> list[Any]:
    """All of `values` as a list: all of the class `kind` of parameters, none twice."""
    found = list(values)
    for p in found:
        if not isinstance(p, kind):
            raise TypeError(f"{name}: got {type(p).__name__}; expected parameters, as from net.parameters()")
    if len({id(p) for p in found}) < len(found):
        twice = next(p for i, p in enumerate(found) if any(p is q for q in found[:i]))
        raise ValueError(f"{name}: got {twice.name!r} twice; expected each parameter once")
    return found


def same_kind_of_array(name: str, value: Any, held: Any) -> None:
    """`value` is an array of the shape and dtype of `held`, a parameter or buffer."""
    if not isinstance(value, np.ndarray):
        came, kind = type(value).__name__, type(held).__name__
        raise TypeError(
            f"{name}: got {came}; expected a NumPy array of {held.dtype} and shape {held.shape}, or a {kind}"
        )
    if value.dtype != held.dtype:
        raise TypeError(
            f"{name}: got an array of {value.dtype}; expected {held.dtype}: convert it, as in "
            f"{name}.astype(np.{held.dtype})"
        )
    has_shape(name, value, held.shape, "the shape of the parameter")


def not_an_array(name: str, value: Any, owner: object) -> None:
    """`value` is no bare array: `owner`, which has no parameter of this `name`, would not learn it."""
    if isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: got an array; this {type(owner).__name__} has no {name}: expected a Parameter or Buffer, as in "
            f"{name} = Parameter(array)"
        )


def input_shape(shape: Any) -> tuple[int, ...]:
    """`shape` as a tuple of ints of at least 1."""
    if not isinstance(shape, tuple | list) or not shape:
        raise TypeError(f"input_shape: got {shape!r}; expected the shape of x as a tuple, as in (1, 1, 28, 28)")
    return tuple(integer("input_shape", length, 1) for length in shape)


def warn_of_bytes(x: Array, stacklevel: int) -> None:
    """Warn if the input of a network looks like pixels that were not scaled."""
    if x.dtype.kind == "f" and x.size and x.min() >= 0 and 8 < x.max() <= 255:
        warnings.warn(
            f"x looks like 0-255 (got {x.min():g} to {x.max():g}); 0-1 expected: divide by 255",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


class IncompatibleKeys(NamedTuple):
    """The names of a network that a state dict has not, and those that it has and the network has not."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def state_dict(
    state: Mapping[str, Any], wanted: Mapping[str, Array], strict: bool
) -> tuple[dict[str, Array], IncompatibleKeys]:
    """The entries of `state` as arrays, if they have the shapes of `wanted` and fit its dtypes; and the names left out.

    If it is `strict`, no name is left out: the entries have exactly those of `wanted`.
    """
    true_or_false("strict", strict)
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict: got {type(state).__name__}; expected a dict of name to array")
    missing, unexpected = [n for n in wanted if n not in state], [n for n in state if n not in wanted]
    wrong = []
    if strict:
        wrong += [f"{name} is missing" for name in missing]
        wrong += [f"{name} is not in this network" for name in unexpected]
    arrays = {name: np.asarray(state[name]) for name in wanted if name in state}
    for name, array in arrays.items():
        if array.shape != wanted[name].shape:
            wrong.append(f"{name}: got shape {array.shape}; expected {wanted[name].shape}")
        elif wanted[name].dtype.kind == "i" and array.dtype.kind not in "iu":
            wrong.append(f"{name}: got {array.dtype}; expected an integer")
        elif array.dtype.kind not in "fiu":
            wrong.append(f"{name}: got {array.dtype}; expected real numbers")
    if wrong:
        raise ValueError(
            f"state_dict: got {len(state)} entries; expected the {len(wanted)} of this network, but " + "; ".join(wrong)
        )
    return arrays, IncompatibleKeys(missing, unexpected)


def known_arguments(kind: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """`kwargs` are arguments that the class `kind` is made with."""
    make = kind.__init__  # type: ignore[misc]
    if make is object.__init__ and (args or kwargs):
        raise TypeError(f"{kind.__name__}: got {', '.join((*map(repr, args), *kwargs))}; expected no arguments")
    code = getattr(make, "__code__", None)
    if not kwargs or code is None or code.co_flags & 0x08:  # it takes any keyword
        return
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for name in kwargs:
        if name not in names:
            pointer = f": {name} is {OLD_ARGUMENTS[name]} here" if name in OLD_ARGUMENTS else ""
            raise TypeError(
                f"{kind.__name__}: got an argument {name!r}; expected some of {', '.join(names) or 'none'}{pointer}"
            )


def no_effect(inplace: Any = False, device: Any = None) -> None:
    """Arguments of PyTorch's layers that change nothing here: `inplace`, and a `device` that is the CPU."""
    if inplace is not False:
        true_or_false("inplace", inplace)
    if device is not None:
        cpu(device)


def cpu(device: Any) -> None:
    """`device` is the CPU, by its name or as PyTorch's object."""
    name = getattr(device, "type", device)
    if not isinstance(name, str) or name.partition(":")[0] != "cpu":
        raise ValueError(f"device: got {device!r}; expected 'cpu', the only one that fastnn computes on")


def only(name: str, value: Any, possible: Iterable[Any], instead: str = "") -> None:
    """An argument of PyTorch's that would change the result has one of the values that are `possible` here."""
    if not any(value is each or value == each for each in possible):
        raise ValueError(f"{name}: got {value!r}; expected {' or '.join(map(repr, possible))}, nothing else{instead}")


def destination(args: tuple[Any, ...], dtype: Any, device: Any) -> np.dtype[Any] | None:
    """The dtype that a network is to be converted to, if any: `args` are dtypes and devices."""
    for value in (*args, dtype):
        if value is None:
            continue
        try:
            dtype = np.dtype(str(value).removeprefix("torch.") if hints.kind_of(value) == "torch.dtype" else value)
        except TypeError:
            cpu(value)
    no_effect(device=device)
    return None if dtype is None else float_dtype(dtype)
