"""What all transforms have in common: the layout of a batch, the source of what is random, composition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastnn._runtime import generator

_LAYOUTS = ("NCHW", "NHWC")


class Transform:
    """A change of a batch of images; subclasses write `apply`.

    Parameters
    ----------
    layout : "NCHW" or "NHWC", of the batches to come
    """

    def __init__(self, *, layout: str = "NCHW") -> None:
        if layout not in _LAYOUTS:
            raise ValueError(f"layout: got {layout!r}, expected one of {', '.join(_LAYOUTS)}")
        self.layout = layout

    def __call__(self, x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """The changed batch.

        Parameters
        ----------
        x : float32 or float64, of four axes
        rng : source of what is random; by default the package's generator

        Returns
        -------
        x : another array of the same dtype and layout
        """
        if x.ndim != 4:
            raise ValueError(f"x: got an array of shape {x.shape}, expected a batch of four axes, {self.layout}")
        if x.dtype not in (np.float32, np.float64):
            raise TypeError(f"x: got {x.dtype}, expected float32 or float64; divide bytes by 255")
        rng = generator() if rng is None else rng
        if self.layout == "NCHW":
            return self.apply(x, rng)
        return np.ascontiguousarray(self.apply(x.transpose(0, 3, 1, 2), rng).transpose(0, 2, 3, 1))

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The changed batch of x, (N, C, H, W), which must not be written to; all that is random is drawn from rng."""
        raise NotImplementedError


class Compose:
    """Transforms one after the other.

    Parameters
    ----------
    transforms : in their order; functions of a batch and a generator

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.data.transforms import Compose, Normalize, RandomHorizontalFlip
    >>> augment = Compose([RandomHorizontalFlip(), Normalize(mean=(0.5,), std=(0.25,))])
    >>> augment(np.ones((8, 1, 4, 4)), np.random.default_rng(0)).max()
    np.float64(2.0)
    """

    def __init__(self, transforms: Sequence[Callable[[np.ndarray, np.random.Generator], np.ndarray]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """The batch after all of them; arguments as of `Transform`."""
        rng = generator() if rng is None else rng
        for transform in self.transforms:
            x = transform(x, rng)
        return x


def interval(name: str, value: float | tuple[float, float], centre: float, lowest: float) -> tuple[float, float]:
    """The bounds that torchvision means by a number (that far from the centre, to both sides) or by a pair."""
    if isinstance(value, tuple | list):
        low, high = value
    else:
        if value < 0:
            raise ValueError(f"{name}: got {value}, expected at least 0")
        low, high = max(lowest, centre - value), centre + value
    if not lowest <= low <= high:
        raise ValueError(f"{name}: got {value}, expected bounds (low, high) from {lowest} on")
    return float(low), float(high)


def probability(name: str, value: float) -> float:
    """A number in 0..1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: got {value}, expected 0 to 1")
    return float(value)


def height_and_width(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Both, of what torchvision means by one number or a pair."""
    size = (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
    if min(size) < 1:
        raise ValueError(f"{name}: got {value}, expected at least 1 x 1")
    return size
