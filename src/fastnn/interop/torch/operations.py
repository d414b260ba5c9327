"""What the operations in a forward of PyTorch's become: a layer at a node, or a length."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastnn import functional, layers
from fastnn.interop.torch.formulas import FORMULAS, power
from fastnn.interop.torch.products import PRODUCTS
from fastnn.interop.torch.values import EXAMPLE, Length, Parts, Shape, Unknown, Value
from fastnn.layers.functions import layer_of
from fastnn.layers.joints import ARITHMETIC

_IGNORED = ("inplace", "_stacklevel", "norm_type")  # arguments that change no result here
_SAME = {
    **{"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "truediv": "div", "true_divide": "div"},
    **{"divide": "div", "multiply": "mul", "subtract": "sub", "negative": "neg", "ipow": "pow"},
    **{"concat": "cat", "concatenate": "cat", "view": "reshape", "view_as": "reshape_as", "swapaxes": "transpose"},
    **{"getattr": "attribute", "feature_dropout": "dropout2d"},
}  # names of PyTorch's that mean the same


def name_of(node: Any) -> str:
    """The name of the function, method or module of a node of torch.fx's."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def writes_in_place(node: Any, theirs: Any) -> bool:
    """Whether a node writes what it gives into its first input."""
    if node.op == "call_module":
        return bool(getattr(theirs.get_submodule(str(node.target)), "inplace", False))
    name = name_of(node)
    if node.op == "call_function" and name in ("iadd", "isub", "imul", "itruediv", "ipow"):
        return True
    return bool(node.kwargs.get("inplace", False)) or (name.endswith("_") and not name.endswith("__"))


def keeps_batch(layer: layers.Module) -> bool:
    """Whether the first axis of an output is the batch's if that of the input is."""
    match layer:
        case layers.Reshape():
            return layer.shape[0] == 0
        case layers.Permute():
            return layer.dims[0] == 0
        case layers.Slice():
            return layer.index[0] == slice(None)
        case layers.Mean() | layers.Sum():
            return 0 not in layer.dim
        case layers.Cat() | layers.Split() | layers.Unflatten() | layers.Softmax() | layers.LogSoftmax():
            return layer.dim != 0
        case layers.Expand():
            return not layer.sizes or layer.sizes[0] in (0, -1)
        case layers.Flatten():
            return layer.start_dim != 0
    return True


