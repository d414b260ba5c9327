"""The layer that does what a function of `fastnn.functional` does: a node of a graph is a module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastnn import _validate as check
from fastnn.layers import activation, conv, joints, localnorm, patches, pool, rearrange, resample, shape, softmax
from fastnn.layers.dropout import Dropout, Dropout2d
from fastnn.layers.embedding import Embedding
from fastnn.layers.linear import Linear
from fastnn.layers.module import Module
from fastnn.layers.parameter import Parameter
from fastnn.layers.prelu import PReLU
from fastnn.layers.rownorm import GroupNorm, LayerNorm
from fastnn.layers.symbol import TraceError

_ROOMS = (activation, joints, localnorm, patches, pool, rearrange, resample, shape, softmax)
NAMED: dict[str, type[Module]] = {
    name: kind
    for room in _ROOMS
    for name, kind in vars(room).items()
    if isinstance(kind, type) and issubclass(kind, Module) and kind.__module__ == room.__name__
}
_OF_FUNCTION = {name.lower(): kind for name, kind in NAMED.items()}
_ARGUMENTS = {
    ("unflatten", "sizes"): "unflattened_size",
}  # of functions; what layers call them

Inputs = tuple[Any, ...]


def layer_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Module, Inputs, str | None]:
    """A layer that does what this call does, its inputs, and the activation that comes after it, if any.

    Raises
    ------
    TraceError
        There is none.
    """
    name = function.__name__
    try:
        bound = inspect.signature(function).bind_partial(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    bound.apply_defaults()
    settings = dict(bound.arguments)
    after = settings.pop("activation", None)
    if name in ("add", "cat", "matmul"):
        return _joint(name, settings), _inputs_of_joint(name, settings), after
    x = settings.pop("x", None)
    settings.pop("return_positions", None)
    settings.pop("return_statistics", None)
    make = _SPECIAL.get(name)
    if make is not None:
        return make(settings), (x,), after
    kind = _OF_FUNCTION.get(name.replace("_", ""))
    if kind is None:
        raise TraceError(f"forward: calls functional.{name}, which no layer does; expected a layer, {_instead(name)}")
    return kind(**{_ARGUMENTS.get((name, each), each): value for each, value in settings.items()}), (x,), after


def _instead(name: str) -> str:
    if "norm" in name:
        return "as BatchNorm2d, which keeps its statistics"
    return "or a backward of your own, as in examples/own_layer.py"


def _joint(name: str, settings: dict[str, Any]) -> Module:
    return joints.Cat(settings["dim"]) if name == "cat" else joints.ARITHMETIC[name]()


def _inputs_of_joint(name: str, settings: dict[str, Any]) -> Inputs:
    return tuple(settings["arrays"]) if name == "cat" else (settings["a"], settings["b"])


def _parameters(name: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    """The weight and the bias, which must be `Parameter`s: an array has no place for its gradient."""
    found = []
    for each in ("weight", "bias"):
        value = settings.get(each)
        if value is not None and not isinstance(value, Parameter):
            raise TraceError(
                f"forward: functional.{name} gets {type(value).__name__} as its {each}; expected the Parameter itself, "
                f"as in self.{each} (not self.{each}.data): an array has no place for a gradient"
            )
        found.append(value)
    return found[0], found[1]


def _linear(settings: dict[str, Any]) -> Module:
    layer = Linear.__new__(Linear)  # without drawing weights, which would change those drawn later
    layer.weight, layer.bias = _parameters("linear", settings)
    layer.out_features, layer.in_features = layer.weight.shape
    return layer


def _convolution(kind: Any, name: str) -> Callable[[dict[str, Any]], Module]:
    check_settings = getattr(check, f"{name}_settings")

    def make(settings: dict[str, Any]) -> Module:
        layer = kind.__new__(kind)
        layer.weight, layer.bias = _parameters(name, settings)
        window = layer.weight.shape[2:]
        numbers = (settings[each] for each in ("stride", "padding", "dilation"))
        found = check_settings(window, *numbers, "zeros")
        layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer._frame = found
        layer.groups, layer.padding_mode = check.integer("groups", settings["groups"], 1), "zeros"
        layer.out_channels, layer.in_channels = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
        return layer

    return make


def _transposed(kind: Any, name: str) -> Callable[[dict[str, Any]], Module]:
    check_settings = getattr(check, f"{name}_settings")

    def make(settings: dict[str, Any]) -> Module:
        layer = kind.__new__(kind)
        layer.weight, layer.bias = _parameters(name, settings)
        numbers = (settings[each] for each in ("stride", "padding", "output_padding", "dilation"))
        found = check_settings(layer.weight.shape[2:], *numbers, "zeros")
        layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation = found
        layer.groups = check.integer("groups", settings["groups"], 1)
        layer.in_channels, layer.out_channels = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
        return layer

    return make


def _embedding(settings: dict[str, Any]) -> Module:
    layer = Embedding.__new__(Embedding)
    layer.weight, _ = _parameters("embedding", settings)
    layer.num_embeddings, layer.embedding_dim = layer.weight.shape
    row = check.padding_row(settings["padding_idx"], layer.num_embeddings)
    layer.padding_idx = None if row < 0 else row
    return layer


def _prelu(settings: dict[str, Any]) -> Module:
    weight, _ = _parameters("prelu", settings)
    layer = PReLU(weight.size, dtype=weight.dtype)
    layer.weight = weight
    return layer


def _layer_norm(settings: dict[str, Any]) -> Module:
    layer = LayerNorm(settings["normalized_shape"], settings["eps"], elementwise_affine=False)
    layer.weight, layer.bias = _parameters("layer_norm", settings)
    return layer


def _group_norm(settings: dict[str, Any]) -> Module:
    weight, bias = _parameters("group_norm", settings)
    if weight is None:
        raise TraceError("forward: functional.group_norm without a weight; expected the layer GroupNorm")
    layer = GroupNorm(settings["num_groups"], weight.size, settings["eps"], affine=False)
    layer.weight, layer.bias = weight, bias
    return layer


def _pad(settings: dict[str, Any]) -> Module:
    sides, value = check.frame("pad", settings["pad"]), settings["value"]
    if settings["mode"] != "constant" or not value:
        return rearrange.Pad(sides, settings["mode"])
    kinds: dict[int, Any] = {2: patches.ConstantPad1d, 4: patches.ConstantPad2d}
    if len(sides) not in kinds:
        raise TraceError(f"forward: functional.pad gets {sides} and value={value!r}; expected one or two axes")
    return kinds[len(sides)](sides, value)


def _dropout(kind: Any) -> Callable[[dict[str, Any]], Module]:
    def make(settings: dict[str, Any]) -> Module:
        if settings.get("key") is not None:
            raise TraceError("forward: dropout gets a key, which would drop the same every time; expected none")
        return kind(settings["p"]) if settings["training"] else shape.Identity()

    return make


def _interpolate(settings: dict[str, Any]) -> Module:
    check.only("antialias", settings.pop("antialias"), (False,))
    return resample.Upsample(**settings)


_SPECIAL: dict[str, Callable[[dict[str, Any]], Module]] = {
    "linear": _linear,
    "conv1d": _convolution(conv.Conv1d, "conv1d"),
    "conv2d": _convolution(conv.Conv2d, "conv2d"),
    "conv_transpose1d": _transposed(conv.ConvTranspose1d, "conv_transpose1d"),
    "conv_transpose2d": _transposed(conv.ConvTranspose2d, "conv_transpose2d"),
    "embedding": _embedding,
    "interpolate": _interpolate,
    "prelu": _prelu,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "pad": _pad,
    "dropout": _dropout(Dropout),
    "dropout2d": _dropout(Dropout2d),
}
