"""Networks of any acyclic form: their nodes, and the modules that join, cut and reorder arrays."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn._validate import hints
from fastnn._validate._base import Array, axis_index, float_array, has_shape, integer, number, same_dtype

__all__ = [
    "PLAIN",
    "axes_order",
    "clamp_bounds",
    "dict_of_layers",
    "expanded",
    "expanded_sizes",
    "gradients_of_parts",
    "graph_gradients",
    "graph_inputs",
    "graph_names",
    "graph_no_node",
    "graph_node",
    "graph_order",
    "graph_outputs",
    "graph_sources",
    "graph_uses",
    "inputs_of_joint",
    "joint_backward",
    "list_of_layers",
    "over_axes",
    "own_forward",
    "part_sizes",
    "permute",
    "reshape",
    "sliced",
    "slices",
    "split",
    "warn_of_plain_layers",
]

PLAIN = (list, tuple, dict)


def inputs_of_joint(kind: str, inputs: Sequence[Any], least: int, most: int | None) -> None:
    """`inputs` are as many float arrays of one dtype as a module of this `kind` joins."""
    if len(inputs) < least or (most is not None and len(inputs) > most):
        wanted = f"{least}" if most == least else f"at least {least}"
        raise TypeError(f"{kind}: got {len(inputs)} inputs; expected {wanted}")
    float_array("x", inputs[0])
    for place, each in enumerate(inputs[1:], 1):
        same_dtype("x", inputs[0], f"input {place}", each)
    if kind == "MatMul":
        _matrices(*inputs)
    elif kind not in ("Cat", "Expand") and any(each.shape != inputs[0].shape for each in inputs):
        try:
            np.broadcast_shapes(*(each.shape for each in inputs))
        except ValueError:
            shapes = ", ".join(str(each.shape) for each in inputs)
            raise ValueError(f"{kind}: got inputs of shapes {shapes}; expected the same, or axes of length 1") from None


def expanded_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """`sizes` as lengths of axes, or -1 or 0."""
    return tuple(integer("sizes", each, -1) for each in sizes)


def expanded(x: Array, like: Array | None, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `x` is expanded to by `sizes`: -1 for its own lengths, 0 for those of `like`."""
    came = f"Expand: got shape {x.shape}" + (f" and sizes {sizes}" if sizes else "")
    if like is None and (0 in sizes or not sizes):
        raise TypeError(f"{came} without a second input; expected one, whose lengths are taken")
    others = () if like is None else like.shape
    shape = list(sizes or others)
    for axis, n in enumerate(sizes):
        lengths, place = (others, axis) if n == 0 else (x.shape, axis - len(sizes) + x.ndim)
        if n < 1:
            if not 0 <= place < len(lengths):
                raise ValueError(f"{came}; expected -1 and 0 for axes alone that the input has")
            shape[axis] = lengths[place]
    try:
        fits = np.broadcast_shapes(x.shape, tuple(shape)) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{came}, to be expanded to {tuple(shape)}; expected the same lengths, or 1")
    return tuple(shape)


def _matrices(a: Array, b: Array) -> None:
    """`a` and `b` are matrices, stacks of them, or vectors, that can be multiplied."""
    came = f"MatMul: got inputs of shapes {a.shape} and {b.shape}"
    if not (a.ndim and b.ndim):
        raise ValueError(f"{came}; expected matrices or vectors: at least 1 axis of each")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        raise ValueError(f"{came}; expected as many columns of the first as rows of the second")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"{came}; expected stacks of the same lengths, or of length 1") from None


def joint_backward(dy: Array, shape: tuple[int, ...], kind: str) -> None:
    """`dy` has the shape of the output of a module of this `kind`."""
    float_array("dy", dy)
    has_shape("dy", dy, shape, f"the shape of the output of {kind}")


def part_sizes(sizes: Any) -> int | tuple[int, ...]:
    """`sizes` as an int or a tuple of ints, of at least 1."""
    if isinstance(sizes, tuple | list):
        if not sizes:
            raise ValueError("sizes: got none; expected at least one length")
        return tuple(integer("sizes", each, 1) for each in sizes)
    return integer("sizes", sizes, 1)


def split(x: Array, sizes: int | tuple[int, ...], dim: int) -> tuple[int, ...]:
    """Return the lengths of the parts of `x` along the axis `dim`."""
    float_array("x", x)
    axis = axis_index("dim", dim, x.ndim)
    whole = x.shape[axis]
    if isinstance(sizes, int):
        return tuple(min(sizes, whole - start) for start in range(0, whole, sizes)) or (0,)
    if sum(sizes) != whole:
        raise ValueError(f"sizes: got {sizes}; expected lengths whose sum is {whole}, of axis {dim} of x")
    return sizes


