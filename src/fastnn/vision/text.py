"""The text of a photograph: its marks found, put in lines and words, and read by a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fastnn.vision.lines import find_lines, words
from fastnn.vision.marks import Mark, find_marks
from fastnn.vision.normalise import like_nist

_LOW = 0.35  # of the usual height: lower marks are full stops, commas, hyphens
_TWINS = {"O": "0", "I": "1", "Z": "2", "S": "5"}  # letters and digits that look alike


class Text(NamedTuple):
    """What is written on a photograph.

    Attributes
    ----------
    text : lines with "\\n" between them, words with " "
    marks : those that were read, one for each character that is no space
    """

    text: str
    marks: list[Mark]

    @property
    def characters(self) -> str:
        """The character of each mark: the text without spaces and ends of lines."""
        return "".join(self.text.split())


def read_lines(image: np.ndarray, classify: Callable[[np.ndarray], Sequence[str]], *, context: bool = True) -> Text:
    """Read the text of a photograph.

    Parameters
    ----------
    image : (H, W) or (1, H, W) grey, or (3, H, W) colour, in 0..1; dark on light
    classify : the character of each image of (N, 1, 32, 32), float32, which are as `like_nist` makes them
    context : decide between O and 0, I and 1, Z and 2, S and 5 by the rest of the word, as `by_context` does

    Returns
    -------
    text : Text, empty where nothing is written

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.vision import read_lines
    >>> page = np.ones((60, 90))
    >>> page[20:40, 20:24] = page[20:40, 50:54] = 0
    >>> read_lines(page, lambda images: "I" * len(images)).text
    'I I'
    """
    marks = find_marks(image)
    heights = np.array([mark.box.bottom - mark.box.top for mark in marks])
    high = [mark for mark, height in zip(marks, heights, strict=True) if height > _LOW * np.median(heights)]
    if not high:
        return Text("", [])
    lines = words(find_lines(high))
    ordered = [mark for line in lines for word in line for mark in word]
    read = iter(classify(np.stack([like_nist(mark.ink) for mark in ordered])[:, None]))
    text = "\n".join(" ".join("".join(next(read) for _ in word) for word in line) for line in lines)
    return Text(by_context(text) if context else text, ordered)


def by_context(text: str) -> str:
    """A text in whose words O and 0, I and 1, Z and 2, S and 5, which look alike, are as most of the others are.

    In a word with more other letters than other digits they are letters, in one with more other digits they are digits;
    elsewhere they stay.

    Examples
    --------
    >>> from fastnn.vision import by_context
    >>> by_context("L15T 2O26 1O")
    'LIST 2026 1O'
    """
    return re.sub(r"\S+", lambda word: _word_by_context(word[0]), text)


def _word_by_context(word: str) -> str:
    others = [sign for sign in word if sign not in _TWINS and sign not in _TWINS.values()]
    letters, digits = sum(map(str.isalpha, others)), sum(map(str.isdigit, others))
    if letters == digits:
        return word
    pair = "".join(_TWINS), "".join(_TWINS.values())
    return word.translate(str.maketrans(*(pair[::-1] if letters > digits else pair)))
