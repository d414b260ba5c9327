"""What the nodes of torch.fx's graphs stand for, while a `Graph` is made of them."""

from __future__ import annotations

from typing import Any, NamedTuple

EXAMPLE = "expected an example of the inputs: from_torch(module, x)"


class Unknown(Exception):
    """An operation has no form in a graph."""


class Value:
    """A tensor: a value of the graph, or an array of the module that no node has yet.

    Attributes
    ----------
    name : of the node that gives it, as ``"split[0]"`` for a part
    batched : whether its first axis is the batch's, and can have any length
    shape : for the examples, or None where there are none
    held : Parameter, Buffer or None
    target : the name of the array in the module
    """

    def __init__(
        self, name: str, batched: bool, shape: tuple[int, ...] | None, held: Any = None, target: str = ""
    ) -> None:
        self.name, self.batched, self.shape, self.held, self.target = name, batched, shape, held, target


class Parts(NamedTuple):
    """What a split gives: a tuple of values."""

    whole: Value
    length: int | None
    shapes: Any

    def part(self, place: int) -> Value:
        if place < 0:
            if self.length is None:
                raise Unknown("takes a part by its number from the end; expected one from the front")
            place += self.length
        shape = self.shapes[place] if self.shapes and place < len(self.shapes) else None
        return Value(f"{self.whole.name}[{place}]", self.whole.batched, shape)

    def all(self) -> tuple[Value, ...]:
        if self.length is None:
            raise Unknown(f"uses all parts of a split; {EXAMPLE}")
        return tuple(self.part(place) for place in range(self.length))


class Shape(NamedTuple):
    """The lengths of a value."""

    value: Value

    def axis(self, place: int) -> Length:
        shape = self.value.shape
        if place < 0 and shape is not None:
            place += len(shape)
        return Length(self.value, place)

    def cut(self, places: slice) -> tuple[Length, ...]:
        if self.value.shape is None:
            raise Unknown(f"cuts a shape; {EXAMPLE}")
        return tuple(Length(self.value, axis) for axis in range(*places.indices(len(self.value.shape))))


class Length(NamedTuple):
    """The length of an axis, times a number. That of the batch is no number: a graph is for batches of any size."""

    value: Value
    place: int
    times: int = 1

    @property
    def is_of_batch(self) -> bool:
        return self.place == 0 and self.value.batched

    @property
    def number(self) -> int | None:
        if self.is_of_batch or self.value.shape is None:
            return None
        return self.value.shape[self.place] * self.times

    @property
    def text(self) -> str:
        return "the number of examples in the batch" if self.is_of_batch else f"the length of axis {self.place}"

    @property
    def remedy(self) -> str:
        if self.is_of_batch:
            return "expected it in a view or reshape alone: a graph is for batches of any size"
        return EXAMPLE
