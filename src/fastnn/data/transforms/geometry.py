"""Transforms that move pixels."""

from __future__ import annotations

import math

import numpy as np

from fastnn.data.transforms.base import Transform, height_and_width, interval, probability
from fastnn.functional import interpolate

_IN_CACHE = 8192  # pixels whose places and values stay there while they are worked on
_TRIES = 10  # of RandomResizedCrop, before it takes the middle of the image


class RandomHorizontalFlip(Transform):
    """Mirror each image, left to right, with probability p.

    Parameters
    ----------
    p : probability
    layout : as of `Transform`
    """

    def __init__(self, p: float = 0.5, *, layout: str = "NCHW") -> None:
        super().__init__(layout=layout)
        self.p = probability("p", p)

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        y = np.array(x, order="C")
        flipped = rng.random(len(x)) < self.p
        y[flipped] = x[flipped, :, :, ::-1]
        return y


class RandomResizedCrop(Transform):
    """Cut a random part out of each image, and scale it to one size (bilinear, without antialiasing).

    The part has a share of the image's area that is uniform in `scale`, and a ratio of width to height whose logarithm
    is uniform in that of `ratio`; its place is uniform. What does not fit is drawn again, 10 times at most; then it is
    the middle of the image, as large as `ratio` lets it be (Szegedy et al. 2015).

    Parameters
    ----------
    size : height and width of what comes out, or one number for both
    scale : bounds of the share
    ratio : bounds of width / height
    layout : as of `Transform`
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        *,
        layout: str = "NCHW",
    ) -> None:
        super().__init__(layout=layout)
        self.size = height_and_width("size", size)
        for name, (low, high) in (("scale", scale), ("ratio", ratio)):
            if not 0 < low <= high:
                raise ValueError(f"{name}: got {(low, high)}, expected bounds (low, high) above 0")
        self.scale, self.ratio = scale, ratio

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        y = np.empty((*x.shape[:2], *self.size), x.dtype)
        for i, (top, left, bottom, right) in enumerate(self.boxes(len(x), x.shape[2:], rng)):
            part = np.ascontiguousarray(x[i : i + 1, :, top:bottom, left:right])
            y[i] = interpolate(part, size=self.size, mode="bilinear")[0]
        return y

    def boxes(self, count: int, image: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Draw parts of images of that size: top, left, bottom and right, as of `vision.Box`, (count, 4)."""
        H, W = image
        share = rng.uniform(*self.scale, (count, _TRIES))
        ratio = np.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1]), (count, _TRIES)))
        place = rng.random((count, 2))
        widths = np.rint(np.sqrt(H * W * share * ratio)).astype(int)
        heights = np.rint(np.sqrt(H * W * share / ratio)).astype(int)
        fits = (widths > 0) & (widths <= W) & (heights > 0) & (heights <= H)
        first = fits.argmax(axis=1)
        height, width = (np.take_along_axis(sizes, first[:, None], 1)[:, 0] for sizes in (heights, widths))
        top, left = ((place * (1 + np.stack([H - height, W - width], 1))).astype(int)).T
        boxes = np.stack([top, left, top + height, left + width], 1)
        boxes[~fits.any(axis=1)] = self._middle(H, W)
        return boxes

    def _middle(self, H: int, W: int) -> tuple[int, int, int, int]:
        narrowest, widest = self.ratio
        height, width = min(H, max(1, round(W / narrowest))), min(W, max(1, round(H * widest)))
        top, left = (H - height) // 2, (W - width) // 2
        return top, left, top + height, left + width


