"""Layers, networks and parameters, and what they are built, loaded and called with."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from fastnn._validate._base import Array, integer
from fastnn._validate._base import array as is_array


def kept(owner: object, value: Any) -> Any:
    """What `owner` kept in its forward for its backward, or an error if it kept nothing."""
    if value is None:
        name = type(owner).__name__
        raise RuntimeError(
            f"{name}.backward: got nothing to go back through; expected a call of this {name} first "
            "(a layer keeps what backward needs in train mode only, and one in a network until its backward)"
        )
    return value


def layers(values: Iterable[Any], kind: type, owner: object) -> None:
    """All of `values` are of the class `kind` of layers, and none is there twice, nor has `owner` inside."""
    seen: dict[int, int] = {}
    for place, layer in enumerate(values):
        if not isinstance(layer, kind):
            came = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
            raise TypeError(f"layer {place}: got {came}; expected a layer, as in ReLU()")
        for module in layer.modules():  # type: ignore[attr-defined]
            if module is owner:
                raise ValueError(f"layer {place}: got the {type(owner).__name__} itself; expected another layer")
            if id(module) in seen:
                raise ValueError(
                    f"layer {place}: got the {type(module).__name__} that is also in layer {seen[id(module)]}; "
                    "expected another one: a layer keeps what its backward needs, so it has one place in a network"
                )
            seen[id(module)] = place


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


def state_dict(state: Mapping[str, Any], wanted: Mapping[str, Array]) -> dict[str, Array]:
    """The entries of `state` as arrays, if they have exactly the names and shapes of `wanted`, and fit its dtypes."""
    if not isinstance(state, Mapping):
        raise TypeError(f"state_dict: got {type(state).__name__}; expected a dict of name to array")
    wrong = [f"{name} is missing" for name in wanted if name not in state]
    wrong += [f"{name} is not in this network" for name in state if name not in wanted]
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
    return arrays
