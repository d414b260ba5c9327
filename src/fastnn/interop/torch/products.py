"""Products, sums, bounds, expansions and batch normalisation in a forward of PyTorch's, as layers at nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn import layers
from fastnn.interop.torch.values import EXAMPLE, Length, Unknown, Value


def _matmul(reader: Any, *args: Any, **kwargs: Any) -> Value:
    a, b = (reader.value(each) for each in (*args, *kwargs.values()))
    y: Value = reader.add(layers.MatMul(), (a, b))
    if a.shape is not None and len(a.shape) == 1:
        y.batched = False
    if b.batched and not a.batched:  # its first axis is that of stacks, unless it is a matrix
        y.batched = b.shape is not None and len(b.shape) > 2
    return y


def _addmm(reader: Any, bias: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Value:
    if beta != 1 or alpha != 1:
        raise Unknown("addmm() takes beta or alpha; expected none")
    y: Value = reader.add(layers.Add(), (bias, _matmul(reader, a, b)))
    return y


def _einsum(reader: Any, equation: str, *operands: Any) -> Value:
    """Products of two matrices, or of stacks of them, whose axes come in any order."""
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], tuple) else operands
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "..." in left and len(terms) == len(tensors):
        terms, out = _spelt_out(terms, out, [reader.value(each).shape for each in tensors])
        left = ",".join(terms)
    in_all = [each for each in out if all(each in term for term in terms)]
    summed = [each for each in terms[0] if each in terms[-1] and each not in out]
    own = [[each for each in term if each in out and each not in in_all] for term in terms]
    is_product = arrow and len(terms) == len(tensors) == 2 and len(summed) == len(own[-1]) == 1
    of_stacks = len(own[0]) == 1 or (own[0] and not in_all)  # or of stacks on the left alone
    letters = [sorted([*in_all, *summed, *each]) for each in own]
    if (
        not is_product
        or not of_stacks
        or letters != [sorted(term) for term in terms]
        or "." in left + out
        or len(set(out)) < len(out)
    ):
        raise Unknown(
            f"einsum() of {equation!r} has no form in a graph; expected a product of two matrices or stacks, as "
            "'bij,bjk->bik', or matmul()"
        )
    a = _ordered(reader, tensors[0], terms[0], [*in_all, *own[0], *summed])
    b = _ordered(reader, tensors[1], terms[1], [*in_all, *summed, *own[1]])
    return _ordered(reader, _matmul(reader, a, b), "".join([*in_all, *own[0], *own[1]]), list(out))


def _spelt_out(terms: list[str], out: str, shapes: list[Any]) -> tuple[list[str], str]:
    """An equation with a letter for each of the axes that ``...`` stands for, which are the last of as many letters."""
    if None in shapes:
        raise Unknown(f"einsum() with ... depends on the number of axes; {EXAMPLE}")
    free = [each for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if not any(each in term for term in terms)]
    counts = [len(shape) - len(term.replace("...", "")) for term, shape in zip(terms, shapes, strict=True)]
    most = max(count for term, count in zip(terms, counts, strict=True) if "..." in term)
    letters = "".join(free[:most])
    spelt = [term.replace("...", letters[most - count :]) for term, count in zip(terms, counts, strict=True)]
    return spelt, out.replace("...", letters)


def _ordered(reader: Any, x: Any, axes: str, wanted: list[str]) -> Any:
    """A value whose axes have these letters, with its axes as wanted; torch.fx knows only the shape of the product."""
    if list(axes) == wanted:
        return x
    found = reader.value(x)
    y = reader.add(layers.Permute(*(axes.index(each) for each in wanted)), (found,))
    y.shape = None if found.shape is None else tuple(found.shape[axes.index(each)] for each in wanted)
    return y


def _sum(reader: Any, x: Value, dim: Any = None, keepdim: bool = False, dtype: None = None, axis: Any = None) -> Value:
    dim = axis if dim is None else dim
    if dim is None or dtype is not None:
        raise Unknown("sum() of all elements, or of another dtype; expected sum(dim)")
    found: Value = reader.add(layers.Sum(reader.numbers(dim), keepdim), (x,))
    return found


def _clamp(reader: Any, x: Value, min: Any = None, max: Any = None) -> Value:
    if isinstance(min, Value) or isinstance(max, Value):
        raise Unknown("clamp() between tensors has no form in a graph; expected numbers")
    found: Value = reader.add(layers.Clamp(reader.numbers(min), reader.numbers(max)), (x,))
    return found


def _unbind(reader: Any, x: Value, dim: int = 0) -> tuple[Any, ...]:
    if x.shape is None:
        raise Unknown(f"unbind() depends on the number of axes; {EXAMPLE}")
    rank = len(x.shape)
    if dim % rank == 0 and x.batched:
        raise Unknown("unbind() of the axis of the batch, which may have any length; expected others")
    found = []
    before = dim % rank
    for place in range(x.shape[dim]):
        part = reader.add(layers.Slice(*[slice(None)] * before, place), (x,))
        part.shape = (*x.shape[:before], *x.shape[before + 1 :])
        found.append(part)
    return tuple(found)


def _expand(reader: Any, x: Value, *sizes: Any, **named: Any) -> Any:
    lengths = list(named.get("size", sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple) else sizes))
    like = None
    if lengths and isinstance(lengths[0], Length) and lengths[0].is_of_batch:
        like = None if x.batched else lengths[0].value
        lengths[0] = -1 if like is None else 0
    layer = layers.Expand(*reader.numbers(tuple(lengths)))
    return reader.add(layer, (x,) if like is None else (x, like))


def _expand_as(reader: Any, x: Value, other: Value) -> Any:
    return reader.add(layers.Expand(), (x, other))


def _batch_norm(
    reader: Any,
    x: Value,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    if x.shape is None:
        raise Unknown(f"batch_norm() depends on the number of axes; {EXAMPLE}")
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    held = {name: None if value is None else _held(name, value) for name, value in given.items()}
    if held["running_mean"] is not None and bool(training) is not reader.theirs.training:
        mode = "train" if reader.theirs.training else "eval"
        raise Unknown(f"batch_norm() gets training={training!r} in {mode} mode; expected training=self.training")
    if not 2 <= len(x.shape) <= 4:
        raise Unknown(f"batch_norm() of {len(x.shape)} axes has no form in a graph; expected 2 to 4")
    kind = layers.BatchNorm2d if len(x.shape) == 4 else layers.BatchNorm1d
    layer = kind(x.shape[1], eps, momentum, affine=False, track_running_stats=False, dtype=reader.dtype)
    for name, value in held.items():
        if value is not None:
            setattr(layer, name, value)
    layer.affine, layer.track_running_stats = weight is not None, running_mean is not None
    owner = str(next((value.target for value in given.values() if value is not None), "")).rpartition(".")[0]
    named = (owner, True) if owner and owner not in reader.nodes else ()
    found: Value = reader.add(layer, (x,), *named)
    return found


def _held(name: str, value: Any) -> Any:
    """The parameter or buffer that a norm gets."""
    kind = layers.Parameter if name in ("weight", "bias") else layers.Buffer
    if not isinstance(value, Value) or not isinstance(value.held, kind):
        raise Unknown(f"batch_norm() gets {name} that is no {kind.__name__.lower()} of the module; expected one")
    return value.held


PRODUCTS: dict[str, Callable[..., Any]] = {
    "addmm": _addmm,
    "baddbmm": _addmm,
    "batch_norm": _batch_norm,
    "clamp": _clamp,
    "clamp_max": lambda reader, x, max: _clamp(reader, x, None, max),
    "clamp_min": _clamp,
    "clip": _clamp,
    "einsum": _einsum,
    "expand": _expand,
    "expand_as": _expand_as,
    "bmm": _matmul,
    "matmul": _matmul,
    "mm": _matmul,
    "mv": _matmul,
    "sum": _sum,
    "unbind": _unbind,
    "t": lambda reader, x: reader.add(layers.Permute(1, 0), (x,)),
}