class RandomCrop(Transform):
    """Cut a part of one size out of each image, at a random place; with padding, images seem shifted.

    Parameters
    ----------
    size : height and width of the part, or one number for both
    padding : pixels that are put around the images first: one number, or (left and right, top and bottom), or
        (left, top, right, bottom); by default none
    fill : value of these pixels, where `padding_mode` is "constant"
    padding_mode : "constant"; or "edge", "reflect" or "symmetric", as of `numpy.pad`
    layout : as of `Transform`

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.data.transforms import RandomCrop
    >>> RandomCrop(32, padding=4)(np.ones((8, 3, 32, 32)), np.random.default_rng(0)).shape
    (8, 3, 32, 32)
    """

    MODES = ("constant", "edge", "reflect", "symmetric")

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | tuple[int, ...] | None = None,
        *,
        fill: float = 0.0,
        padding_mode: str = "constant",
        layout: str = "NCHW",
    ) -> None:
        super().__init__(layout=layout)
        self.size = height_and_width("size", size)
        sides = (0,) if padding is None else (padding,) if isinstance(padding, int) else tuple(padding)
        if len(sides) not in (1, 2, 4) or min(sides) < 0:
            raise ValueError(f"padding: got {padding}, expected 1, 2 or 4 numbers of at least 0")
        self.left, self.top, self.right, self.bottom = sides * (4 // len(sides))
        if padding_mode not in self.MODES:
            raise ValueError(f"padding_mode: got {padding_mode!r}, expected one of {', '.join(self.MODES)}")
        self.fill, self.padding_mode = float(fill), padding_mode

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sides = ((0, 0), (0, 0), (self.top, self.bottom), (self.left, self.right))
        constant = {"constant_values": self.fill} if self.padding_mode == "constant" else {}
        padded = np.pad(x, sides, self.padding_mode, **constant)  # type: ignore[call-overload]
        room = np.subtract(padded.shape[2:], self.size)
        if room.min() < 0:
            H, W = padded.shape[2:]
            raise ValueError(f"x: got images of {H} x {W} with padding, expected at least {self.size} for the crop")
        y = np.empty((*x.shape[:2], *self.size), x.dtype)
        for i, (top, left) in enumerate(rng.integers(0, room + 1, (len(x), 2))):
            y[i] = padded[i, :, top : top + self.size[0], left : left + self.size[1]]
        return y


class RandomAffine(Transform):
    """Turn, shift, scale and shear each image about its centre (bilinear).

    Parameters
    ----------
    degrees : bounds of the angle, clockwise where it is positive, or one number for both sides of 0
    translate : how far an image is shifted at most, as shares of its width and its height; by default not at all
    scale : bounds of the factor; by default 1
    shear : bounds of the angle, in degrees, by which upright lines lean to the right, or one number for both sides of
        0; or four numbers, of which the last two are bounds of the angle by which level lines rise to the right; by
        default none
    fill : value of what comes from beyond the border
    layout : as of `Transform`
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        translate: tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
        shear: float | tuple[float, ...] | None = None,
        fill: float = 0.0,
        *,
        layout: str = "NCHW",
    ) -> None:
        super().__init__(layout=layout)
        self.degrees = interval("degrees", degrees, 0.0, -math.inf)
        shares = (0.0, 0.0) if translate is None else translate
        self.translate = probability("translate", shares[0]), probability("translate", shares[1])
        self.scale = (1.0, 1.0) if scale is None else interval("scale", scale, 1.0, 0.0)
        if self.scale[0] <= 0:
            raise ValueError(f"scale: got {scale}, expected bounds above 0")
        self.shear = _shear_bounds(shear)
        self.fill = float(fill)

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, _, H, W = x.shape
        angle = np.deg2rad(rng.uniform(*self.degrees, N))
        factor = rng.uniform(*self.scale, N)
        reach = np.array([[self.translate[1] * H], [self.translate[0] * W]])
        shift = np.rint(rng.uniform(-1, 1, (2, N)) * reach)  # whole pixels, as torchvision has it
        aslant, level = (np.deg2rad(rng.uniform(*bounds, N)) for bounds in self.shear)
        # Where the pixels of the result come from: its own places about the centre, through the inverse of the turn of
        # the shears, whose determinant is 1. Each is the sum of a number of its row and one of its column.
        down, right = np.arange(H) - (H - 1) / 2 - shift[0][:, None], np.arange(W) - (W - 1) / 2 - shift[1][:, None]
        a, c = np.cos(angle - level) / np.cos(level), np.sin(angle - level) / np.cos(level)
        b, d = -a * np.tan(aslant) - np.sin(angle), -c * np.tan(aslant) + np.cos(angle)
        a, b, c, d = ((values / factor)[:, None] for values in (a, b, c, d))
        of_rows, of_columns = (a * down + (H - 1) / 2, (W - 1) / 2 - b * down), (-c * right, d * right)
        y = np.empty_like(x, order="C")
        few = max(1, _IN_CACHE // (H * W))
        for piece in (slice(first, first + few) for first in range(0, N, few)):
            rows, columns = (_sums(i[piece], j[piece], x.dtype) for i, j in zip(of_rows, of_columns, strict=True))
            _sample(x[piece], rows, columns, self.fill, y[piece])
        return y


def _sums(of_rows: np.ndarray, of_columns: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(N, H, W) of (N, H) and (N, W)."""
    sums: np.ndarray = of_rows.astype(dtype)[:, :, None] + of_columns.astype(dtype)[:, None, :]
    return sums


def _shear_bounds(shear: float | tuple[float, ...] | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """The bounds of both angles, of what torchvision takes."""
    if shear is None:
        return (0.0, 0.0), (0.0, 0.0)
    if isinstance(shear, tuple | list):
        if len(shear) not in (2, 4):
            raise ValueError(f"shear: got {shear}, expected 1, 2 or 4 numbers")
        bounds = [interval("shear", (shear[i], shear[i + 1]), 0.0, -math.inf) for i in range(0, len(shear), 2)]
    else:
        bounds = [interval("shear", shear, 0.0, -math.inf)]
    aslant, level = (*bounds, (0.0, 0.0))[:2]
    if not -90 < min(aslant[0], level[0]) <= max(aslant[1], level[1]) < 90:
        raise ValueError(f"shear: got {shear}, expected angles between -90 and 90")
    return aslant, level


def _sample(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float, y: np.ndarray) -> None:
    """y: x (N, C, H, W) at places (N, H, W) between its pixels, bilinear; beyond the border it is `fill`."""
    N, C, H, W = x.shape
    framed = np.full((N, C, H + 2, W + 2), fill, x.dtype)
    framed[:, :, 1:-1, 1:-1] = x
    below, top = _parted(rows, H)
    aside, left = _parted(columns, W)
    corner = top
    corner *= W + 2
    corner += left
    corner += (np.arange(N) * (C * (H + 2) * (W + 2)))[:, None, None]
    for channel in range(C):
        flat = framed.reshape(-1)[channel * (H + 2) * (W + 2) :]
        upper, lower = (_between(flat.take(corner + k), flat.take(corner + k + 1), aside) for k in (0, W + 2))
        y[:, channel] = _between(upper, lower, below)


def _parted(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """How far places are behind the pixel before them, and its number where a frame of one pixel is about the image."""
    places = np.clip(places, -1, size, out=places)
    places += 1
    before = np.floor(places)
    places -= np.minimum(before, size, out=before)
    return places, before.astype(np.intp)


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The mixture of two arrays, written into the second."""
    second -= first
    second *= share
    second += first
    return second