def gradients_of_parts(dy: Any, count: int) -> None:
    """`dy` is a tuple of at most as many gradients as there are parts."""
    if not isinstance(dy, tuple | list):
        raise TypeError(f"dy: got {hints.kind_of(dy)}; expected a tuple of {count} arrays, one for each part")
    if len(dy) > count:
        raise ValueError(f"dy: got {len(dy)} arrays; expected {count}, one for each part")


def reshape(x: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape` with the lengths of `x` in the place of 0, and what is left in the place of -1."""
    float_array("x", x)
    if any(n == 0 and axis >= x.ndim for axis, n in enumerate(shape)):
        raise ValueError(f"shape: got {shape}; expected no 0 behind the {x.ndim} axes of x")
    lengths = tuple(x.shape[axis] if n == 0 else n for axis, n in enumerate(shape))
    if -1 in lengths:
        empty = 0 in lengths  # a batch of none: what is left is that of one
        known = math.prod(n or empty for n in lengths if n != -1)
        rest = math.prod(n or empty for n in x.shape) // max(known, 1)
        lengths = tuple(rest if n == -1 else n for n in lengths)
    if math.prod(lengths) != x.size:
        raise ValueError(f"shape: got {shape}; expected lengths whose product is {x.size}, of x of shape {x.shape}")
    return lengths


def axes_order(dims: Any, name: str = "dims") -> tuple[int, ...]:
    """`dims` as a tuple of ints, at least one, none twice."""
    axes = tuple(integer(name, each) for each in dims)
    if not axes or len(set(axes)) < len(axes):
        raise ValueError(f"{name}: got {axes}; expected at least one axis, and none twice")
    return axes


def permute(x: Array, dims: tuple[int, ...]) -> None:
    """`dims` are all axes of `x`."""
    float_array("x", x)
    axes = [axis_index("dims", each, x.ndim) for each in dims] if len(dims) == x.ndim else []
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"dims: got {dims}; expected each of the {x.ndim} axes of x once")


def clamp_bounds(least: float | None, most: float | None) -> tuple[float | None, float | None]:
    """The bounds as numbers, of which at least one is given."""
    if least is None and most is None:
        raise ValueError("min: got None, and max None; expected at least one number")
    return (
        None if least is None else number("min", least),
        None if most is None else number("max", most),
    )


def over_axes(x: Array, dims: tuple[int, ...]) -> tuple[int, ...]:
    """Return `dims` as axes of `x`, counted from the front and in order."""
    float_array("x", x)
    axes = tuple(sorted(axis_index("dim", each, x.ndim) for each in dims))
    if len(set(axes)) < len(axes):
        raise ValueError(f"dim: got {dims}; expected no axis twice")
    return axes


def slices(index: Any) -> tuple[Any, ...]:
    """`index` as a tuple of whole numbers, slices of whole numbers, ``...`` and None."""
    found: list[Any] = []
    for each in index:
        if isinstance(each, slice):
            ends = (each.start, each.stop, each.step)
            found.append(slice(*(None if end is None else integer("index", end) for end in ends)))
            if found[-1].step == 0:
                raise ValueError("index: got a step of 0; expected another")
        elif each is None or each is ...:
            found.append(each)
        else:
            try:
                found.append(integer("index", each))
            except TypeError:
                raise TypeError(
                    f"index: got {hints.kind_of(each)}; expected whole numbers, slices, ... or None: "
                    "an index that is an array picks by values"
                ) from None
    if sum(each is ... for each in found) > 1:
        raise ValueError("index: got ... twice; expected it once")
    return tuple(found)


def sliced(x: Array, index: tuple[Any, ...]) -> Array:
    """Return the elements of `x` at an `index` from `slices`."""
    float_array("x", x)
    try:
        return np.asarray(x[index])
    except IndexError as error:
        raise IndexError(f"index: got {index} for x of shape {x.shape}: {error}") from None


def graph_names(names: Iterable[Any], what: str) -> tuple[str, ...]:
    """`names` as a tuple of different, sensible ones."""
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Iterable):
        raise TypeError(f"{what}: got {hints.kind_of(names)}; expected names, as in {what}=('x',)")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str) or not name or name != name.strip(".") or "[" in name or ".." in name:
            raise ValueError(f"{what}: got {name!r}; expected names without brackets, and no point at their ends")
    if len(set(found)) < len(found):
        raise ValueError(f"{what}: got {', '.join(map(repr, found))}; expected no name twice")
    return found


def graph_node(name: str, entry: Any, kind: type) -> tuple[Any, tuple[str, ...]]:
    """The module and the names of the inputs of a node."""
    parts = tuple(entry) if isinstance(entry, tuple | list) else (entry,)
    if not parts or not isinstance(parts[0], kind):
        came = hints.kind_of(parts[0]) if parts else "nothing"
        raise TypeError(f"node {name!r}: got {came}; expected a layer and its inputs, as in (ReLU(), 'x')")
    for each in parts[1:]:
        if not isinstance(each, str):
            raise TypeError(f"node {name!r}: got {hints.kind_of(each)} as an input; expected the name of one")
    return parts[0], parts[1:]


def graph_sources(name: str, sources: Iterable[str], known: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """The names that a node or an output takes, each with the part that it takes of it: ``"split[1]"`` is part 1."""
    found: list[tuple[str, int | None]] = []
    for source in sources:
        base, bracket, rest = source.partition("[")
        if base not in known or (bracket and not (rest.endswith("]") and rest[:-1].isdecimal() and len(rest) < 8)):
            import difflib  # only here: it is slow to import

            near = difflib.get_close_matches(source, known, 1)
            pointer = f": {near[0]!r} is one" if near else ""
            raise ValueError(
                f"{name}: takes {source!r}; expected the name of an input or a node, or a part of one as 'split[1]'"
                f"{pointer}"
            )
        found.append((base, int(rest[:-1]) if bracket else None))
    return found


def graph_order(inputs: Iterable[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes in an order in which they can run: the one that they have, where that is one."""
    done, given = set(inputs), True
    for name, sources in needs.items():
        given = given and done.issuperset(sources)
        done.add(name)
    if given:
        return list(needs)
    missing = {name: set(sources) - set(inputs) for name, sources in needs.items()}
    takers: dict[str, list[str]] = {name: [] for name in needs}
    for name, sources in missing.items():
        for source in sources:
            takers[source].append(name)
    order = [name for name, sources in missing.items() if not sources]
    for done_one in order:  # it grows meanwhile
        for name in takers[done_one]:
            missing[name].discard(done_one)
            if not missing[name]:
                order.append(name)
    if len(order) < len(missing):
        names = ", ".join(repr(name) for name, sources in missing.items() if sources)
        raise ValueError(f"nodes: {names} wait for one another; expected no circle")
    return order


def graph_outputs(outputs: Any) -> tuple[str, ...]:
    """`outputs` as a tuple of names, at least one."""
    names = (outputs,) if isinstance(outputs, str) else outputs
    names = tuple(names) if isinstance(names, Iterable) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"outputs: got {outputs!r}; expected names, as in outputs=('scores',)")
    if not names:
        raise ValueError("outputs: got none; expected at least one")
    return names


def graph_uses(unused: Sequence[str], inputs: Sequence[str]) -> None:
    """There are no inputs or nodes that nobody takes."""
    if unused:
        kind = "inputs" if unused[0] in inputs else "nodes"
        raise ValueError(f"{kind}: nobody takes {unused[0]!r}; expected a node that does, or it among the outputs")


def graph_no_node(name: Any, names: Iterable[str]) -> str:
    return f"{name!r} is no node; expected one of {', '.join(map(repr, names))}"


def list_of_layers(name: str, values: Any) -> list[Any]:
    """`values` as a list."""
    if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
        raise TypeError(f"{name}: got {hints.kind_of(values)}; expected a list of layers")
    return list(values)


def dict_of_layers(name: str, values: Any, kind: type) -> None:
    """`values` is a dict from names, which have no point, to layers."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{name}: got {hints.kind_of(values)}; expected a dict from names to layers")
    for key, value in values.items():
        if not isinstance(key, str) or not key or "." in key:
            raise ValueError(f"{name}: got {key!r} as a name; expected one without a point")
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{key!r}]: got {hints.kind_of(value)}; expected a layer")


def warn_of_plain_layers(name: str, value: Any, kind: type) -> None:
    """Warn of an attribute of a module that is a list, tuple or dict with layers in it."""
    inside = value.values() if isinstance(value, dict) else value
    if any(isinstance(each, kind) for each in inside):
        wanted = "ModuleDict" if isinstance(value, dict) else "ModuleList"
        warnings.warn(
            f"{name}: got a {type(value).__name__} of layers, which would not be learnt, saved or put into eval mode; "
            f"expected a {wanted}",
            UserWarning,
            stacklevel=3,
        )


def own_forward(module: Any, is_traced: bool) -> None:
    """`module` has a forward of its own, and no backward."""
    if not is_traced:
        raise TypeError(
            f"module: got {hints.kind_of(module)}; expected a Module of a class of your own, with a forward and no "
            "backward"
        )


def graph_inputs(inputs: Sequence[Any], names: Sequence[str]) -> None:
    """There are as many `inputs` as `names`."""
    if len(inputs) != len(names):
        raise TypeError(f"Graph: got {len(inputs)} inputs; expected {len(names)}: {', '.join(names)}")


def graph_gradients(dy: Any, count: int) -> tuple[Any, ...]:
    """`dy` as a tuple: an array, or several for as many outputs."""
    gradients = tuple(dy) if isinstance(dy, tuple | list) else (dy,)
    if len(gradients) != count:
        wanted = "one array" if count == 1 else f"a tuple of {count} arrays, one for each output"
        raise TypeError(f"dy: got {len(gradients)} gradients; expected {wanted}")
    return gradients
