"""What a model has on its way to a graph: values, nodes, and the graph's nodes that are made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import layers as nn
from fastnn._validate import Array

WITH_WEIGHTS = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "PRelu",
    "Gather",
)
Dims = tuple[int | str | None, ...]


class Refused(Exception):
    """The reason why a node cannot be read."""


@dataclass
class Value:
    """A tensor of the model: a constant, or what a node of the graph gives.

    Attributes
    ----------
    source : its name in the graph; None for a constant
    array : of a constant
    learnt : a constant that is made of weights
    dims : lengths of the axes as far as they are known: numbers, names as of the batch, None; None: nothing is known
    dtype : None: not known
    sketch : of a shape that is worked out, its numbers; a length that is not known has a number below -1 for it
    """

    name: str
    source: str | None = None
    array: Array | None = None
    learnt: bool = False
    dims: Dims | None = None
    dtype: np.dtype[Any] | None = None
    sketch: Array | None = None

    @property
    def ndim(self) -> int | None:
        return None if self.dims is None else len(self.dims)

    @property
    def is_float(self) -> bool:
        """Whether layers take it."""
        return self.dtype in (np.float32, np.float64)

    def length(self, axis: int) -> int | None:
        """Of an axis, if it is known to be always that."""
        found = None if self.dims is None else self.dims[axis]
        return found if isinstance(found, int) else None


@dataclass
class Node:
    """A node of the model. Missing inputs are None; `outputs` are names, and those used by nobody are empty."""

    kind: str
    name: str
    inputs: list[Value | None]
    outputs: list[str]
    attributes: dict[str, Any]
    opset: int

    def input(self, place: int) -> Value | None:
        return self.inputs[place] if place < len(self.inputs) else None

    def constant(self, place: int) -> Array | None:
        """The array of an input; None if it is none, or left out."""
        value = self.input(place)
        return None if value is None else value.array

    def has(self, place: int) -> bool:
        return self.input(place) is not None

    def x(self) -> Value:
        """The first input."""
        value = self.input(0)
        if value is None:
            raise Refused("has no input")
        return value

    @property
    def used(self) -> int:
        """How many outputs there are, up to the last that is used."""
        return max((place + 1 for place, name in enumerate(self.outputs) if name), default=0)


@dataclass
class Building:
    """The nodes of the graph so far, and the arrays that were made for it.

    Attributes
    ----------
    left : how many bytes of arrays the model may still make
    uses : how often each tensor of the model is used
    """

    left: int
    uses: dict[str, int]
    nodes: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    parameters: dict[tuple[str, str], nn.Parameter] = field(default_factory=dict)
    sources: dict[tuple[str, bool], str] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)  # numbers for lengths that are not known
    symbols_by_number: list[str] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)  # beside the model, that arrays were read from
    counts: dict[str, int] = field(default_factory=dict)  # of nodes that wanted a name

    def number_of(self, length: int | str | None) -> int:
        """What stands for a length in a sketch; for one that has no name, a number that no other has."""
        if isinstance(length, int):
            return length
        name = length or f"\0{len(self.symbols)}"
        if name not in self.symbols:
            self.symbols[name] = -2 - len(self.symbols)
            self.symbols_by_number.append(name)
        return self.symbols[name]

    def length_of(self, number: int) -> int | str | None:
        if number >= 0:
            return number
        return None if number == -1 else self.symbols_by_number[-2 - number]

    def claim(self, size: int, dtype: Any = np.float32) -> None:
        """Have room for an array of that many numbers."""
        self.left -= int(size) * np.dtype(dtype).itemsize
        if self.left < 0:
            raise Refused("makes arrays that are much larger than the file; expected max_bytes, if that is meant")

    def claim_of_file(self, file: Path, size: int) -> None:
        """Have room for an array of that many bytes in a file beside the model, which may have as many as it holds."""
        if file not in self.files:
            self.files.add(file)
            self.left += file.stat().st_size
        self.claim(size, np.int8)

    def name(self, wanted: str) -> str:
        """A name for a node of the graph, which no other has."""
        plain = re.sub(r"\.{2,}", ".", re.sub(r"[^\w.-]+", ".", wanted)).strip(".") or "node"
        name = plain
        while name in self.taken:
            self.counts[plain] = self.counts.get(plain, 1) + 1
            name = f"{plain}_{self.counts[plain]}"
        self.taken.add(name)
        return name

    def put(self, node: Node, module: nn.Module, *values: Value, after: str = "") -> str:
        """Add a node; returns its name. `after` is for one of several that stand for a node of the model."""
        return self.put_from(node, module, *(self.source(value) for value in values), after=after)

    def put_from(self, node: Node, module: nn.Module, *sources: str, after: str = "") -> str:
        name = self.name(self._owner(node) + after)
        self.nodes[name] = (module, *sources)
        return name

    def _owner(self, node: Node) -> str:
        """What its layer is called in the state dict: ``fc`` if the weight is ``fc.weight``."""
        for value in node.inputs[1:2]:
            if value is not None and value.array is not None and value.name.endswith(".weight"):
                return value.name.removesuffix(".weight")
        owner, _, last = node.name.rpartition("/")  # as PyTorch names nodes: /features/0/Conv
        return owner if owner.strip("/") and last == node.kind and node.kind in WITH_WEIGHTS else node.name

    def source(self, value: Value, learnt: bool = False) -> str:
        """The name of a value in the graph; a constant is a node from now on, and a parameter if it is `learnt`."""
        if value.array is None:
            if value.source is None:
                raise Refused(f"takes {value.name!r}, which nothing gives")
            return value.source
        learnt = learnt and value.is_float
        key = value.name, learnt
        if key not in self.sources:
            name = self.name(value.name)
            held = self.parameter(value) if learnt else nn.Buffer(value.array)
            self.nodes[name] = (nn.Constant(held),)
            self.sources[key] = name
        return self.sources[key]

    def parameter(self, value: Value, form: str = "", array: Array | None = None) -> nn.Parameter:
        """The parameter of a constant, one for all layers that share it; `array` in another `form`, as transposed."""
        key = value.name, form
        if key not in self.parameters:
            found = value.array if array is None else array
            assert found is not None
            if not (found.flags.owndata and found.flags.writeable and found.flags.c_contiguous):
                self.claim(found.size, found.dtype)
                found = np.array(found, order="C")
            self.parameters[key] = nn.Parameter(found)
        return self.parameters[key]
