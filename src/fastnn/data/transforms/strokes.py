"""A transform of writing."""

from __future__ import annotations

import math

import numpy as np

from fastnn.data.transforms.base import Transform, interval


class RandomStrokeWidth(Transform):
    """Make the strokes of each image wider or thinner, as another pen would have drawn them.

    A stroke becomes two pixels wider where each pixel takes the darkest value among itself and its four neighbours,
    and two pixels thinner where it takes the lightest (Serra 1982). What lies between is a mixture of the two images.
    A stroke that is no wider than it is to become thinner disappears.

    Parameters
    ----------
    change : bounds of the pixels by which strokes become wider, or thinner below 0; or one number for both sides of 0
    ink : "dark" on light paper, as characters here are, or "light", as MNIST's digits are
    layout : as of `Transform`

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.data.transforms import RandomStrokeWidth
    >>> line = np.ones((1, 1, 3, 7))
    >>> line[..., 3] = 0
    >>> RandomStrokeWidth((2, 2))(line)[0, 0, 1]
    array([1., 1., 0., 0., 0., 1., 1.])
    """

    INKS = ("dark", "light")

    def __init__(self, change: float | tuple[float, float] = 1.0, *, ink: str = "dark", layout: str = "NCHW") -> None:
        super().__init__(layout=layout)
        self.change = interval("change", change, 0.0, -math.inf)
        if ink not in self.INKS:
            raise ValueError(f"ink: got {ink!r}, expected one of {', '.join(self.INKS)}")
        self.ink = ink

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        y = np.array(x, order="C")
        change = rng.uniform(*self.change, len(x))
        darker = change > 0 if self.ink == "dark" else change < 0
        for choose, images in ((np.minimum, darker), (np.maximum, ~darker)):
            amount = np.abs(change[images]).astype(x.dtype)[:, None, None, None] / 2
            part = y[images]
            for step in range(math.ceil(amount.max(initial=0))):
                part += np.clip(amount - step, 0, 1) * (_of_neighbours(choose, part) - part)
            y[images] = part
        return y


def _of_neighbours(choose: np.ufunc, x: np.ndarray) -> np.ndarray:
    """The smallest or largest value of each pixel and the four beside it."""
    y = x.copy()
    choose(y[:, :, 1:], x[:, :, :-1], out=y[:, :, 1:])
    choose(y[:, :, :-1], x[:, :, 1:], out=y[:, :, :-1])
    choose(y[:, :, :, 1:], x[:, :, :, :-1], out=y[:, :, :, 1:])
    choose(y[:, :, :, :-1], x[:, :, :, 1:], out=y[:, :, :, :-1])
    return y
