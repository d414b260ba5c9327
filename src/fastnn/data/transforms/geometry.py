"""Transforms that move pixels."""

from __future__ import annotations

import math

import numpy as np

from fastnn.data.transforms.base import Transform, interval, probability
from fastnn.functional import interpolate

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
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if min(self.size) < 1:
            raise ValueError(f"size: got {size}, expected at least 1 x 1")
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


class RandomAffine(Transform):
    """Turn, shift and scale each image about its centre (bilinear).

    Parameters
    ----------
    degrees : bounds of the angle, clockwise where it is positive, or one number for both sides of 0
    translate : how far an image is shifted at most, as shares of its width and its height; by default not at all
    scale : bounds of the factor; by default 1
    fill : value of what comes from beyond the border
    layout : as of `Transform`
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        translate: tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
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
        self.fill = float(fill)

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, _, H, W = x.shape
        angle = np.deg2rad(rng.uniform(*self.degrees, N))
        factor = rng.uniform(*self.scale, N)
        reach = np.array([[self.translate[1] * H], [self.translate[0] * W]])
        shift = np.rint(rng.uniform(-1, 1, (2, N)) * reach)  # whole pixels, as torchvision has it
        # Where the pixels of the result come from: its own places about the centre, turned and scaled back.
        down = np.arange(H)[:, None] - (H - 1) / 2 - shift[0][:, None, None]
        right = np.arange(W)[None, :] - (W - 1) / 2 - shift[1][:, None, None]
        cos, sin = ((values / factor)[:, None, None] for values in (np.cos(angle), np.sin(angle)))
        rows = cos * down - sin * right + (H - 1) / 2
        columns = sin * down + cos * right + (W - 1) / 2
        return _sample(x, rows, columns, self.fill)


def _sample(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float) -> np.ndarray:
    """x (N, C, H, W) at places (N, H, W) between its pixels, bilinear; beyond the border it is `fill`."""
    N, C, H, W = x.shape
    framed = np.full((N, C, H + 2, W + 2), fill, x.dtype)
    framed[:, :, 1:-1, 1:-1] = x
    flat = framed.reshape(N, C, (H + 2) * (W + 2))
    rows, columns = np.clip(rows, -1, H) + 1, np.clip(columns, -1, W) + 1
    top, left = np.minimum(rows.astype(int), H), np.minimum(columns.astype(int), W)
    below, aside = (rows - top).astype(x.dtype), (columns - left).astype(x.dtype)
    corner = top * (W + 2) + left

    def pixels(offset: int) -> np.ndarray:
        places = (corner + offset).reshape(N, 1, H * W)
        return np.take_along_axis(flat, places, axis=2).reshape(N, C, H, W)

    below, aside = below[:, None], aside[:, None]
    upper = pixels(0) * (1 - aside) + pixels(1) * aside
    lower = pixels(W + 2) * (1 - aside) + pixels(W + 3) * aside
    result: np.ndarray = upper * (1 - below) + lower * below
    return result
