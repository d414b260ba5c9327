"""From a photograph of writing to images that a network has learned: find the marks, cut them out, scale them."""

from fastnn.vision.marks import Box, Mark, find_marks
from fastnn.vision.normalise import like_mnist, like_nist, thicken

__all__ = ["Box", "Mark", "find_marks", "like_mnist", "like_nist", "thicken"]
