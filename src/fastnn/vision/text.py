"""The text of a photograph: its marks found, put in lines and words, and read by a network."""

from __future__ import annotations

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
    characters : the same without what is between them: the character of each mark
    marks : those that were read, in the order of `characters`
    """

    text: str
    characters: str
    marks: list[Mark]


def read_lines(
    image: np.ndarray, classify: Callable[[np.ndarray], Sequence[str]], *, context: bool = True
) -> Text:
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
        return Text("", "", [])
    lines = words(find_lines(high))
    ordered = [mark for line in lines for word in line for mark in word]
    read = iter(classify(np.stack([like_nist(mark.ink) for mark in ordered])[:, None]))
    texts = [["".join(next(read) for _ in word) for word in line] for line in lines]
    if context:
        texts = [[by_context(word) for word in line] for line in texts]
    return Text("\n".join(map(" ".join, texts)), "".join(word for line in texts for word in line), ordered)


def by_context(word: str) -> str:
    """A word in which what looks like a letter and like a digit is of the kind that most of the others are.

    O and 0, I and 1, Z and 2, S and 5 look alike. In a word with more other letters than other digits they are letters,
    in one with more digits they are digits; elsewhere they stay.

    Examples
    --------
    >>> by_context("L15T"), by_context("2O26"), by_context("1O")
    ('LIST', '2026', '1O')
    """
    others = [sign for sign in word if sign not in _TWINS and sign not in _TWINS.values()]
    letters = sum(sign.isalpha() for sign in others)
    digits = sum(sign.isdigit() for sign in others)
    if letters == digits:
        return word
    table = {digit: letter for letter, digit in _TWINS.items()} if letters > digits else _TWINS
    return word.translate(str.maketrans(table))