def done(reader: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation gives.

    Raises
    ------
    Unknown
        It has no form in a graph.
    """
    plain = name.rstrip("_") if not name.startswith("_") else name
    plain = _SAME.get(plain, plain)
    if kwargs.get("out") is not None:
        raise Unknown(f"{name}() writes into out; expected a result of its own")
    if "input" in kwargs:
        args, kwargs = (kwargs["input"], *args), {each: value for each, value in kwargs.items() if each != "input"}
    make = _OPERATIONS.get(plain)
    if make is not None:
        return make(reader, *args, **{each: value for each, value in kwargs.items() if each not in _IGNORED})
    if plain in ARITHMETIC or (plain == "pow" and len(args) == 2):
        return _arithmetic(reader, plain, args, kwargs)
    if plain in functional.__all__ and not plain.endswith(("_backward", "_step", "_loss")):
        return _function(reader, plain, args, kwargs)
    raise Unknown(f"{name}() has no form in a graph of fastnn's")


def _function(reader: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that fastnn has under PyTorch's name."""
    ours = getattr(functional, name)
    known = inspect.signature(ours).parameters
    x, *rest = args
    named = {}
    for each, value in kwargs.items():
        if each in known:
            named[each] = value
        elif each not in _IGNORED and not (value is None or value is False):
            raise Unknown(f"{name}() takes {each}={value!r}, which fastnn's does not")
    places = [each for each, p in known.items() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    inplace = len(rest) == len(places) + 1 and isinstance(rest[-1], bool)  # behind all of ours
    named |= zip(places, rest[:-1] if inplace else rest, strict=False)
    if named.pop("return_indices", False):
        raise Unknown(f"{name}() returns indices, too; expected return_indices=False")
    learnt = [value for value in named.values() if isinstance(value, Value)]
    for each, value in named.items():
        if isinstance(value, Value):
            if value.held is None:
                raise Unknown(f"{name}() gets {each} that is computed; expected a parameter of the module")
            named[each] = value.held
        else:
            named[each] = reader.numbers(value)
    layer, _, _ = layer_of(ours, (x,), named)
    return reader.add(layer, (x,), *_name_of_owner(reader, learnt))


def _name_of_owner(reader: Any, learnt: list[Value]) -> tuple[Any, ...]:
    """The name of the module that all these arrays belong to, so that they have the same names here."""
    owners = {value.target.rpartition(".")[0] for value in learnt}
    owner = owners.pop() if len(owners) == 1 else ""
    return (owner, owner not in reader.nodes) if owner and owner not in reader.nodes else ()


def _arithmetic(reader: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs.pop("alpha", 1) != 1 or kwargs.pop("rounding_mode", None) is not None:
        raise Unknown(f"{name}() takes alpha or rounding_mode; expected none")
    a, b = (*args, *kwargs.values())
    if not any(isinstance(each, Value) for each in (a, b)):
        return _lengths(reader, name, a, b)
    if name == "pow":
        if b != 2:
            return power(reader, a, b)
        name, b = "mul", a
    return reader.add(ARITHMETIC[name](), (a, b))


def _lengths(reader: Any, name: str, a: Any, b: Any) -> Any:
    """Arithmetic of lengths, which gives numbers. The batch's may be multiplied."""
    if name == "mul":
        for length, times in ((a, b), (b, a)):
            if isinstance(length, Length) and length.is_of_batch:
                return length._replace(times=length.times * reader.number(times))
    a, b = reader.number(a), reader.number(b)
    return {
        "add": a + b, "sub": a - b, "mul": a * b, "floordiv": a // b, "mod": a % b, "div": a / b, "pow": a**b
    }[name]  # fmt: skip


def _whole(name: str) -> Callable[..., Any]:
    return lambda reader, a, b: _lengths(reader, name, a, b)


# Shapes


def _size(reader: Any, x: Any, dim: int | None = None) -> Any:
    return Shape(x) if dim is None else Shape(x).axis(dim)


def _attribute(reader: Any, x: Any, name: str) -> Any:
    if name == "shape":
        return Shape(x)
    if name == "ndim":
        return _rank(x, "ndim")
    if name == "mT" or (name == "T" and _rank(x, "T") == 2):
        return _transpose(reader, x, -2, -1)
    if name in ("T", "device", "dtype"):
        raise Unknown(f"the attribute {name} has no form in a graph; expected permute(), or the tensor as it is")
    raise Unknown(f"the attribute {name} has no form in a graph of fastnn's")


def _rank(x: Value, name: str) -> int:
    if x.shape is None:
        raise Unknown(f"{name} depends on the number of axes; {EXAMPLE}")
    return len(x.shape)


def _item(reader: Any, x: Any, index: Any) -> Any:
    if isinstance(x, Shape):
        return x.cut(index) if isinstance(index, slice) else x.axis(index)
    if isinstance(x, Parts):
        return x.part(index)
    if isinstance(x, tuple | list):
        return x[index]
    places = index if isinstance(index, tuple) else (index,)
    if any(isinstance(each, Value | Parts) for each in places):
        raise Unknown("an index that is a tensor has no form in a graph; expected numbers and slices")
    return reader.add(layers.Slice(*reader.numbers(places)), (x,))


def _reshape(reader: Any, x: Value, *shape: Any, **named: Any) -> Any:
    lengths = list(named.get("shape", named.get("size", shape)))
    if len(lengths) == 1 and isinstance(lengths[0], Shape):
        lengths = [lengths[0].axis(axis) for axis in range(_rank(lengths[0].value, "view()"))]
    elif len(lengths) == 1 and isinstance(lengths[0], tuple) and not isinstance(lengths[0], Length):
        lengths = list(lengths[0])
    found: list[int] = []
    for place, length in enumerate(lengths):
        if not isinstance(length, Length):
            found.append(reader.number(length))
        elif length.times == 1 and _is_own(x, length, place):
            found.append(0)
        elif length.is_of_batch and _others_are_known(reader, lengths, place):
            found.append(-1)
        elif length.is_of_batch and not reader.shapes:
            raise Unknown(f"view() or reshape() to {length.text}, with others that are not known; {EXAMPLE}")
        else:
            found.append(reader.number(length))
    return reader.add(layers.Reshape(*found), (x,))


def _others_are_known(reader: Any, lengths: list[Any], batch: int) -> bool:
    """Whether all lengths but the batch's are numbers, which then is what is left; a -1 becomes one."""
    others = [place for place in range(len(lengths)) if place != batch]
    if any(isinstance(lengths[place], Length) and lengths[place].is_of_batch for place in others):
        return False
    for place in others:
        if lengths[place] == -1:
            if reader.now not in reader.shapes:
                return False
            lengths[place] = reader.shapes[reader.now][place]
    return True


def _is_own(x: Value, length: Length, place: int) -> bool:
    """Whether a length is what `x` has on that axis."""
    if length.value is x:
        return length.place == place
    return length.is_of_batch and place == 0 and x.batched


def _reshape_as(reader: Any, x: Value, other: Value) -> Any:
    return _reshape(reader, x, Shape(other))


def _flatten(reader: Any, x: Value, start_dim: int = 0, end_dim: int = -1) -> Any:
    return reader.add(layers.Flatten(start_dim, end_dim), (x,))


def _unflatten(reader: Any, x: Value, dim: int, sizes: Any) -> Any:
    return reader.add(layers.Unflatten(dim, reader.numbers(sizes)), (x,))


def _permute(reader: Any, x: Value, *dims: Any, **named: Any) -> Any:
    axes = named.get("dims", dims[0] if len(dims) == 1 and isinstance(dims[0], tuple) else dims)
    return reader.add(layers.Permute(*axes), (x,))


def _transpose(reader: Any, x: Value, dim0: int, dim1: int) -> Any:
    axes = list(range(_rank(x, "transpose()")))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return reader.add(layers.Permute(*axes), (x,))


def _unsqueeze(reader: Any, x: Value, dim: int) -> Any:
    every = slice(None)
    index = (*[every] * dim, None) if dim >= 0 else (..., None, *[every] * (-1 - dim))
    return reader.add(layers.Slice(*index), (x,))


def _squeeze(reader: Any, x: Value, dim: Any = None) -> Any:
    rank = _rank(x, "squeeze()")
    if dim is None and x.batched:
        raise Unknown("squeeze() of all axes, the batch's among them; expected squeeze(dim)")
    axes = {axis % rank for axis in ((dim,) if isinstance(dim, int) else dim or range(rank))}
    if 0 in axes and x.batched:
        raise Unknown("squeeze() of the axis of the batch, which may have any length; expected others")
    assert x.shape is not None
    cut = [0 if axis in axes and x.shape[axis] == 1 else slice(None) for axis in range(rank)]
    return reader.add(layers.Slice(*cut), (x,)) if 0 in cut else x


def _split(reader: Any, x: Value, split_size_or_sections: Any = None, dim: int = 0, split_size: Any = None) -> Any:
    sizes = reader.numbers(split_size_or_sections if split_size is None else split_size)
    return _parts(reader, x, sizes, dim)


def _chunk(reader: Any, x: Value, chunks: int, dim: int = 0) -> Any:
    length = Shape(x).axis(dim)
    if length.number is None:
        remedy = "expected split()" if length.is_of_batch else length.remedy
        raise Unknown(f"chunk() depends on {length.text}; {remedy}")
    return _parts(reader, x, max(1, -(-length.number // chunks)), dim)


def _parts(reader: Any, x: Value, sizes: Any, dim: int) -> Parts:
    whole = reader.add(layers.Split(sizes, dim), (x,))
    shapes = reader.shapes.get(reader.now)
    count = len(sizes) if isinstance(sizes, tuple) else len(shapes) if shapes else None
    return Parts(whole, count, shapes)


# Several tensors


def _tensors(values: Any) -> tuple[Any, ...]:
    return values.all() if isinstance(values, Parts) else tuple(values)


def _cat(reader: Any, tensors: Any, dim: int = 0, axis: int | None = None) -> Any:
    return reader.add(layers.Cat(dim if axis is None else axis), _tensors(tensors))


def _stack(reader: Any, tensors: Any, dim: int = 0) -> Any:
    rows = [_unsqueeze(reader, reader.value(each), dim) for each in _tensors(tensors)]
    if any(each.shape is not None for each in rows):
        for each in rows:
            each.shape = None  # of the rows; torch.fx knows that of all together
    return reader.add(layers.Cat(dim), rows)


# Others


def _mean(reader: Any, x: Value, dim: Any = None, keepdim: bool = False, dtype: None = None) -> Any:
    if dim is None or dtype is not None:
        raise Unknown("mean() of all elements, or of another dtype; expected mean(dim)")
    return reader.add(layers.Mean(dim, keepdim), (x,))


def _softmax(kind: Any) -> Callable[..., Any]:
    def make(reader: Any, x: Value, dim: int | None = None, dtype: None = None) -> Any:
        if dim is None or dtype is not None:
            raise Unknown("a softmax without dim, or of another dtype; expected dim")
        return reader.add(kind(dim), (x,))

    return make


def _neg(reader: Any, x: Value) -> Any:
    return reader.add(layers.Mul(), (x, -1))


def _square(reader: Any, x: Value) -> Any:
    return reader.add(layers.Mul(), (x, x))


def _itself(reader: Any, x: Value, *_: Any, **__: Any) -> Value:
    return x


def _dropout(kind: Any) -> Callable[..., Any]:
    def make(reader: Any, x: Value, p: float = 0.5, training: bool = True) -> Any:
        return reader.add(kind(p) if training else layers.Identity(), (x,))

    return make


def _pad(reader: Any, x: Value, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    return _function(reader, "pad", (x, reader.numbers(pad), mode, value), {})


_OPERATIONS: dict[str, Callable[..., Any]] = (
    PRODUCTS
    | FORMULAS
    | {
        "attribute": _attribute,
        "cat": _cat,
        "chunk": _chunk,
        "clone": _itself,
        "contiguous": _itself,
        "dim": lambda reader, x: _rank(x, "dim()"),
        "dropout": _dropout(layers.Dropout),
        "dropout2d": _dropout(layers.Dropout2d),
        "flatten": _flatten,
        "floordiv": _whole("floordiv"),
        "getitem": _item,
        "log_softmax": _softmax(layers.LogSoftmax),
        "mean": _mean,
        "mod": _whole("mod"),
        "neg": _neg,
        "pad": _pad,
        "permute": _permute,
        "reshape": _reshape,
        "reshape_as": _reshape_as,
        "size": _size,
        "softmax": _softmax(layers.Softmax),
        "split": _split,
        "square": _square,
        "squeeze": _squeeze,
        "stack": _stack,
        "transpose": _transpose,
        "unflatten": _unflatten,
        "unsqueeze": _unsqueeze,
    }
)
