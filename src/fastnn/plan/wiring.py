"""A network of any acyclic form: which module gets which values, forward, backward, and as few calls as there can be.

Values are numbered: first the inputs, then what each node gives. Nodes are in an order in which they can run::

    value 0      x
    node 0       Conv2d(0)        value 1
    node 1       ReLU(1)          value 2
    node 2       Conv2d(2)        value 3
    node 3       Add(3, 0)        value 4
    node 4       ReLU(4)          value 5

In train mode, nodes that only hand a value on to one another are a *link*, which `Pairs` runs as it runs a
`Sequential`; here nodes 0 to 2 are one, and nodes 3 and 4 another. Gradients of a value that several nodes use are
summed.

In eval mode the nodes are cut wherever all that comes later needs one value alone. What lies between two cuts is one
module, or a *knot* of several; `Inference` takes them for the layers of a chain, and knows how to run neighbours in one
call. A knot writes its steps down as a layer does. One that cannot is run link by link.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import fastnn._kernels._plan_watch as _plan_watch
from fastnn import functional
from fastnn.plan.contract import NoPlan
from fastnn.plan.fusion import Pairs
from fastnn.plan.inference import NOT_COMPUTED_WITH, Inference
from fastnn.plan.knot import Knot
from fastnn.plan.steps import Mark, Steps

CHANGING = (*NOT_COMPUTED_WITH, "stream", "step")  # attributes that no graph comes from
Values = tuple[Any, ...]


class Source(NamedTuple):
    """A value that goes into a node; of a value that is a tuple, a part of it."""

    value: int
    part: int | None = None


class Node(NamedTuple):
    """A module, and the values that it is called with. A module may be at several nodes."""

    name: str
    module: Any
    sources: tuple[Source, ...]


class Link:
    """Nodes of which each hands its value on to the next alone.

    Attributes
    ----------
    places : list of the nodes' places
    modules : list of their modules
    sources : of the first
    value : of the last
    shared : modules inside that are in other nodes too: what they keep for a backward is taken from them
    ends : values that nobody needs afterwards
    """

    def __init__(self, place: int, node: Node, value: int) -> None:
        self.places, self.modules, self.sources, self.value = [place], [node.module], node.sources, value
        self.shared: list[Any] = []
        self.ends: list[int] = []
        self._pairs: Pairs | None = None
        self._inference: Inference | None = None

    def extend(self, place: int, node: Node, value: int) -> None:
        self.places.append(place)
        self.modules.append(node.module)
        self.value = value

    @property
    def pairs(self) -> Pairs:
        if self._pairs is None:
            self._pairs = Pairs(tuple(self.modules))
        return self._pairs

    @property
    def inference(self) -> Inference:
        """Of all its modules but a first one that takes several values."""
        if self._inference is None:
            self._inference = Inference(tuple(self.modules[len(self.sources) != 1 :]))
        return self._inference

    def forward(self, taken: Values) -> Any:
        """In train mode."""
        if len(taken) == 1:
            return self.pairs.forward(taken[0])
        if self.modules[0].joins:
            return self.pairs.forward(taken)
        return self.modules[0](*taken)

    def infer(self, taken: Values) -> Any:
        """In eval mode."""
        if len(taken) == 1:
            return self.inference(taken[0])
        y = self.modules[0](*taken)
        return self.inference(y) if len(self.modules) > 1 else y

    def backward(self, dy: Any, accumulate: bool, needs_dx: bool) -> Values:
        """The gradients of what it took."""
        if not self.sources:
            self.modules[0].backward(dy, accumulate)
            return ()
        first = 0 if needs_dx else next(i for i, module in enumerate(self.modules) if module.learns())
        dx = self.pairs.backward(dy, accumulate, needs_dx, first)
        return dx if isinstance(dx, tuple) else (dx,)

    def learns(self) -> bool:
        return any(module.learns() for module in self.modules)


Kept = list[list[tuple[Any, Any]] | None]  # for each link, what its shared modules kept for a backward


class Wiring:
    """Modules, and the values that go from one to the other.

    Parameters
    ----------
    inputs : how many there are
    nodes : in an order in which they can run; each gives something that is needed
    outputs : the values that come out
    """

    def __init__(self, inputs: int, nodes: Iterable[Node], outputs: Iterable[Source]) -> None:
        self.inputs, self.nodes, self.outputs = inputs, tuple(nodes), tuple(outputs)
        self.last_use = self._last_uses()
        self.links = self._linked()
        self._stages: list[Any] | None = None

    def _last_uses(self) -> list[int]:
        """For each value, the place of the last node that takes it; behind all of them for an output."""
        last = [-1] * (self.inputs + len(self.nodes))
        for place, node in enumerate(self.nodes):
            for source in node.sources:
                last[source.value] = place
        for source in self.outputs:
            last[source.value] = len(self.nodes)
        return last

    def _linked(self) -> list[Link]:
        uses = [0] * len(self.last_use)
        for source in (*(source for node in self.nodes for source in node.sources), *self.outputs):
            uses[source.value] += 1
        count = self._counts()
        open_links: dict[int, Link] = {}  # by their value
        links: list[Link] = []
        for place, node in enumerate(self.nodes):
            value = self.inputs + place
            alone = len(node.sources) == 1 and not node.module.joins  # a joint gives a tuple of gradients
            alone &= not any(count[id(each)] > 1 and _changes(each) for each in node.module.modules())
            link = open_links.pop(node.sources[0].value, None) if alone else None
            if link is None or node.sources[0].part is not None or _overlap(link.modules, node.module):
                link = Link(place, node, value)
                links.append(link)
            else:
                link.extend(place, node, value)
            if uses[value] == 1 and node.sources and (len(node.sources) == 1 or node.module.joins):
                open_links[value] = link
        self._find_shared(links)
        self._find_ends(links)
        return links

    def _counts(self) -> dict[int, int]:
        """For each module, by its `id`, in how many nodes it is."""
        count: dict[int, int] = {}
        for node in self.nodes:
            for each in {id(module) for module in node.module.modules()}:
                count[each] = count.get(each, 0) + 1
        return count

    def _find_shared(self, links: list[Link]) -> None:
        count = self._counts()
        for link in links:
            inside = (inner for module in link.modules for inner in module.modules())
            link.shared = [inner for inner in inside if count[id(inner)] > 1]

    def _find_ends(self, links: list[Link]) -> None:
        seen = {source.value for source in self.outputs}
        for link in reversed(links):
            used = {source.value for source in link.sources}
            link.ends = [value for value in used if value not in seen]
            seen |= used

    def modules(self) -> Iterator[Any]:
        """All modules, each once, with the modules inside them."""
        seen: set[int] = set()
        for node in self.nodes:
            for module in node.module.modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    yield module

    def forward(self, inputs: Values) -> tuple[Values, Kept]:
        """The outputs in train mode, and what `backward` needs besides what the modules keep."""
        kept: Kept = []
        values = dict(enumerate(inputs))
        for link in self.links:
            values[link.value] = link.forward(_taken(values, link.sources))
            kept.append([(each, each._kept) for each in link.shared] if link.shared else None)
            for value in link.ends:
                del values[value]
        return _taken(values, self.outputs), kept

    def backward(self, gradients: Values, kept: Kept, accumulate: bool, needs_dx: bool) -> Values:
        """The gradients of the inputs, from those of the outputs."""
        wanted = self._wanted(needs_dx)
        flowing: dict[int, Any] = {}
        for source, dy in zip(self.outputs, gradients, strict=True):
            self._give(flowing, source, dy)
        for link, stored in zip(reversed(self.links), reversed(kept), strict=True):
            dy = flowing.pop(link.value, None)
            if dy is None or not wanted[link.value]:
                continue
            for module, value in stored or ():
                module.__dict__["_kept"] = value
            if isinstance(dy, dict):
                dy = tuple(map(dy.get, range(max(dy) + 1)))
            needs = any(wanted[source.value] for source in link.sources)
            for source, dx in zip(link.sources, link.backward(dy, accumulate, needs), strict=False):
                if dx is not None and wanted[source.value]:
                    self._give(flowing, source, dx)
        return tuple(flowing.get(value) for value in range(self.inputs))

    def _wanted(self, needs_dx: bool) -> list[bool]:
        """Whether the gradient of each value is: because something before it learns, or the inputs' are wanted."""
        wanted = [needs_dx] * len(self.last_use)
        for link in self.links if not needs_dx else ():
            wanted[link.value] = any(wanted[source.value] for source in link.sources) or link.learns()
        return wanted

    def _give(self, flowing: dict[int, Any], source: Source, dy: Any) -> None:
        """Add `dy` to the gradient of a value; of a value in parts, the gradient is a dict of theirs."""
        value, part = source
        if part is None:
            flowing[value] = dy if value not in flowing else functional.add(flowing[value], dy)
            return
        parts = flowing.setdefault(value, {})
        parts[part] = dy if part not in parts else functional.add(parts[part], dy)

    def infer(self, inputs: Values) -> Values:
        """The outputs in eval mode."""
        if self._stages is None:
            self._stages = self._cut()
        for stage in self._stages:
            inputs = (stage(inputs[0]),) if stage.__class__ is Inference else stage.by_links(inputs)
        return inputs

    def by_links(self, inputs: Values) -> Values:
        """The outputs in eval mode, link by link."""
        values = dict(enumerate(inputs))
        for link in self.links:
            values[link.value] = link.infer(_taken(values, link.sources))
            for value in link.ends:
                del values[value]
        return _taken(values, self.outputs)

    def _cut(self) -> list[Any]:
        """What is run one after the other: wirings at the ends where several values come in or go out, and chains."""
        stages: list[Any] = []
        chain: list[Any] = []
        regions = self._regions()
        for number, (first, last, entry) in enumerate(regions):
            at_end = number == len(regions) - 1
            leaves = self.outputs if at_end else (Source(self.inputs + last),)
            inner = self._part(first, last + 1, entry, leaves)
            if len(entry) != 1 or (at_end and not inner.is_one_to_one()):
                stages += [Inference(tuple(chain)), inner] if chain else [inner]
                chain = []
            else:
                chain.append(inner.as_layer(False))
        return [*stages, Inference(tuple(chain))] if chain else stages or [self]

    def chain(self) -> tuple[Any, ...] | None:
        """The layers, in train mode, that are the same one after the other; None: there is but one, or no one input."""
        if not self.is_one_to_one():
            return None
        regions = self._regions()
        parts = (self._part(first, last + 1, entry, [Source(self.inputs + last)]) for first, last, entry in regions)
        return tuple(part.as_layer(True) for part in parts) if len(regions) > 1 else None

    def as_layer(self, training: bool) -> Any:
        """Its only module, or a knot, of a wiring that is `is_one_to_one`."""
        alone = len(self.nodes) == 1 and self.nodes[0].sources == (Source(0),)
        return self.nodes[0].module if alone else Knot(self, training)

    def _regions(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """First node, last node and values that come in, of each part between cuts."""
        in_parts = {source.value for node in self.nodes for source in node.sources if source.part is not None}
        in_parts |= {source.value for source in self.outputs if source.part is not None}
        live = {value for value in range(self.inputs) if self.last_use[value] >= 0}
        ends: dict[int, list[int]] = {}
        for value, place in enumerate(self.last_use):
            ends.setdefault(place, []).append(value)
        regions, first, entry = [], 0, tuple(range(self.inputs))
        for place in range(len(self.nodes)):
            value = self.inputs + place
            live.difference_update(ends.get(place, ()))
            live.add(value)
            if len(live) == 1 and value not in in_parts and place < len(self.nodes) - 1:
                regions.append((first, place, entry))
                first, entry = place + 1, (value,)
        if self.nodes:
            regions.append((first, len(self.nodes) - 1, entry))
        return regions

    def _part(self, first: int, end: int, entry: tuple[int, ...], leaves: Iterable[Source]) -> Wiring:
        """The nodes from `first` on, before `end`, as a wiring of their own."""
        number = {value: place for place, value in enumerate(entry)}
        number |= {self.inputs + place: len(entry) + place - first for place in range(first, end)}

        def moved(sources: Iterable[Source]) -> tuple[Source, ...]:
            return tuple(Source(number[value], part) for value, part in sources)

        nodes = [Node(name, module, moved(sources)) for name, module, sources in self.nodes[first:end]]
        return Wiring(len(entry), nodes, moved(leaves))

    def is_one_to_one(self) -> bool:
        """Whether one value comes in, and the last node's goes out."""
        return self.inputs == 1 and self.outputs == (Source(len(self.nodes)),)

    def plan(self, steps: Steps) -> None:
        """Write down the steps of all nodes, as a layer does.

        Only a value that is needed later than right away is marked: nothing is fused into a step whose value is. A
        node of several outputs is written once for each part that is needed.
        """
        if not self.is_one_to_one():
            raise NoPlan("several values come in or go out")
        parts = {source for node in self.nodes for source in node.sources if source.part is not None}
        marks: dict[Source, Mark] = {}
        here = Source(0)
        for place, node in enumerate(self.nodes):
            if not node.sources:
                raise NoPlan(f"{node.name} takes no value")
            first, *others = node.sources
            if self.last_use[here.value] > place or first != here or here in others:
                marks.setdefault(here, steps.here())
            if first != here:
                steps.go_back(marks[first])
            here = Source(self.inputs + place)
            given = sorted(each for each in parts if each.value == here.value)
            if not given:
                steps.write(node.module, *(marks[each] for each in others))
                continue
            before = steps.here()
            for here in given:
                steps.go_back(before)
                steps.write(node.module, here.part)
                marks[here] = steps.here()


def watch(modules: Iterable[Any]) -> Any:
    """True while the modules have the attributes that they have now: the same objects under all names."""
    found = list(modules)
    for module in found:
        vars(module).setdefault("_kept", None)  # an attribute that comes later would be a change
    return _plan_watch.Unchanged(found, CHANGING)


def _taken(values: dict[int, Any], sources: Iterable[Source]) -> Values:
    return tuple(values[value] if part is None else values[value][part] for value, part in sources)


def _changes(module: Any) -> bool:
    """Whether a call changes what the next one does: statistics, or the number of a mask. So calls stay in order."""
    return hasattr(module, "stream") or next(module.named_buffers(), None) is not None


def _overlap(modules: Iterable[Any], module: Any) -> bool:
    """Whether a module is, or has inside, one of those that are in `modules`."""
    inside = {id(each) for each in module.modules()}
    return any(id(inner) in inside for each in modules for inner in each.modules())
