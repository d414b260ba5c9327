"""The facts about a recipe that the lists of recipes are made from: its systems, their source and published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastnn.recipes._frame.report import Comparison

Figure = float | str
UNKNOWN = "-"  # coursework, whose course is not named


class System(NamedTuple):
    """One of the published systems.

    Attributes
    ----------
    number : as "S2b"
    what : it is, in a few words
    time : of a full run on two cores; empty, if the run of another system is its own
    published : its authors' figures by the name of the measure: a share as a number, anything else as a text
    options : of the recipe's command, where the system needs some
    """

    number: str
    what: str
    time: str
    published: Mapping[str, Figure]
    options: str = ""


class Card(NamedTuple):
    """A recipe in a few words.

    Attributes
    ----------
    source : the course that its systems are from, as "CMPT 412, Simon Fraser University"
    systems : those that it runs, the one that it is named after first
    data, size : what it learns from, and how large its network is
    """

    source: str
    systems: Sequence[System]
    data: str
    size: str

    @property
    def title(self) -> str:
        """As "S1: LeNet on MNIST digits"."""
        return f"{self.systems[0].number}: {self.systems[0].what}"

    def beside(self, number: str, what: str, ours: str) -> Comparison:
        """A row of a report: a figure of ours beside the published one, or beside "-" if nothing was published."""
        figures = [each.published[what] for each in self.systems if each.number == number and what in each.published]
        return Comparison(f"{number}, {what}", shown(figures[0]) if figures else "-", ours)

    def unmeasured(self, number: str) -> list[Comparison]:
        """The published figures of a system that a run shows for its reader, without one of its own."""
        return [
            Comparison(f"{number}, {what}", shown(figure), "")
            for each in self.systems
            if each.number == number
            for what, figure in each.published.items()
        ]


def shown(figure: Figure) -> str:
    """A published figure as a text."""
    return figure if isinstance(figure, str) else percent(figure)


def figures(system: System) -> list[str]:
    """The published figures of a system, each with its measure; "pictures", if there are none."""
    return [f"{what}: {shown(figure)}" for what, figure in system.published.items()] or ["pictures"]


def percent(share: float) -> str:
    """A share as authors write it, as "97.86 %"."""
    return f"{100 * share:.2f} %"
