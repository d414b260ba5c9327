"""What a list of recipes says of each."""

from __future__ import annotations

from typing import NamedTuple


class Card(NamedTuple):
    """A system in a few words.

    Attributes
    ----------
    system : its number and name, as "S1: LeNet on MNIST digits"
    data, size : what it learns from, and how large its network is
    time : of a full run on two cores
    published : the figure that its authors reported
    """

    system: str
    data: str
    size: str
    time: str
    published: str
