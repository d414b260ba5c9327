"""From a photograph of writing to its text: find the marks, put them in lines, scale them as a network has learned."""

from fastnn.vision.lines import find_lines, words
from fastnn.vision.marks import Box, Mark, find_marks
from fastnn.vision.normalise import like_mnist, like_nist, thicken
from fastnn.vision.text import Text, by_context, read_lines

__all__ = [
    "Box",
    "Mark",
    "Text",
    "by_context",
    "find_lines",
    "find_marks",
    "like_mnist",
    "like_nist",
    "read_lines",
    "thicken",
    "words",
]
