"""What a network is made of, as JSON can say it, and the network that is made of that again.

Only fastnn's own layers, containers and graphs can be said. A description names classes and settings, never code. It
comes with the arrays of the network, and no layer is made before its arrays are known to have the sizes that its
settings ask for: so a description that lies cannot make a network that is larger than its arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fastnn import _runtime, layers
from fastnn._validate import Array
from fastnn.layers.joints import Constant
from fastnn.layers.module import Module
from fastnn.layers.parameter import Buffer, Held, Parameter

Description = dict[str, Any]
Shapes = dict[str, tuple[Any, ...]]
Restore = Callable[[Any, dict[str, Array]], Module]

FORMAT = 1
_NOT_DESCRIBED = ("Module", "ModuleList", "ModuleDict")
_LEFT_OUT = ("device", "dtype")  # of arguments: the arrays say them
_TIMES = 100  # how often the arrays of a file may be used: each layer draws weights of its own first


def _norm(s: Mapping[str, Any], channels: str, statistics: bool = True) -> Shapes:
    C = (s[channels],)
    learnt = _weight(s, C, s[channels]) if s["affine"] else {}
    kept = {"running_mean": C, "running_var": C, "num_batches_tracked": ()}
    return learnt | (kept if statistics and s["track_running_stats"] else {})


def _weight(s: Mapping[str, Any], shape: tuple[Any, ...], outputs: Any) -> Shapes:
    return {"weight": shape} | ({"bias": (outputs,)} if s["bias"] else {})


def _convolution(s: Mapping[str, Any]) -> Shapes:
    shape = s["out_channels"], s["in_channels"] // s["groups"], *s["kernel_size"]
    return _weight(s, shape, s["out_channels"])


def _transposed(s: Mapping[str, Any]) -> Shapes:
    shape = s["in_channels"], s["out_channels"] // s["groups"], *s["kernel_size"]
    return _weight(s, shape, s["out_channels"])


def _layer_norm(s: Mapping[str, Any]) -> Shapes:
    shape = tuple(s["normalized_shape"])
    learnt = {"weight": shape} | ({"bias": shape} if s["bias"] else {})
    return learnt if s["elementwise_affine"] else {}


# The arrays of layers with these settings. A layer that has arrays, and is not here, cannot be described.
_SHAPES: dict[str, Callable[[Mapping[str, Any]], Shapes]] = {
    "BatchNorm1d": lambda s: _norm(s, "num_features"),
    "BatchNorm2d": lambda s: _norm(s, "num_features"),
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "ConvTranspose1d": _transposed,
    "ConvTranspose2d": _transposed,
    "Embedding": lambda s: {"weight": (s["num_embeddings"], s["embedding_dim"])},
    "GroupNorm": lambda s: _norm(s, "num_channels", statistics=False),
    "InstanceNorm2d": lambda s: _norm(s, "num_features"),
    "LayerNorm": _layer_norm,
    "Linear": lambda s: _weight(s, (s["out_features"], s["in_features"]), s["out_features"]),
    "PReLU": lambda s: {"weight": (s["num_parameters"],)},
}


class NotDescribed(Exception):
    """The reason why a network cannot be described."""


def describe(net: Module) -> tuple[Description, dict[str, Array]]:
    """What a network is made of, and its arrays by their names, each once.

    Raises
    ------
    NotDescribed
        A layer is of a class that is not fastnn's, or cannot be described.
    """
    first: dict[int, str] = {}
    tied: dict[str, str] = {}
    arrays: dict[str, Array] = {}
    frozen = []
    for name, held in net.named_arrays():
        if id(held) in first:
            tied[name] = first[id(held)]
            continue
        first[id(held)], arrays[name] = name, held.data
        if isinstance(held, Parameter) and not held.requires_grad:
            frozen.append(name)
    described = {"format": FORMAT, "network": _described(net, "", arrays), "tied": tied, "frozen": frozen}
    return described, arrays


def _described(layer: Module, name: str, arrays: dict[str, Array]) -> Description:
    """The description of one layer; arrays that are no parameter or buffer of it are added to `arrays`."""
    kind = type(layer).__name__
    place = f"layer {name} ({kind})" if name else kind
    if hasattr(layer, "described") and type(layer).__module__.startswith("fastnn."):
        return _described_by_itself(layer, name, place, arrays)
    if type(layer) is not Constant and (getattr(layers, kind, None) is not type(layer) or kind in _NOT_DESCRIBED):
        instead = "; expected fastnn's own: fastnn.trace makes a Graph of a module" if layer.is_traced else ""
        raise NotDescribed(f"{place}: is of a class that a file cannot hold{instead}")
    found: Description = {"class": kind} if layer.training else {"class": kind, "eval": True}

    def inner(part: str, child: Module) -> Description:
        return _described(child, f"{name}.{part}".lstrip("."), arrays)

    match layer:
        case Constant():
            kept = {} if layer.value.persistent else {"persistent": False}
            return found | {"learnt": isinstance(layer.value, Parameter)} | kept
        case layers.Graph():
            return found | _graph(layer, inner)
        case layers.Residual():
            return found | {part: inner(part, child) for part, child in layer.named_children()}
        case layers.Sequential() | layers.Concat():
            children = [[part, inner(part, child)] for part, child in layer.named_children()]
            return found | {"layers": children} | ({"dim": layer.dim} if isinstance(layer, layers.Concat) else {})
    return found | {"settings": _settings(layer, place)}


def _described_by_itself(layer: Any, name: str, place: str, arrays: dict[str, Array]) -> Description:
    """Of a layer that stands above this room, and says what it is: `build` gets the way back."""
    try:
        settings, own = layer.described()
    except TypeError as reason:
        raise NotDescribed(f"{place}: {reason}") from None
    names = {}
    for part, array in own.items():
        free = f"{name}.{part}".lstrip(".")
        while free in arrays:
            free += "_"
        names[part], arrays[free] = free, array
    found = {"class": type(layer).__name__, "settings": settings, "arrays": names}
    return found if layer.training else found | {"eval": True}


def _graph(graph: Any, inner: Callable[[str, Module], Description]) -> Description:
    at: dict[int, str] = {}
    nodes = []
    for name, (module, *sources) in graph.nodes().items():
        same = at.setdefault(id(module), name)
        nodes.append([name, inner(name, module) if same == name else same, sources])
    return {"inputs": list(graph.inputs), "outputs": list(graph.outputs), "nodes": nodes}


def _settings(layer: Module, place: str) -> Description:
    """The arguments of its class; a layer keeps each under its name."""
    if next(layer.named_arrays(), None) is not None and type(layer).__name__ not in _SHAPES:
        raise NotDescribed(f"{place}: is a layer with arrays that a file cannot hold yet")
    found = {}
    for name in inspect.signature(type(layer)).parameters:
        if name not in _LEFT_OUT and hasattr(layer, name):
            value = getattr(layer, name)
            found[name] = value is not None if name == "bias" else _plain(value, place)
    return found


def _plain(value: Any, place: str) -> Any:
    if value is ...:
        return {"rest": True}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if isinstance(value, tuple | list):
        return [_plain(each, place) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int | float | str | None):
        return value
    raise NotDescribed(f"{place}: has the setting {value!r}, which a file cannot hold")


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unplain(each) for each in value)
    if isinstance(value, dict):
        return slice(*value["slice"]) if "slice" in value else ...
    return value


def build(described: Any, arrays: Mapping[str, Array], restore: Mapping[str, Restore]) -> Module:
    """The network of a description and its arrays, which it takes as they are.

    Parameters
    ----------
    restore : for each class of layers that describe themselves, what makes one of its settings and arrays

    Raises
    ------
    Exception
        Of whatever kind: they do not fit each other, or are not what `describe` gives.
    """
    if described["format"] != FORMAT:
        raise ValueError(f"is of format {described['format']!r}; this version reads {FORMAT}")
    state = _runtime.generator().bit_generator.state
    try:
        building = _Building(arrays, dict(described["tied"]), restore)
        net = building.module(described["network"], "")
    finally:
        _runtime.generator().bit_generator.state = state  # weights were drawn in vain
    left = set(arrays) - set(building.held) - building.given
    if left:
        raise ValueError(f"holds {min(left)}, which is nowhere in the network")
    for name in described["frozen"]:
        building.held[name].requires_grad = False  # type: ignore[attr-defined]
    return net


def _is_module(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Module)


class _Building:
    """A network that is being made."""

    def __init__(self, arrays: Mapping[str, Array], tied: Mapping[str, str], restore: Mapping[str, Restore]) -> None:
        self.arrays, self.tied, self.restore = arrays, tied, restore
        self.given: set[str] = set()  # names of arrays that layers have which describe themselves
        self.held: dict[str, Held] = {}
        self.left = _TIMES * sum(array.size for array in arrays.values())  # numbers that layers may have together

    def module(self, described: Any, name: str) -> Module:
        kind = described["class"]
        if kind == "Constant":
            module = self._constant(name, bool(described["learnt"]), bool(described.get("persistent", True)))
        elif kind in self.restore:
            own = {part: self.arrays[source] for part, source in described["arrays"].items()}
            self.given |= set(described["arrays"].values())
            module = self.restore[kind](described["settings"], own)
        elif kind in _NOT_DESCRIBED or kind not in layers.__all__ or not _is_module(getattr(layers, kind)):
            raise ValueError(f"holds a {str(kind)[:40]!r}, which is no layer of fastnn's")
        elif kind == "Graph":
            module = self._graph(described, name)
        elif kind == "Residual":
            body, shortcut = (
                described.get(part) and self._part(described, part, name) for part in ("body", "shortcut")
            )
            module = layers.Residual(body, shortcut)
        elif kind in ("Sequential", "Concat"):
            module = self._list(described, kind, name)
        else:
            module = self._layer(getattr(layers, kind), kind, described["settings"], name)
        if described.get("eval"):
            module.training = False
        return module

    def _part(self, described: Any, part: str, name: str) -> Module:
        return self.module(described[part], f"{name}.{part}".lstrip("."))

    def _list(self, described: Any, kind: str, name: str) -> Module:
        children = {part: self.module(inner, f"{name}.{part}".lstrip(".")) for part, inner in described["layers"]}
        if kind == "Sequential":
            return layers.Sequential(children)
        concat = layers.Concat(list(children.values()), described["dim"])
        concat._take(concat.layers, {part: child for part, child in children.items() if not part.isdecimal()})
        return concat

    def _graph(self, described: Any, name: str) -> Module:
        modules: dict[str, Module] = {}
        nodes = {}
        for node, inner, sources in described["nodes"]:
            same = isinstance(inner, str)
            modules[node] = modules[inner] if same else self.module(inner, f"{name}.{node}".lstrip("."))
            nodes[node] = (modules[node], *sources)
        return layers.Graph(nodes, tuple(described["inputs"]), tuple(described["outputs"]))

    def _constant(self, name: str, learnt: bool, persistent: bool) -> Module:
        source = self.tied.get(name, name)
        if source not in self.held:
            array = self.arrays[source]
            self.held[source] = Parameter(array) if learnt else Buffer(array, persistent)
        return Constant(self.held[source])  # type: ignore[arg-type]

    def _layer(self, kind: Any, label: str, plain: Any, name: str) -> Module:
        settings = {each: _unplain(value) for each, value in plain.items()}
        arguments = inspect.signature(kind).parameters
        shapes = _SHAPES[label](settings) if "dtype" in arguments else {}
        names = {each: self._source(f"{name}.{each}".lstrip(".")) for each in shapes}
        for each, shape in shapes.items():
            if self.arrays[names[each]].shape != shape:
                came = self.arrays[names[each]].shape
                raise ValueError(f"holds {names[each]} of shape {came}, where a {label} needs {shape}")
        self.left -= sum(self.arrays[source].size for source in names.values())
        if self.left < 0:
            raise ValueError(f"has layers of more than {_TIMES} times as many numbers as it holds")
        floats = [self.arrays[source].dtype for source in names.values() if self.arrays[source].dtype.kind == "f"]
        if floats:
            settings["dtype"] = floats[0]
        rest = [p.name for p in arguments.values() if p.kind is p.VAR_POSITIONAL and p.name in settings]
        layer = kind(*settings.pop(rest[0])) if rest else kind(**settings)
        for each, held in list(vars(layer).items()):
            if isinstance(held, Held):
                self._fill(layer, each, held, names[each])
        return layer

    def _source(self, name: str) -> str:
        return self.tied.get(name, name)

    def _fill(self, layer: Module, attribute: str, held: Held, source: str) -> None:
        """Give a layer the array of a file, or what another layer has of it."""
        if source in self.held:
            if self.held[source].data.dtype != held.data.dtype:
                came, wanted = self.held[source].data.dtype, held.data.dtype
                raise ValueError(f"holds {source} of {came}, which a layer of {wanted} shares")
            setattr(layer, attribute, self.held[source])
            return
        held.become(source, self.arrays[source])
        self.held[source] = held
